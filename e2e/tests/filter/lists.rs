//! The property: for objects, rules, scopes and forms of an answer, what a list or the beginning of a watch holds is what single
//! gets give.

use std::collections::BTreeSet;

use e2e::agent::Agent;
use e2e::environment::Environment;
use e2e::http::{Door, Protocol};
use e2e::program::admin;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::iter;
use serde_json::Value;

use super::place::Place;
use super::random::Random;

pub const JSON: &str = "application/json";
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const KUBECTL: &str =
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// `Accept`, and what else is asked. Forms that Lockgate cannot read are answered in one that it can, or 406.
const LISTS: [(&str, &str); 13] = [
    (JSON, ""),
    (JSON, "limit=2"),
    (JSON, "resourceVersion=0"),
    (TABLE, ""),
    (TABLE, "limit=2"),
    (TABLE, "includeObject=Object"),
    (TABLE, "includeObject=None"),
    (KUBECTL, "limit=500"),
    (METADATA_LIST, ""),
    (METADATA_LIST, "limit=1"),
    (PROTOBUF, ""),
    ("application/yaml", ""),
    ("application/cbor", "limit=3"),
];

const WATCHES: [&str; 5] =
    [JSON, KUBECTL, METADATA, "application/vnd.kubernetes.protobuf;stream=watch", "application/cbor-seq"];

const STREAMING_LIST: &str =
    "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=60";

/// Most requests of one sort on one resource at a time.
const AT_ONCE: usize = 8;
const RANDOM_POLICIES: usize = 3;

/// Rules of every kind that tells objects apart; each shows something and hides something.
const POLICIES: [(&str, &str); 11] = [
    ("names", "- name: some\n  match: {names: [web-1, 'db-*', $B]}\n  allow: {}\n"),
    (
        "a named exception",
        "- name: exception\n  match: {names: [super-secret]}\n  deny: {}\n- name: rest\n  allow: {}\n",
    ),
    ("one namespace", "- name: ours\n  match: {namespaces: [$A]}\n  allow: {}\n"),
    ("labels", "- name: team\n  match: {labelSelector: {team: web}, verbs: [get, list, watch]}\n  allow: {}\n"),
    (
        "labels here, names there",
        "- name: team\n  match: {namespaces: [$A], labelSelector: {team: web, tier: front}}\n  allow: {}\n\
         - name: names\n  match: {namespaces: [$B], names: [root, web-2]}\n  allow: {}\n",
    ),
    (
        "a label taken away",
        "- name: back\n  match: {labelSelector: {tier: back}}\n  deny: {}\n- name: rest\n  allow: {}\n",
    ),
    (
        "content",
        "- name: large\n  when: object.metadata.name.startsWith('web') || object.kind == 'Widget'\n  allow: {}\n",
    ),
    (
        "some are asked for",
        "- name: ask\n  match: {names: ['db-*']}\n  ask: {approvers: {groups: [sre]}}\n- name: rest\n  match: {risk: [read, masked], resources: [secrets, configmaps, widgets]}\n  allow: {}\n",
    ),
    (
        "labels give what else is asked for",
        "- name: own\n  match: {labelSelector: {team: web}}\n  allow: {}\n- name: rest\n  ask: {approvers: {groups: [sre]}}\n",
    ),
    (
        "labels ask",
        "- name: db\n  match: {labelSelector: {team: db}}\n  ask: {approvers: {groups: [sre]}}\n- name: rest\n  match: {resources: [configmaps, widgets, namespaces]}\n  allow: {}\n",
    ),
    (
        "get alone is taken away",
        "- name: get\n  match: {verbs: [get], names: [web-2]}\n  deny: {}\n- name: rest\n  match: {names: ['web-*', root, $A]}\n  allow: {}\n",
    ),
];

/// Namespace (empty where there is none) and name.
pub type Key = (String, String);

