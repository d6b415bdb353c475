//! What the rules do not give is not in the answer, nothing counts it, and the record knows. In process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use lockgate_core::{Effect, Outcome};
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::upstream::dial::Protocol;
use serde_json::{Value, json};
use testkit::api_server::{ApiServer, Reply, Seen};
use testkit::gateway::{World, request};
use tokio::sync::mpsc;

const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- name: root
  match: {resources: [secrets], names: [root]}
  deny: {}
- name: opaque
  match: {resources: [secrets], namespaces: [typed]}
  when: object.type == 'Opaque'
  allow: {}
- name: secrets
  match: {resources: [secrets], namespaces: [shop]}
  allow: {}
- name: team
  match: {resources: [configmaps], labelSelector: {team: web}, verbs: [get, list, watch, patch]}
  allow: {}
- name: own-pods
  match: {resources: [pods], namespaces: [mixed], labelSelector: {team: web}}
  allow: {}
- name: db-pods
  match: {resources: [pods], namespaces: [open], labelSelector: {team: db}}
  ask: {approvers: {groups: [sre]}}
- name: open
  match: {resources: [pods], namespaces: [open]}
  allow: {}
- name: told
  match: {resources: [services]}
  allow: {message: 'Services are moving to the edge cluster.'}
- name: vault
  match: {resources: [pods], namespaces: [vault, mixed]}
  ask: {approvers: {groups: [sre]}}
";

fn object(namespace: &str, name: &str, more: Value) -> Value {
    let mut object = json!({"metadata": {"name": name, "namespace": namespace, "uid": name}});
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

fn secrets() -> Vec<Value> {
    vec![
        object("kube-system", "token", json!({"data": {"k": "dG9w"}, "type": "Opaque"})),
        object("shop", "db", json!({"data": {"k": "c2VjcmV0"}, "type": "Opaque"})),
        object("shop", "root", json!({"data": {"k": "cm9vdA=="}, "type": "Opaque"})),
        object("typed", "opaque", json!({"data": {}, "type": "Opaque"})),
        object("typed", "other", json!({"data": {}, "type": "example.com/x"})),
    ]
}

fn config(name: &str, team: &str) -> Value {
    let mut config = object("shop", name, json!({"kind": "ConfigMap", "apiVersion": "v1", "immutable": true}));
    config["metadata"]["labels"] = json!({"team": team});
    config
}

fn script(seen: Seen) -> Reply {
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let list = |kind: &str, items: Vec<Value>| {
        let metadata = json!({"resourceVersion": "7", "continue": "", "remainingItemCount": 4});
        Reply::json(&json!({"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items}).to_string())
    };
    let table = seen.headers["accept"].to_str().unwrap().contains("as=Table");
    match path {
        "/api/v1/secrets" if table => {
            let rows: Vec<Value> = secrets()
                .into_iter()
                .map(|secret| json!({"cells": [secret["metadata"]["name"]], "object": if query.contains("None") { Value::Null } else { secret }}))
                .collect();
            let table = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "columnDefinitions": [], "rows": rows});
            Reply::json(&table.to_string())
        }
        "/api/v1/secrets" => list("SecretList", secrets()),
        "/api/v1/namespaces/shop/configmaps/ours" => Reply::json(&config("ours", "web").to_string()),
        "/api/v1/namespaces/shop/configmaps/theirs" => Reply::json(&config("theirs", "db").to_string()),
        "/api/v1/namespaces/vault/pods" => list("PodList", vec![object("vault", "safe", json!({}))]),
        "/api/v1/namespaces/vault/pods/safe" => {
            Reply::json(&object("vault", "safe", json!({"kind": "Pod"})).to_string())
        }
        "/api/v1/namespaces/mixed/pods/theirs" => {
            Reply::json(&object("mixed", "theirs", json!({"kind": "Pod"})).to_string())
        }
        "/api/v1/namespaces/mixed/pods/own" => {
            let metadata = json!({"name": "own", "namespace": "mixed", "uid": "own", "labels": {"team": "web"}});
            Reply::json(&json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata}).to_string())
        }
        "/api/v1/namespaces/open/pods/db" => {
            let metadata = json!({"name": "db", "namespace": "open", "uid": "db", "labels": {"team": "db"}});
            Reply::json(&json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata}).to_string())
        }
        "/api/v1/namespaces/shop/services" => {
            let Reply::Whole(mut answer) = list("ServiceList", vec![object("shop", "web", json!({}))]) else {
                panic!()
            };
            answer.headers_mut().insert("warning", "299 - \"from the cluster\"".parse().unwrap());
            Reply::Whole(answer)
        }
        "/api/v1/broken" => Reply::json("[]"),
        _ => Reply::status(404, "application/json", r#"{"kind":"Status","apiVersion":"v1","code":404}"#),
    }
}

