//! What the audit log keeps of a request's body: secret values are masked before anything is stored.
//!
//! Owns where a request body can carry secret values: Secrets by resource and by kind at any depth, their merge, strategic
//! and JSON patches, `last-applied-configuration`, and the token of a TokenReview. Refuses to know answers ([`crate::mask`]).

use serde_json::{Value, json};

use crate::body::BODY_DEPTH_MAX;
use crate::{PLACEHOLDER, RequestInfo};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Most Secrets inside Secrets: `last-applied-configuration` inside itself. Deeper ones are masked whole.
const NESTED_TEXT_MAX: usize = 4;

/// Masks every secret value in a decoded request body, in place; returns how many.
pub fn mask_request_payload(info: &RequestInfo, body: &mut Value) -> u64 {
    let holds = match (info.api_group.as_str(), info.resource.as_str()) {
        ("", "secrets") => Holds::Secret,
        ("authentication.k8s.io", "tokenreviews") => Holds::TokenReview,
        _ => Holds::ByKind,
    };
    let mut masker = Masker { masked: 0, depth: 0 };
    match body {
        Value::Array(operations) => operations.iter_mut().for_each(|operation| masker.operation(operation, holds)),
        other => masker.object(other, holds),
    }
    masker.masked
}

/// What an object is, as far as is known before looking at its `kind`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Secret,
    TokenReview,
    ByKind,
}

struct Masker {
    masked: u64,
    depth: usize,
}

impl Masker {
    /// Masks one object and everything in it that looks like one.
    fn object(&mut self, value: &mut Value, holds: Holds) {
        let Some(fields) = value.as_object_mut() else {
            if let Value::Array(items) = value {
                items.iter_mut().for_each(|item| self.object(item, holds));
            }
            return;
        };
        let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
        let is_secret = holds == Holds::Secret || kind == "Secret" || kind == "SecretList";
        let is_review = holds == Holds::TokenReview || kind == "TokenReview";
        for (key, value) in fields {
            match key.as_str() {
                "data" | "stringData" if is_secret => self.whole(value),
                "managedFields" if is_secret => *value = json!([]),
                "spec" if is_review => {
                    if let Some(token) = value.get_mut("token") {
                        self.whole(token);
                    }
                }
                "items" if is_secret => self.object(value, Holds::Secret),
                "metadata" => self.metadata(value, is_secret),
                _ => self.object(value, Holds::ByKind),
            }
        }
    }

    fn metadata(&mut self, value: &mut Value, of_secret: bool) {
        let Some(fields) = value.as_object_mut() else { return };
        if of_secret && fields.contains_key("managedFields") {
            fields.insert("managedFields".into(), json!([]));
        }
        if let Some(applied) = fields.get_mut("annotations").and_then(|annotations| annotations.get_mut(LAST_APPLIED)) {
            self.embedded(applied, if of_secret { Holds::Secret } else { Holds::ByKind });
        }
    }

    /// An object as JSON inside a string; what cannot be read is masked whole.
    fn embedded(&mut self, value: &mut Value, holds: Holds) {
        let Some(text) = value.as_str() else { return self.whole(value) };
        let Ok(mut object) = serde_json::from_str::<Value>(text) else { return self.whole(value) };
        if self.depth >= NESTED_TEXT_MAX || !object.is_object() {
            return self.whole(value);
        }
        self.depth += 1;
        self.object(&mut object, holds);
        self.depth -= 1;
        *value = Value::String(object.to_string());
    }

