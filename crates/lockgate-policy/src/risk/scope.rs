//! Whether a resource's objects live in namespaces.

use super::table;

/// Where objects live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespaced,
    Cluster,
    /// Not a built-in.
    Unknown,
}

pub(crate) fn scope(api_group: &str, resource: &str) -> Scope {
    table::row(api_group, resource).map_or(Scope::Unknown, |row| row.scope)
}
