//! What a request's body alone adds to its class, where the live object is not known. Bodies come in two shapes: an object (or the part of one, in a merge patch),
//! and the operations of a JSON Patch; [`Touched`] reads both as "this field is set to that".

use lockgate_core::{Options, PatchType, Risk, Verb};
use serde_json::Value;

use super::Request;
use crate::change::number::{self, Stored};
use crate::change::pod::{lifts_app_armor, tolerates_control_plane};
use crate::change::{self, Change};

/// Annotations by which a ServiceAccount takes on a cloud role.
pub(super) const CLOUD_ROLE_ANNOTATIONS: [&str; 3] =
    ["eks.amazonaws.com/role-arn", "iam.gke.io/gcp-service-account", "azure.workload.identity/client-id"];

/// Secret types that are identities.
const IDENTITY_SECRET_TYPES: [&str; 2] = ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"];

/// Deepest field that is looked at; deeper is refused by the API server's own types.
const DEPTH_MAX: usize = 32;

const POD_BEARING: [(&str, &str); 10] = [
    ("", "pods"),
    ("", "podtemplates"),
    ("", "replicationcontrollers"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("apps", "replicasets"),
    ("apps", "controllerrevisions"),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
];

/// The class that the request calls for whatever the live object is; `None`: nothing of the kind.
pub(super) fn unconditional(request: &Request<'_>) -> Option<Risk> {
    if request.is("", "configmaps") && request.name == Some("aws-auth") {
        return Some(Risk::Escalation);
    }
    if matches!(request.verb, Verb::Delete | Verb::DeleteCollection) {
        let at_once = request.options.grace_period_seconds == Some(0);
        return Some(if at_once { Risk::Destructive } else { Risk::Read });
    }
    let json_patch = request.options.patch_type == Some(PatchType::Json);
    let probes = request.is("", "secrets") && json_patch && request.object.is_some_and(probes_masked_fields);
    probes.then_some(Risk::Escalation)
}

/// The highest class that the body alone calls for; [`Risk::Read`] when it adds nothing.
pub(super) fn added(request: &Request<'_>) -> Risk {
    if let Some(risk) = unconditional(request) {
        return risk;
    }
    let Some(object) = request.object else { return Risk::Read };
    let json_patch = request.options.patch_type == Some(PatchType::Json);
    if json_patch && takes_values_from_elsewhere(object) {
        return Risk::Escalation;
    }
    let mut risk = match request.subresource {
        Some("scale") if !scales_to_something(request, object) => Risk::Destructive,
        Some(_) => Risk::Read,
        None => templates(&Change::of(&request.with_old_object(None))),
    };
    let pods = request.subresource.is_none() && bears_pods(request);
    walk(object, json_patch, &mut |touched| {
        risk = risk.max(metadata(request, touched)).max(specific(request, touched));
        if pods {
            risk = risk.max(pod(touched));
        }
    });
    risk
}

/// Whether the resource is a pod or a built-in that holds a template of one.
pub(super) fn bears_pods(request: &Request<'_>) -> bool {
    POD_BEARING.contains(&(request.api_group, request.resource))
}

/// What the pod templates of a change call for. A custom resource's count too: its controller makes pods of them.
pub(super) fn templates(change: &Change) -> Risk {
    let account = change.service_account.to.as_deref().filter(|_| change.service_account.is_change());
    if !change.privileged.is_empty() || account.is_some_and(|account| account != "default") {
        Risk::Escalation
    } else if !change.secrets.is_empty() || change.projected_volumes {
        Risk::Ask
    } else {
        Risk::Read
    }
}

/// Whether a write of a Scale names a number of replicas above zero: one that it leaves out is zero.
fn scales_to_something(request: &Request<'_>, object: &Value) -> bool {
    if request.verb == Verb::Create {
        return true;
    }
    let named = |value: Option<&Value>| matches!(number::stored(value), Stored::Number(replicas) if replicas > 0);
    let Some(operations) = object.as_array() else { return named(object.pointer("/spec/replicas")) };
    // The last word on it counts.
    let last = operations.iter().rev().find_map(|operation| {
        let text = |field: &str| operation.get(field).and_then(Value::as_str);
        let below = "/spec/replicas".strip_prefix(text("path")?)?;
        let touches = text("op") != Some("test") && (below.is_empty() || below.starts_with('/'));
        touches.then(|| (text("op"), operation.get("value").and_then(|value| value.pointer(below))))
    });
    matches!(last, Some((Some("add" | "replace"), value)) if named(value))
}

/// Whether a selector asks about anything but name, namespace and type: an oracle on values.
pub(crate) fn selects_masked_fields(options: &Options) -> bool {
    const OPEN: [&str; 3] = ["metadata.name", "metadata.namespace", "type"];
    let terms = options.field_selector.as_deref().into_iter().flat_map(|text| text.split(','));
    terms.filter(|term| !term.is_empty()).any(|term| {
        let field = term.split(['=', '!']).next().unwrap_or_default();
        !OPEN.contains(&field.trim())
    })
}

/// `copy` and `move` write a value that the request does not show (`hostPath` from a probe's `httpGet`, `privileged` from any
/// `true`), so nothing can be said of what they do. No client that we know makes them by itself.
pub(super) fn takes_values_from_elsewhere(operations: &Value) -> bool {
    let word = |operation: &Value| operation.get("op").and_then(Value::as_str).map(str::to_ascii_lowercase);
    operations
        .as_array()
        .into_iter()
        .flatten()
        .any(|operation| matches!(word(operation).as_deref(), Some("copy" | "move")))
}

/// `test`, `copy` and `move` on a Secret's values tell or show them; the annotations as a whole hold what was applied last.
fn probes_masked_fields(operations: &Value) -> bool {
    operations.as_array().into_iter().flatten().any(|operation| {
        let text = |field: &str| operation.get(field).and_then(Value::as_str).unwrap_or_default();
        let reaches_values = |path: &str| {
            !path.starts_with("/metadata/")
                || path.trim_end_matches('/') == "/metadata/annotations"
                || path.contains("last-applied")
        };
        match text("op") {
            "test" => reaches_values(text("path")),
            "copy" | "move" => reaches_values(text("from")),
            _ => false,
        }
    })
}

/// A field that the body sets, replaces or removes.
struct Touched<'t> {
    /// From the object's root; list positions are left out.
    path: &'t [&'t str],
    /// `None`: removed.
    value: Option<&'t Value>,
}

