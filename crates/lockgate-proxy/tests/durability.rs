//! No byte goes towards the cluster before the record of the call is durable, whatever kind of call it is; and what cannot be
//! recorded is not done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::upstream::dial::Protocol;
use lockgate_store::Word;
use testkit::api_server::{ApiServer, Reply};
use testkit::gateway::{DEADLINE, World, human, request};
use testkit::store::Mode;
use tokio::time::{Instant, timeout};

const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- name: deletes
  match: {verbs: [delete], resources: ['*']}
  ask: {approvers: {groups: [sre]}, fourEyes: true}
- name: rest
  match: {resources: ['*']}
  allow: {}
- name: paths
  match: {nonResourceURLs: ['*']}
  allow: {}
";
const OBJECT: &str = r#"{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"scratch","uid":"uid-1"}}"#;
const DELAY: Duration = Duration::from_secs(2);

async fn world() -> World {
    World::new(POLICY, ApiServer::new(Protocol::Http2, |_| Reply::json(OBJECT)), Limits::default()).await
}

/// One call of every kind that is not held: over a shared connection, over one of its own, with a body, and to switch protocols.
fn calls() -> [(&'static str, Request<Full<Bytes>>); 6] {
    let mut exec = request("GET", "/api/v1/namespaces/shop/pods/p/exec?command=sh&stdout=1", "");
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "v5.channel.k8s.io"),
    ] {
        exec.headers_mut().insert(name, value.parse().unwrap());
    }
    [
        ("get", request("GET", "/api/v1/namespaces/shop/pods/p", "")),
        ("list", request("GET", "/api/v1/namespaces/shop/secrets", "")),
        ("watch", request("GET", "/api/v1/namespaces/shop/pods?watch=1", "")),
        ("create", request("POST", "/api/v1/namespaces", OBJECT)),
        ("discovery", request("GET", "/apis", "")),
        ("exec", exec),
    ]
}

#[tokio::test]
async fn invariant_2_with_commits_delayed_by_2_s_the_api_server_sees_no_byte_for_2_s() {
    let observe = calls().map(|(kind, call)| async move {
        let world = world().await;
        world.faults.set(Mode::Delay(DELAY));
        let from = Instant::now();
        let first_byte = async {
            while world.api.bytes_received() == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            from.elapsed()
        };
        let (first, answer) = tokio::join!(timeout(DEADLINE, first_byte), world.send(call));
        let first = first.unwrap_or_else(|_| panic!("{kind}: nothing went upstream; {}", answer.text()));
        assert!(first >= DELAY, "{kind}: the first byte went upstream after {first:?}");
        assert_eq!(world.faults.durable_events()[..3], ["arrived", "decided", "dispatched"], "{kind}");
        assert_eq!(world.api.seen().len(), 1, "{kind}");
    });
    futures_util::future::join_all(observe).await;
}

#[tokio::test]
async fn invariant_2_what_cannot_be_recorded_is_503_and_no_byte_goes_upstream() {
    for (kind, call) in calls() {
        let world = world().await;
        world.faults.fail();
        let answer = world.send(call).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{kind}: {}", answer.text());
        assert_eq!(answer.json()["kind"], "Status", "{kind}");
        assert_eq!(world.api.bytes_received(), 0, "{kind}");
        // The disk is back: so is the gateway.
        world.faults.set(Mode::Pass);
        assert_eq!(world.get("/api/v1/namespaces/shop/pods/p").await.status(), StatusCode::OK, "{kind}");
    }
}

#[tokio::test]
async fn invariant_2_an_approved_call_whose_grant_cannot_be_used_up_durably_is_503_and_not_sent() {
    let world = world().await;
    let held = world.send(request("DELETE", "/api/v1/namespaces/scratch", ""));
    let decided = async {
        let ticket = world.pending().await;
        world.faults.fail();
        // Through another replica, whose disk works.
        let other = world.other_replica().await;
        let word = Word { by: human("alice"), auth_time: other.clock().now(), approve: true, note: None };
        other.decide(ticket.id, word).await.unwrap();
    };
    let (answer, ()) = tokio::join!(held, decided);
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
    let deletes = world.api.seen().iter().filter(|seen| seen.method == "DELETE").count();
    assert_eq!(deletes, 0, "an approval whose use is not on disk could be used twice");
}
