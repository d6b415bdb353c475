//! Paths: where an object of a kind can be asked for, and random ones over the words that mean something in a path.

use super::bodies::{WAYS, call, ways};
use super::random::Random;
use super::{Call, Collection, NAME, NAMESPACE, Resource};
use crate::oracle::Agent;

/// Paths that are drawn; most of them are no request that a gateway passes on.
const RANDOM_PATHS: usize = 1_500;
const RANDOM_WORDS: [&str; 24] = [
    "v1",
    "v1beta1",
    "apps",
    "example.com",
    "namespaces",
    "watch",
    "proxy",
    "pods",
    "deployments",
    "configmaps",
    "nodes",
    "a",
    "b",
    "exec",
    "status",
    "finalize",
    "scale",
    "log",
    "a:b",
    "api",
    "apis",
    "token",
    "eviction",
    "system:node",
];
const RANDOM_SEGMENTS_MAX: usize = 7;

/// Every method at every place of a resource.
pub(super) fn of_resource(collection: &mut Collection, resource: &Resource, random: &mut Random) {
    let kind = (resource.api_version.as_str(), resource.kind.as_str());
    for (place, place_of_many) in places(resource) {
        for way in ways(random) {
            let name = place_of_many.then_some("made");
            collection.add(call(agent(way.0, &place), way, place.clone(), kind, name));
        }
    }
    legacy_watch(collection, resource);
}

/// Whoever has rights shall not delete what others of these requests ask for, nor keep watching.
fn agent(method: &str, place: &str) -> Agent {
    let in_namespace = place.contains(&format!("/namespaces/{NAMESPACE}/"));
    match method {
        "GET" | "HEAD" if place.ends_with(&format!("/{NAME}")) => Agent::Resident,
        "POST" | "PATCH" if in_namespace => Agent::Resident,
        _ => Agent::Stranger,
    }
}

/// Each place, and whether it is one of many objects.
fn places(resource: &Resource) -> Vec<(String, bool)> {
    let root = resource.root();
    let Resource { name, subresource, namespaced, .. } = resource;
    let one = |parent: String, object: &str| match subresource {
        Some(subresource) => (format!("{parent}/{name}/{object}/{subresource}"), false),
        None => (format!("{parent}/{name}/{object}"), false),
    };
    let mut places = Vec::new();
    let parents = [root.clone(), format!("{root}/namespaces/{NAMESPACE}")];
    for (is_namespace, parent) in parents.into_iter().enumerate() {
        if subresource.is_none() {
            places.push((format!("{parent}/{name}"), true));
        }
        // In the place where it is not served too: the path is read all the same.
        places.push(one(parent.clone(), NAME));
        if (is_namespace == 1) == *namespaced {
            places.push(one(parent, "absent"));
        }
    }
    places
}

/// The old spelling of a watch.
fn legacy_watch(collection: &mut Collection, resource: &Resource) {
    if resource.subresource.is_some() {
        return;
    }
    let (root, name) = (resource.root(), &resource.name);
    for place in [
        format!("{root}/watch/{name}"),
        format!("{root}/watch/namespaces/{NAMESPACE}/{name}"),
        format!("{root}/watch/namespaces/{NAMESPACE}/{name}/{NAME}"),
        format!("{root}/watch/{name}/{NAME}"),
        format!("{root}/watch/{name}?fieldSelector=metadata.name%3D{NAME}"),
        format!("{root}/watch/{name}?watch=false"),
    ] {
        collection.add(Call::new(Agent::Stranger, "GET", place));
    }
}

/// Random words in a random number.
pub(super) fn random(collection: &mut Collection, random: &mut Random) {
    for _ in 0..RANDOM_PATHS {
        let mut target = String::from(random.one_of(&["/api", "/apis", "/apis", "/other"]));
        for _ in 0..=random.below(RANDOM_SEGMENTS_MAX) {
            target.push('/');
            target.push_str(random.one_of(&RANDOM_WORDS));
        }
        let way = random.one_of(&WAYS);
        collection.add(call(Agent::Stranger, way, target, ("v1", "ConfigMap"), Some("made")));
    }
}
