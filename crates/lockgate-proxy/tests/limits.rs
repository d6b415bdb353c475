//! What an agent may not do now, whatever the policy says of the request itself: frozen, denied the same before, too fast,
//! asking too much.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use lockgate_core::{Effect, Freeze, Origin, Outcome, RateLimit};
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::upstream::dial::Protocol;
use lockgate_store::limit::{DENIED_FOR, PENDING_PER_PRINCIPAL_MAX};
use lockgate_store::{AuditFilter, HumanWord, Word};
use testkit::api_server::{ApiServer, Reply};
use testkit::clock::PausedClock;
use testkit::gateway::{Answer, World, agent, human, request};

const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- name: deletes
  match: {verbs: [delete], resources: ['*']}
  ask: {approvers: {groups: [sre]}, fourEyes: true}
- name: images
  match: {verbs: [patch], resources: [statefulsets]}
  ask: {approvers: {groups: [sre]}}
- name: rest
  match: {resources: ['*', '*/*']}
  allow: {}
- name: paths
  match: {nonResourceURLs: ['*']}
  allow: {}
";

const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web";

async fn world(limits: Limits, clock: &PausedClock) -> World {
    let api = ApiServer::new(Protocol::Http2, |_| {
        Reply::json(r#"{"kind":"Thing","apiVersion":"v1","metadata":{"name":"it","uid":"uid-1"}}"#)
    });
    World::at(POLICY, api, limits, Arc::new(clock.clone())).await
}

/// Nobody waits for long: what is not decided is answered with its ticket.
fn impatient() -> Limits {
    Limits { hold: Duration::from_millis(20), ..Limits::default() }
}

fn delete(path: &str) -> Request<Full<Bytes>> {
    let mut request = request("DELETE", path, "");
    // As kubectl does: a word of its own for each run.
    request.headers_mut().insert("kubectl-session", uuid::Uuid::now_v7().to_string().parse().unwrap());
    request
}

fn patch(path: &str, body: &str) -> Request<Full<Bytes>> {
    let mut request = request("PATCH", path, body);
    request.headers_mut().insert("content-type", "application/merge-patch+json".parse().unwrap());
    request
}

/// Asks, is denied, and is told so.
async fn denied(world: &World, clock: &PausedClock, path: &str) -> lockgate_core::ApprovalId {
    let asked = world.send(delete(path)).await;
    assert_eq!(asked.json()["reason"], "ApprovalRequired", "{}", asked.text());
    let ticket = world.pending().await.id;
    clock.advance(Duration::from_secs(1));
    world.decide(ticket, false, Some("ask the shop team first")).await;
    clock.advance(Duration::from_secs(1));
    let told = world.send(delete(path)).await;
    let expected = if freeze(world).await.is_some() { "AgentFrozen" } else { "ApprovalDenied" };
    assert_eq!(told.json()["reason"], expected, "{}", told.text());
    ticket
}

async fn freeze(world: &World) -> Option<Freeze> {
    world.gateway.store.active_freeze(&agent("deployer")).await.unwrap()
}

fn word(world: &World, note: &str) -> HumanWord {
    HumanWord { by: human("alice"), auth_time: world.gateway.clock().now(), note: note.into() }
}

fn writes(world: &World) -> usize {
    world.api.seen().iter().filter(|seen| seen.method != "GET").count()
}

fn reason(answer: &Answer) -> String {
    answer.json()["reason"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn three_denied_commands_freeze_every_change_until_a_human_clears() {
    let clock = PausedClock::default();
    let world = world(impatient(), &clock).await;
    for name in ["one", "two", "three"] {
        assert_eq!(freeze(&world).await, None);
        denied(&world, &clock, &format!("/api/v1/namespaces/{name}")).await;
    }
    let frozen = freeze(&world).await.expect("three denials in a row");
    let config = || patch("/api/v1/namespaces/shop/configmaps/a", r#"{"data":{"x":"y"}}"#);
    let exec = || request("POST", "/api/v1/namespaces/shop/pods/p/exec?command=id&stdout=true", "");
    let create = || request("POST", "/api/v1/namespaces/shop/services", r#"{"metadata":{"name":"s"}}"#);
    for request in [config(), exec(), create(), delete("/api/v1/namespaces/four"), delete("/api/v1/namespaces/one")] {
        let answer = world.send(request).await;
        assert_eq!(
            (answer.status(), reason(&answer)),
            (StatusCode::FORBIDDEN, "AgentFrozen".into()),
            "{}",
            answer.text()
        );
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(&format!("Freeze {}", frozen.id)), "{message}");
        assert!(message.contains("lockgate agents clear agt_") && message.contains("denied 3"), "{message}");
    }
    assert_eq!(writes(&world), 0);
    assert_eq!(world.get("/api/v1/namespaces/shop/pods/p").await.status(), StatusCode::OK, "reads go on");
    let review = request(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        r#"{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","spec":{"resourceAttributes":{"verb":"get"}}}"#,
    );
    let review = world.send(review).await;
    assert_ne!(reason(&review), "AgentFrozen", "asking what one may do is a read: {}", review.text());
    let mut other = config();
    other.headers_mut().insert("authorization", "Bearer other".parse().unwrap());
    assert_eq!(world.send(other).await.status(), StatusCode::OK, "another agent is not affected");

    world.gateway.store.clear_freeze(frozen.id, word(&world, "talked to it")).await.unwrap();
    let answer = world.send(config()).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text());
    let still = world.send(delete("/api/v1/namespaces/one")).await;
    assert_eq!(reason(&still), "ApprovalDenied", "what was denied stays denied");
}

#[tokio::test]
async fn invariant_12_a_freeze_during_the_hold_decides() {
    let clock = PausedClock::default();
    let world = world(Limits::default(), &clock).await;
    let held = world.send(delete("/api/v1/namespaces/one"));
    let frozen = async {
        let ticket = world.pending().await;
        world.gateway.store.freeze(agent("deployer"), word(&world, "it runs wild")).await.unwrap();
        world.decide(ticket.id, true, None).await;
    };
    let (answer, ()) = tokio::join!(held, frozen);
    assert_eq!(reason(&answer), "AgentFrozen", "{}", answer.text());
    assert!(answer.text().contains("it runs wild"), "the human's words are told: {}", answer.text());
    assert_eq!(writes(&world), 0);
}

#[tokio::test]
async fn invariant_12_the_same_effect_denied_during_the_hold_decides() {
    let clock = PausedClock::default();
    let world = world(Limits::default(), &clock).await;
    let eviction = r#"{"kind":"Eviction","apiVersion":"policy/v1","metadata":{"name":"p"}}"#;
    let ask_all = POLICY
        .replace("verbs: [delete]", "verbs: [delete, create]")
        .replace("resources: ['*']", "resources: ['*', '*/*']");
    world.gateway.policy.store(Arc::new(lockgate_policy::Policy::parse(&ask_all).unwrap()));
    let one = world.send(request("POST", "/api/v1/namespaces/shop/pods/p/eviction", eviction));
    let decided = async {
        let first = world.pending().await;
        let two = world.send(delete("/api/v1/namespaces/shop/pods/p"));
        let denied = async {
            let both = world.pending_tickets(2).await;
            let second = both.iter().find(|ticket| ticket.id != first.id).unwrap();
            world.decide(second.id, false, Some("no")).await;
            world.decide(first.id, true, None).await;
        };
        tokio::join!(two, denied).0
    };
    let (evicted, deleted) = tokio::join!(one, decided);
    assert_eq!(reason(&deleted), "ApprovalDenied", "{}", deleted.text());
    assert_eq!(reason(&evicted), "ApprovalDenied", "{}", evicted.text());
    assert_eq!(writes(&world), 0);
}

#[tokio::test]
async fn what_was_denied_stays_denied_in_every_guise() {
    let clock = PausedClock::default();
    let world = world(impatient(), &clock).await;
    let ticket = denied(&world, &clock, "/api/v1/namespaces/shop/pods/p").await;
    // The rules would let this one through.
    let eviction = r#"{"kind":"Eviction","apiVersion":"policy/v1","metadata":{"name":"p"}}"#;
    let evict = || request("POST", "/api/v1/namespaces/shop/pods/p/eviction", eviction);
    let answer = world.send(evict()).await;
    assert_eq!(reason(&answer), "ApprovalDenied", "{}", answer.text());
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with(&format!("Ticket {ticket}")), "{message}");
    assert!(message.contains("ask the shop team first") && message.contains("alice"), "{message}");
    let records = world.records().await;
    let record = records.iter().find(|record| record.request_uri.ends_with("/eviction")).unwrap();
    assert_eq!((record.outcome, record.approval_id), (Some(Outcome::Refused), Some(ticket)));
    for guise in [
        request("DELETE", "/api/v1/namespaces/shop/pods", ""),
        request("DELETE", "/api/v1/namespaces/shop/pods?labelSelector=app%3Dweb", ""),
        request("DELETE", "/api/v1/namespaces/shop/pods/p?gracePeriodSeconds=0", ""),
    ] {
        let answer = world.send(guise).await;
        assert_eq!(reason(&answer), "ApprovalDenied", "{}", answer.text());
    }
    assert_eq!(writes(&world), 0);

    for other in ["/api/v1/namespaces/shop/pods/other", "/api/v1/namespaces/staging/pods/p", WEB] {
        let other = world.send(delete(other)).await;
        assert_eq!(reason(&other), "ApprovalRequired", "another object is asked about: {}", other.text());
    }
    let label = world.send(patch("/api/v1/namespaces/shop/pods/p", r#"{"metadata":{"labels":{"a":"b"}}}"#)).await;
    assert_eq!(label.status(), StatusCode::OK, "another effect on the same object: {}", label.text());

    clock.advance(DENIED_FOR);
    let later = world.send(evict()).await;
    assert_eq!(later.status(), StatusCode::OK, "a denial does not stand for ever: {}", later.text());
}

/// A scale to none in spellings that the API server takes for one, and patches of which nobody can tell what they do.
#[tokio::test]
async fn a_denial_stands_against_every_spelling_of_none_and_what_cannot_be_worked_out() {
    let clock = PausedClock::default();
    let api = ApiServer::new(Protocol::Http2, |_| {
        Reply::json(
            r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"web","uid":"u"},"spec":{"replicas":3}}"#,
        )
    });
    let world = World::at(POLICY, api, impatient(), Arc::new(clock.clone())).await;
    denied(&world, &clock, WEB).await;
    let scale = format!("{WEB}/scale");
    let (merge, strategic) = ("application/merge-patch+json", "application/strategic-merge-patch+json");
    let (apply, operations) = ("application/apply-patch+yaml", "application/json-patch+json");
    let send = async |path: &str, content_type: &str, body: &str| {
        let mut sent = request("PATCH", &format!("{path}?fieldManager=a"), body);
        sent.headers_mut().insert("content-type", content_type.parse().unwrap());
        world.send(sent).await
    };
    for (path, content_type, body) in [
        (WEB, merge, r#"{"spec":{"replicas":-0}}"#),
        (&scale, merge, r#"{"spec":{"replicas":-0}}"#),
        (WEB, strategic, r#"{"spec":{"replicas":4294967296}}"#),
        (WEB, strategic, r#"{"spec":{"replicas":0.0}}"#),
        (WEB, apply, "spec: {replicas: 00}"),
        (WEB, apply, "spec: {replicas: 0.}"),
        (&scale, apply, "spec: {replicas: 0x0}"),
        (&scale, operations, r#"[{"op":"copy","from":"/status/observedGeneration","path":"/spec/replicas"}]"#),
        (&scale, operations, r#"[{"op":"copy","from":"/foo","path":"/spec"}]"#),
        (&scale, operations, r#"[{"op":"copy","from":"/metadata","path":"/spec"}]"#),
        (WEB, operations, r#"[{"op":"move","from":"/nowhere","path":"/metadata/labels"}]"#),
    ] {
        let answer = send(path, content_type, body).await;
        assert_eq!(reason(&answer), "ApprovalDenied", "{path} {body}: {}", answer.text());
    }
    assert_eq!(writes(&world), 0);
    for (content_type, body) in [(merge, r#"{"spec":{"replicas":4.0}}"#), (apply, "spec: {replicas: 04}")] {
        let answer = send(WEB, content_type, body).await;
        assert_eq!(answer.status(), StatusCode::OK, "{body}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_human_lets_a_denied_request_be_asked_again() {
    let clock = PausedClock::default();
    let world = world(impatient(), &clock).await;
    let ticket = denied(&world, &clock, WEB).await;
    let store = &world.gateway.store;
    let auth_time = store.clock().now();
    let word = Word { by: human("alice"), auth_time, approve: true, note: Some("the team agrees".into()) };
    store.reopen(ticket, word).await.unwrap();
    clock.advance(Duration::from_secs(1));
    let again = world.send(delete(WEB)).await;
    assert_eq!(reason(&again), "ApprovalRequired", "{}", again.text());
    assert_ne!(world.pending().await.id, ticket);
}

#[tokio::test]
async fn an_agent_that_is_too_fast_waits() {
    let clock = PausedClock::default();
    let limits = Limits { agent_rate: Some(RateLimit { requests: 2, per_seconds: 60 }), ..Limits::default() };
    let world = world(limits, &clock).await;
    let get = || world.get("/api/v1/namespaces/shop/pods/p");
    for _ in 0..2 {
        assert_eq!(get().await.status(), StatusCode::OK);
    }
    let (seen, answer) = (world.api.seen().len(), get().await);
    assert_eq!((answer.status(), reason(&answer)), (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests".into()));
    assert_eq!(answer.head.headers["retry-after"], "30");
    assert_eq!(answer.json()["details"]["retryAfterSeconds"], 30);
    assert_eq!(world.api.seen().len(), seen, "nothing went upstream");
    let refused = world.records().await.into_iter().filter(|record| record.outcome == Some(Outcome::Refused));
    assert_eq!(refused.count(), 1);
    let mut other = request("GET", "/api/v1/namespaces/shop/pods/p", "");
    other.headers_mut().insert("authorization", "Bearer other".parse().unwrap());
    assert_eq!(world.send(other).await.status(), StatusCode::OK, "everybody has a limit of their own");
    clock.advance(Duration::from_secs(30));
    assert_eq!(get().await.status(), StatusCode::OK);
}

/// What the last request's record says: the effect, what the policy said of it where that was overruled, the rule, the reasons.
async fn verdict(world: &World) -> (Effect, Option<Effect>, Option<String>, String) {
    let records = world.records().await;
    let own = records.into_iter().rfind(|record| record.origin == Origin::Http).unwrap();
    let decision = own.decision.unwrap();
    (decision.effect, decision.policy_effect, decision.rule, decision.reasons.join("; "))
}

#[tokio::test]
async fn what_a_limit_a_freeze_or_an_earlier_no_refuses_is_recorded_as_denied_beside_the_policy_s_word() {
    let clock = PausedClock::default();
    let limits = Limits { agent_rate: Some(RateLimit { requests: 1, per_seconds: 60 }), ..Limits::default() };
    let fast = world(limits, &clock).await;
    for _ in 0..2 {
        fast.get("/api/v1/namespaces/shop/pods/p").await;
        // Records of one millisecond are in no order.
        clock.advance(Duration::from_secs(1));
    }
    let (effect, policy, rule, reasons) = verdict(&fast).await;
    assert_eq!((effect, policy, rule.as_deref()), (Effect::Deny, Some(Effect::Allow), Some("rest")));
    assert!(reasons.contains("rule `rest` allows") && reasons.contains("too fast: the gateway"), "{reasons}");
    let denied_filter = AuditFilter { effect: Some(Effect::Deny), ..AuditFilter::default() };
    let listed = fast.gateway.store.audit_records(&denied_filter).await.unwrap();
    assert_eq!(listed.len(), 1, "the index says the same");

    let asked = world(impatient(), &clock).await;
    denied(&asked, &clock, WEB).await;
    let (effect, policy, rule, reasons) = verdict(&asked).await;
    assert_eq!((effect, policy, rule.as_deref()), (Effect::Deny, Some(Effect::Ask), Some("deletes")));
    assert!(reasons.contains("a human denied it before, and that stands (apr_"), "{reasons}");
    clock.advance(Duration::from_secs(1));
    let scaled = asked.send(patch(&format!("{WEB}/scale"), r#"{"spec":{"replicas":0}}"#)).await;
    assert_eq!(reason(&scaled), "ApprovalDenied", "{}", scaled.text());
    let (effect, policy, rule, reasons) = verdict(&asked).await;
    assert_eq!((effect, policy, rule.as_deref()), (Effect::Deny, Some(Effect::Allow), Some("rest")));
    assert!(reasons.contains("a human denied the same effect before"), "{reasons}");
    asked.gateway.store.freeze(agent("deployer"), word(&asked, "it runs wild")).await.unwrap();
    clock.advance(Duration::from_secs(1));
    let refused = asked.send(patch("/api/v1/namespaces/shop/configmaps/a", r#"{"data":{"x":"y"}}"#)).await;
    assert_eq!(reason(&refused), "AgentFrozen");
    let (effect, policy, _, reasons) = verdict(&asked).await;
    assert_eq!((effect, policy), (Effect::Deny, Some(Effect::Allow)));
    assert!(reasons.contains("the agent is frozen (frz_") && reasons.contains("it runs wild"), "{reasons}");
}

/// What is no removal has no effect that others could have too: the request itself stays denied, and its record says why.
#[tokio::test]
async fn a_denial_of_any_change_is_recorded_as_overruling_the_policy_when_it_is_sent_again() {
    let clock = PausedClock::default();
    let world = world(impatient(), &clock).await;
    let image = || patch("/apis/apps/v1/namespaces/shop/statefulsets/db", r#"{"spec":{"serviceName":"y"}}"#);
    assert_eq!(reason(&world.send(image()).await), "ApprovalRequired");
    clock.advance(Duration::from_secs(1));
    world.decide(world.pending().await.id, false, Some("not today")).await;
    clock.advance(Duration::from_secs(1));
    assert_eq!(reason(&world.send(image()).await), "ApprovalDenied");
    let (effect, policy, rule, reasons) = verdict(&world).await;
    assert_eq!((effect, policy, rule.as_deref()), (Effect::Deny, Some(Effect::Ask), Some("images")));
    assert!(reasons.contains("a human denied it before, and that stands (apr_"), "{reasons}");
}

#[tokio::test]
async fn more_waiting_requests_than_people_can_look_at_are_refused_clearly() {
    let clock = PausedClock::default();
    let world = world(Limits { hold: Duration::from_millis(1), ..Limits::default() }, &clock).await;
    for number in 0..PENDING_PER_PRINCIPAL_MAX {
        let asked = world.send(delete(&format!("/api/v1/namespaces/n{number}"))).await;
        assert_eq!(reason(&asked), "ApprovalRequired", "{}", asked.text());
    }
    let answer = world.send(delete("/api/v1/namespaces/one-more")).await;
    assert_eq!(
        (answer.status(), reason(&answer)),
        (StatusCode::FORBIDDEN, "ApprovalLimit".into()),
        "{}",
        answer.text()
    );
    let joined = world.send(delete("/api/v1/namespaces/n0")).await;
    assert_eq!(reason(&joined), "ApprovalRequired", "what waits is still told its ticket");
}

/// kubectl goes on when discovery is refused, and says something else in the end; warnings it prints in any case.
#[tokio::test]
async fn a_refusal_that_clients_hide_is_said_in_a_warning_too() {
    let clock = PausedClock::default();
    let world = world(Limits::default(), &clock).await;
    let to = |path: &str| {
        let mut asked = request("GET", "", "");
        *asked.uri_mut() = path.parse().unwrap();
        world.send(asked)
    };
    for path in
        ["/clusters/prud/api", "/clusters/prud/apis/apps/v1?timeout=32s", "/clusters/prud/openapi/v3/api/v1", "/api"]
    {
        let answer = to(path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        let warning = answer.head.headers["warning"].to_str().unwrap();
        assert!(warning.starts_with("299 lockgate \"") && warning.contains("Next step: "), "{path}: {warning}");
    }
    let shown = to("/clusters/prud/api/v1/namespaces/shop/pods").await;
    assert!(!shown.head.headers.contains_key("warning"), "what is shown is not said twice");
    let mut nobody = request("GET", "/api/v1/namespaces/shop/pods", "");
    nobody.headers_mut().remove("authorization");
    assert!(world.send(nobody).await.head.headers.contains_key("warning"), "kubectl has its own words for 401");
}