    /// Masks every value; keys stay. A null (a key that a patch deletes) tells nothing and stays.
    fn whole(&mut self, value: &mut Value) {
        match value {
            Value::Null => {}
            Value::Object(fields) => fields.values_mut().for_each(|value| self.whole(value)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.whole(item)),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                *value = PLACEHOLDER.into();
                self.masked += 1;
            }
        }
    }

    /// One operation of a JSON Patch: its value is read as if it stood at its path, whatever the operation.
    fn operation(&mut self, operation: &mut Value, holds: Holds) {
        let path = operation.get("path").and_then(Value::as_str).unwrap_or_default();
        let keys: Vec<String> = path.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
        let Some(value) = operation.get_mut("value") else { return };
        if keys.len() > BODY_DEPTH_MAX {
            return self.whole(value);
        }
        let mut holder = value.take();
        for key in keys.iter().rev() {
            holder = json!({ key: holder });
        }
        self.object(&mut holder, holds);
        for key in &keys {
            holder = holder.get_mut(key).map(Value::take).unwrap_or_default();
        }
        *value = holder;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    const CANARY: &str = "aHVudGVyMg==";

    fn masked(path: &str, mut body: Value) -> (u64, Value) {
        let info = RequestInfo::of("PATCH", &Target::parse(&format!("/clusters/p{path}")).unwrap()).unwrap();
        let count = mask_request_payload(&info, &mut body);
        assert!(!body.to_string().contains(CANARY), "{body}");
        (count, body)
    }

    const SECRETS: &str = "/api/v1/namespaces/shop/secrets/db";
    const OTHER: &str = "/apis/example.com/v1/namespaces/shop/widgets/db";

    #[test]
    fn secrets_are_masked_by_resource_and_by_kind() {
        let secret = json!({"kind": "Secret", "metadata": {"name": "db"}, "data": {"a": CANARY, "b": null}, "stringData": {"c": CANARY}});
        let expected = json!({"kind": "Secret", "metadata": {"name": "db"}, "data": {"a": PLACEHOLDER, "b": null}, "stringData": {"c": PLACEHOLDER}});
        assert_eq!(masked(OTHER, secret.clone()), (2, expected.clone()));
        assert_eq!(
            masked(OTHER, json!({"kind": "List", "items": [secret.clone()]})),
            (2, json!({"kind": "List", "items": [expected]}))
        );
        assert_eq!(masked(OTHER, json!({"kind": "SecretList", "items": [{"data": {"a": CANARY}}]})).0, 1);
        assert_eq!(masked(OTHER, json!({"spec": {"template": secret}})).0, 2);
        assert_eq!(masked(SECRETS, json!({"data": {"a": CANARY}})).0, 1);
        assert_eq!(masked(SECRETS, json!({"data": CANARY, "stringData": [CANARY, {"x": CANARY}]})).0, 3);
        let config = json!({"kind": "ConfigMap", "data": {"a": "plain"}});
        assert_eq!(masked(OTHER, config.clone()), (0, config));
    }

    #[test]
    fn last_applied_configuration_is_masked_inside_its_text() {
        let applied = json!({"kind": "Secret", "data": {"a": CANARY}}).to_string();
        let twice = json!({"kind": "Secret", "metadata": {"annotations": {LAST_APPLIED: applied}}}).to_string();
        for path in [SECRETS, OTHER] {
            for text in [&applied, &twice] {
                assert_eq!(masked(path, json!({"metadata": {"annotations": {LAST_APPLIED: text}}})).0, 1);
            }
        }
        assert_eq!(masked(SECRETS, json!({"metadata": {"annotations": {LAST_APPLIED: format!("{{{CANARY}")}}})).0, 1);
        assert_eq!(
            masked(
                SECRETS,
                json!({"metadata": {"annotations": {LAST_APPLIED: json!({"data": {"a": CANARY}}).to_string()}}})
            )
            .0,
            1
        );
    }

    #[test]
    fn json_patches_of_secrets_are_masked_at_every_path() {
        for (path, value) in [
            ("", json!({"data": {"a": CANARY}})),
            ("/data", json!({"a": CANARY})),
            ("/data/a", json!(CANARY)),
            ("/data/a~1b", json!(CANARY)),
            ("/stringData/a", json!(CANARY)),
            ("/metadata", json!({"annotations": {LAST_APPLIED: json!({"data": {"a": CANARY}}).to_string()}})),
            ("/metadata/annotations", json!({LAST_APPLIED: CANARY})),
            ("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration", json!(CANARY)),
        ] {
            for op in ["add", "replace", "test"] {
                let (count, body) = masked(SECRETS, json!([{"op": op, "path": path, "value": value}]));
                assert_eq!(count, 1, "{path}");
                assert_eq!(body[0]["path"], path);
            }
        }
        let patch =
            json!([{"op": "add", "path": "/metadata/labels/a", "value": "b"}, {"op": "remove", "path": "/data/a"}]);
        assert_eq!(masked(SECRETS, patch.clone()), (0, patch));
    }

    #[test]
    fn the_token_of_a_review_is_masked() {
        assert_eq!(masked("/apis/authentication.k8s.io/v1/tokenreviews", json!({"spec": {"token": CANARY}})).0, 1);
    }
}
