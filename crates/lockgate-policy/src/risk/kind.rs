//! What is known of a kind of request before one is made.

use lockgate_core::{Risk, Verb};

use super::scope::{Scope, scope};
use super::{Request, classify, connect, depends, table};

/// Paths that are no resources and that everybody may read, as RBAC writes them.
pub const OPEN_PATHS: [&str; 16] = [
    "/",
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/healthz/*",
    "/livez",
    "/livez/*",
    "/metrics",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/readyz/*",
    "/version",
    "/.well-known/openid-configuration",
];

/// Where objects of a resource live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lives {
    /// In namespaces.
    InNamespaces,
    /// Beside them.
    InCluster,
    /// Not a built-in.
    Unknown,
}

/// Where objects of this resource live.
pub fn lives(api_group: &str, resource: &str) -> Lives {
    match scope(api_group, resource) {
        Scope::Namespaced => Lives::InNamespaces,
        Scope::Cluster => Lives::InCluster,
        Scope::Unknown => Lives::Unknown,
    }
}

/// API group and resource of every built-in.
pub fn built_in() -> impl Iterator<Item = (&'static str, &'static str)> {
    table::built_in()
}

/// The classes that a request of this kind can have, that of the plainest first: one whose body and options add nothing.
/// Dry runs are not thought of.
pub fn presumable(request: &Request<'_>) -> Vec<Risk> {
    let plain = classify(&Request { object: None, old_object: None, ..*request });
    let computed = table::is_virtual(request.api_group, request.resource, request.subresource);
    if request.resource.is_empty() || connect(request).is_some() || request.verb.is_read() || computed {
        return vec![plain];
    }
    let mut classes = vec![plain];
    match request.verb {
        // All that its options can add is that it happens at once.
        Verb::Delete | Verb::DeleteCollection => classes.push(plain.max(Risk::Destructive)),
        _ => classes.extend(depends::reachable(request).filter(|class| *class > plain)),
    }
    let place = request.namespace.or(request.name.filter(|_| request.is("", "namespaces")));
    let placed = request.is("", "namespaces") || lives(request.api_group, request.resource) != Lives::InCluster;
    if placed && place.is_none() {
        // The namespace may turn out to be a protected one.
        classes.push(Risk::Escalation);
    }
    classes.sort_by_key(|class| (*class != plain, *class));
    classes.dedup();
    classes
}