impl Touched<'_> {
    fn is_at(&self, path: &[&str]) -> bool {
        self.path == path
    }

    fn key(&self) -> &str {
        self.path.last().copied().unwrap_or_default()
    }

    fn parent(&self) -> &str {
        self.path.iter().rev().nth(1).copied().unwrap_or_default()
    }

    fn is_true(&self) -> bool {
        self.value.and_then(Value::as_bool).unwrap_or(false)
    }

    fn text(&self) -> &str {
        self.value.and_then(Value::as_str).unwrap_or_default()
    }

    fn is_set(&self) -> bool {
        self.value.is_some_and(|value| !matches!(value, Value::Null))
    }
}

fn walk(object: &Value, json_patch: bool, visit: &mut dyn FnMut(&Touched<'_>)) {
    if !json_patch {
        return descend(object, &mut Vec::new(), visit);
    }
    for operation in object.as_array().into_iter().flatten() {
        let pointers = ["path", "from"].map(|field| operation.get(field).and_then(Value::as_str));
        let removes = matches!(operation.get("op").and_then(Value::as_str), Some("remove"));
        for pointer in pointers.into_iter().flatten() {
            let segments: Vec<String> =
                pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
            let mut path: Vec<&str> = segments
                .iter()
                .map(String::as_str)
                .filter(|part| *part != "-" && part.parse::<u32>().is_err())
                .collect();
            let value = if removes { None } else { operation.get("value") };
            match value {
                Some(value) => descend(value, &mut path, visit),
                None => visit(&Touched { path: &path, value: None }),
            }
        }
    }
}

fn descend<'t>(value: &'t Value, path: &mut Vec<&'t str>, visit: &mut dyn FnMut(&Touched<'_>)) {
    visit(&Touched { path, value: Some(value) });
    if path.len() >= DEPTH_MAX {
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| {
            if item.is_object() {
                descend(item, path, visit);
            }
        }),
        Value::Object(fields) => {
            for (name, field) in fields {
                path.push(name);
                descend(field, path, visit);
                path.pop();
            }
        }
        _ => {}
    }
}

fn metadata(request: &Request<'_>, touched: &Touched<'_>) -> Risk {
    let changes = matches!(request.verb, Verb::Patch | Verb::Update);
    let list_set = touched.value.and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    match touched.path {
        ["metadata"] if changes && !touched.is_set() => Risk::Destructive,
        ["metadata", "finalizers" | "$deleteFromPrimitiveList/finalizers"] if request.verb == Verb::Patch => {
            Risk::Destructive
        }
        ["metadata", "deletionTimestamp"] if request.verb == Verb::Update && touched.is_set() => Risk::Destructive,
        ["metadata", "ownerReferences"] if changes && (list_set || touched.value.is_some_and(Value::is_object)) => {
            Risk::Destructive
        }
        _ => Risk::Read,
    }
}

