//! The live object decides: read as the agent where the verdict depends on it, and only there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use lockgate_core::{AuditRecord, Origin, Risk};
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::upstream::dial::Protocol;
use serde_json::json;
use testkit::api_server::{ApiServer, Reply, Seen};
use testkit::gateway::{Answer, World, request};

const BY_CLASS: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: escalation, match: {risk: [escalation]}, deny: {}}
- {name: destructive, match: {risk: [destructive, mass]}, ask: {approvers: {groups: [sre]}}}
- {name: rest, match: {}, allow: {}}
";

const ALL: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: all, match: {resources: ['*']}, allow: {}}
";

const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web";
const MERGE: &str = "application/merge-patch+json";

/// A Deployment with that many replicas, whatever is sent to it.
async fn world(policy: &str, replicas: &Arc<AtomicI64>, hold: Duration) -> World {
    let replicas = Arc::clone(replicas);
    let script = move |_: Seen| {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "uid": "u", "finalizers": ["a/b"]},
            "spec": {"replicas": replicas.load(Ordering::SeqCst), "template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}}});
        Reply::json(&object.to_string())
    };
    let limits = Limits { hold, ..Limits::default() };
    World::new(policy, ApiServer::new(Protocol::Http2, script), limits).await
}

async fn patch(world: &World, path: &str, content_type: &str, body: serde_json::Value) -> Answer {
    let mut asked = request("PATCH", path, &body.to_string());
    asked.headers_mut().insert("content-type", content_type.parse().unwrap());
    world.send(asked).await
}

fn replicas(number: i64) -> serde_json::Value {
    json!({"spec": {"replicas": number}})
}

async fn last(world: &World) -> AuditRecord {
    let records = world.records().await;
    records.into_iter().rfind(|record| record.origin == Origin::Http).unwrap()
}

fn risk(record: &AuditRecord) -> Risk {
    record.action.as_ref().unwrap().risk
}

#[tokio::test]
async fn the_class_follows_the_live_object_and_the_read_has_a_record() {
    let world = world(BY_CLASS, &Arc::new(AtomicI64::new(6)), Duration::ZERO).await;
    assert_eq!(patch(&world, WEB, MERGE, replicas(4)).await.status(), StatusCode::OK);
    assert_eq!(risk(&last(&world).await), Risk::Write);
    let records = world.records().await;
    let (read, write) = (
        records.iter().find(|record| record.origin == Origin::Preview).unwrap(),
        records.iter().find(|record| record.origin == Origin::Http).unwrap(),
    );
    assert_eq!(read.parent_id, Some(write.id));
    assert_eq!(world.api.seen()[0].headers["impersonate-user"], "agent:deployer");
    for path in [WEB.to_owned(), format!("{WEB}/scale")] {
        let answer = patch(&world, &path, MERGE, replicas(2)).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
        assert_eq!(risk(&last(&world).await), Risk::Destructive, "{path}");
        assert!(answer.text().contains("replicas 6 → 2"), "{}", answer.text());
    }
    let written = world.api.seen().into_iter().filter(|seen| seen.method != Method::GET).count();
    assert_eq!(written, 1, "only what was allowed");
}

#[tokio::test]
async fn a_put_that_drops_a_finalizer_asks_and_one_that_keeps_it_does_not() {
    let world = world(BY_CLASS, &Arc::new(AtomicI64::new(6)), Duration::ZERO).await;
    let body = |finalizers: serde_json::Value| {
        json!({"metadata": {"name": "web", "uid": "u", "finalizers": finalizers}, "spec": {"replicas": 6}}).to_string()
    };
    assert_eq!(world.send(request("PUT", WEB, &body(json!(["a/b"])))).await.status(), StatusCode::OK);
    assert_eq!(world.send(request("PUT", WEB, &body(json!([])))).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(risk(&last(&world).await), Risk::Destructive);
}

#[tokio::test]
async fn nothing_is_read_where_the_verdict_cannot_change() {
    let by_class = world(BY_CLASS, &Arc::new(AtomicI64::new(6)), Duration::ZERO).await;
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    let restart =
        json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "t"}}}}});
    for body in [label, restart] {
        assert_eq!(patch(&by_class, WEB, MERGE, body).await.status(), StatusCode::OK);
    }
    assert_eq!(
        by_class.send(request("POST", "/api/v1/namespaces/shop/configmaps", "{}")).await.status(),
        StatusCode::OK
    );
    assert!(by_class.api.seen().iter().all(|seen| seen.method != Method::GET));
    let all = world(ALL, &Arc::new(AtomicI64::new(6)), Duration::ZERO).await;
    assert_eq!(patch(&all, WEB, MERGE, replicas(0)).await.status(), StatusCode::OK);
    assert_eq!(all.send(request("PUT", WEB, "{}")).await.status(), StatusCode::OK);
    assert!(all.api.seen().iter().all(|seen| seen.method != Method::GET));
}

