//! Pinning a delete to the object that was reviewed.

use lockgate_core::Options;
use serde_json::{Map, Value, json};

/// The `DeleteOptions`, as JSON, that delete nothing but the object with this UID.
///
/// A client's own body is kept and only gains the precondition; a UID that the client itself demanded stays (were it another
/// one, the API server answers 409, as the client wanted). Without a body one is made of all effective options, since the
/// API server then ignores the query: drop [`crate::options::DELETE_PARAMETERS`] from it. Send as `application/json`.
pub fn pin_delete(options: &Options, body: Option<&Value>, uid: &str) -> Vec<u8> {
    let mut fields = match body {
        Some(Value::Object(fields)) => fields.clone(),
        _ => from_options(options),
    };
    let preconditions = fields.entry("preconditions").or_insert(Value::Null);
    match preconditions {
        Value::Object(conditions) if conditions.get("uid").is_some_and(|uid| !uid.is_null()) => {}
        Value::Object(conditions) => {
            conditions.insert("uid".into(), uid.into());
        }
        other => *other = json!({ "uid": uid }),
    }
    Value::Object(fields).to_string().into_bytes()
}

fn from_options(options: &Options) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("apiVersion".into(), "v1".into());
    fields.insert("kind".into(), "DeleteOptions".into());
    if options.dry_run {
        fields.insert("dryRun".into(), json!(["All"]));
    }
    if let Some(policy) = &options.propagation_policy {
        fields.insert("propagationPolicy".into(), policy.as_str().into());
    }
    if let Some(seconds) = options.grace_period_seconds {
        fields.insert("gracePeriodSeconds".into(), seconds.into());
    }
    let mut preconditions = Map::new();
    if let Some(uid) = &options.precondition_uid {
        preconditions.insert("uid".into(), uid.as_str().into());
    }
    if let Some(version) = &options.precondition_resource_version {
        preconditions.insert("resourceVersion".into(), version.as_str().into());
    }
    if !preconditions.is_empty() {
        fields.insert("preconditions".into(), Value::Object(preconditions));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::from_json;

    #[test]
    fn a_pinned_delete_keeps_every_effective_option() {
        let options = Options {
            dry_run: true,
            propagation_policy: Some("Orphan".into()),
            grace_period_seconds: Some(0),
            precondition_resource_version: Some("7".into()),
            ..Options::default()
        };
        assert_eq!(
            from_json(&pin_delete(&options, None, "u-1")).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "DeleteOptions", "dryRun": ["All"], "propagationPolicy": "Orphan",
                "gracePeriodSeconds": 0, "preconditions": {"resourceVersion": "7", "uid": "u-1"},
            })
        );
    }

    #[test]
    fn a_client_s_own_body_and_uid_stay() {
        let body = json!({"kind": "DeleteOptions", "orphanDependents": true, "preconditions": null});
        assert_eq!(
            from_json(&pin_delete(&Options::default(), Some(&body), "u-1")).unwrap(),
            json!({"kind": "DeleteOptions", "orphanDependents": true, "preconditions": {"uid": "u-1"}})
        );
        let body = json!({"preconditions": {"uid": "mine"}});
        assert_eq!(from_json(&pin_delete(&Options::default(), Some(&body), "u-1")).unwrap(), body);
    }
}
