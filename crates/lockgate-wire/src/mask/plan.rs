//! From the request: what its answer's objects are, and where the masker has to look.

use super::object::Basis;

/// The groups that kube-apiserver itself serves, whose kinds have schemas without embedded API objects.
const BUILT_IN_GROUPS: [&str; 23] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// How an answer is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskPlan {
    /// Of the root object.
    pub(super) root: Basis,
    /// Of the objects in other object positions.
    pub(super) basis: Basis,
    pub(super) embedded: Embedded,
    pub(super) framing: Framing,
}

/// Whether members without a meaning of their own can hold API objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Embedded {
    /// They are looked through.
    Look,
    /// They pass by counting brackets.
    Pass,
}

/// How many JSON objects make an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    One,
    Events,
}

impl MaskPlan {
    /// The plan for the answer to a request for `resource` (plural, as in the path; a subresource after `/` does not
    /// matter) of `api_group` (empty for core). `watch` says whether the request is a watch, answered by a sequence of
    /// objects. An empty resource, or one this build does not know, gets the plan that trusts nothing.
    pub fn for_resource(api_group: &str, resource: &str, watch: bool) -> Self {
        let resource = resource.split('/').next().unwrap_or_default();
        let framing = if watch { Framing::Events } else { Framing::One };
        let (basis, embedded) = match (api_group, resource) {
            ("", "secrets") => (Basis::Secret, Embedded::Pass),
            ("apps", "controllerrevisions") => (Basis::Typed, Embedded::Look),
            (group, resource) if !resource.is_empty() && BUILT_IN_GROUPS.contains(&group) => {
                (Basis::Typed, Embedded::Pass)
            }
            _ => (Basis::Unknown, Embedded::Look),
        };
        Self { root: basis, basis, embedded, framing }
    }

    /// The plan for one object in an annotation, of whose root this much is known.
    pub(super) fn for_annotation(root: Basis) -> Self {
        let basis = if root == Basis::Secret { Basis::Secret } else { Basis::Unknown };
        Self { root, basis, embedded: Embedded::Look, framing: Framing::One }
    }
}
