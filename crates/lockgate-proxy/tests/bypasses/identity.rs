//! Rows 1, 2, 4, 6 and 8: who calls, as the cluster is told.

use std::time::Duration;

use lockgate_core::Outcome;
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::upstream::dial::Protocol;
use testkit::api_server::{ApiServer, Reply, Seen};
use testkit::gateway::{UPSTREAM_TOKEN, World, request};

use crate::support::{OBJECT, world};

const MAP: &str = "/api/v1/namespaces/shop/configmaps/c";

/// The cluster was told who calls, by us alone.
#[track_caller]
fn is_told_the_caller(seen: &Seen) {
    let values = |name: &str| -> Vec<String> {
        seen.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(values("impersonate-user"), ["agent:deployer"]);
    assert_eq!(values("impersonate-group"), ["lockgate:deployers"]);
    assert_eq!(values("authorization"), [format!("Bearer {UPSTREAM_TOKEN}")]);
    assert_eq!(values("audit-id").len(), 1);
    let ours = ["impersonate-user", "impersonate-group", "impersonate-extra-lockgate.dev%2fowner"];
    let others: Vec<_> = seen.headers.keys().filter(|name| name.as_str().starts_with("impersonate-")).collect();
    assert!(others.iter().all(|name| ours.contains(&name.as_str())), "{others:?}");
}

#[tokio::test]
async fn bypass_row_1_connection_cannot_strip_the_injected_identity() {
    let world = world().await;
    for listed in [
        "Impersonate-User",
        "keep-alive, impersonate-user, Impersonate-Group",
        "Authorization, Audit-Id, Accept-Encoding",
        "impersonate-extra-lockgate.dev%2fowner",
    ] {
        let mut asked = request("GET", MAP, "");
        asked.headers_mut().append("connection", listed.parse().unwrap());
        asked.headers_mut().append("connection", "IMPERSONATE-USER".parse().unwrap());
        assert_eq!(world.send(asked).await.status(), 200, "{listed}");
        is_told_the_caller(world.api.seen().last().unwrap());
    }
}

#[tokio::test]
async fn bypass_row_2_client_impersonation_is_refused_whatever_its_name() {
    let world = world().await;
    for name in [
        "Impersonate-User",
        "impersonate-group",
        "Impersonate-Uid",
        "Impersonate-Extra-Scopes",
        "Impersonate-Extra-owner",
        "Impersonate-Something-New",
    ] {
        let mut asked = request("GET", MAP, "");
        asked.headers_mut().insert(name.parse::<http::HeaderName>().unwrap(), "system:masters".parse().unwrap());
        let answer = world.send(asked).await;
        assert_eq!(answer.status(), 403, "{name}");
        assert_eq!(answer.json()["kind"], "Status");
    }
    assert_eq!(world.api.bytes_received(), 0);
    for name in ["X-Remote-User", "X-Remote-Group", "X-Remote-Extra-Scopes", "Cookie", "Proxy-Authorization"] {
        let mut asked = request("GET", MAP, "");
        asked.headers_mut().insert(name.parse::<http::HeaderName>().unwrap(), "root".parse().unwrap());
        assert_eq!(world.send(asked).await.status(), 200, "{name}");
        let seen = world.api.seen().pop().unwrap();
        is_told_the_caller(&seen);
        assert!(seen.headers.get(name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn bypass_row_4_without_one_valid_token_nothing_goes_upstream() {
    let world = world().await;
    let tokens: [&[&str]; 6] =
        [&[], &["Bearer wrong"], &["Basic agent"], &["agent"], &["Bearer agent", "Bearer agent"], &[""]];
    for given in tokens {
        let mut asked = request("GET", MAP, "");
        asked.headers_mut().remove("authorization");
        for token in given {
            asked.headers_mut().append("authorization", token.parse().unwrap());
        }
        let answer = world.send(asked).await;
        assert_eq!(answer.status(), 401, "{given:?}");
        assert_eq!(answer.json()["kind"], "Status");
    }
    assert_eq!(world.api.bytes_received(), 0);
    let records = world.records().await;
    assert_eq!(records.len(), tokens.len());
    assert!(records.iter().all(|record| record.outcome == Some(Outcome::Refused) && record.subject.is_none()));
}

/// The same name at another issuer is somebody else: no approval, and no ticket of the one is the other's.
#[tokio::test]
async fn bypass_row_6_a_name_at_another_issuer_is_another_caller() {
    const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: deletes, match: {verbs: [delete], resources: ['*']}, ask: {approvers: {groups: [sre]}}}
- {name: reads, match: {verbs: [get], resources: ['*']}, allow: {}}
";
    let api = ApiServer::new(Protocol::Http2, |_| Reply::json(OBJECT));
    let world = World::new(POLICY, api, Limits { hold: Duration::from_millis(50), ..Limits::default() }).await;
    let delete_as = |token: &str| {
        let mut asked = request("DELETE", MAP, "");
        asked.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        asked
    };
    world.send(delete_as("agent")).await;
    let ticket = world.pending().await;
    world.decide(ticket.id, true, None).await;
    let answer = world.send(delete_as("elsewhere")).await;
    assert_eq!(answer.json()["reason"], "ApprovalRequired", "{}", answer.text());
    assert!(!answer.text().contains(&ticket.id.to_string()), "it gets a ticket of its own: {}", answer.text());
    assert!(world.api.seen().iter().all(|seen| seen.method == "GET"), "the grant is not used");
    assert_eq!(world.send(delete_as("agent")).await.status(), 200, "it is still there for whom it was given to");
    let issuers: std::collections::BTreeSet<String> =
        world.records().await.into_iter().filter_map(|record| Some(record.subject?.issuer)).collect();
    assert_eq!(issuers.len(), 2, "the log tells them apart: {issuers:?}");
}

#[tokio::test]
async fn bypass_row_8_helper_calls_run_as_the_agent() {
    const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: deletes, match: {verbs: [delete], resources: ['*']}, ask: {approvers: {groups: [sre]}}}
- {name: reads, match: {verbs: [get], resources: ['*']}, allow: {}}
";
    let api = ApiServer::new(Protocol::Http2, |_| Reply::json(OBJECT));
    let limits = Limits { hold: Duration::from_millis(50), ..Limits::default() };
    let world = World::new(POLICY, api, limits).await;
    let answer = world.send(request("DELETE", MAP, "")).await;
    assert_eq!(answer.json()["reason"], "ApprovalRequired", "{}", answer.text());
    let seen = world.api.seen();
    assert!(!seen.is_empty(), "the target is read before a human is asked");
    for seen in &seen {
        assert_eq!(seen.method, "GET");
        is_told_the_caller(seen);
    }
}
