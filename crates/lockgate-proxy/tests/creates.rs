//! Whatever makes an object is a create: without a name, with an empty one, by an apply, by a PUT. In process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use http::StatusCode;
use lockgate_core::{Effect, Origin};
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::upstream::dial::Protocol;
use testkit::api_server::{ApiServer, Reply, Seen};
use testkit::gateway::{World, request};

const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: root, match: {resources: [secrets], names: ['root-*']}, deny: {}}
- {name: no-creates, match: {resources: [configmaps, services], verbs: [create]}, deny: {}}
- {name: asked, match: {resources: [endpoints], verbs: [create]}, ask: {approvers: {groups: [sre]}}}
- {name: rest, match: {resources: ['*', '*/*']}, allow: {}}
";

const APPLY: &str = "application/apply-patch+yaml";

/// Objects called `there` stand there.
async fn world() -> World {
    let api = ApiServer::new(Protocol::Http2, |seen: Seen| {
        let path = seen.target.split('?').next().unwrap();
        if seen.method == "GET" && !path.ends_with("/there") {
            return Reply::status(
                404,
                "application/json",
                r#"{"kind":"Status","apiVersion":"v1","reason":"NotFound"}"#,
            );
        }
        Reply::json(r#"{"kind":"Thing","apiVersion":"v1","metadata":{"name":"there","uid":"u"}}"#)
    });
    World::new(POLICY, api, Limits { hold: Duration::from_millis(20), ..Limits::default() }).await
}

async fn send(world: &World, method: &str, path: &str, content_type: &str, body: &str) -> StatusCode {
    let mut asked = request(method, path, body);
    asked.headers_mut().insert("content-type", content_type.parse().unwrap());
    world.send(asked).await.status()
}

fn writes(world: &World) -> usize {
    world.api.seen().iter().filter(|seen| seen.method != "GET").count()
}

#[tokio::test]
async fn an_empty_name_is_no_name() {
    let world = world().await;
    let secrets = "/api/v1/namespaces/shop/secrets";
    for (content_type, body) in [
        ("application/json", r#"{"metadata":{"generateName":"root-"}}"#),
        ("application/json", r#"{"metadata":{"name":"","generateName":"root-"}}"#),
        ("application/json", r#"{"metadata":{"name":null,"generateName":"root-"}}"#),
        ("application/yaml", "metadata: {name: '', generateName: root-}"),
    ] {
        assert_eq!(send(&world, "POST", secrets, content_type, body).await, StatusCode::FORBIDDEN, "{body}");
    }
    assert_eq!(writes(&world), 0);
    let other = r#"{"metadata":{"name":"","generateName":"web-"}}"#;
    assert_eq!(send(&world, "POST", secrets, "application/json", other).await, StatusCode::OK);
}

#[tokio::test]
async fn an_apply_or_a_put_of_what_is_not_there_needs_what_a_create_needs() {
    let world = world().await;
    for (path, body) in [
        (
            "/api/v1/namespaces/shop/configmaps/new",
            r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"new"}}"#,
        ),
        ("/api/v1/namespaces/shop/services/new", r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"new"}}"#),
    ] {
        let apply = format!("{path}?fieldManager=kubectl");
        assert_eq!(send(&world, "PATCH", &apply, APPLY, body).await, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(send(&world, "PUT", path, "application/json", body).await, StatusCode::FORBIDDEN, "{path}");
        let records = world.records().await;
        let own = records.into_iter().rfind(|record| record.origin == Origin::Http).unwrap();
        let decision = own.decision.unwrap();
        assert_eq!((decision.effect, decision.rule.as_deref()), (Effect::Deny, Some("no-creates")));
        assert!(decision.reasons.iter().any(|why| why.contains("this would create it")), "{:?}", decision.reasons);
    }
    let endpoints = "/api/v1/namespaces/shop/endpoints/new";
    let body = r#"{"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"new"}}"#;
    let held = send(&world, "PATCH", &format!("{endpoints}?fieldManager=x"), APPLY, body).await;
    assert_eq!(held, StatusCode::FORBIDDEN);
    assert_eq!(world.pending().await.rule.as_deref(), Some("asked"));
    assert_eq!(writes(&world), 0);

    let there = "/api/v1/namespaces/shop/configmaps/there";
    let body = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"there"}}"#;
    assert_eq!(send(&world, "PATCH", &format!("{there}?fieldManager=x"), APPLY, body).await, StatusCode::OK);
    assert_eq!(send(&world, "PUT", there, "application/json", body).await, StatusCode::OK);
    // A patch of what is not there makes nothing.
    let merge = "application/merge-patch+json";
    let patched = send(&world, "PATCH", "/api/v1/namespaces/shop/configmaps/new", merge, r#"{"data":{}}"#).await;
    assert_eq!(patched, StatusCode::OK, "the cluster says that it is not there");
}
