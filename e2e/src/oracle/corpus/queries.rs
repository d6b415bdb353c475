//! Queries: what makes a read a list or a watch, what names an object without a path, what changes how a write is done.

use super::bodies::{WAYS, call};
use super::random::Random;
use super::{Call, Collection, NAME, NAMESPACE, Resource};
use crate::oracle::Agent;

/// Each of them is asked of the first resources, and some of all others.
const OF_READS: [&str; 58] = [
    "watch=true",
    "watch=1",
    "watch=",
    "watch",
    "watch=True",
    "watch=t",
    "watch=yes",
    "watch=false",
    "watch=0",
    "watch=FALSE",
    "watch=False",
    "watch=no",
    "watch=+false",
    "Watch=true",
    "fieldSelector=metadata.name%3Da",
    "fieldSelector=metadata.name=a",
    "fieldSelector=metadata.name%3D%3Da",
    "fieldSelector=metadata.name!%3Da",
    "fieldSelector=metadata.name%3D",
    "fieldSelector=metadata.name%3D.",
    "fieldSelector=metadata.name%3D..",
    "fieldSelector=metadata.name%3D...",
    "fieldSelector=metadata.name%3Da%2Fb",
    "fieldSelector=metadata.name%3Da%2525b",
    "fieldSelector=metadata.name%3Da%5C%2Cb",
    "fieldSelector=metadata.name%3Da%5C%3Db",
    "fieldSelector=metadata.name%3Da%5C%5Cb",
    "fieldSelector=metadata.name%3Da%2Cmetadata.name%3Db",
    "fieldSelector=metadata.name!%3Da%2Cmetadata.name%3Db",
    "fieldSelector=metadata.namespace%3Doracle%2Cmetadata.name%3Da",
    "fieldSelector=%2Cmetadata.name%3Da%2C",
    "fieldSelector=metadata.name+%3D+a",
    "fieldSelector=+metadata.name%3Da",
    "fieldSelector=Metadata.Name%3Da",
    "fieldSelector=spec.nodeName%3Da",
    "fieldSelector=metadata.name%3D%C3%A9",
    "fieldSelector=",
    "fieldselector=metadata.name%3Da",
    "watch=true&fieldSelector=metadata.name%3Da",
    "watch=false&fieldSelector=metadata.name%3Da",
    "labelSelector=app%3Dweb",
    "labelSelector=app+in+(a%2Cb)&fieldSelector=metadata.name%3Da",
    "limit=1",
    "limit=0&continue=",
    "limit=-1&fieldSelector=metadata.name%3Da",
    "continue=x&fieldSelector=metadata.name%3Da",
    "resourceVersion=0&resourceVersionMatch=NotOlderThan",
    "resourceVersion=abc&fieldSelector=metadata.name%3Da",
    "sendInitialEvents=true&watch=1&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
    "sendInitialEvents=abc&fieldSelector=metadata.name%3Da",
    "timeoutSeconds=1&watch=1&fieldSelector=metadata.name%3Da",
    "timeoutSeconds=abc",
    "timeoutSeconds=abc&fieldSelector=metadata.name%3Da",
    "timeoutSeconds=abc&watch=1&fieldSelector=metadata.name%3Da",
    "timeoutSeconds=9223372036854775808&watch=false",
    "pretty=true&unknown=1&fieldSelector=metadata.name%3Da",
    "dryRun=All&fieldSelector=metadata.name%3Da",
    "labelSelector=!!!&fieldSelector=metadata.name%3Da",
];

const OF_WRITES: [&str; 10] = [
    "dryRun=All",
    "dryRun=All&fieldManager=oracle",
    "fieldManager=oracle&force=true&dryRun=All",
    "fieldValidation=Strict&dryRun=All",
    "pretty=1&dryRun=All",
    "dryRun=All&watch=true",
    "dryRun=All&fieldSelector=metadata.name%3Da",
    "dryRun=All&propagationPolicy=Orphan",
    "dryRun=All&gracePeriodSeconds=0",
    "dryRun=All&labelSelector=app%3Dweb",
];

/// Reads of a resource that are asked with some queries only.
const READS_DRAWN: usize = 8;
/// Writes of it.
const WRITES_DRAWN: usize = 5;

/// Resources that are asked with every query.
const WHOLE: [&str; 4] = ["pods", "configmaps", "nodes", "widgets"];

pub(super) fn of_resource(collection: &mut Collection, resource: &Resource, random: &mut Random) {
    let root = resource.root();
    let parent = if resource.namespaced { format!("{root}/namespaces/{NAMESPACE}") } else { root };
    if let Some(subresource) = &resource.subresource {
        let target = format!("{parent}/{}/{NAME}/{subresource}", resource.name);
        for _ in 0..WRITES_DRAWN {
            let query = random.one_of(&OF_WRITES);
            write(collection, resource, &target, query, random);
        }
        return;
    }
    let many = format!("{parent}/{}", resource.name);
    let is_whole = WHOLE.contains(&resource.name.as_str());
    if is_whole {
        for query in OF_READS {
            read(collection, &many, query);
            collection.add(Call::new(Agent::Stranger, "HEAD", format!("{many}?{query}")));
            // An object of that name is asked for, whatever the query says.
            collection.add(Call::new(Agent::Stranger, "GET", format!("{many}/{NAME}?{query}")));
        }
    } else {
        for _ in 0..READS_DRAWN {
            let query = random.one_of(&OF_READS);
            read(collection, &many, query);
        }
    }
    let drawn: Vec<&str> = (0..WRITES_DRAWN).map(|_| random.one_of(&OF_WRITES)).collect();
    for query in if is_whole { &OF_WRITES[..] } else { &drawn } {
        write(collection, resource, &many, query, random);
        write(collection, resource, &format!("{many}/{NAME}"), query, random);
    }
}

/// A watch of the resident would last: it is the stranger's, or ends by itself.
fn read(collection: &mut Collection, many: &str, query: &str) {
    let ends = !query.to_ascii_lowercase().contains("watch") || query.contains("timeoutSeconds=1&");
    let agent = if ends { Agent::Resident } else { Agent::Stranger };
    collection.add(Call::new(agent, "GET", format!("{many}?{query}")));
}

fn write(collection: &mut Collection, resource: &Resource, target: &str, query: &str, random: &mut Random) {
    let writes: Vec<_> = WAYS.into_iter().filter(|(method, _)| !matches!(*method, "GET" | "HEAD")).collect();
    let way = random.one_of(&writes);
    let kind = (resource.api_version.as_str(), resource.kind.as_str());
    let agent = if way.0 == "PUT" { Agent::Stranger } else { Agent::Resident };
    collection.add(call(agent, way, format!("{target}?{query}"), kind, Some(NAME)));
}
