//! What a change adds to a request's class, where the live object is known: both sides of the change are at hand.

use lockgate_core::{Risk, Verb};
use serde_json::Value;

use super::Request;
use super::facts::{self, CLOUD_ROLE_ANNOTATIONS};
use crate::change::{Change, Step};

/// The highest class that the difference between `old` and `after` calls for; [`Risk::Read`] when it adds nothing.
pub(super) fn added(request: &Request<'_>, old: &Value, after: &Value) -> Risk {
    if let Some(risk) = facts::unconditional(request) {
        return risk;
    }
    let change = Change::between(request, old, after, true);
    let outage = change.paused
        || change.selector_changed
        || !change.finalizers_removed.is_empty()
        || !change.owner_references_added.is_empty()
        || is_cut(&change.replicas)
        || is_cut(&change.max_replicas)
        || (request.verb == Verb::Update && appears(old, after, "/metadata/deletionTimestamp"));
    let outage = if outage { Risk::Destructive } else { Risk::Read };
    let pods = if request.subresource.is_none() { facts::templates(&change) } else { Risk::Read };
    outage.max(pods).max(specific(request, old, after, &change))
}

/// To zero, or down by more than half.
fn is_cut(step: &Step<i64>) -> bool {
    match (step.from, step.to) {
        (_, Some(to)) if to <= 0 => step.is_change(),
        (Some(from), Some(to)) => to.saturating_mul(2) < from,
        _ => false,
    }
}

/// What certain resources make of certain differences.
fn specific(request: &Request<'_>, old: &Value, after: &Value, change: &Change) -> Risk {
    let when = |happens: bool, risk: Risk| if happens { risk } else { Risk::Read };
    match (request.api_group, request.resource) {
        ("", "serviceaccounts") => {
            let role = |object: &Value| CLOUD_ROLE_ANNOTATIONS.map(|name| annotation(object, name));
            when(role(old) != role(after), Risk::Escalation)
        }
        ("", "namespaces") => when(pod_security(old) != pod_security(after), Risk::Ask),
        ("", "services") => {
            let redirects = ["/spec/externalIPs", "/spec/externalName"].iter().any(|field| appears(old, after, field));
            let named = |object: &Value| object.pointer("/spec/type").and_then(Value::as_str) == Some("ExternalName");
            when(redirects || (named(after) && !named(old)), Risk::Ask)
        }
        ("policy", "poddisruptionbudgets") => when(old.get("spec") != after.get("spec"), Risk::Ask),
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            let conversion = appears(old, after, "/spec/conversion/webhook");
            when(conversion, Risk::Escalation).max(when(!change.versions_removed.is_empty(), Risk::Mass))
        }
        _ => Risk::Read,
    }
}

/// Whether the field is there after the change and is not what it was.
fn appears(old: &Value, after: &Value, pointer: &str) -> bool {
    let set = |object: &'_ Value| {
        object.pointer(pointer).filter(|value| !value.is_null() && **value != Value::Array(Vec::new())).cloned()
    };
    set(after).is_some() && set(after) != set(old)
}

fn annotation(object: &Value, name: &str) -> Option<String> {
    object.pointer("/metadata/annotations")?.get(name)?.as_str().map(str::to_owned)
}

fn pod_security(namespace: &Value) -> Vec<(String, Value)> {
    let labels = namespace.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    let own = labels.filter(|(name, _)| name.starts_with("pod-security.kubernetes.io/"));
    let mut own: Vec<(String, Value)> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
    own.sort_by(|(one, _), (other, _)| one.cmp(other));
    own
}
