//! Strategic merge patch, with the merge keys of the built-in types instead of their schemas.
//!
//! What the list of keys does not name is replaced as a whole, which is what the API server does with a list that has no
//! merge key. <https://github.com/kubernetes/community/blob/main/contributors/devel/sig-api-machinery/strategic-merge-patch.md>

use serde_json::{Map, Value};

/// Deepest value that is merged; the decoder refuses deeper bodies.
const DEPTH_MAX: usize = 128;

/// Fields whose lists of objects are merged, with the key that tells items apart (`patchMergeKey` in the API types; where a
/// field's name has two, the one that the item has counts).
const MERGE_KEYS: [(&str, &[&str]); 20] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("volumes", &["name"]),
    ("env", &["name"]),
    ("ports", &["containerPort", "port"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("imagePullSecrets", &["name"]),
    ("secrets", &["name"]),
    ("hostAliases", &["ip"]),
    ("topologySpreadConstraints", &["topologyKey"]),
    ("resourceClaims", &["name"]),
    ("schedulingGates", &["name"]),
    ("ownerReferences", &["uid"]),
    ("conditions", &["type"]),
    ("addresses", &["type"]),
    ("podIPs", &["ip"]),
    ("hostIPs", &["ip"]),
    ("webhooks", &["name"]),
];

/// Fields whose lists of texts are merged as sets.
const SETS: [&str; 2] = ["finalizers", "podCIDRs"];

/// Prefixes and names of the fields that steer the merge and are no fields of the object.
pub(super) const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";
const RETAIN_KEYS: &str = "$retainKeys";
const DIRECTIVE: &str = "$patch";

/// Whether nulls of the patch delete, and directives count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// A strategic merge patch.
    Patch,
    /// The configuration of a server-side apply: the same merge of lists, no directives.
    Apply,
}

/// Whether a field steers the merge and is no field of the object. Others may well begin with `$`: `$ref` in a schema.
pub(super) fn is_directive(name: &str) -> bool {
    name == DIRECTIVE || name == RETAIN_KEYS || name.starts_with(DELETE_FROM) || name.starts_with(ORDER)
}

/// Whether the lists of a field of this name are merged.
pub(super) fn merges(list: &str) -> bool {
    MERGE_KEYS.iter().any(|(field, _)| *field == list)
}

/// The patched object; `None` when the API server would refuse the patch.
pub(super) fn patched(old: &Value, patch: &Value) -> Option<Value> {
    let mut result = old.clone();
    merge(&mut result, patch, Style::Patch)?;
    Some(result)
}

/// Merges `patch`, an object, into `target`.
pub(super) fn merge(target: &mut Value, patch: &Value, style: Style) -> Option<()> {
    merge_object(target, patch.as_object()?, style, 0)
}

fn merge_object(target: &mut Value, patch: &Map<String, Value>, style: Style, depth: usize) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") if style == Style::Patch => {
            *target = Value::Object(without_directives(patch));
            return Some(());
        }
        Some("delete") if style == Style::Patch => {
            *target = Value::Null;
            return Some(());
        }
        Some("merge") | None => {}
        Some(_) => return None,
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let fields = target.as_object_mut()?;
    if let Some(kept) = patch.get(RETAIN_KEYS).and_then(Value::as_array).filter(|_| style == Style::Patch) {
        fields.retain(|name, _| kept.iter().any(|kept| kept == name));
    }
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix(DELETE_FROM).filter(|_| style == Style::Patch) {
            let removed = value.as_array()?;
            if let Some(Value::Array(items)) = fields.get_mut(list) {
                items.retain(|item| !removed.contains(item));
            }
        }
    }
    for (name, value) in patch.iter().filter(|(name, _)| style == Style::Apply || !is_directive(name)) {
        match value {
            Value::Null => {
                fields.remove(name);
            }
            Value::Object(patch) => {
                let field = fields.entry(name.as_str()).or_insert(Value::Null);
                merge_object(field, patch, style, depth.saturating_add(1))?;
                if field.is_null() {
                    fields.remove(name);
                }
            }
            Value::Array(patch) => {
                let field = fields.entry(name.as_str()).or_insert(Value::Null);
                merge_list(name, field, patch, style, depth.saturating_add(1))?;
            }
            scalar => {
                fields.insert(name.clone(), scalar.clone());
            }
        }
    }
    Some(())
}

