//! Bodies that fit a method and a resource; whether the API server takes them does not matter, only that they can be read.

use serde_json::{Value, json};

use super::random::Random;
use super::{Call, NAME};
use crate::oracle::Agent;

/// Every way to send a request with this method: one for each content type that it may have.
pub(super) const WAYS: [(&str, Option<&str>); 9] = [
    ("GET", None),
    ("HEAD", None),
    ("POST", Some("application/json")),
    ("PUT", Some("application/json")),
    ("PATCH", Some("application/json-patch+json")),
    ("PATCH", Some("application/merge-patch+json")),
    ("PATCH", Some("application/strategic-merge-patch+json")),
    ("PATCH", Some("application/apply-patch+yaml")),
    ("DELETE", None),
];

/// Every method once, PATCH with one of its content types.
pub(super) fn ways(random: &mut Random) -> Vec<(&'static str, Option<&'static str>)> {
    let (patches, others): (Vec<_>, Vec<_>) = WAYS.into_iter().partition(|(method, _)| *method == "PATCH");
    others.into_iter().chain([random.one_of(&patches)]).collect()
}

/// A request of one of the `WAYS` with a body for it.
pub(super) fn call(
    agent: Agent,
    (method, content_type): (&'static str, Option<&'static str>),
    target: String,
    kind: (&str, &str),
    name: Option<&str>,
) -> Call {
    let call = Call::new(agent, method, target);
    match content_type {
        None => call,
        Some(content_type) => call.with(content_type, &body(content_type, kind, name)),
    }
}

fn body(content_type: &str, (api_version, kind): (&str, &str), name: Option<&str>) -> Value {
    match content_type {
        "application/json-patch+json" => json!([{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]),
        "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
            json!({"metadata": {"labels": {"a": "b"}}})
        }
        _ => {
            let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {}});
            if let Some(name) = name {
                object["metadata"]["name"] = name.into();
            } else {
                object["metadata"]["generateName"] = format!("{NAME}-").into();
            }
            object
        }
    }
}