/// What certain resources make of certain fields.
fn specific(request: &Request<'_>, touched: &Touched<'_>) -> Risk {
    let changes = matches!(request.verb, Verb::Patch | Verb::Update);
    let none = match number::stored(touched.value) {
        Stored::Absent => false,
        Stored::Number(number) => number <= 0,
        Stored::Unreadable => true,
    };
    match (request.api_group, request.resource) {
        ("", "secrets") if touched.is_at(&["type"]) && IDENTITY_SECRET_TYPES.contains(&touched.text()) => {
            Risk::Escalation
        }
        ("", "serviceaccounts") if CLOUD_ROLE_ANNOTATIONS.contains(&touched.key()) => Risk::Escalation,
        ("", "namespaces") if touched.key().starts_with("pod-security.kubernetes.io/") => Risk::Ask,
        // A PUT, or labels replaced as a whole, can drop them unseen.
        ("", "namespaces") if request.verb == Verb::Update => Risk::Ask,
        ("", "namespaces") if touched.is_at(&["metadata", "labels"]) && !touched.is_set() => Risk::Ask,
        ("", "services") if touched.path.starts_with(&["spec", "selector"]) && changes => Risk::Destructive,
        ("", "services") if touched.is_at(&["spec", "externalIPs"]) && touched.is_set() => Risk::Ask,
        ("", "services") if touched.is_at(&["spec", "type"]) && touched.text() == "ExternalName" => Risk::Ask,
        ("", "services") if touched.is_at(&["spec", "externalName"]) && touched.is_set() => Risk::Ask,
        ("apiextensions.k8s.io", _)
            if touched.is_at(&["spec", "conversion", "strategy"]) && touched.text() == "Webhook" =>
        {
            Risk::Escalation
        }
        ("apiextensions.k8s.io", _) if touched.path.starts_with(&["spec", "conversion", "webhook"]) => Risk::Escalation,
        ("apiextensions.k8s.io", _) if request.verb == Verb::Update => Risk::Mass,
        ("apiextensions.k8s.io", _)
            if request.verb == Verb::Patch && touched.path.starts_with(&["spec", "versions"]) =>
        {
            Risk::Mass
        }
        _ if changes && touched.is_at(&["spec", "replicas"]) && (none || !touched.is_set()) => Risk::Destructive,
        _ if changes && change::is_job(request) && touched.is_at(&["spec", "parallelism"]) && none => Risk::Destructive,
        ("policy", "poddisruptionbudgets") if changes && touched.path.first() == Some(&"spec") => Risk::Ask,
        _ if changes && touched.is_at(&["spec", "maxReplicas"]) && none => Risk::Destructive,
        _ if changes
            && (touched.is_at(&["spec", "paused"]) || touched.is_at(&["spec", "suspend"]))
            && touched.is_true() =>
        {
            Risk::Destructive
        }
        _ => Risk::Read,
    }
}

/// Fields of a pod, wherever the template stands.
fn pod(touched: &Touched<'_>) -> Risk {
    let listed = touched.value.and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    match touched.key() {
        "hostNetwork" | "hostPID" | "hostIPC" | "privileged" if touched.is_true() => Risk::Escalation,
        name if touched.value.is_some_and(|value| lifts_app_armor(name, value)) => Risk::Escalation,
        "hostPath" if touched.is_set() => Risk::Escalation,
        "add" if touched.parent() == "capabilities" && (listed || touched.value.is_some_and(Value::is_string)) => {
            Risk::Escalation
        }
        "serviceAccountName" | "serviceAccount" if !matches!(touched.text(), "" | "default") => Risk::Escalation,
        "serviceAccountToken" if touched.parent() == "sources" => Risk::Escalation,
        "nodeName" if !touched.text().is_empty() => Risk::Escalation,
        "tolerations" if touched.value.is_some_and(any_tolerates_control_plane) => Risk::Escalation,
        "secret" if matches!(touched.parent(), "volumes" | "sources") && touched.is_set() => Risk::Ask,
        "secretKeyRef" | "secretRef" if touched.is_set() => Risk::Ask,
        "projected" if touched.parent() == "volumes" && touched.is_set() => Risk::Ask,
        _ => Risk::Read,
    }
}

fn any_tolerates_control_plane(tolerations: &Value) -> bool {
    match tolerations {
        Value::Array(list) => list.iter().any(tolerates_control_plane),
        single => tolerates_control_plane(single),
    }
}
