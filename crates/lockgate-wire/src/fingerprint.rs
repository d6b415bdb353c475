//! What "the same request" means for a ticket (approvals.md): the canonical bytes whose SHA-256 is the fingerprint.
//!
//! Owns which parts count and which are noise. Refuses to know hashing. Not part of it: `Kubectl-Session`, user agent, token,
//! groups, WebSocket versus SPDY, `resourceVersion`, and the reviewed list of volatile fields.

use lockgate_core::{Options, Stream, Subject, Verb};
use serde_json::{Map, Value, json};

use crate::RequestInfo;

/// Annotations that carry nothing but the time of the command (`kubectl rollout restart`): their value does not count.
const VOLATILE_ANNOTATIONS: [&str; 1] = ["kubectl.kubernetes.io/restartedAt"];

/// What a volatile value counts as.
const VOLATILE: &str = "<volatile>";

/// The bytes to hash. `body` is the decoded body; that of a DELETE counts through its options.
pub fn fingerprint_input(
    subject: &Subject,
    cluster: &str,
    info: &RequestInfo,
    options: &Options,
    body: Option<&Value>,
) -> Vec<u8> {
    let body = match info.verb {
        Verb::Delete | Verb::DeleteCollection => None,
        _ => body.map(without_noise),
    };
    let parts = json!({
        "subject": [subject.issuer, subject.id, subject.kind, subject.owner],
        "cluster": cluster,
        "verb": info.verb,
        "resource": [info.api_group, info.api_version, info.resource, info.subresource],
        "object": [info.namespace, info.name],
        "path": opaque_part(info),
        "options": options_that_count(options),
        "exec": options.exec.as_ref().map(|exec| json!([exec.container, exec.argv, exec.stdin, exec.tty])),
        "body": body,
    });
    let mut bytes = Vec::new();
    write_canonical(&parts, &mut bytes);
    bytes
}

/// What no other part says: the path of a non-resource request, and path and query of a proxied one or a port-forward.
fn opaque_part(info: &RequestInfo) -> Option<[&str; 2]> {
    let counts = !info.is_resource() || matches!(info.stream, Stream::Proxy | Stream::Portforward);
    counts.then_some([info.path.as_str(), info.query.as_str()])
}

fn options_that_count(options: &Options) -> Options {
    Options { exec: None, limit: None, ..options.clone() }
}

fn without_noise(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    match &mut body {
        Value::Array(operations) => operations.iter_mut().for_each(blank_operation),
        other => blank_annotations(other),
    }
    body
}

/// Blanks volatile annotations under any `metadata.annotations`, at any depth (pod templates; items of lists).
fn blank_annotations(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let annotations = fields
                .get_mut("metadata")
                .and_then(Value::as_object_mut)
                .and_then(|metadata| metadata.get_mut("annotations"))
                .and_then(Value::as_object_mut);
            if let Some(annotations) = annotations {
                blank(annotations);
            }
            fields.values_mut().for_each(blank_annotations);
        }
        Value::Array(items) => items.iter_mut().for_each(blank_annotations),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn blank(annotations: &mut Map<String, Value>) {
    for (key, value) in annotations {
        // A deletion (null) is not noise: only the time itself is.
        if VOLATILE_ANNOTATIONS.contains(&key.as_str()) && value.is_string() {
            *value = VOLATILE.into();
        }
    }
}

/// One operation of a JSON Patch: its value is read as if it stood at its path.
fn blank_operation(operation: &mut Value) {
    let Some(path) = operation.get("path").and_then(Value::as_str) else { return };
    let keys: Vec<String> = path.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
    let Some(value) = operation.get_mut("value") else { return };
    // Only these ends matter: …/metadata, …/metadata/annotations, …/metadata/annotations/KEY.
    let holders = keys.iter().rposition(|key| key == "metadata").and_then(|at| keys.get(at..));
    let holders = holders.filter(|holders| holders.len() <= 3).unwrap_or_default();
    let mut holder = value.take();
    for key in holders.iter().rev() {
        holder = json!({ key: holder });
    }
    blank_annotations(&mut holder);
    for key in holders {
        holder = holder.get_mut(key).map(Value::take).unwrap_or_default();
    }
    *value = holder;
}