async fn world() -> World {
    World::new(POLICY, ApiServer::new(Protocol::Http2, script), Limits::default()).await
}

fn names(list: &Value, field: &str) -> Vec<String> {
    let name = |item: &Value| {
        let object = if field == "rows" { &item["object"] } else { item };
        format!(
            "{}/{}",
            object["metadata"]["namespace"].as_str().unwrap(),
            object["metadata"]["name"].as_str().unwrap()
        )
    };
    list[field].as_array().unwrap().iter().map(name).collect()
}

/// The targets of what was sent, without previews.
fn sent(world: &World) -> Vec<String> {
    world.api.seen().into_iter().map(|seen| seen.target).collect()
}

#[tokio::test]
async fn an_allowed_request_brings_the_rules_message_and_keeps_the_clusters_warnings() {
    let world = world().await;
    let answer = world.get("/api/v1/namespaces/shop/services").await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text());
    let warnings: Vec<&str> = answer.head.headers.get_all("warning").iter().map(|it| it.to_str().unwrap()).collect();
    let own = r#"299 lockgate "Services are moving to the edge cluster.""#;
    assert_eq!(warnings, [r#"299 - "from the cluster""#, own]);
    let other = world.get("/api/v1/namespaces/shop/configmaps/ours").await;
    assert!(other.head.headers.get("warning").is_none());
}

#[tokio::test]
async fn bypass_14_a_list_holds_what_may_be_got_one_by_one_and_nothing_counts_the_rest() {
    let world = world().await;
    let answer = world.get("/api/v1/secrets?limit=2&continue=").await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text());
    let list = answer.json();
    assert_eq!(names(&list, "items"), ["shop/db", "typed/opaque"]);
    assert_eq!(list["metadata"], json!({"resourceVersion": "7", "continue": ""}));
    assert!(!answer.text().contains("c2VjcmV0"), "what is shown is masked");
    let warning = answer.head.headers["warning"].to_str().unwrap();
    assert_eq!(warning, "299 lockgate \"only objects that your rules let you see are listed\"");
    assert!(answer.head.headers.get("content-length").is_none(), "{:?}", answer.head.headers);
    assert_eq!(sent(&world), ["/api/v1/secrets?continue=&includeObject=Object"], "pages would count");
    let record = world.records().await.remove(0);
    let response = record.response.unwrap();
    assert_eq!((response.hidden, response.masked), (3, 1));
    assert_eq!((record.options.limit, record.outcome), (None, Some(Outcome::Completed)));
    assert!(record.decision.unwrap().reasons.concat().contains("`root`"));
}

#[tokio::test]
async fn a_table_without_objects_is_asked_for_with_them() {
    let world = world().await;
    let mut asked = request("GET", "/api/v1/secrets?includeObject=None", "");
    asked.headers_mut().insert("accept", "application/json;as=Table;g=meta.k8s.io;v=v1".parse().unwrap());
    let answer = world.send(asked).await;
    assert_eq!(names(&answer.json(), "rows"), ["shop/db", "typed/opaque"]);
    let mut asked = request("GET", "/api/v1/secrets", "");
    let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    asked.headers_mut().insert("accept", metadata.parse().unwrap());
    let refused = world.send(asked).await;
    assert_eq!(refused.status(), StatusCode::NOT_ACCEPTABLE, "a condition looks at the whole object");
}

