//! Every stage of the pipeline, in process: the real gateway between a client and a scripted API server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use lockgate_core::{Effect, Outcome};
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::upstream::dial::Protocol;
use testkit::api_server::{ApiServer, Reply, Seen};
use testkit::gateway::{DEADLINE, UPSTREAM_TOKEN, World, request};
use testkit::store::Mode;
use tokio::sync::mpsc;

const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- name: no-nodes
  match: {resources: [nodes]}
  deny: {message: Nodes are not yours.}
- name: deletes
  match: {verbs: [delete, deletecollection], resources: ['*']}
  ask: {approvers: {groups: [sre]}, fourEyes: true}
- name: exec
  match: {resources: ['pods/exec']}
  allow: {}
- name: rest
  match: {resources: ['*']}
  allow: {}
- name: paths
  match: {nonResourceURLs: ['*']}
  allow: {}
";

const POD: &str = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","uid":"uid-1"}}"#;

fn api(protocol: Protocol, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> ApiServer {
    ApiServer::new(protocol, move |seen| script(&seen))
}

async fn world(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> World {
    World::new(POLICY, api(Protocol::Http2, script), Limits::default()).await
}

async fn world_with_hold(hold: Duration, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> World {
    World::new(POLICY, api(Protocol::Http2, script), Limits { hold, ..Limits::default() }).await
}

#[tokio::test]
async fn a_candidate_in_shadow_mode_is_recorded_where_it_differs_and_never_heard() {
    let world = world(|_| Reply::json(POD)).await;
    let stored = lockgate_core::PolicyFacts { revision: 3, digest: "d".into(), author: "jane".into() };
    let policy = lockgate_policy::Policy::parse(POLICY).unwrap().stored_as(stored.clone());
    world.gateway.policy.store(std::sync::Arc::new(policy));
    let candidate =
        POLICY.replace("- name: rest\n", "- name: stricter\n  match: {resources: [pods]}\n  deny: {}\n- name: rest\n");
    let candidate = lockgate_policy::Policy::parse(&candidate).unwrap();
    let revision = candidate.revision().to_owned();
    world.gateway.shadow.store(Some(std::sync::Arc::new(candidate)));

    assert_eq!(world.get("/api/v1/namespaces/shop/pods/p").await.status(), StatusCode::OK);
    assert_eq!(world.get("/api/v1/namespaces/shop/services/s").await.status(), StatusCode::OK);
    let records = world.records().await;
    let of = |resource: &str| {
        let one =
            records.iter().find(|record| record.action.as_ref().is_some_and(|action| action.resource == resource));
        one.and_then(|record| record.decision.clone()).unwrap()
    };
    let differs = of("pods").shadow.unwrap();
    assert_eq!((differs.effect, differs.rule.as_deref()), (Effect::Deny, Some("stricter")));
    assert_eq!((differs.policy_revision, differs.differs), (revision, vec!["effect".to_owned()]));
    assert_eq!(of("pods").policy, Some(stored));
    assert_eq!(of("services").shadow, None);
    let metrics = world.gateway.metrics.text().unwrap();
    assert!(metrics.contains("lockgate_shadow_differences_total{effect=\"allow\",shadow=\"deny\"} 1"), "{metrics}");
}

#[tokio::test]
async fn an_allowed_read_passes_and_is_recorded() {
    let world = world(|_| Reply::json(POD)).await;
    let answer = world.get("/api/v1/namespaces/shop/pods/p").await;
    assert_eq!((answer.status(), answer.text().as_str()), (StatusCode::OK, POD));
    let records = world.records().await;
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(record.outcome, Some(Outcome::Completed));
    assert_eq!(record.decision.as_ref().map(|decision| decision.effect), Some(Effect::Allow));
    let seen = &world.api.seen()[0];
    assert_eq!(seen.target, "/api/v1/namespaces/shop/pods/p");
    assert_eq!(seen.headers["impersonate-user"], "agent:deployer");
    assert_eq!(seen.headers["impersonate-group"], "lockgate:deployers");
    assert_eq!(seen.headers["audit-id"], record.id.uuid().to_string());
    assert_eq!(seen.headers["authorization"], format!("Bearer {UPSTREAM_TOKEN}"));
    assert_eq!(seen.headers["accept-encoding"], "identity");
}

#[tokio::test]
async fn a_denied_request_names_its_rule_and_never_leaves() {
    let world = world(|_| Reply::json(POD)).await;
    let answer = world.get("/api/v1/nodes").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("no-nodes") && message.contains("Nodes are not yours."), "{message}");
    assert_eq!(world.api.bytes_received(), 0);
}

#[tokio::test]
async fn an_unknown_cluster_and_a_missing_prefix_are_404() {
    let world = world(|_| Reply::json(POD)).await;
    for path in ["/clusters/prod/api/v1/pods", "/api/v1/pods", "/openapi/v3/api/v1"] {
        let mut asked = request("GET", "", "");
        *asked.uri_mut() = path.parse().unwrap();
        let answer = world.send(asked).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.json()["kind"], "Status", "{path}");
    }
    assert_eq!(world.api.bytes_received(), 0);
    assert_eq!(world.records().await.len(), 3);
}

#[tokio::test]
async fn invariant_11_what_is_not_canonical_is_refused() {
    let world = world(|_| Reply::json(POD)).await;
    for path in
        ["/api/v1//pods", "/api/v1/pods/../secrets", "/api/v1/pods/a%2fb", "/api/v1/pods/%2565xec", "/api/v1/pods;x=1"]
    {
        let answer = world.get(path).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(world.api.bytes_received(), 0);
}

#[tokio::test]
async fn invariant_5_an_unknown_subresource_or_content_type_is_refused() {
    let world = world(|_| Reply::json(POD)).await;
    let answer = world.send(request("POST", "/api/v1/namespaces/shop/pods/p/teleport", "{}")).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let mut cbor = request("POST", "/api/v1/namespaces/shop/pods", "x");
    cbor.headers_mut().insert("content-type", "application/cbor".parse().unwrap());
    assert_eq!(world.send(cbor).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(world.api.bytes_received(), 0);
}

#[tokio::test]
async fn invariant_9_client_identity_headers_are_refused() {
    let world = world(|_| Reply::json(POD)).await;
    let mut asked = request("GET", "/api/v1/pods", "");
    asked.headers_mut().insert("impersonate-user", "system:admin".parse().unwrap());
    assert_eq!(world.send(asked).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(world.api.bytes_received(), 0);
}

#[tokio::test]
async fn invariant_2_and_3_nothing_goes_upstream_before_the_record_is_durable() {
    let world = world(|_| Reply::json(POD)).await;
    world.faults.set(Mode::Delay(Duration::from_millis(500)));
    let asked = world.get("/api/v1/namespaces/shop/pods/p");
    tokio::pin!(asked);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut asked).await;
    assert!(early.is_err(), "answered before the commit");
    assert_eq!(world.api.bytes_received(), 0, "bytes went upstream before the commit");
    assert_eq!(asked.await.status(), StatusCode::OK);
    assert_eq!(world.faults.durable_events()[..3], ["arrived", "decided", "dispatched"]);
}

#[tokio::test]
async fn invariant_2_a_failing_commit_is_503_and_no_upstream_byte() {
    let world = world(|_| Reply::json(POD)).await;
    world.faults.fail();
    let answer = world.get("/api/v1/namespaces/shop/pods/p").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["kind"], "Status");
    assert_eq!(world.api.bytes_received(), 0);
}

#[tokio::test]
async fn invariant_3_a_refusal_is_durable_before_it_is_answered() {
    let world = world(|_| Reply::json(POD)).await;
    world.faults.fail();
    assert_eq!(world.get("/api/v1/nodes").await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn invariant_6_secret_values_are_masked() {
    let secret = r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"s"},"data":{"password":"Y2FuYXJ5"}}"#;
    let world = world(move |_| Reply::json(secret)).await;
    let answer = world.get("/api/v1/namespaces/shop/secrets/s").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.text().contains("Y2FuYXJ5"), "{}", answer.text());
    assert_eq!(answer.json()["data"]["password"], lockgate_wire::PLACEHOLDER);
    assert_eq!(world.records().await[0].response.as_ref().unwrap().masked, 1);
}

#[tokio::test]
async fn invariant_6_what_cannot_be_masked_is_withheld() {
    for (content_type, encoding, body) in [
        ("application/vnd.kubernetes.protobuf", None, "k8s\0canary"),
        ("application/yaml", None, "data: {password: canary}"),
        ("application/json", Some("gzip"), "canary"),
        ("text/html", None, "canary"),
    ] {
        let world = world(move |_| {
            let mut head = Response::builder().status(200).header("content-type", content_type);
            if let Some(encoding) = encoding {
                head = head.header("content-encoding", encoding);
            }
            Reply::Whole(head.body(Bytes::from_static(body.as_bytes())).unwrap())
        })
        .await;
        let answer = world.get("/api/v1/namespaces/shop/secrets/s").await;
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY, "{content_type}");
        assert!(!answer.text().contains("canary"), "{content_type}");
    }
}

