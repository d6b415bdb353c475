//! What the stand-in says of the API: the built-ins of Kubernetes, from the discovery documents of a real cluster, committed as
//! a table. Custom resources are only known to a live cluster.

use serde_json::{Value, json};

const TABLE: &str = include_str!("discovery.txt");

/// The version that the table was taken from.
pub(super) const MINOR: &str = "36";
const GIT_VERSION: &str = "v1.36.4";

/// The API that the stand-in serves.
#[derive(Debug)]
pub(super) struct Api {
    resources: Vec<Resource>,
}

/// One resource.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    /// `v1` or `apps/v1`.
    pub(super) group_version: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    singular: &'static str,
    pub(super) namespaced: bool,
    short_names: Vec<&'static str>,
    categories: Vec<&'static str>,
    verbs: Vec<&'static str>,
    subresources: Vec<Subresource>,
}

/// A part of a resource.
#[derive(Debug, Clone)]
struct Subresource {
    name: &'static str,
    /// Of its kind; that of its resource when empty.
    group_version: &'static str,
    kind: &'static str,
    verbs: Vec<&'static str>,
}

impl Api {
    pub(super) fn built_in() -> Self {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        Self { resources: lines.filter_map(Resource::parse).collect() }
    }

    pub(super) fn find(&self, group: &str, version: &str, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.group_and_version() == (group, version) && resource.name == name)
    }

    /// The answer to a path of discovery; `aggregated` when the client asks for that form.
    pub(super) fn document(&self, path: &str, aggregated: bool) -> Option<Value> {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match segments.as_slice() {
            ["version"] => Some(json!({
                "major": "1", "minor": MINOR, "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "clean",
                "buildDate": "2026-01-01T00:00:00Z", "goVersion": "", "compiler": "gc", "platform": "linux/amd64",
            })),
            ["api"] if aggregated => Some(self.aggregated(&[""])),
            ["apis"] if aggregated => Some(self.aggregated(&self.groups())),
            ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})),
            ["apis"] => {
                let groups: Vec<Value> = self.groups().iter().map(|group| self.group(group)).collect();
                Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
            }
            ["apis", group] => self.groups().contains(group).then(|| self.group(group)),
            ["api", version] => self.resource_list(version),
            ["apis", group, version] => self.resource_list(&format!("{group}/{version}")),
            ["openapi", "v3"] => Some(self.openapi_paths()),
            ["openapi", "v3", "api", version] => Some(self.openapi(version)),
            ["openapi", "v3", "apis", group, version] => Some(self.openapi(&format!("{group}/{version}"))),
            _ => None,
        }
    }

    /// Named groups, in the order of the table.
    fn groups(&self) -> Vec<&'static str> {
        let mut groups = Vec::new();
        for (group, _) in self.resources.iter().map(Resource::group_and_version) {
            if !group.is_empty() && !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }

    fn versions(&self, group: &str) -> Vec<&'static str> {
        let mut versions = Vec::new();
        for (its_group, version) in self.resources.iter().map(Resource::group_and_version) {
            if its_group == group && !versions.contains(&version) {
                versions.push(version);
            }
        }
        versions
    }

    fn group(&self, group: &str) -> Value {
        let versions: Vec<Value> = self
            .versions(group)
            .iter()
            .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
            .collect();
        json!({"kind": "APIGroup", "apiVersion": "v1", "name": group,
            "preferredVersion": versions.first(), "versions": versions})
    }

    fn resource_list(&self, group_version: &str) -> Option<Value> {
        let found = self.resources.iter().filter(|resource| resource.group_version == group_version);
        let resources: Vec<Value> = found.flat_map(Resource::legacy).collect();
        (!resources.is_empty()).then(|| {
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources})
        })
    }

    fn aggregated(&self, groups: &[&str]) -> Value {
        let items: Vec<Value> = groups
            .iter()
            .map(|group| {
                let versions: Vec<Value> = self
                    .versions(group)
                    .iter()
                    .map(|version| {
                        let here = self.resources.iter().filter(|one| one.group_and_version() == (*group, *version));
                        let resources: Vec<Value> = here.map(Resource::aggregated).collect();
                        json!({"version": version, "freshness": "Current", "resources": resources})
                    })
                    .collect();
                let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
                json!({"metadata": metadata, "versions": versions})
            })
            .collect();
        json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
    }

    fn openapi_paths(&self) -> Value {
        let mut paths = serde_json::Map::new();
        for resource in &self.resources {
            let place = resource.root();
            let place = place.trim_start_matches('/');
            paths.insert(place.to_owned(), json!({"serverRelativeURL": format!("/openapi/v3/{place}?hash=0")}));
        }
        json!({"paths": paths})
    }

    /// As much as clients look up before they write: that the server validates fields itself.
    fn openapi(&self, group_version: &str) -> Value {
        let mut paths = serde_json::Map::new();
        for resource in self.resources.iter().filter(|resource| resource.group_version == group_version) {
            let (group, version) = resource.group_and_version();
            let namespace = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
            let place = format!("{}{namespace}/{}", resource.root(), resource.name);
            let kind = json!({"group": group, "version": version, "kind": resource.kind});
            let parameters = json!([{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}},
                {"name": "dryRun", "in": "query", "schema": {"type": "string"}}]);
            let operation = |action: &str| {
                json!({"parameters": parameters, "x-kubernetes-action": action,
                    "x-kubernetes-group-version-kind": kind, "responses": {}})
            };
            paths.insert(format!("{place}/{{name}}"), json!({"patch": operation("patch"), "put": operation("put")}));
            paths.insert(place, json!({"post": operation("post")}));
        }
        json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": GIT_VERSION}, "paths": paths,
            "components": {"schemas": {}}})
    }
}