#[tokio::test]
async fn one_object_that_may_not_be_seen_is_not_there() {
    let world = world().await;
    let path = |name: &str| format!("/api/v1/namespaces/shop/configmaps/{name}");
    let ours = world.get(&path("ours")).await;
    assert_eq!((ours.status(), ours.json()), (StatusCode::OK, config("ours", "web")));
    let hidden = world.get(&path("theirs")).await;
    let missing = world.get(&path("nobody's")).await;
    let words = |text: String, name: &str| {
        let mut status: Value = serde_json::from_str(&text.replace(name, "NAME")).unwrap();
        status["details"] = Value::Null;
        status
    };
    assert_eq!(hidden.status(), StatusCode::NOT_FOUND);
    let records = world.records().await;
    let own_id = |text: String, at: usize| text.replace(&records[at].id.to_string(), "ID");
    assert_eq!(
        words(own_id(hidden.text(), 1), "theirs"),
        words(own_id(missing.text(), 2), "nobody's"),
        "what is hidden and what is not there read alike"
    );
    let hidden: Vec<u64> = records.iter().map(|record| record.response.as_ref().unwrap().hidden).collect();
    assert_eq!(hidden, [0, 1, 0], "the record knows");
}

#[tokio::test]
async fn a_write_by_labels_is_decided_by_what_stands_there() {
    let world = world().await;
    let patch = |name: &str| {
        let mut patch =
            request("PATCH", &format!("/api/v1/namespaces/shop/configmaps/{name}"), r#"{"data":{"k":"w"}}"#);
        patch.headers_mut().insert("content-type", "application/merge-patch+json".parse().unwrap());
        patch
    };
    assert_eq!(world.send(patch("ours")).await.status(), StatusCode::OK);
    let refused = world.send(patch("theirs")).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{}", refused.text());
}

#[tokio::test]
async fn a_watch_is_kept_to_the_labels_by_its_selector() {
    let (events, body) = mpsc::channel::<Result<Bytes, std::io::Error>>(8);
    let body = std::sync::Mutex::new(Some(body));
    let api = ApiServer::new(Protocol::Http1, move |_| {
        let head = Response::builder().header("content-type", "application/json").body(()).unwrap();
        Reply::Chunks(head, body.lock().unwrap().take().expect("one watch"))
    });
    let world = World::new(POLICY, api, Limits::default()).await;
    let answer = world.open(request("GET", "/api/v1/configmaps?watch=true&labelSelector=app%3Dx&limit=5", "")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers().contains_key("warning"));
    assert_eq!(sent(&world), ["/api/v1/configmaps?watch=true&limit=5&labelSelector=app%3Dx%2Cteam%3Dweb"]);
    let line = |kind: &str, object: Value| format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n");
    let mut body = answer.into_body();
    for (kind, object, passes) in [
        ("ADDED", config("theirs", "db"), false),
        ("ADDED", config("ours", "web"), true),
        ("BOOKMARK", json!({"kind": "ConfigMap", "metadata": {"resourceVersion": "9"}}), true),
        ("DELETED", config("ours", "web"), true),
    ] {
        let line = line(kind, object);
        let (head, tail) = line.split_at(line.len() / 2);
        events.send(Ok(Bytes::copy_from_slice(head.as_bytes()))).await.unwrap();
        events.send(Ok(Bytes::copy_from_slice(tail.as_bytes()))).await.unwrap();
        if passes {
            let mut read = Vec::new();
            while read.len() < line.len() {
                read.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap());
            }
            assert_eq!(String::from_utf8(read).unwrap(), line, "an event waits for no other");
        }
    }
    drop(events);
    let record = world.records().await.remove(0);
    assert_eq!(record.response.unwrap().hidden, 1);
    assert_eq!(record.options.label_selector.as_deref(), Some("app=x,team=web"), "what was sent");
    assert!(record.decision.unwrap().reasons.concat().contains("app=x,team=web"));
}