#[tokio::test]
async fn our_own_credential_refused_upstream_is_never_the_clients_401() {
    let world = world(|_| Reply::status(401, "application/json", r#"{"kind":"Status","code":401}"#)).await;
    assert_eq!(world.get("/api/v1/pods").await.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_watch_event_arrives_before_the_next_one_is_made() {
    let (send, receive) = mpsc::channel(1);
    let receive = std::sync::Mutex::new(Some(receive));
    let world = world(move |_| {
        let head = Response::builder().header("content-type", "application/json").body(()).unwrap();
        Reply::Chunks(head, receive.lock().unwrap().take().unwrap())
    })
    .await;
    let mut watch = world.open(request("GET", "/api/v1/namespaces/shop/secrets?watch=1", "")).await.into_body();
    for number in 0..20 {
        let event = format!(
            r#"{{"type":"ADDED","object":{{"kind":"Secret","apiVersion":"v1","metadata":{{"name":"s{number}"}},"data":{{"k":"Y2FuYXJ5"}}}}}}"#
        );
        send.send(Ok(Bytes::from(event + "\n"))).await.unwrap();
        let mut text = String::new();
        while !text.contains(&format!("s{number}")) || !text.contains("}}") {
            let frame =
                tokio::time::timeout(DEADLINE, watch.frame()).await.expect("the event in time").unwrap().unwrap();
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
        assert!(!text.contains("Y2FuYXJ5"));
    }
}

#[tokio::test]
async fn a_broken_upstream_aborts_the_stream_and_says_so_in_the_record() {
    let (send, receive) = mpsc::channel(1);
    let receive = std::sync::Mutex::new(Some(receive));
    let world = world(move |_| {
        let head = Response::builder().header("content-type", "application/json").body(()).unwrap();
        Reply::Chunks(head, receive.lock().unwrap().take().unwrap())
    })
    .await;
    let mut answer = world.open(request("GET", "/api/v1/namespaces/shop/pods", "")).await.into_body();
    send.send(Ok(Bytes::from_static(b"{\"kind\":"))).await.unwrap();
    answer.frame().await.unwrap().unwrap();
    send.send(Err(std::io::Error::other("reset"))).await.unwrap();
    assert!(answer.collect().await.is_err(), "a broken answer must not look whole");
    assert_eq!(world.records().await[0].outcome, Some(Outcome::Failed));
}

#[tokio::test]
async fn a_client_that_leaves_is_recorded_as_such() {
    let world = world(|_| {
        let (send, receive) = mpsc::channel(1);
        tokio::spawn(async move {
            send.send(Ok(Bytes::from_static(b"{\"type\":"))).await.ok();
            send.closed().await;
        });
        let head = Response::builder().header("content-type", "application/json").body(()).unwrap();
        Reply::Chunks(head, receive)
    })
    .await;
    drop(world.open(request("GET", "/api/v1/pods?watch=1", "")).await);
    assert_eq!(world.records().await[0].outcome, Some(Outcome::Aborted));
}

/// Its answer has no body to mask, and was once recorded as if the client had gone away.
#[tokio::test]
async fn a_head_request_ends_like_any_other() {
    let world = world(|_| Reply::status(405, "application/json", "")).await;
    let answer = world.send(request("HEAD", "/api/v1/namespaces/shop/pods", "")).await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(world.records().await[0].outcome, Some(Outcome::Completed));
}

#[tokio::test]
async fn a_stalled_upstream_does_not_block_another_request() {
    let world = world(|seen| if seen.target.contains("slow") { Reply::Stall } else { Reply::json(POD) }).await;
    let slow = world.get("/api/v1/namespaces/shop/pods/slow");
    tokio::pin!(slow);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut slow).await.is_err());
    assert_eq!(world.get("/api/v1/namespaces/shop/pods/p").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn many_requests_share_few_connections_and_none_waits_at_the_stream_limit() {
    let (release, gate) = tokio::sync::watch::channel(false);
    let world = World::new(
        POLICY,
        ApiServer::new(Protocol::Http2, move |_| {
            let (send, receive) = mpsc::channel(1);
            let mut gate = gate.clone();
            tokio::spawn(async move {
                gate.wait_for(|open| *open).await.map(drop).ok();
                send.send(Ok(Bytes::from_static(POD.as_bytes()))).await.ok();
            });
            Reply::Chunks(Response::builder().header("content-type", "application/json").body(()).unwrap(), receive)
        }),
        Limits::default(),
    )
    .await;
    let mut open = Vec::new();
    for number in 0..200 {
        open.push(world.open(request("GET", &format!("/api/v1/namespaces/shop/pods/p{number}"), "")).await);
    }
    assert_eq!(world.api.connections(), 3, "200 answers under way, 90 streams a connection");
    release.send(true).unwrap();
    for answer in open {
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), POD);
    }
}

mod approvals {
    use super::*;

    fn target(seen: &Seen) -> Reply {
        match seen.method.as_str() {
            "GET" => {
                Reply::json(r#"{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"scratch","uid":"uid-1"}}"#)
            }
            _ => Reply::json(r#"{"kind":"Status","apiVersion":"v1","status":"Success"}"#),
        }
    }

    fn deletes(world: &World) -> Vec<Seen> {
        world.api.seen().into_iter().filter(|seen| seen.method == "DELETE").collect()
    }

    #[tokio::test]
    async fn an_approved_hold_goes_through_once_pinned_to_the_uid() {
        let world = world(target).await;
        let held = world.send(request("DELETE", "/api/v1/namespaces/scratch?propagationPolicy=Orphan", ""));
        let decided = async {
            let ticket = world.pending().await;
            assert_eq!(ticket.summary, "delete namespace scratch");
            assert!(deletes(&world).is_empty(), "nothing is sent while it is held");
            world.decide(ticket.id, true, None).await;
            ticket.id
        };
        let (answer, ticket) = tokio::join!(held, decided);
        assert_eq!(answer.status(), StatusCode::OK);
        let sent = deletes(&world);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].target, "/api/v1/namespaces/scratch", "the body carries the options");
        let body: serde_json::Value = serde_json::from_slice(&sent[0].body).unwrap();
        assert_eq!(body["preconditions"]["uid"], "uid-1");
        assert_eq!(body["propagationPolicy"], "Orphan");
        let again = world.gateway.store.approval(ticket).await.unwrap().unwrap();
        assert_eq!(again.dispatches.len(), 1);
    }

    #[tokio::test]
    async fn an_expired_hold_answers_with_the_ticket_and_the_same_request_uses_the_grant_once() {
        let world = world_with_hold(Duration::from_millis(50), target).await;
        let delete = || request("DELETE", "/api/v1/namespaces/scratch", "");
        let first = world.send(delete()).await;
        assert_eq!(first.status(), StatusCode::FORBIDDEN);
        assert_eq!(first.json()["reason"], "ApprovalRequired");
        let ticket = world.pending().await;
        let message = first.json()["message"].as_str().unwrap().to_owned();
        assert!(message.lines().last().unwrap().contains(&ticket.id.to_string()), "{message}");
        let second = world.send(delete()).await;
        assert!(second.text().contains(&ticket.id.to_string()), "the same ticket while pending");
        world.decide(ticket.id, true, None).await;
        assert_eq!(world.send(delete()).await.status(), StatusCode::OK);
        assert_eq!(deletes(&world).len(), 1);
        let third = world.send(delete()).await;
        assert_eq!(third.json()["reason"], "ApprovalRequired", "asked anew: {}", third.text());
        assert_ne!(world.pending().await.id, ticket.id);
        assert_eq!(deletes(&world).len(), 1);
    }

    #[tokio::test]
    async fn a_denial_returns_the_note_and_stays() {
        let world = world(target).await;
        let held = world.send(request("DELETE", "/api/v1/namespaces/scratch", ""));
        let decided = async {
            let ticket = world.pending().await;
            world.decide(ticket.id, false, Some("not on a Friday")).await;
        };
        let (answer, ()) = tokio::join!(held, decided);
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert!(answer.text().contains("not on a Friday"), "{}", answer.text());
        let again = world.send(request("DELETE", "/api/v1/namespaces/scratch", "")).await;
        assert!(again.text().contains("not on a Friday"), "{}", again.text());
        assert!(deletes(&world).is_empty());
    }

    #[tokio::test]
    async fn another_agent_cannot_use_the_grant() {
        let world = world_with_hold(Duration::from_millis(50), target).await;
        world.send(request("DELETE", "/api/v1/namespaces/scratch", "")).await;
        let ticket = world.pending().await;
        world.decide(ticket.id, true, None).await;
        let mut other = request("DELETE", "/api/v1/namespaces/scratch", "");
        other.headers_mut().insert("authorization", "Bearer other".parse().unwrap());
        assert_eq!(world.send(other).await.status(), StatusCode::FORBIDDEN);
        assert!(deletes(&world).is_empty());
    }

    #[tokio::test]
    async fn a_namespace_made_again_is_asked_anew() {
        let uid = std::sync::Arc::new(std::sync::Mutex::new("uid-1"));
        let now = uid.clone();
        let world = world_with_hold(Duration::from_millis(50), move |seen: &Seen| match seen.method.as_str() {
            "GET" => Reply::json(&format!(
                r#"{{"kind":"Namespace","apiVersion":"v1","metadata":{{"name":"scratch","uid":"{}"}}}}"#,
                now.lock().unwrap()
            )),
            _ => Reply::json("{}"),
        })
        .await;
        world.send(request("DELETE", "/api/v1/namespaces/scratch", "")).await;
        let ticket = world.pending().await;
        world.decide(ticket.id, true, None).await;
        *uid.lock().unwrap() = "uid-2";
        let answer = world.send(request("DELETE", "/api/v1/namespaces/scratch", "")).await;
        assert_eq!(answer.json()["reason"], "ApprovalRequired", "{}", answer.text());
        assert_ne!(world.pending().await.id, ticket.id);
        assert!(deletes(&world).is_empty());
    }

    #[tokio::test]
    async fn invariant_12_a_policy_that_changed_during_the_hold_decides() {
        let world = world(target).await;
        let held = world.send(request("DELETE", "/api/v1/namespaces/scratch", ""));
        let decided = async {
            let ticket = world.pending().await;
            let stricter = POLICY
                .replace("rules:", "rules:\n- {name: frozen, match: {verbs: [delete]}, deny: {message: Frozen.}}");
            world.gateway.policy.store(std::sync::Arc::new(lockgate_policy::Policy::parse(&stricter).unwrap()));
            world.decide(ticket.id, true, None).await;
        };
        let (answer, ()) = tokio::join!(held, decided);
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert!(answer.text().contains("Frozen."), "{}", answer.text());
        assert!(deletes(&world).is_empty());
    }

    #[tokio::test]
    async fn a_target_that_does_not_exist_is_not_asked_about() {
        let world = world(|_| Reply::status(404, "application/json", r#"{"kind":"Status","code":404}"#)).await;
        let answer = world.send(request("DELETE", "/api/v1/namespaces/nowhere", "")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer.json()["message"], "namespaces \"nowhere\" not found");
    }

    #[tokio::test]
    async fn previews_are_recorded_calls_of_their_own() {
        let world = world_with_hold(Duration::from_millis(50), target).await;
        world.send(request("DELETE", "/api/v1/namespaces/scratch", "")).await;
        let records = world.records().await;
        let parent = records.iter().find(|record| record.method == "DELETE").unwrap();
        let child = records.iter().find(|record| record.method == "GET").unwrap();
        assert_eq!(child.parent_id, Some(parent.id));
        assert_eq!(child.outcome, Some(Outcome::Completed));
    }

    #[tokio::test]
    async fn draining_ends_a_hold_with_its_ticket() {
        let world = world(target).await;
        let held = world.send(request("DELETE", "/api/v1/namespaces/scratch", ""));
        let drained = async {
            world.pending().await;
            world.gateway.draining.cancel();
        };
        let (answer, ()) = tokio::join!(held, drained);
        assert_eq!(answer.json()["reason"], "ApprovalRequired");
    }
}

#[tokio::test]
async fn invariant_7_a_body_over_the_limit_is_413() {
    let world = world(|_| Reply::json(POD)).await;
    let large = format!(r#"{{"data":"{}"}}"#, "x".repeat(3 * 1024 * 1024));
    let answer = world.send(request("POST", "/api/v1/namespaces/shop/configmaps", &large)).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(world.api.bytes_received(), 0);
}

#[tokio::test]
async fn an_unreachable_cluster_is_502() {
    struct Nobody;
    #[async_trait::async_trait]
    impl lockgate_proxy::upstream::dial::Dial for Nobody {
        async fn dial(
            &self,
            _best: Protocol,
        ) -> Result<lockgate_proxy::upstream::dial::Connected, lockgate_proxy::upstream::dial::DialError> {
            Err(lockgate_proxy::upstream::dial::DialError::Timeout {
                authority: "api.example:6443".into(),
                limit: Duration::from_secs(1),
            })
        }
    }
    let world = World::with_dial(POLICY, std::sync::Arc::new(Nobody)).await;
    let answer = world.get("/api/v1/pods").await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(world.records().await[0].outcome, Some(Outcome::Failed));
}