fn merge_list(name: &str, target: &mut Value, patch: &[Value], style: Style, depth: usize) -> Option<()> {
    if SETS.contains(&name) && patch.iter().all(Value::is_string) {
        let mut items = target.as_array().cloned().unwrap_or_default();
        items.extend(patch.iter().filter(|item| !target.as_array().is_some_and(|old| old.contains(item))).cloned());
        *target = Value::Array(items);
        return Some(());
    }
    let keys = MERGE_KEYS.iter().find(|(field, _)| *field == name).map(|(_, keys)| *keys);
    let replaces = patch.iter().any(|item| item.get(DIRECTIVE).and_then(Value::as_str) == Some("replace"));
    let mergeable = keys.is_some() && !replaces && patch.iter().all(Value::is_object);
    let Some(keys) = keys.filter(|_| mergeable) else {
        let items = patch.iter().filter(|item| item.get(DIRECTIVE).is_none()).cloned();
        *target = Value::Array(items.collect());
        return Some(());
    };
    let mut items = target.as_array().cloned().unwrap_or_default();
    for item in patch {
        let fields = item.as_object()?;
        let key = keys.iter().find(|key| fields.contains_key(**key))?;
        let same = |other: &Value| other.get(*key).is_some() && other.get(*key) == fields.get(*key);
        if fields.get(DIRECTIVE).and_then(Value::as_str) == Some("delete") && style == Style::Patch {
            items.retain(|other| !same(other));
            continue;
        }
        match items.iter_mut().find(|other| same(other)) {
            Some(other) => merge_object(other, fields, style, depth.saturating_add(1))?,
            None => items.push(Value::Object(without_directives(fields))),
        }
    }
    *target = Value::Array(items);
    Some(())
}

fn without_directives(patch: &Map<String, Value>) -> Map<String, Value> {
    patch.iter().filter(|(name, _)| !is_directive(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_merged_by_their_keys_and_directives_are_obeyed() {
        let old = json!({"spec": {"replicas": 2, "containers": [{"name": "a", "image": "a:1", "args": ["x", "y"]}, {"name": "b", "image": "b:1"}],
            "volumes": [{"name": "v", "secret": {"secretName": "s"}}], "tolerations": [{"key": "k"}]}, "metadata": {"finalizers": ["f", "g"]}});
        let at = |patch: Value, pointer: &str| patched(&old, &patch).unwrap().pointer(pointer).cloned();
        let image = json!({"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "a", "image": "a:2", "args": ["z"]}]}});
        assert_eq!(
            at(image, "/spec/containers"),
            Some(json!([{"name": "a", "image": "a:2", "args": ["z"]}, {"name": "b", "image": "b:1"}]))
        );
        let delete = json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}, {"name": "c", "image": "c"}]}});
        assert_eq!(
            at(delete, "/spec/containers"),
            Some(json!([{"name": "b", "image": "b:1"}, {"name": "c", "image": "c"}]))
        );
        let replace = json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}});
        assert_eq!(at(replace, "/spec/containers"), Some(json!([{"name": "c"}])));
        assert_eq!(at(json!({"spec": {"$patch": "replace", "x": 1}}), "/spec"), Some(json!({"x": 1})));
        assert_eq!(at(json!({"spec": {"$patch": "delete"}}), "/spec"), None);
        let retain = json!({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "emptyDir"], "emptyDir": {}}]}});
        assert_eq!(at(retain, "/spec/volumes"), Some(json!([{"name": "v", "emptyDir": {}}])));
        assert_eq!(
            at(json!({"spec": {"tolerations": [{"key": "l"}]}}), "/spec/tolerations"),
            Some(json!([{"key": "l"}]))
        );
        assert_eq!(at(json!({"spec": {"replicas": null}}), "/spec/replicas"), None);
        let finalizers = "/metadata/finalizers";
        assert_eq!(at(json!({"metadata": {"finalizers": ["h", "f"]}}), finalizers), Some(json!(["f", "g", "h"])));
        assert_eq!(
            at(json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["f"]}}), finalizers),
            Some(json!(["g"]))
        );
        assert_eq!(at(json!({"metadata": {"finalizers": null}}), finalizers), None);
        for refused in [json!([]), json!({"$patch": "x"}), json!({"spec": {"containers": [{"image": "nameless"}]}})] {
            assert_eq!(patched(&old, &refused), None, "{refused}");
        }
    }
}