/// A kind of objects.
pub struct Resource {
    /// `/api/v1` or `/apis/GROUP/v1`.
    pub root: String,
    pub plural: &'static str,
    pub namespaced: bool,
}

impl Resource {
    pub fn all(place: &Place) -> Vec<Self> {
        let custom = format!("/apis/{}/v1", place.group);
        [
            ("/api/v1", "configmaps", true),
            ("/api/v1", "secrets", true),
            ("/api/v1", "namespaces", false),
            (&custom, "widgets", true),
            (&custom, "gadgets", false),
        ]
        .map(|(root, plural, namespaced)| Self { root: root.to_owned(), plural, namespaced })
        .into()
    }

    /// `more` stands behind the root: `watch/`, or nothing.
    pub fn collection(&self, more: &str, namespace: Option<&str>) -> String {
        let namespace = namespace.map(|name| format!("namespaces/{name}/")).unwrap_or_default();
        format!("{}/{more}{namespace}{}", self.root, self.plural)
    }

    pub fn object(&self, (namespace, name): &Key) -> String {
        let namespace = (!namespace.is_empty()).then_some(namespace.as_str());
        format!("{}/{name}", self.collection("", namespace))
    }

    /// Everything, as the cluster's administrator sees it.
    async fn objects(&self, place: &Place) -> BTreeSet<Key> {
        let list = admin(["get", "--raw", &self.collection("", None)]).await.json();
        list["items"].as_array().unwrap().iter().map(key).filter(|key| self.is_compared(place, key)).collect()
    }

    /// Other tests make and remove objects elsewhere.
    fn is_compared(&self, place: &Place, (namespace, name): &Key) -> bool {
        let still = [place.first.as_str(), place.second.as_str(), "kube-system"];
        still.contains(&namespace.as_str()) || self.plural == "gadgets" || still.contains(&name.as_str())
    }
}

pub fn key(object: &Value) -> Key {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("/metadata/namespace"), text("/metadata/name"))
}

/// What a list holds: of a Table without objects, the first column.
fn keys(list: &Value) -> BTreeSet<Key> {
    let of_row = |row: &Value| match &row["object"] {
        Value::Null => (String::new(), row["cells"][0].as_str().unwrap().to_owned()),
        object => key(object),
    };
    match (list["items"].as_array(), list["rows"].as_array()) {
        (Some(items), _) => items.iter().map(key).collect(),
        (None, Some(rows)) => rows.iter().map(of_row).collect(),
        // Go writes no empty list where there is none.
        (None, None) => BTreeSet::new(),
    }
}

/// Which of these the agent may get.
pub async fn gettable(door: &Door, resource: &Resource, objects: &BTreeSet<Key>) -> BTreeSet<Key> {
    let get = |key: Key| async {
        let answer = door.get(&resource.object(&key), &[("accept", JSON)]).await;
        let status = answer.status.as_u16();
        assert!([200, 403, 404].contains(&status), "{status} {}", answer.text());
        assert!(status != 200 || self::key(&answer.json()) == key, "{}", answer.text());
        (status == 200).then_some(key)
    };
    iter(objects.clone()).map(get).buffer_unordered(AT_ONCE).filter_map(|key| async { key }).collect().await
}

/// What was found for one collection in one form.
enum Seen {
    Objects(BTreeSet<Key>),
    /// By the policy.
    Refused(String),
    /// The form does not hold what a condition looks at.
    NotAcceptable,
}

