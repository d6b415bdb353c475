//! Server-side apply: the configuration merged, less what its manager owned and no longer names.
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/>

use serde_json::{Map, Value};

use super::strategic::{self, Style};

/// The object after `manager` applies `configuration`; `None` when it cannot be told. Of a subresource, what the manager owns
/// by it and what it owns by the object counts.
pub(super) fn applied(
    old: &Value,
    configuration: &Value,
    manager: Option<&str>,
    subresource: Option<&str>,
) -> Option<Value> {
    let mut result = old.clone();
    let sets = old.pointer("/metadata/managedFields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |set: &Value, field: &str| set.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let own = |set: &&Value| {
        manager.is_some_and(|manager| text(set, "manager") == manager)
            && text(set, "operation") == "Apply"
            && matches!(text(set, "subresource"), own if own.is_empty() || Some(own.as_str()) == subresource)
    };
    let fields = |set: &&Value| set.get("fieldsV1").and_then(Value::as_object).cloned();
    let owned: Vec<Map<String, Value>> = sets.iter().filter(own).filter_map(|set| fields(&set)).collect();
    let others: Vec<Map<String, Value>> = sets.iter().filter(|set| !own(set)).filter_map(|set| fields(&set)).collect();
    for owned in &owned {
        let others: Vec<&Map<String, Value>> = others.iter().collect();
        drop_owned(&mut result, owned, Some(configuration), &others);
    }
    strategic::merge(&mut result, configuration, Style::Apply)?;
    Some(result)
}

/// Removes from `value` what `owned` names and neither the configuration nor another manager does.
fn drop_owned(
    value: &mut Value,
    owned: &Map<String, Value>,
    configuration: Option<&Value>,
    others: &[&Map<String, Value>],
) {
    for (path, below) in owned.iter().filter(|(path, _)| *path != ".") {
        let below = below.as_object().cloned().unwrap_or_default();
        let elsewhere: Vec<&Map<String, Value>> =
            others.iter().filter_map(|other| other.get(path).and_then(Value::as_object)).collect();
        let shared = others.iter().any(|other| other.contains_key(path));
        let wanted = configuration.and_then(|configuration| find(configuration, path));
        let nested = below.keys().any(|key| key != ".");
        if !shared && wanted.is_none() && (!nested || below.contains_key(".")) {
            take(value, path);
        } else if nested && let Some(field) = find_mut(value, path) {
            drop_owned(field, &below, wanted, &elsewhere);
        }
    }
}

/// One path element: `f:name`, `k:{"name":"web"}` (an item of a list by its keys) or `v:"text"` (a member of a set).
fn find<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    match path.split_at_checked(2)? {
        ("f:", name) => value.get(name),
        (kind, text) => {
            let matches = item(kind, text)?;
            value.as_array()?.iter().find(|item| matches(item))
        }
    }
}

fn find_mut<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    match path.split_at_checked(2)? {
        ("f:", name) => value.get_mut(name),
        (kind, text) => {
            let matches = item(kind, text)?;
            value.as_array_mut()?.iter_mut().find(|item| matches(item))
        }
    }
}

fn take(value: &mut Value, path: &str) {
    match (path.split_at_checked(2), value) {
        (Some(("f:", name)), Value::Object(fields)) => {
            fields.remove(name);
        }
        (Some((kind, text)), Value::Array(items)) => {
            if let Some(matches) = item(kind, text) {
                items.retain(|item| !matches(item));
            }
        }
        _ => {}
    }
}

fn item(kind: &str, text: &str) -> Option<impl Fn(&Value) -> bool + use<>> {
    let wanted: Value = serde_json::from_str(text).ok()?;
    let keys = matches!(kind, "k:");
    if !keys && kind != "v:" {
        return None;
    }
    Some(move |item: &Value| match &wanted {
        // A key that the item leaves out has its default (`protocol: TCP`), which only a schema knows.
        Value::Object(wanted) if keys => {
            wanted.iter().all(|(key, value)| item.get(key).is_none_or(|found| found == value))
        }
        _ => *item == wanted,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn old() -> Value {
        json!({"metadata": {"finalizers": ["a.io/x", "b.io/y"], "managedFields": [
                {"manager": "helm", "operation": "Apply", "fieldsV1": {
                    "f:metadata": {"f:finalizers": {".": {}, "v:\"a.io/x\"": {}}},
                    "f:spec": {"f:replicas": {}, "f:paused": {}, "f:template": {"f:spec": {"f:containers": {
                        "k:{\"name\":\"side\"}": {".": {}, "f:name": {}, "f:image": {}},
                        "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}}},
                {"manager": "other", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}, "f:metadata": {"f:finalizers": {"v:\"b.io/y\"": {}}}}},
            ]},
            "spec": {"replicas": 6, "paused": true, "template": {"spec": {"containers": [
                {"name": "web", "image": "web:1"}, {"name": "side", "image": "side:1"}]}}}})
    }

    #[test]
    fn what_the_manager_owned_alone_and_no_longer_names_goes() {
        let configuration =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}});
        let result = applied(&old(), &configuration, Some("helm"), None).unwrap();
        assert_eq!(result.pointer("/spec/replicas"), None);
        assert_eq!(result.pointer("/spec/paused"), Some(&json!(true)), "another manager owns it too");
        assert_eq!(result.pointer("/metadata/finalizers"), Some(&json!(["b.io/y"])));
        assert_eq!(result.pointer("/spec/template/spec/containers"), Some(&json!([{"name": "web", "image": "web:2"}])));
        let stranger = applied(&old(), &configuration, Some("stranger"), None).unwrap();
        assert_eq!(stranger.pointer("/spec/replicas"), Some(&json!(6)));
        assert_eq!(stranger.pointer("/spec/template/spec/containers/1/name"), Some(&json!("side")));
    }
}
