//! JSON Patch (RFC 6902) on a known object, as the API server's library applies it (`gopkg.in/evanphx/json-patch.v4`): `copy` of a
//! field that is not there copies null, `replace` of one adds it, and nothing is added, copied or moved to or from the whole
//! document.

use serde_json::Value;

/// Most operations of one patch; the API server takes 10,000
/// (`k8s.io/apiserver/pkg/endpoints/handlers/patch.go`, `maxJSONPatchOperations`).
const OPERATIONS_MAX: usize = 10_000;

/// Most bytes, roughly, that `copy` may add: the library of the API server has the same bound.
const COPIED_NODES_MAX: usize = 1_000_000;

/// The patched object; `None` when the API server would refuse the patch, a failed `test` included, or nobody can tell.
pub(super) fn patched(old: &Value, operations: &Value) -> Option<Value> {
    let operations = operations.as_array().filter(|operations| operations.len() <= OPERATIONS_MAX)?;
    let mut result = old.clone();
    let mut copied = 0_usize;
    for operation in operations {
        let text = |field: &str| operation.get(field).and_then(Value::as_str);
        let (word, path) = (text("op")?, segments(text("path")?)?);
        match word {
            "add" => add(&mut result, &path, operation.get("value").cloned().unwrap_or_default())?,
            "replace" => replace(&mut result, &path, operation.get("value").cloned().unwrap_or_default())?,
            "remove" => drop(remove(&mut result, &path)?),
            "test" => {
                let expected = operation.get("value").unwrap_or(&Value::Null);
                // The library takes a missing field for null.
                let found = at(&result, &path).unwrap_or(&Value::Null);
                if found != expected {
                    return None;
                }
            }
            "copy" => {
                let value = copied_from(&result, &segments(text("from")?)?)?;
                copied = copied.checked_add(nodes(&value)).filter(|copied| *copied <= COPIED_NODES_MAX)?;
                add(&mut result, &path, value)?;
            }
            "move" => {
                let value = remove(&mut result, &segments(text("from")?)?)?;
                add(&mut result, &path, value)?;
            }
            _ => return None,
        }
    }
    // What is no object the API server refuses.
    result.is_object().then_some(result)
}

/// The parts of a JSON Pointer, unescaped; none for the whole document.
pub(super) fn segments(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let parts = pointer.strip_prefix('/')?.split('/');
    Some(parts.map(|part| part.replace("~1", "/").replace("~0", "~")).collect())
}

/// Whether a part of a pointer may be a position in a list.
pub(super) fn is_position(key: &str) -> bool {
    key == "-" || key.parse::<i64>().is_ok()
}

fn at<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Object(fields) => fields.get(key),
        Value::Array(items) => items.get(position(key, items.len())?),
        _ => None,
    })
}

fn at_mut<'v>(value: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Object(fields) => fields.get_mut(key),
        Value::Array(items) => {
            let index = position(key, items.len())?;
            items.get_mut(index)
        }
        _ => None,
    })
}

/// The value that `copy` takes: null for a field that is not there.
fn copied_from(root: &Value, path: &[String]) -> Option<Value> {
    let (key, parent) = path.split_last()?;
    match at(root, parent)? {
        Value::Object(fields) => Some(fields.get(key).cloned().unwrap_or_default()),
        Value::Array(items) => items.get(position(key, items.len())?).cloned(),
        _ => None,
    }
}

fn replace(root: &mut Value, path: &[String], value: Value) -> Option<()> {
    let Some((key, parent)) = path.split_last() else {
        *root = value;
        return Some(());
    };
    match at_mut(root, parent)? {
        Value::Object(fields) => drop(fields.insert(key.clone(), value)),
        Value::Array(items) => {
            let index = position(key, items.len())?;
            *items.get_mut(index)? = value;
        }
        _ => return None,
    }
    Some(())
}