/// All pages of a list.
async fn list(door: &Door, path: &str, accept: &str, query: &str) -> Seen {
    let (mut seen, mut next) = (BTreeSet::new(), String::new());
    loop {
        let answer = door.get(&format!("{path}?{query}{next}"), &[("accept", accept)]).await;
        match answer.status.as_u16() {
            200 => assert_eq!(answer.header("content-type"), JSON),
            403 => return Seen::Refused(answer.text()),
            406 => return Seen::NotAcceptable,
            _ => panic!("{path}?{query}: {} {}", answer.status, answer.text()),
        }
        let page = answer.json();
        seen.extend(keys(&page));
        let metadata = &page["metadata"];
        let filtered = !answer.header("warning").is_empty();
        match metadata["continue"].as_str().filter(|token| !token.is_empty()) {
            None => {
                assert_eq!(metadata.get("remainingItemCount"), None, "{path}");
                return Seen::Objects(seen);
            }
            Some(token) => {
                assert!(!filtered, "a page of {path}?{query} says how many are hidden: {metadata}");
                next = format!("&continue={token}");
            }
        }
    }
}

/// The objects of a watch before anything changes: up to its bookmark where it has one, else up to its end.
async fn watch(door: &Door, path: &str, accept: &str, bookmarks: bool) -> Seen {
    if !bookmarks {
        let answer = door.get(path, &[("accept", accept)]).await;
        return match answer.status.as_u16() {
            200 => Seen::Objects(answer.text().lines().flat_map(|line| added(path, line.as_bytes())).collect()),
            403 => Seen::Refused(answer.text()),
            406 => Seen::NotAcceptable,
            _ => panic!("{path}: {} {}", answer.status, answer.text()),
        };
    }
    let mut stream = door.stream("GET", path, &[("accept", accept)], b"").await;
    match stream.status.as_u16() {
        200 => {}
        403 => return Seen::Refused(String::from_utf8_lossy(&stream.rest().await).into_owned()),
        406 => return Seen::NotAcceptable,
        _ => panic!("{path}: {}", stream.status),
    }
    let mut seen = BTreeSet::new();
    loop {
        let line = stream.line().await;
        if is_end_of_initial_events(&line) {
            return Seen::Objects(seen);
        }
        seen.extend(added(path, &line));
    }
}

pub fn is_end_of_initial_events(line: &[u8]) -> bool {
    let event: Value = serde_json::from_slice(line).unwrap();
    let metadata = event["object"].get("metadata").filter(|metadata| metadata.get("annotations").is_some());
    let of_row = event.pointer("/object/rows/0/object/metadata");
    let end = |metadata: &Value| metadata["annotations"]["k8s.io/initial-events-end"] == "true";
    event["type"] == "BOOKMARK" && metadata.or(of_row).is_some_and(end)
}

fn added(path: &str, line: &[u8]) -> BTreeSet<Key> {
    let event: Value = serde_json::from_slice(line).unwrap_or_else(|error| panic!("{path}: {error}"));
    match event["type"].as_str() {
        // In kube-system and elsewhere objects change while a watch runs.
        Some("MODIFIED" | "DELETED" | "BOOKMARK") => BTreeSet::new(),
        Some("ADDED") if event["object"]["kind"] == "Table" => keys(&event["object"]),
        Some("ADDED") => [key(&event["object"])].into(),
        _ => panic!("{path}: {event}"),
    }
}

/// One policy: every resource in every scope and form.
struct Check<'p> {
    place: &'p Place,
    rules: String,
    door: Door,
    looks_at_content: bool,
}