impl Resource {
    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.split('\t').map(|field| if field == "-" { "" } else { field });
        let mut next = || fields.next();
        let (group_version, name, kind, singular) = (next()?, next()?, next()?, next()?);
        let (scope, short_names, categories, verbs, subresources) = (next()?, next()?, next()?, next()?, next()?);
        Some(Self {
            group_version,
            name,
            kind,
            singular,
            namespaced: scope == "namespaced",
            short_names: words(short_names, ','),
            categories: words(categories, ','),
            verbs: words(verbs, ','),
            subresources: words(subresources, ' ').into_iter().filter_map(Subresource::parse).collect(),
        })
    }

    pub(super) fn group_and_version(&self) -> (&'static str, &'static str) {
        self.group_version.split_once('/').unwrap_or(("", self.group_version))
    }

    /// `/api/v1` or `/apis/apps/v1`.
    fn root(&self) -> String {
        let tree = if self.group_version.contains('/') { "apis" } else { "api" };
        format!("/{tree}/{}", self.group_version)
    }

    fn legacy(&self) -> Vec<Value> {
        let own = json!({"name": self.name, "singularName": self.singular, "namespaced": self.namespaced,
            "kind": self.kind, "verbs": self.verbs, "shortNames": self.short_names, "categories": self.categories});
        let parts = self.subresources.iter().map(|part| {
            let (group, version) = part.group_version.split_once('/').unwrap_or(("", ""));
            json!({"name": format!("{}/{}", self.name, part.name), "singularName": "", "namespaced": self.namespaced,
                "group": group, "version": version, "kind": part.kind, "verbs": part.verbs})
        });
        std::iter::once(own).chain(parts).collect()
    }

    fn aggregated(&self) -> Value {
        let parts: Vec<Value> = self
            .subresources
            .iter()
            .map(|part| {
                let (group, version) = part.group_version.split_once('/').unwrap_or(("", ""));
                json!({"subresource": part.name, "verbs": part.verbs,
                    "responseKind": {"group": group, "version": version, "kind": part.kind}})
            })
            .collect();
        json!({"resource": self.name, "responseKind": {"group": "", "version": "", "kind": self.kind},
            "scope": if self.namespaced { "Namespaced" } else { "Cluster" }, "singularResource": self.singular,
            "verbs": self.verbs, "shortNames": self.short_names, "categories": self.categories, "subresources": parts})
    }
}

impl Subresource {
    fn parse(text: &'static str) -> Option<Self> {
        let (name, rest) = text.split_once('=')?;
        let (rest, verbs) = rest.rsplit_once(':')?;
        let (group_version, kind) = rest.rsplit_once(':')?;
        Some(Self { name, group_version, kind, verbs: words(verbs, ',') })
    }
}

fn words(text: &'static str, separator: char) -> Vec<&'static str> {
    text.split(separator).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_resource() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(Api::built_in().resources.len(), lines);
    }

    #[test]
    fn both_forms_of_discovery_know_the_same() {
        let api = Api::built_in();
        let aggregated = api.document("/apis", true).unwrap();
        let groups = api.document("/apis", false).unwrap();
        assert_eq!(aggregated["items"].as_array().unwrap().len(), groups["groups"].as_array().unwrap().len());
        let apps = api.document("/apis/apps/v1", false).unwrap();
        let names: Vec<_> =
            apps["resources"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"deployments/scale"), "{names:?}");
        let deployments = api.find("apps", "v1", "deployments").unwrap();
        let scale = deployments.subresources.iter().find(|part| part.name == "scale").unwrap();
        assert_eq!((scale.group_version, scale.kind), ("autoscaling/v1", "Scale"));
    }
}
