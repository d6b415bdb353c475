//! From the request: what its answer's objects are, and where the masker has to look.

use super::object::Basis;
use super::path::Next;
use super::profile::{Profile, Rules, Values};
use super::reason::Reason;

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
    pub(super) profile: Profile,
    /// Of the root object.
    pub(super) root: Basis,
    /// Of the objects in other object positions.
    pub(super) basis: Basis,
    pub(super) embedded: Embedded,
    pub(super) messages: Messages,
    /// What in the objects' `spec` or `status` is a credential.
    pub(super) issued: Option<Reason>,
    pub(super) framing: Framing,
    pub(super) content: Content,
}

/// What the root object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// An answer of the API server.
    Answer,
    /// A Helm release.
    Release,
}

/// Whether members without a meaning of their own can hold API objects or pod templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Embedded {
    /// They are looked through.
    Look,
    /// `spec` and `template` are; the others pass.
    Templates,
    /// They pass by counting brackets.
    Pass,
}

/// What the messages of a `Status` may quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Messages {
    /// Nothing that is masked elsewhere.
    Pass,
    /// Values: whatever stands in quotes.
    Values,
    /// Whole objects, as Go prints them: pod templates are compared in this way.
    Dumps,
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
    pub fn for_resource(api_group: &str, resource: &str, watch: bool, profile: Profile) -> Self {
        let resource = resource.split('/').next().unwrap_or_default();
        let framing = if watch { Framing::Events } else { Framing::One };
        let rules = profile.rules();
        let templates = |messages| match rules.templates {
            Values::Pass => (Basis::Typed, Embedded::Pass, Messages::Pass),
            Values::ByName | Values::All => (Basis::Typed, Embedded::Templates, messages),
        };
        let (basis, embedded, messages) = match (api_group, resource) {
            _ if !rules.secrets => (Basis::Other, Embedded::Pass, Messages::Pass),
            ("", "secrets") => (Basis::Secret, Embedded::Pass, Messages::Values),
            ("", "configmaps") if !rules.config_maps.pass() => (Basis::ConfigMap, Embedded::Pass, Messages::Values),
            ("apps", "controllerrevisions") => (Basis::Typed, Embedded::Look, Messages::Pass),
            ("", "pods" | "podtemplates" | "replicationcontrollers") => templates(Messages::Dumps),
            ("apps" | "batch", resource) if !resource.is_empty() => templates(Messages::Dumps),
            (group, resource) if !resource.is_empty() && BUILT_IN_GROUPS.contains(&group) => {
                (Basis::Typed, Embedded::Pass, Messages::Pass)
            }
            _ => (Basis::Unknown, Embedded::Look, Messages::Pass),
        };
        let issued = match (api_group, resource) {
            _ if !rules.credentials => None,
            ("", "serviceaccounts") | ("authentication.k8s.io", _) => Some(Reason::Token),
            ("certificates.k8s.io", _) => Some(Reason::Certificate),
            _ => None,
        };
        Self { profile, root: basis, basis, embedded, messages, issued, framing, content: Content::Answer }
    }

    /// The plan for one object in an annotation or a manifest, of whose root this much is known.
    pub(super) fn for_object(root: Basis, profile: Profile) -> Self {
        let basis = if root == Basis::Secret { Basis::Secret } else { Basis::Unknown };
        let messages = if basis == Basis::Secret { Messages::Values } else { Messages::Pass };
        Self {
            profile,
            root,
            basis,
            embedded: Embedded::Look,
            messages,
            issued: None,
            framing: Framing::One,
            content: Content::Answer,
        }
    }

    /// The plan for an unpacked Helm release.
    pub(super) fn for_release(profile: Profile) -> Self {
        Self { content: Content::Release, ..Self::for_object(Basis::Other, profile) }
    }

    /// What the root object is.
    pub(super) const fn root_value(&self) -> Next {
        match self.content {
            Content::Answer => Next::Object(self.root),
            Content::Release => Next::Unpacked,
        }
    }

    pub(super) const fn rules(&self) -> &'static Rules {
        self.profile.rules()
    }
}