impl Check<'_> {
    /// How many objects may be got, and how many not.
    async fn resource(&self, resource: &Resource) -> (usize, usize) {
        let objects = resource.objects(self.place).await;
        let gettable = gettable(&self.door, resource, &objects).await;
        let mut scopes = vec![None];
        if resource.namespaced {
            scopes.extend([Some(self.place.first.as_str()), Some(self.place.second.as_str())]);
        }
        let forms = scopes.iter().flat_map(|scope| LISTS.map(|form| (*scope, form)));
        let lists = iter(forms).map(|(scope, (accept, query))| async move {
            let path = resource.collection("", scope);
            (format!("{path}?{query} as {accept}"), scope, list(&self.door, &path, accept, query).await)
        });
        let lists = lists.buffer_unordered(AT_ONCE).collect::<Vec<_>>();
        let forms = scopes.iter().flat_map(|scope| WATCHES.map(|accept| (*scope, accept)));
        let watches = iter(forms).map(|(scope, accept)| async move {
            let path = format!("{}?{STREAMING_LIST}", resource.collection("", scope));
            (format!("{path} as {accept}"), scope, watch(&self.door, &path, accept, true).await)
        });
        let watches = watches.buffer_unordered(AT_ONCE).collect::<Vec<_>>();
        let old = iter(&scopes).map(|scope| async move {
            let path = format!("{}?timeoutSeconds=1", resource.collection("watch/", *scope));
            (path.clone(), *scope, watch(&self.door, &path, JSON, false).await)
        });
        let old = old.buffer_unordered(AT_ONCE).collect::<Vec<_>>();
        let (lists, watches, old) = tokio::join!(lists, watches, old);
        for (what, scope, seen) in lists {
            self.compare(&what, resource, scope, &gettable, seen, false);
        }
        for (what, scope, seen) in watches.into_iter().chain(old) {
            self.compare(&what, resource, scope, &gettable, seen, true);
        }
        (gettable.len(), objects.len() - gettable.len())
    }

    fn compare(
        &self,
        what: &str,
        resource: &Resource,
        scope: Option<&str>,
        gettable: &BTreeSet<Key>,
        seen: Seen,
        is_watch: bool,
    ) {
        let expected: BTreeSet<Key> =
            gettable.iter().filter(|(namespace, _)| scope.is_none_or(|scope| namespace == scope)).cloned().collect();
        let rules = &self.rules;
        match seen {
            // A Table without objects has no namespaces either.
            Seen::Objects(seen) if what.contains("includeObject=None") && seen.iter().all(|key| key.0.is_empty()) => {
                let names = |keys: &BTreeSet<Key>| keys.iter().map(|key| key.1.clone()).collect::<BTreeSet<_>>();
                if scope.is_some() {
                    assert_eq!(names(&seen), names(&expected), "{what}:\n{rules}");
                }
            }
            Seen::Objects(mut seen) => {
                seen.retain(|key| resource.is_compared(self.place, key));
                assert_eq!(seen, expected, "{what}:\n{rules}");
            }
            Seen::Refused(status) => {
                let cannot_follow = is_watch && status.contains("list instead");
                assert!(expected.is_empty() || cannot_follow, "{what}: {status}\n{rules}");
            }
            Seen::NotAcceptable => {
                assert!(self.looks_at_content && what.contains("PartialObjectMetadata"), "{what}:\n{rules}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_watches_hold_what_may_be_got_one_by_one() {
    let place = Place::new().await;
    let agent = Agent::at_the_demos().await;
    place.grant(&agent).await;
    let mut random = Random::new();
    let policies = POLICIES.iter().map(|(name, rules)| (*name, (*rules).to_owned()));
    let policies: Vec<_> = policies.chain((0..RANDOM_POLICIES).map(|_| ("random", random.rules()))).collect();
    for (number, (name, rules)) in policies.iter().enumerate() {
        let gateway = place.gateway("filter-lists", rules).await;
        let url = format!("{}/clusters/{}", gateway.url, Environment::get().demo.cluster);
        let check = Check {
            place: &place,
            rules: place.rules(rules),
            door: Door::to(&url, &agent.token, Protocol::Http2),
            looks_at_content: rules.contains("when:"),
        };
        let (mut shown, mut hidden) = (0, 0);
        let resources = Resource::all(&place);
        for (more_shown, more_hidden) in join_all(resources.iter().map(|resource| check.resource(resource))).await {
            shown += more_shown;
            hidden += more_hidden;
        }
        eprintln!("{number} {name}: {shown} shown, {hidden} hidden");
        assert!(*name == "random" || (shown > 0 && hidden > 0), "{name} tells nothing apart:\n{rules}");
    }
    place.remove(agent).await;
}
