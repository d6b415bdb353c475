//! The built-in resources, as a table.

use lockgate_core::{PatchType, Risk, Verb};

use super::Request;
use super::scope::Scope;

/// A built-in resource: what reading it, creating, changing (update, patch) and deleting one object of it can do.
#[derive(Debug)]
pub(crate) struct Row {
    group: &'static str,
    resource: &'static str,
    pub(crate) scope: Scope,
    pub(crate) read: Risk,
    create: Risk,
    change: Risk,
    delete: Risk,
}

const fn namespaced(group: &'static str, resource: &'static str, [read, create, change, delete]: [Risk; 4]) -> Row {
    Row { group, resource, scope: Scope::Namespaced, read, create, change, delete }
}

const fn cluster(group: &'static str, resource: &'static str, [read, create, change, delete]: [Risk; 4]) -> Row {
    Row { group, resource, scope: Scope::Cluster, read, create, change, delete }
}

const R: Risk = Risk::Read;
const M: Risk = Risk::Masked;
const W: Risk = Risk::Write;
const A: Risk = Risk::Ask;
const D: Risk = Risk::Destructive;
const DD: Risk = Risk::Mass;
const X: Risk = Risk::Escalation;

/// Kubernetes 1.36, `kubectl api-resources`. The four letters: read, create, change, delete.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    // Workloads: env and args hold literal credentials. Bare pods and jobs run code at once.
    namespaced("", "pods", [M, A, W, D]),
    namespaced("", "podtemplates", [M, A, W, D]),
    namespaced("", "replicationcontrollers", [M, W, W, D]),
    namespaced("apps", "deployments", [M, W, W, D]),
    namespaced("apps", "statefulsets", [M, W, W, D]),
    namespaced("apps", "daemonsets", [M, W, W, D]),
    namespaced("apps", "replicasets", [M, W, W, D]),
    namespaced("apps", "controllerrevisions", [M, A, A, D]),
    namespaced("batch", "jobs", [M, A, W, D]),
    namespaced("batch", "cronjobs", [M, A, W, D]),
    namespaced("autoscaling", "horizontalpodautoscalers", [R, W, W, D]),
    // Configuration and traffic.
    namespaced("", "configmaps", [M, W, W, D]),
    namespaced("", "secrets", [M, A, A, D]),
    namespaced("", "services", [R, W, W, D]),
    namespaced("networking.k8s.io", "ingresses", [R, W, W, D]),
    namespaced("", "endpoints", [R, A, A, A]),
    namespaced("discovery.k8s.io", "endpointslices", [R, A, A, A]),
    // Guard rails.
    namespaced("networking.k8s.io", "networkpolicies", [R, A, A, A]),
    namespaced("policy", "poddisruptionbudgets", [R, W, W, A]),
    namespaced("", "resourcequotas", [R, A, A, A]),
    namespaced("", "limitranges", [R, A, A, A]),
    cluster("scheduling.k8s.io", "priorityclasses", [R, A, A, A]),
    cluster("flowcontrol.apiserver.k8s.io", "flowschemas", [R, A, A, A]),
    cluster("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", [R, A, A, A]),
    // Data.
    namespaced("", "persistentvolumeclaims", [R, W, DD, DD]),
    cluster("", "persistentvolumes", [R, A, DD, DD]),
    cluster("storage.k8s.io", "storageclasses", [R, A, DD, DD]),
    cluster("storage.k8s.io", "volumeattachments", [R, A, A, D]),
    cluster("storage.k8s.io", "volumeattributesclasses", [R, A, A, D]),
    cluster("storage.k8s.io", "csidrivers", [R, A, A, D]),
    cluster("storage.k8s.io", "csinodes", [R, A, A, D]),
    namespaced("storage.k8s.io", "csistoragecapacities", [R, A, A, D]),
    // Namespaces, nodes, evidence, coordination.
    cluster("", "namespaces", [R, A, W, DD]),
    cluster("", "nodes", [R, D, D, D]),
    namespaced("", "events", [M, W, A, X]),
    namespaced("events.k8s.io", "events", [M, W, A, X]),
    namespaced("coordination.k8s.io", "leases", [R, A, A, D]),
    cluster("", "componentstatuses", [R, A, A, A]),
    cluster("node.k8s.io", "runtimeclasses", [R, A, A, D]),
    cluster("networking.k8s.io", "ingressclasses", [R, A, A, D]),
    cluster("networking.k8s.io", "ipaddresses", [R, A, A, D]),
    cluster("networking.k8s.io", "servicecidrs", [R, A, A, D]),
    namespaced("resource.k8s.io", "resourceclaims", [R, A, A, D]),
    namespaced("resource.k8s.io", "resourceclaimtemplates", [R, A, A, D]),
    cluster("resource.k8s.io", "resourceslices", [R, A, A, D]),
    cluster("resource.k8s.io", "deviceclasses", [R, A, A, D]),
    // Identities, rights, controls.
    namespaced("", "serviceaccounts", [R, A, A, D]),
    namespaced("", "bindings", [R, X, X, X]),
    namespaced("rbac.authorization.k8s.io", "roles", [R, X, X, X]),
    namespaced("rbac.authorization.k8s.io", "rolebindings", [R, X, X, X]),
    cluster("rbac.authorization.k8s.io", "clusterroles", [R, X, X, X]),
    cluster("rbac.authorization.k8s.io", "clusterrolebindings", [R, X, X, X]),
    cluster("certificates.k8s.io", "certificatesigningrequests", [R, X, X, A]),
    cluster("certificates.k8s.io", "clustertrustbundles", [R, X, X, X]),
    namespaced("certificates.k8s.io", "podcertificaterequests", [R, X, X, A]),
    cluster("admissionregistration.k8s.io", "mutatingwebhookconfigurations", [R, X, X, X]),
    cluster("admissionregistration.k8s.io", "validatingwebhookconfigurations", [R, X, X, X]),
    cluster("admissionregistration.k8s.io", "validatingadmissionpolicies", [R, X, X, X]),
    cluster("admissionregistration.k8s.io", "validatingadmissionpolicybindings", [R, X, X, X]),
    cluster("admissionregistration.k8s.io", "mutatingadmissionpolicies", [R, X, X, X]),
    cluster("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", [R, X, X, X]),
    cluster("apiregistration.k8s.io", "apiservices", [R, X, X, X]),
    cluster("apiextensions.k8s.io", "customresourcedefinitions", [R, A, A, DD]),
    // Reviews: what they answer is not stored.
    cluster("authorization.k8s.io", "selfsubjectaccessreviews", [R, R, R, R]),
    cluster("authorization.k8s.io", "selfsubjectrulesreviews", [R, R, R, R]),
    cluster("authentication.k8s.io", "selfsubjectreviews", [R, R, R, R]),
    cluster("authentication.k8s.io", "tokenreviews", [A, A, A, A]),
    cluster("authorization.k8s.io", "subjectaccessreviews", [A, A, A, A]),
    namespaced("authorization.k8s.io", "localsubjectaccessreviews", [A, A, A, A]),
    // Measured values.
    cluster("metrics.k8s.io", "nodes", [R, A, A, A]),
    namespaced("metrics.k8s.io", "pods", [R, A, A, A]),
];