/// Compact JSON with sorted keys, whatever order the map type keeps.
fn write_canonical(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort_unstable();
            into.push(b'{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    into.push(b',');
                }
                into.extend(Value::from(key.as_str()).to_string().into_bytes());
                into.push(b':');
                write_canonical(fields.get(key).unwrap_or(&Value::Null), into);
            }
            into.push(b'}');
        }
        Value::Array(items) => {
            into.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    into.push(b',');
                }
                write_canonical(item, into);
            }
            into.push(b']');
        }
        scalar => into.extend(scalar.to_string().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use lockgate_core::SubjectKind;

    use super::*;
    use crate::{Target, options};

    fn subject() -> Subject {
        Subject {
            issuer: "https://idp".into(),
            id: "builder".into(),
            kind: SubjectKind::Agent,
            owner: Some("ada".into()),
            on_behalf_of: None,
            groups: Vec::new(),
            token_id: None,
        }
    }

    fn input(method: &str, path: &str, content_type: Option<&str>, body: Option<&Value>) -> Vec<u8> {
        let target = Target::parse(&format!("/clusters/p{path}")).unwrap();
        let info = RequestInfo::of(method, &target).unwrap();
        let options = options::effective(&info, &target, content_type, body).unwrap();
        fingerprint_input(&subject(), "p", &info, &options, body)
    }

    const MERGE: Option<&str> = Some("application/strategic-merge-patch+json");
    const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web?fieldManager=kubectl-rollout";

    #[test]
    fn c18_two_rollout_restarts_are_the_same_request() {
        let restart = |time: &str, image: Option<&str>| {
            let mut body = json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": time}}}}});
            if let Some(image) = image {
                body["spec"]["template"]["spec"] = json!({"containers": [{"name": "web", "image": image}]});
            }
            input("PATCH", WEB, MERGE, Some(&body))
        };
        assert_eq!(restart("2026-01-01T00:00:00Z", None), restart("2026-01-01T00:00:30Z", None));
        assert_ne!(restart("2026-01-01T00:00:00Z", None), restart("2026-01-01T00:00:00Z", Some("evil")));
        let other = json!({"spec": {"template": {"metadata": {"annotations": {"example.com/restartedAt": "1"}}}}});
        assert_ne!(restart("2026-01-01T00:00:00Z", None), input("PATCH", WEB, MERGE, Some(&other)));
        let operation = |path: &str, value: Value| {
            input(
                "PATCH",
                WEB,
                Some("application/json-patch+json"),
                Some(&json!([{"op": "add", "path": path, "value": value}])),
            )
        };
        let path = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
        assert_eq!(operation(path, json!("1")), operation(path, json!("2")));
        let path = "/spec/template/metadata";
        let value =
            |time: &str, extra: &str| json!({"annotations": {"kubectl.kubernetes.io/restartedAt": time, "x": extra}});
        assert_eq!(operation(path, value("1", "a")), operation(path, value("2", "a")));
        assert_ne!(operation(path, value("1", "a")), operation(path, value("1", "b")));
        assert_ne!(operation("/spec/replicas", json!("1")), operation("/spec/replicas", json!("2")));
    }

    #[test]
    fn websocket_and_spdy_are_the_same_request() {
        let path = "/api/v1/namespaces/shop/pods/web/exec?command=id&container=app&stdout=true";
        assert_eq!(input("GET", path, None, None), input("POST", path, None, None));
        for other in [
            "command=id&container=b",
            "command=id&command=-u&container=app",
            "command=id&container=app&stdin=true",
            "command=id&container=app&tty=true",
        ] {
            let other = format!("/api/v1/namespaces/shop/pods/web/exec?{other}&stdout=true");
            assert_ne!(input("GET", path, None, None), input("GET", &other, None, None), "{other}");
        }
        let ports =
            |port: u16| input("GET", &format!("/api/v1/namespaces/shop/pods/web/portforward?ports={port}"), None, None);
        assert_ne!(ports(80), ports(81));
    }

    #[test]
    fn a_delete_counts_by_its_effective_options_only() {
        let path = "/api/v1/namespaces/shop";
        let body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
        let by_body = input("DELETE", path, None, Some(&body));
        assert_eq!(by_body, input("DELETE", &format!("{path}?propagationPolicy=Background"), None, None));
        assert_eq!(by_body, input("DELETE", &format!("{path}?dryRun=All"), None, Some(&body)));
        assert_ne!(by_body, input("DELETE", &format!("{path}?propagationPolicy=Background&dryRun=All"), None, None));
    }

    #[test]
    fn resource_version_and_key_order_do_not_count_but_everything_else_does() {
        let put = |text: &str| {
            input("PUT", "/api/v1/namespaces/shop/configmaps/a", None, Some(&serde_json::from_str(text).unwrap()))
        };
        let one = put(r#"{"metadata":{"name":"a","resourceVersion":"1"},"data":{"x":"1","y":"2"}}"#);
        assert_eq!(one, put(r#"{"data":{"y":"2","x":"1"},"metadata":{"resourceVersion":"2","name":"a"}}"#));
        assert_ne!(one, put(r#"{"data":{"y":"2","x":"1","resourceVersion":"2"},"metadata":{"name":"a"}}"#));
        let base = fingerprint("p", subject());
        assert_ne!(base, fingerprint("q", subject()));
        assert_ne!(base, fingerprint("p", Subject { owner: None, ..subject() }));
        assert_ne!(base, fingerprint("p", Subject { issuer: "https://other".into(), ..subject() }));
        assert_ne!(base, fingerprint("p", Subject { kind: SubjectKind::Human, ..subject() }));
        assert_eq!(
            base,
            fingerprint("p", Subject { token_id: Some("t".into()), groups: vec!["g".into()], ..subject() })
        );
    }

    fn fingerprint(cluster: &str, subject: Subject) -> Vec<u8> {
        let target = Target::parse("/clusters/p/api/v1/namespaces/shop").unwrap();
        let info = RequestInfo::of("DELETE", &target).unwrap();
        fingerprint_input(&subject, cluster, &info, &Options::default(), None)
    }
}
