//! Objects that change while they are watched: who follows a watch holds at each moment what it may get.

use std::collections::BTreeSet;

use e2e::agent::Agent;
use e2e::environment::Environment;
use e2e::http::{Door, Protocol, Stream};
use e2e::program::{lines_of, next_line, run, spawn};
use serde_json::{Value, json};

use super::lists::{JSON, Key, Resource, TABLE, gettable, is_end_of_initial_events, key};
use super::place::{Place, apply, everywhere, metadata};
use super::random::Random;

const TEAM: &str = "- name: team\n  match: {labelSelector: {team: web}, verbs: [get, list, watch]}\n  allow: {}\n\
                    - name: discovery\n  match: {nonResourceURLs: ['/api*']}\n  allow: {}\n";

/// Rules whose watches can be kept to what they give.
const POLICIES: [&str; 4] = [
    TEAM,
    "- name: back\n  match: {labelSelector: {tier: back}}\n  deny: {}\n- name: rest\n  allow: {}\n",
    "- name: exception\n  match: {names: [web-1]}\n  deny: {}\n- name: rest\n  match: {namespaces: [$A]}\n  allow: {}\n",
    "- name: db\n  match: {labelSelector: {team: db}}\n  deny: {}\n\
     - name: front\n  match: {labelSelector: {tier: front}, names: ['web-*', sentinel]}\n  allow: {}\n",
];