#[tokio::test]
async fn a_watch_that_would_have_to_follow_content_is_refused_with_a_next_step() {
    let world = world().await;
    let refused = world.get("/api/v1/namespaces/typed/secrets?watch=true").await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.text().contains("list instead"), "{}", refused.text());
    assert!(sent(&world).is_empty());
    let delete = world.send(request("DELETE", "/api/v1/namespaces/shop/secrets", "")).await;
    assert_eq!(delete.status(), StatusCode::FORBIDDEN, "a collection delete is not filtered, it is refused");
    assert!(sent(&world).is_empty());
}

#[tokio::test]
async fn a_read_that_asks_goes_through_once_a_human_agrees() {
    let world = world().await;
    for path in ["/api/v1/namespaces/vault/pods/safe", "/api/v1/namespaces/vault/pods"] {
        let (answer, ()) = tokio::join!(world.get(path), async {
            let ticket = world.pending().await;
            world.decide(ticket.id, true, None).await;
        });
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text());
    }
    let records = world.records().await;
    let effects: Vec<_> = records.iter().map(|record| record.decision.as_ref().unwrap().effect).collect();
    assert_eq!(effects, [Effect::Ask, Effect::Ask], "nothing is read before");
}

#[tokio::test]
async fn nobody_is_asked_for_an_object_that_its_labels_give() {
    let world = world().await;
    let own = world.get("/api/v1/namespaces/mixed/pods/own").await;
    assert_eq!(own.status(), StatusCode::OK, "{}", own.text());
    assert_eq!(sent(&world), ["/api/v1/namespaces/mixed/pods/own"; 2], "read, and then given");
    let records = world.records().await;
    let effects: Vec<_> = records.iter().map(|record| record.decision.as_ref().unwrap().effect).collect();
    assert_eq!(effects, [Effect::Allow, Effect::Allow]);
    assert!(records.iter().any(|record| record.parent_id.is_some()), "the read has a record of its own");
    // What is another's and what is not there are asked for alike.
    for name in ["theirs", "nobody"] {
        let path = format!("/api/v1/namespaces/mixed/pods/{name}");
        let (answer, ()) = tokio::join!(world.get(&path), async {
            let ticket = world.pending().await;
            world.decide(ticket.id, false, Some("no")).await;
        });
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{}", answer.text());
    }
}

#[tokio::test]
async fn an_object_whose_labels_ask_is_asked_for_and_not_called_missing() {
    let world = world().await;
    let (answer, ()) = tokio::join!(world.get("/api/v1/namespaces/open/pods/db"), async {
        let ticket = world.pending().await;
        world.decide(ticket.id, true, None).await;
    });
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text());
    let missing = world.get("/api/v1/namespaces/open/pods/nobody").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND, "{}", missing.text());
}

#[tokio::test]
async fn an_answer_that_cannot_be_filtered_is_broken_off() {
    let api = ApiServer::new(Protocol::Http2, |_| {
        Reply::json(r#"{"kind":"SecretList","items":[{"metadata":{"name":"db","namespace":"shop","name":"root"}}]}"#)
    });
    let world = World::new(POLICY, api, Limits::default()).await;
    let mut client = world.connect().await;
    let aborted = match client.send_request(request("GET", "/api/v1/secrets", "")).await {
        Ok(answer) => answer.into_body().collect().await.is_err(),
        Err(_) => true,
    };
    assert!(aborted);
    let record = world.records().await.remove(0);
    assert_eq!(record.outcome, Some(Outcome::Aborted));
    assert!(record.message.unwrap().contains("filtering stopped the answer"), "the record says why");
}
