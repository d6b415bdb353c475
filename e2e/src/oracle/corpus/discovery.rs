//! What an API server says that it serves.

use serde_json::Value;

use crate::oracle::Stand;

/// A resource or subresource of discovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Empty for the core group.
    pub group: String,
    /// Such as `v1`.
    pub version: String,
    /// The plural.
    pub name: String,
    /// Such as `scale`.
    pub subresource: Option<String>,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// `apiVersion` of the objects that are sent to it.
    pub api_version: String,
    /// Their kind.
    pub kind: String,
}

impl Resource {
    /// `/api/v1` or `/apis/GROUP/VERSION`.
    pub fn root(&self) -> String {
        root(&self.group, &self.version)
    }
}

pub(super) fn root(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

/// All resources and subresources, in the order in which the API server names them.
///
/// # Panics
/// If it does not say.
pub async fn discover(stand: &Stand) -> Vec<Resource> {
    let groups = get(stand, "/apis").await;
    let versions = list(&groups, "/groups").into_iter().flat_map(|group| list(&group, "/versions"));
    let mut group_versions = vec!["v1".to_owned()];
    group_versions.extend(versions.map(|version| text(&version, "groupVersion")));
    let mut resources = Vec::new();
    for group_version in group_versions {
        let (group, version) = group_version.split_once('/').unwrap_or(("", group_version.as_str()));
        // A group whose server is not there is in the list of groups and answers nothing else.
        if group == super::known::AGGREGATED_GROUP {
            continue;
        }
        let served = get(stand, &root(group, version)).await;
        resources.extend(list(&served, "/resources").iter().map(|one| resource(group, version, one)));
    }
    resources
}

fn resource(group: &str, version: &str, served: &Value) -> Resource {
    let name = text(served, "name");
    let (name, subresource) = match name.split_once('/') {
        Some((name, subresource)) => (name.to_owned(), Some(subresource.to_owned())),
        None => (name, None),
    };
    let or = |field: &str, default: &str| match text(served, field) {
        empty if empty.is_empty() => default.to_owned(),
        own => own,
    };
    let (own_group, own_version) = (or("group", group), or("version", version));
    let api_version = if own_group.is_empty() { own_version } else { format!("{own_group}/{own_version}") };
    let namespaced = served.get("namespaced").and_then(Value::as_bool).unwrap_or_default();
    let (group, version) = (group.to_owned(), version.to_owned());
    Resource { group, version, name, subresource, namespaced, api_version, kind: text(served, "kind") }
}

async fn get(stand: &Stand, path: &str) -> Value {
    stand.admin(&["get", "--raw", path]).await.json()
}

fn list(value: &Value, pointer: &str) -> Vec<Value> {
    value.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}