#[tokio::test]
async fn a_target_that_cannot_be_read_makes_the_higher_class_and_says_so() {
    let script = |seen: &Seen| match seen.method {
        Method::GET => Reply::status(403, "application/json", r#"{"kind":"Status","code":403}"#),
        _ => Reply::json("{}"),
    };
    let api = ApiServer::new(Protocol::Http2, move |seen| script(&seen));
    let world = World::new(BY_CLASS, api, Limits::default()).await;
    let answer = patch(&world, &format!("{WEB}/scale"), MERGE, replicas(4)).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let record = last(&world).await;
    assert_eq!(risk(&record), Risk::Destructive);
    let reasons = record.decision.unwrap().reasons;
    assert!(reasons.iter().any(|reason| reason.contains("cannot be read") && reason.contains("403")), "{reasons:?}");
    assert!(world.api.seen().iter().all(|seen| seen.method == Method::GET), "nothing was written");
    let gets = world.api.seen().len();
    assert_eq!(gets, 1, "read once");
}

#[tokio::test]
async fn a_target_that_is_not_there_is_the_clusters_to_tell() {
    let not_found = |_: Seen| Reply::status(404, "application/json", r#"{"kind":"Status","code":404}"#);
    let world = World::new(BY_CLASS, ApiServer::new(Protocol::Http2, not_found), Limits::default()).await;
    assert_eq!(patch(&world, WEB, MERGE, replicas(4)).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        world.api.seen().iter().map(|seen| seen.method.clone()).collect::<Vec<_>>(),
        [Method::GET, Method::PATCH]
    );
}

#[tokio::test]
async fn invariant_12_a_ticket_holds_only_while_the_reviewed_fields_stand() {
    let live = Arc::new(AtomicI64::new(6));
    let world = world(BY_CLASS, &live, Duration::ZERO).await;
    assert_eq!(patch(&world, WEB, MERGE, replicas(0)).await.status(), StatusCode::FORBIDDEN);
    let ticket = world.pending().await;
    assert!(ticket.summary.ends_with("replicas 6 → 0"), "{}", ticket.summary);
    world.decide(ticket.id, true, None).await;
    live.store(3, Ordering::SeqCst);
    let answer = patch(&world, WEB, MERGE, replicas(0)).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN, "what was reviewed is not what stands there");
    assert!(world.pending().await.summary.ends_with("replicas 3 → 0"));
    live.store(6, Ordering::SeqCst);
    assert_eq!(patch(&world, WEB, MERGE, replicas(0)).await.status(), StatusCode::OK, "as reviewed");
}

#[tokio::test]
async fn invariant_12_what_changes_during_the_hold_is_not_overwritten() {
    let live = Arc::new(AtomicI64::new(6));
    let world = Arc::new(world(BY_CLASS, &live, Duration::from_secs(20)).await);
    let held = tokio::spawn({
        let world = Arc::clone(&world);
        async move { patch(&world, WEB, MERGE, replicas(0)).await }
    });
    let ticket = world.pending().await;
    live.store(3, Ordering::SeqCst);
    world.decide(ticket.id, true, None).await;
    let answer = held.await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{}", answer.text());
    assert!(world.api.seen().iter().all(|seen| seen.method == Method::GET), "nothing was written");
}

#[tokio::test]
async fn a_condition_on_the_change_reads_what_it_compares_with() {
    let policy = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: read, match: {verbs: [get]}, allow: {}}
- name: only-replicas
  match: {resources: [deployments], verbs: [update, patch]}
  when: change.fields.all(field, field == 'spec.replicas') && change.replicas.to >= change.replicas.from
  allow: {}
";
    let world = world(policy, &Arc::new(AtomicI64::new(6)), Duration::ZERO).await;
    let operations = |path: &str, value: serde_json::Value| json!([{"op": "replace", "path": path, "value": value}]);
    let json_patch = "application/json-patch+json";
    let send = |body: serde_json::Value| patch(&world, WEB, json_patch, body);
    assert_eq!(send(operations("/spec/replicas", json!(7))).await.status(), StatusCode::OK);
    assert_eq!(send(operations("/spec/replicas", json!(5))).await.status(), StatusCode::FORBIDDEN);
    let image = operations("/spec/template/spec/containers/0/image", json!("web:2"));
    assert_eq!(send(image).await.status(), StatusCode::FORBIDDEN);
}
