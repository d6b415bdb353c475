//! When the live object has to be known: a read costs a call, so that it is asked for only where it can change the class.

use lockgate_core::{PatchType, Risk, Verb};

use super::{Request, classify, facts, is_dry, table};
use crate::change::Change;

/// Every class, lowest first.
const CLASSES: [Risk; 8] =
    [Risk::Read, Risk::Masked, Risk::Write, Risk::Ask, Risk::Destructive, Risk::Mass, Risk::Stream, Risk::Escalation];

/// Whether the live object could change the request's class.
pub fn depends_on_old_object(request: &Request<'_>) -> bool {
    let changes = matches!(request.verb, Verb::Update | Verb::Patch);
    let Some(object) = request.object.filter(|_| changes && request.name.is_some()) else { return false };
    if !matches!(request.subresource, None | Some("scale")) || request.protected() || is_dry(request) {
        return false;
    }
    let base = table::write(request, table::row(request.api_group, request.resource));
    if base >= Risk::Escalation || facts::unconditional(request).is_some() {
        return false;
    }
    match request.options.patch_type {
        // What the body leaves out goes away, or may.
        None | Some(PatchType::Apply) => true,
        Some(PatchType::Json) if facts::takes_values_from_elsewhere(object) => true,
        Some(_) => {
            let fields = Change::of(&request.with_old_object(None)).fields;
            fields.iter().any(|field| matters(request, field))
        }
    }
}

/// Whether what was in a field before counts.
fn matters(request: &Request<'_>, field: &str) -> bool {
    let is_or_below = |outer: &str| {
        let shorter = |inner: &str, outer: &str| {
            inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
        };
        shorter(field, outer) || shorter(outer, field)
    };
    if is_or_below("metadata.annotations") || is_or_below("metadata.labels") {
        let whole = matches!(field, "metadata" | "metadata.labels" | "metadata.annotations");
        return whole || request.is("", "namespaces") || request.is("", "serviceaccounts");
    }
    if ["metadata.finalizers", "metadata.ownerReferences"].into_iter().any(is_or_below) {
        return true;
    }
    let counted = ["spec.replicas", "spec.parallelism", "spec.maxReplicas", "spec.paused", "spec.suspend"];
    if field == crate::change::MORE_FIELDS || counted.into_iter().any(is_or_below) {
        return true;
    }
    match (request.api_group, request.resource) {
        ("", "services") => {
            ["spec.selector", "spec.externalIPs", "spec.externalName", "spec.type"].into_iter().any(is_or_below)
        }
        ("policy", "poddisruptionbudgets") => is_or_below("spec"),
        ("apiextensions.k8s.io", _) => ["spec.versions", "spec.conversion"].into_iter().any(is_or_below),
        ("", "pods") => field.starts_with("spec"),
        // Of a template, its labels and annotations (the stamp of `rollout restart`) change nothing, AppArmor's aside.
        _ if facts::bears_pods(request) || table::row(request.api_group, request.resource).is_none() => {
            let stamp = ["template.metadata.labels", "template.metadata.annotations"]
                .iter()
                .any(|outer| field.contains(outer) && !field.contains("apparmor"));
            field.starts_with("spec") && !stamp || field.starts_with("template")
        }
        _ => false,
    }
}

/// The class of a request that depends on the live object, when that cannot be read: what the request alone says, and at
/// least a human's matter.
pub fn classify_unreadable(request: &Request<'_>) -> Risk {
    let alone = classify(&request.with_old_object(None));
    if depends_on_old_object(request) { alone.max(Risk::Destructive) } else { alone }
}

/// The classes that the request may turn out to have once the live object is known.
pub fn reachable(request: &Request<'_>) -> impl Iterator<Item = Risk> + use<> {
    let base = table::write(request, table::row(request.api_group, request.resource));
    CLASSES.into_iter().filter(move |class| *class >= base && *class != Risk::Stream)
}
