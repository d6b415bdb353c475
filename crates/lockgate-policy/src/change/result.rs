//! What an object would be after a request: the API server's own merge, as far as it can be done without schemas.
//!
//! - PUT: the body. Server-side apply: the body merged, less what the same manager owned and no longer names.
//! - Merge patch: RFC 7396, JSON Patch: RFC 6902, both as the API server's library has them. Strategic merge: the merge keys of the built-in types.
//!
//! `None` says "cannot be told": the API server will refuse it, or only a schema could tell. The caller errs to what the
//! request alone says.

use std::borrow::Cow;

use lockgate_core::{PatchType, Verb};
use serde_json::{Map, Value};

use super::{json_patch, managed, strategic};
use crate::risk::Request;

/// The object after the request; `None` when that cannot be told.
pub(crate) fn of<'r>(request: &Request<'r>, old: &Value) -> Option<Cow<'r, Value>> {
    let body = request.object?;
    let mut result = match (request.verb, request.options.patch_type) {
        (Verb::Update, None) => return body.is_object().then_some(Cow::Borrowed(body)),
        (Verb::Patch, Some(PatchType::Json)) => json_patch::patched(old, body)?,
        (Verb::Patch, Some(PatchType::Merge)) => {
            let mut result = old.clone();
            merge(&mut result, body);
            result
        }
        (Verb::Patch, Some(PatchType::Strategic)) => strategic::patched(old, body)?,
        (Verb::Patch, Some(PatchType::Apply)) => {
            managed::applied(old, body, request.options.field_manager.as_deref(), request.subresource)?
        }
        _ => return None,
    };
    // Only the server writes this; a patch cannot.
    if let (Some(metadata), Some(now)) =
        (result.get_mut("metadata").and_then(Value::as_object_mut), old.pointer("/metadata/managedFields"))
    {
        metadata.insert("managedFields".into(), now.clone());
    }
    Some(Cow::Owned(result))
}

/// RFC 7396. The API server's library (`gopkg.in/evanphx/json-patch.v4`, `merge.go`) drops the nulls of the objects in a list,
/// too, unless the list takes the place of an object.
fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(fields), Value::Object(patch)) => {
            for (name, value) in patch {
                if value.is_null() {
                    fields.remove(name);
                } else {
                    merge(fields.entry(name.as_str()).or_insert(Value::Null), value);
                }
            }
        }
        (target @ Value::Object(_), patch) => *target = patch.clone(),
        (target, patch) => *target = without_nulls(patch),
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples in the appendix of RFC 7396.
    #[test]
    fn merge_patch_as_in_the_rfc() {
        let table = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (mut target, patch, expected) in table {
            merge(&mut target, &patch);
            assert_eq!(target, expected, "{patch}");
        }
    }
}