fn add(root: &mut Value, path: &[String], value: Value) -> Option<()> {
    let (key, parent) = path.split_last()?;
    match at_mut(root, parent)? {
        Value::Object(fields) => {
            fields.insert(key.clone(), value);
        }
        Value::Array(items) => {
            let index = if key == "-" { items.len() } else { position(key, items.len().saturating_add(1))? };
            if index > items.len() {
                return None;
            }
            items.insert(index, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(root: &mut Value, path: &[String]) -> Option<Value> {
    let (key, parent) = path.split_last()?;
    match at_mut(root, parent)? {
        Value::Object(fields) => fields.remove(key),
        Value::Array(items) => {
            let index = position(key, items.len())?;
            (index < items.len()).then(|| items.remove(index))
        }
        _ => None,
    }
}

/// A list position. The library of the API server counts negative ones from the end.
fn position(key: &str, length: usize) -> Option<usize> {
    match key.strip_prefix('-') {
        Some(back) => length.checked_sub(back.parse().ok()?),
        None => key.parse().ok(),
    }
}

fn nodes(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(nodes).sum::<usize>().saturating_add(1),
        Value::Object(fields) => fields.values().map(nodes).sum::<usize>().saturating_add(1),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_operation_as_in_the_rfc() {
        let old = json!({"a": {"b": [1, 2]}, "x/y": {"~": true}});
        let table = [
            (
                json!([{"op": "add", "path": "/a/c", "value": 1}]),
                Some(json!({"a": {"b": [1, 2], "c": 1}, "x/y": {"~": true}})),
            ),
            (
                json!([{"op": "add", "path": "/a/b/1", "value": 9}]),
                Some(json!({"a": {"b": [1, 9, 2]}, "x/y": {"~": true}})),
            ),
            (
                json!([{"op": "add", "path": "/a/b/-", "value": 9}]),
                Some(json!({"a": {"b": [1, 2, 9]}, "x/y": {"~": true}})),
            ),
            (json!([{"op": "remove", "path": "/a/b/-1"}]), Some(json!({"a": {"b": [1]}, "x/y": {"~": true}}))),
            (json!([{"op": "remove", "path": "/x~1y/~0"}]), Some(json!({"a": {"b": [1, 2]}, "x/y": {}}))),
            (json!([{"op": "replace", "path": "/a", "value": 1}]), Some(json!({"a": 1, "x/y": {"~": true}}))),
            (
                json!([{"op": "copy", "from": "/x~1y/~0", "path": "/a/b/0"}]),
                Some(json!({"a": {"b": [true, 1, 2]}, "x/y": {"~": true}})),
            ),
            (
                json!([{"op": "move", "from": "/a/b/0", "path": "/z"}]),
                Some(json!({"a": {"b": [2]}, "x/y": {"~": true}, "z": 1})),
            ),
            (json!([{"op": "test", "path": "/a/b/0", "value": 1}]), Some(old.clone())),
            (json!([{"op": "replace", "path": "", "value": {"n": 1}}]), Some(json!({"n": 1}))),
            (json!([{"op": "test", "path": "/a/b/0", "value": 2}]), None),
            (json!([{"op": "add", "path": "/no/where", "value": 1}]), None),
            (json!([{"op": "add", "path": "/a/b/7", "value": 1}]), None),
            (json!([{"op": "remove", "path": "/no"}]), None),
            (json!([{"op": "replace", "path": "/no/where", "value": 1}]), None),
            (json!([{"op": "replace", "path": "/a/b/2", "value": 1}]), None),
            (json!([{"op": "add", "path": "", "value": {"n": 1}}]), None),
            (json!([{"op": "replace", "path": "", "value": [1]}]), None),
            (json!([{"op": "copy", "from": "", "path": "/z"}]), None),
            (json!([{"op": "copy", "from": "/no/where", "path": "/z"}]), None),
            (json!([{"op": "copy", "from": "/a/b/2", "path": "/z"}]), None),
            (json!([{"op": "move", "from": "/no", "path": "/z"}]), None),
            (json!([{"op": "Remove", "path": "/a"}]), None),
            (json!([{"op": "remove"}]), None),
            (json!({"op": "remove"}), None),
        ];
        for (operations, expected) in table {
            assert_eq!(patched(&old, &operations), expected, "{operations}");
        }
    }

    /// The API server answers 200 to these, and stores what is said here.
    #[test]
    fn a_field_that_is_missing_is_copied_as_null_and_replaced_as_added() {
        let old = json!({"spec": {"replicas": 3}});
        let table = [
            (json!([{"op": "copy", "from": "/status", "path": "/spec/replicas"}]), json!({"spec": {"replicas": null}})),
            (json!([{"op": "copy", "from": "/foo", "path": "/spec"}]), json!({"spec": null})),
            (
                json!([{"op": "replace", "path": "/spec/paused", "value": true}]),
                json!({"spec": {"replicas": 3, "paused": true}}),
            ),
            (json!([{"op": "add", "path": "/spec/replicas"}]), json!({"spec": {"replicas": null}})),
        ];
        for (operations, expected) in table {
            assert_eq!(patched(&old, &operations), Some(expected), "{operations}");
        }
    }

    #[test]
    fn copies_of_copies_have_a_limit() {
        let double = json!([{"op": "copy", "from": "/a", "path": "/a/-"}]);
        let operations = Value::Array(vec![double[0].clone(); 64]);
        assert_eq!(patched(&json!({"a": [1]}), &operations), None);
    }
}
