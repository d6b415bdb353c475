//! The subresources that Lockgate knows: all of the built-in groups of Kubernetes 1.36 (read from `pkg/registry/*/rest`), and
//! what every custom resource may have. Anything else is refused, since nobody could say what it does.

use crate::WireError;

/// The resources of one group that have subresources, with these.
type Resources = &'static [(&'static str, &'static [&'static str])];

/// The API groups that kube-apiserver itself serves and that have subresources.
const BUILT_IN: [(&str, Resources); 16] = [
    (
        "",
        &[
            ("namespaces", &["finalize", "status"]),
            ("nodes", &["proxy", "status"]),
            ("persistentvolumeclaims", &["status"]),
            ("persistentvolumes", &["status"]),
            (
                "pods",
                &[
                    "attach",
                    "binding",
                    "ephemeralcontainers",
                    "eviction",
                    "exec",
                    "log",
                    "portforward",
                    "proxy",
                    "resize",
                    "status",
                ],
            ),
            ("replicationcontrollers", &["scale", "status"]),
            ("resourcequotas", &["status"]),
            ("serviceaccounts", &["token"]),
            ("services", &["proxy", "status"]),
        ],
    ),
    ("admissionregistration.k8s.io", &[("validatingadmissionpolicies", &["status"])]),
    ("apiextensions.k8s.io", &[("customresourcedefinitions", &["status"])]),
    ("apiregistration.k8s.io", &[("apiservices", &["status"])]),
    (
        "apps",
        &[
            ("daemonsets", &["status"]),
            ("deployments", &["scale", "status"]),
            ("replicasets", &["scale", "status"]),
            ("statefulsets", &["scale", "status"]),
        ],
    ),
    ("autoscaling", &[("horizontalpodautoscalers", &["status"])]),
    ("batch", &[("cronjobs", &["status"]), ("jobs", &["status"])]),
    (
        "certificates.k8s.io",
        &[("certificatesigningrequests", &["approval", "status"]), ("podcertificaterequests", &["status"])],
    ),
    ("flowcontrol.apiserver.k8s.io", &[("flowschemas", &["status"]), ("prioritylevelconfigurations", &["status"])]),
    ("internal.apiserver.k8s.io", &[("storageversions", &["status"])]),
    ("networking.k8s.io", &[("ingresses", &["status"]), ("servicecidrs", &["status"])]),
    ("policy", &[("poddisruptionbudgets", &["status"])]),
    (
        "resource.k8s.io",
        &[
            ("devicetaintrules", &["status"]),
            ("resourceclaims", &["status"]),
            ("resourcepoolstatusrequests", &["status"]),
        ],
    ),
    ("scheduling.k8s.io", &[("podgroups", &["status"])]),
    ("storage.k8s.io", &[("volumeattachments", &["status"])]),
    ("storagemigration.k8s.io", &[("storageversionmigrations", &["status"])]),
];

/// Built-in groups whose resources have no subresource.
const OTHER_BUILT_IN: [&str; 7] = [
    "authentication.k8s.io",
    "authorization.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
];

/// The subresources of a built-in resource.
pub fn of(group: &str, resource: &str) -> &'static [&'static str] {
    let resources = BUILT_IN.iter().find(|(name, _)| *name == group).map_or(&[][..], |(_, resources)| resources);
    resources.iter().find(|(name, _)| *name == resource).map_or(&[], |(_, subresources)| subresources)
}

/// Refuses a subresource that is not known.
pub(crate) fn check(group: &str, resource: &str, subresource: &str) -> Result<(), WireError> {
    let known = if let Some((_, resources)) = BUILT_IN.iter().find(|(name, _)| *name == group) {
        resources.iter().any(|(name, subresources)| *name == resource && subresources.contains(&subresource))
    } else if OTHER_BUILT_IN.contains(&group) {
        false
    } else {
        // A custom resource.
        matches!(subresource, "scale" | "status")
    };
    if known {
        return Ok(());
    }
    Err(WireError::Subresource { group: group.into(), resource: resource.into(), subresource: subresource.into() })
}