/// Groups whose every write mints identities at a cloud provider.
const CLOUD_IDENTITY_GROUPS: [&str; 8] = [
    "eks.services.k8s.aws",
    "iam.services.k8s.aws",
    "eks.aws.upbound.io",
    "iam.aws.upbound.io",
    "eks.aws.crossplane.io",
    "iamauthenticator.k8s.aws",
    "iam.cnrm.cloud.google.com",
    "managedidentity.azure.com",
];

/// Groups whose objects are backups.
const BACKUP_GROUPS: [&str; 3] = ["snapshot.storage.k8s.io", "groupsnapshot.storage.k8s.io", "velero.io"];

/// What the resources of other groups are called that are backups, or make them.
const BACKUP_WORDS: [&str; 2] = ["backup", "snapshot"];

pub(crate) fn row(group: &str, resource: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.resource == resource && row.group == group)
}

/// API group and resource of every built-in.
pub(super) fn built_in() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().map(|row| (row.group, row.resource))
}

/// The API groups that have a built-in resource of this name.
pub(crate) fn groups_of(resource: &str) -> Vec<&'static str> {
    TABLE.iter().filter(|row| row.resource == resource).map(|row| row.group).collect()
}

/// Resources that are computed and not stored, so that `dryRun` and the namespace mean nothing to them.
pub(crate) fn is_virtual(group: &str, resource: &str, subresource: Option<&str>) -> bool {
    let review = matches!(group, "authorization.k8s.io" | "authentication.k8s.io");
    review || (group.is_empty() && resource == "serviceaccounts" && subresource == Some("token"))
}

/// Whether the API server itself serves this, so that a dry run of it changes nothing. An aggregated server may do as it likes,
/// and of other groups nobody can tell whose they are.
pub(crate) fn keeps_dry(group: &str) -> bool {
    group != "metrics.k8s.io" && TABLE.iter().any(|row| row.group == group)
}

/// What a write does, by verb, resource and subresource.
pub(crate) fn write(request: &Request<'_>, row: Option<&Row>) -> Risk {
    if CLOUD_IDENTITY_GROUPS.contains(&request.api_group) {
        return Risk::Escalation;
    }
    if let Some(subresource) = request.subresource {
        return write_subresource(request, subresource, row);
    }
    let backup =
        BACKUP_GROUPS.contains(&request.api_group) || BACKUP_WORDS.iter().any(|word| request.resource.contains(word));
    match (request.verb, row) {
        (Verb::DeleteCollection, Some(row)) => row.delete.max(Risk::Mass),
        (Verb::DeleteCollection, None) => Risk::Mass,
        (Verb::Delete | Verb::Patch | Verb::Update, None) if backup => Risk::Mass,
        (Verb::Delete, None) => Risk::Destructive,
        (_, None) => Risk::Ask,
        (Verb::Delete, Some(row)) => row.delete,
        // A server-side apply creates what is not there.
        (Verb::Patch, Some(row)) if request.options.patch_type == Some(PatchType::Apply) => row.change.max(row.create),
        (Verb::Patch | Verb::Update, Some(row)) => row.change,
        (_, Some(row)) => row.create,
    }
}

fn write_subresource(request: &Request<'_>, subresource: &str, row: Option<&Row>) -> Risk {
    match (request.resource, subresource) {
        ("pods", "ephemeralcontainers" | "binding") | ("serviceaccounts", "token") => Risk::Escalation,
        ("certificatesigningrequests", _) => Risk::Escalation,
        ("namespaces", "finalize") => Risk::Mass,
        ("pods", "eviction") => Risk::Destructive,
        (_, "status") => row.map_or(Risk::Destructive, |row| row.change.max(Risk::Destructive)),
        (_, "scale") if row.is_some() => Risk::Write,
        _ => Risk::Ask,
    }
}
