//! Rows 12, 16 and 18: where a request goes.

use http::Response;
use lockgate_core::{Outcome, Risk, Stream};
use lockgate_proxy::upstream::dial::Protocol;
use testkit::api_server::Reply;
use testkit::gateway::request;

use crate::support::{ALLOW_ALL, OBJECT, answers, connect, exchange, is_status, world, world_with};

const READS: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: reads, match: {verbs: [get, list, watch], resources: ['*', '*/*']}, allow: {}}
";

#[tokio::test]
async fn bypass_row_12_a_rule_for_reads_opens_no_proxy() {
    let world = world_with(READS, |_| Reply::json("{}")).await;
    for path in [
        "/api/v1/nodes/n/proxy/exec/shop/web/app?command=id",
        "/api/v1/nodes/n/proxy/pods",
        "/api/v1/nodes/https:n:10250/proxy/run/shop/web/app",
        "/api/v1/nodes/n/proxy",
        "/api/v1/namespaces/shop/pods/web/proxy/",
        "/api/v1/namespaces/shop/services/web/proxy/metrics",
    ] {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            assert_eq!(world.send(request(method, path, "")).await.status(), 403, "{method} {path}");
        }
    }
    assert_eq!(world.get("/api/v1/nodes/n").await.status(), 200, "the rule does allow reads");
    assert_eq!(world.api.seen().len(), 1);
    let record = &world.records().await[0];
    let action = record.action.as_ref().unwrap();
    assert_eq!(action.path, "/api/v1/nodes/n/proxy/exec/shop/web/app", "the tail is on the record");
    assert_eq!((action.stream, action.risk), (Stream::Proxy, Risk::Escalation));
}

#[tokio::test]
async fn bypass_row_16_a_redirect_is_neither_followed_nor_passed_on() {
    for status in [301, 302, 303, 307, 308] {
        let world = world_with(ALLOW_ALL, move |_| {
            let head = Response::builder().status(status).header("location", "https://elsewhere.example/");
            Reply::Whole(head.body(bytes::Bytes::new()).unwrap())
        })
        .await;
        let answer = world.get("/api/v1/namespaces/shop/pods/p").await;
        assert_eq!(answer.status(), 502, "{status}");
        assert!(answer.head.headers.get("location").is_none());
        assert_eq!((world.api.seen().len(), world.api.connections()), (1, 1));
    }
}

/// Written by hand over HTTP/1.1, since a client library would mend some of them.
#[tokio::test]
async fn bypass_row_18_non_canonical_exec() {
    let exec = "/clusters/shop/api/v1/namespaces/shop/pods/web";
    let world = world().await;
    let mut tried = 0;
    for path in [
        format!("{exec}/exec/?command=id"),
        format!("{exec}/%65xec?command=id"),
        format!("{exec}/%2565xec?command=id"),
        format!("{exec}/exec%3Fcommand=id"),
        format!("{exec}/exec;x?command=id"),
        format!("{exec};x/exec?command=id"),
        format!("{exec}//exec?command=id"),
        format!("/{exec}/exec?command=id"),
        format!("{exec}/log/../exec?command=id"),
        format!("{exec}/./exec?command=id"),
        format!("{exec}/%2e/exec?command=id"),
        format!("{exec}/log/%2E%2E/exec?command=id"),
        format!("{exec}%2Fexec?command=id"),
        format!("{exec}%2fexec?command=id"),
        format!("{exec}%252Fexec?command=id"),
        format!("{exec}/exec%00?command=id"),
        format!("{exec}/exec%20?command=id"),
        format!("{exec}/exec%0A?command=id"),
        format!("{exec}\\exec?command=id"),
        format!("{exec}/exec?command=id;command=sh"),
        format!("{exec}/exec?command=id&container=a&container=b"),
        format!("{exec}/exec?command=id&stdin=true&std%69n=false"),
        format!("{exec}/exec?command=id&=x"),
        format!("{exec}/exec?command=%zz"),
        "/clusters/shop/%61pi/v1/namespaces/shop/pods/web/exec?command=id".into(),
        "/clusters/sh%6fp/api/v1/namespaces/shop/pods/web/exec?command=id".into(),
        "/%63lusters/shop/api/v1/namespaces/shop/pods/web/exec?command=id".into(),
        "/clusters/shop/../shop/api/v1/namespaces/shop/pods/web/exec?command=id".into(),
    ] {
        for method in ["GET", "POST"] {
            let head = format!(
                "{method} {path} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer agent\r\nconnection: close\r\n\r\n"
            );
            let answers = answers(&exchange(connect(&world, Protocol::Http1), head.as_bytes()).await);
            assert_eq!(answers.len(), 1);
            is_status(&answers[0], 400);
            assert_eq!(world.api.bytes_received(), 0, "{path}");
            tried += 1;
        }
    }
    let records = world.records().await;
    assert_eq!(records.len(), tried);
    assert!(records.iter().all(|record| record.outcome == Some(Outcome::Refused)));
}

/// What generated clients do escape means what it stands for, in every stage.
#[tokio::test]
async fn bypass_row_18_escaped_punctuation_is_decided_on_and_sent_decoded() {
    const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: not-this, match: {resources: [clusterroles], names: ['system:node']}, deny: {message: No.}}
- {name: all, match: {resources: ['*']}, allow: {}}
";
    let world = world_with(POLICY, |_| Reply::json(OBJECT)).await;
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    assert_eq!(world.get(&format!("{roles}/system%3Anode")).await.status(), 403);
    assert_eq!(world.get(&format!("{roles}/system%3adiscovery")).await.status(), 200);
    let seen = world.api.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].target, format!("{roles}/system:discovery"));
    let names: Vec<_> = world.records().await.into_iter().map(|record| record.action.unwrap().name.unwrap()).collect();
    assert_eq!(names, ["system:node", "system:discovery"]);
}