async fn put(place: &Place, name: &str, team: &str, tier: &str, value: &str) {
    let metadata = metadata(name, Some(&place.first), team, tier);
    apply(vec![json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": value}})]).await;
}

async fn remove(place: &Place, name: &str) {
    run(everywhere(&["delete", "configmap", name, "--namespace", &place.first, "--ignore-not-found"])).await.ok();
}

async fn open(door: &Door, path: &str, accept: &str) -> Stream {
    let stream = door.stream("GET", path, &[("accept", accept)], b"").await;
    assert_eq!(stream.status.as_u16(), 200, "{path}");
    stream
}

/// Type and name of the next event here that is not about what was there before.
async fn event(stream: &mut Stream, here: &str, before: &BTreeSet<String>) -> (String, String, Value) {
    loop {
        let event = stream.event().await;
        let kind = event["type"].as_str().unwrap().to_owned();
        let object = event.pointer("/object/rows/0/object").unwrap_or(&event["object"]).clone();
        let (namespace, name) = key(&object);
        if kind != "BOOKMARK" && namespace == here && !before.contains(&name) {
            return (kind, name, object);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_enters_appears_and_one_that_leaves_is_gone() {
    let place = Place::new().await;
    let gateway = place.gateway("filter-enters", TEAM).await;
    let agent = Agent::new(&gateway).await;
    place.grant(&agent).await;
    let url = format!("{}/clusters/{}", gateway.url, Environment::get().demo.cluster);
    let door = Door::to(&url, &agent.token, Protocol::Http2);
    let here = format!("namespaces/{}/configmaps", place.first);
    let streaming = "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let mut streams = Vec::new();
    for (path, accept) in [
        (format!("/api/v1/{here}?watch=true"), JSON),
        (format!("/api/v1/{here}?watch=true&{streaming}"), JSON),
        (format!("/api/v1/{here}?watch=true&{streaming}"), TABLE),
        (format!("/api/v1/watch/{here}?timeoutSeconds=300"), JSON),
        ("/api/v1/configmaps?watch=true&labelSelector=tier".to_owned(), JSON),
    ] {
        streams.push((path.clone(), open(&door, &path, accept).await));
    }
    let mut get = spawn(agent.kubectl([
        "get",
        "configmaps",
        "--namespace",
        &place.first,
        "--watch",
        "--output-watch-events",
        "--no-headers",
    ]));
    let mut lines = lines_of(&mut get);
    let before: BTreeSet<String> = ["web-1", "web-2", "super-secret"].into_iter().map(str::to_owned).collect();
    for _ in &before {
        let line = next_line(&mut lines).await;
        assert!(line.starts_with("ADDED") && before.iter().any(|name| line.contains(name.as_str())), "{line}");
    }
    let own = (place.first.clone(), "mover".to_owned());
    let resources = Resource::all(&place);
    let may_get = || async { !gettable(&door, &resources[0], &[own.clone()].into()).await.is_empty() };

    // Its team and value from here on (no team: it is deleted); whether it may then be got, and what a watch says of that.
    let steps = [
        ("db", "hidden before", false, ""),
        ("web", "enters", true, "ADDED"),
        ("web", "changes", true, "MODIFIED"),
        ("db", "written as it left", false, "DELETED"),
        ("db", "written behind", false, ""),
        ("web", "enters again", true, "ADDED"),
        ("", "", false, "DELETED"),
        ("db", "another of the name", false, ""),
        ("web", "the end", true, "ADDED"),
    ];
    for (team, value, gets, says) in steps {
        match team {
            "" => remove(&place, "mover").await,
            team => put(&place, "mover", team, "front", value).await,
        }
        assert_eq!(may_get().await, gets, "{team} {value}");
        if says.is_empty() {
            continue;
        }
        // What is said next is said of this step: of those before it nothing was left to say.
        for (path, stream) in &mut streams {
            let (kind, name, object) = event(stream, &place.first, &before).await;
            assert_eq!((kind.as_str(), name.as_str()), (says, "mover"), "{path} at {value:?}: {object}");
            // What leaves is shown as it was when it could last be seen.
            if let Some(shown) = object.pointer("/data/k").and_then(Value::as_str) {
                let last = says == "DELETED" && ["changes", "enters again"].contains(&shown);
                assert!(last || (gets && shown == value), "{path} at {value:?}: {object}");
            }
        }
        let line = next_line(&mut lines).await;
        assert!(line.starts_with(says) && line.contains("mover"), "{line} at {value:?}");
    }
    place.remove(agent).await;
}

/// What a watch's follower holds.
async fn follow(mut stream: Stream) -> BTreeSet<Key> {
    let mut held = BTreeSet::new();
    loop {
        let line = stream.line().await;
        if is_end_of_initial_events(&line) {
            continue;
        }
        let event: Value = serde_json::from_slice(&line).unwrap();
        let key = key(&event["object"]);
        match event["type"].as_str() {
            Some("ADDED") => assert!(held.insert(key.clone()), "added twice: {event}"),
            Some("MODIFIED") => assert!(held.contains(&key), "changed before it was added: {event}"),
            Some("DELETED") => assert!(held.remove(&key), "deleted though it was not there: {event}"),
            Some("BOOKMARK") => {}
            _ => panic!("{event}"),
        }
        if key.1 == "sentinel" {
            return held;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_a_watch_holds_what_it_may_get() {
    const CHANGES: usize = 24;
    let place = Place::new().await;
    let agent = Agent::at_the_demos().await;
    place.grant(&agent).await;
    let path = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let path = format!("/api/v1/namespaces/{}/configmaps?{path}", place.first);
    let mut followers = Vec::new();
    for rules in POLICIES {
        let gateway = place.gateway("filter-follow", rules).await;
        let url = format!("{}/clusters/{}", gateway.url, Environment::get().demo.cluster);
        let door = Door::to(&url, &agent.token, Protocol::Http2);
        let follower = tokio::spawn(follow(open(&door, &path, JSON).await));
        followers.push((rules, gateway, door, follower));
    }
    let mut random = Random::new();
    let mut done = String::new();
    for change in 0..CHANGES {
        let name = random.choose(&["web-1", "web-2", "db-1", "db-2", "root"]);
        if random.below(4) == 0 {
            done += &format!("\ndelete {name}");
            remove(&place, name).await;
        } else {
            let (team, tier) = (random.choose(&["web", "db", ""]), random.choose(&["front", "back", ""]));
            done += &format!("\n{name} team={team} tier={tier}");
            put(&place, name, team, tier, &format!("change {change}")).await;
        }
    }
    put(&place, "sentinel", "web", "front", "").await;
    let resources = Resource::all(&place);
    let list = run(everywhere(&["get", "configmaps", "--namespace", &place.first, "-o", "json"])).await.ok().json();
    let objects: BTreeSet<Key> = list["items"].as_array().unwrap().iter().map(key).collect();
    for (rules, _gateway, door, follower) in followers {
        let held = follower.await.unwrap_or_else(|error| panic!("{error} after{done}\n{rules}"));
        assert_eq!(held, gettable(&door, &resources[0], &objects).await, "after{done}\n{rules}");
    }
    place.remove(agent).await;
}
