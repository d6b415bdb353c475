//! Rules by label on what belongs to one object (its log, a shell in it, its scale), and what `kubectl auth can-i` says of
//! them: the answer is what the real request gets. In process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use lockgate_core::{AuditRecord, Effect, Origin};
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::upstream::dial::Protocol;
use serde_json::{Value, json};
use testkit::api_server::{ApiServer, Reply, Seen};
use testkit::gateway::{Answer, World, request};

const ACCESS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const REVIEWS: &str = "- {name: reviews, match: {apiGroups: [authorization.k8s.io]}, allow: {}}\n";
const NO_FINANCE: &str =
    "- {name: no-finance, match: {labelSelector: {team: finance}}, deny: {}}\n- {name: rest, allow: {}}\n";
const WEB: &str = "- {name: web, match: {labelSelector: {app: web}}, allow: {}}\n- {name: apis, match: {nonResourceURLs: ['/apis/*']}, allow: {}}\n";
/// Reading is given, deleting is not.
const KEPT: &str =
    "- {name: kept, match: {labelSelector: {team: finance}, verbs: [delete]}, deny: {}}\n- {name: rest, allow: {}}\n";
const ASKED: &str = "- {name: asked, match: {labelSelector: {team: finance}}, ask: {approvers: {groups: [sre]}}}\n- {name: rest, allow: {}}\n";
/// By content, and by labels only for what is no `get`.
const OPAQUE: &str =
    "- {name: opaque, match: {resources: [pods, pods/*]}, when: \"oldObject.spec.nodeName == 'n1'\", allow: {}}\n";
const LOGS_ONLY: &str = "- {name: logs, match: {resources: [pods/log], labelSelector: {app: web}}, allow: {}}\n";

fn policy(rules: &str) -> String {
    format!("apiVersion: lockgate.dev/v1\nkind: Policy\nmetadata: {{name: test}}\nrules:\n{REVIEWS}{rules}")
}

/// By their first words: `fin…` is finance's, `web…` the agent's own, `none…` has no labels, `gone…` is not there, `locked…` the
/// cluster does not show.
fn object(name: &str) -> Option<Value> {
    let labels = match name.split('-').next().unwrap_or_default() {
        "fin" => json!({"team": "finance"}),
        "web" => json!({"app": "web"}),
        "none" => json!({}),
        _ => return None,
    };
    let node = if name.starts_with("web") { "n1" } else { "n2" };
    Some(
        json!({"kind": "X", "apiVersion": "v1", "metadata": {"name": name, "namespace": "shop", "uid": name, "labels": labels},
        "spec": {"nodeName": node, "replicas": 4}}),
    )
}

fn script(seen: Seen) -> Reply {
    let path = seen.target.split('?').next().unwrap_or_default().to_owned();
    let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    if path == ACCESS {
        let answer = json!({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
            "spec": body["spec"], "status": {"allowed": true}});
        return Reply::status(201, "application/json", &answer.to_string());
    }
    if path == "/apis/example.com" {
        return Reply::json(
            r#"{"kind":"APIGroup","apiVersion":"v1","preferredVersion":{"groupVersion":"example.com/v1beta1","version":"v1beta1"}}"#,
        );
    }
    let segments: Vec<&str> = path.split('/').collect();
    if path.contains("/apis/example.com/v1/") {
        return Reply::status(404, "text/plain", "404 page not found");
    }
    let at = segments.iter().position(|segment| ["pods", "configmaps", "deployments", "widgets"].contains(segment));
    let name = at.and_then(|at| segments.get(at + 1)).copied().unwrap_or_default();
    if name.starts_with("locked") {
        return Reply::status(
            403,
            "application/json",
            r#"{"kind":"Status","apiVersion":"v1","reason":"Forbidden","code":403}"#,
        );
    }
    match (object(name), segments.last().copied()) {
        (None, _) => Reply::status(
            404,
            "application/json",
            &json!({"kind": "Status", "apiVersion": "v1", "code": 404,
            "reason": "NotFound", "message": format!("\"{name}\" not found")})
            .to_string(),
        ),
        (Some(_), Some("log")) => Reply::status(200, "text/plain", "a line\n"),
        (Some(_), Some("scale")) => Reply::json(
            &json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
            "metadata": {"name": name, "namespace": "shop"}, "spec": {"replicas": 4}})
            .to_string(),
        ),
        (Some(object), _) => Reply::json(&object.to_string()),
    }
}

async fn world(rules: &str) -> World {
    let limits = Limits { hold: Duration::ZERO, ..Limits::default() };
    World::new(&policy(rules), ApiServer::new(Protocol::Http2, script), limits).await
}

/// Verb, `resource/subresource`, and the request that it is about.
const KINDS: [(&str, &str, &str, &str); 9] = [
    ("get", "pods", "GET", ""),
    ("get", "pods/log", "GET", "?tailLines=1"),
    ("create", "pods/exec", "POST", "?command=id&stdout=true"),
    ("create", "pods/attach", "POST", "?stdout=true"),
    ("create", "pods/portforward", "POST", "?ports=80"),
    ("get", "deployments/scale", "GET", ""),
    ("patch", "deployments/scale", "PATCH", ""),
    ("delete", "configmaps", "DELETE", ""),
    ("patch", "widgets", "PATCH", ""),
];

fn group(resource: &str) -> &'static str {
    match resource.split('/').next().unwrap() {
        "deployments" => "apps",
        "widgets" => "example.com",
        _ => "",
    }
}

fn real(resource: &str, method: &str, query: &str, name: &str) -> Request<Full<Bytes>> {
    let root = match group(resource) {
        "" => "/api/v1".to_owned(),
        "example.com" => "/apis/example.com/v1beta1".to_owned(),
        group => format!("/apis/{group}/v1"),
    };
    let (resource, part) =
        resource.split_once('/').map_or((resource, String::new()), |(one, part)| (one, format!("/{part}")));
    let body = if method == "PATCH" { r#"{"spec":{"replicas":3}}"# } else { "" };
    let mut request = request(method, &format!("{root}/namespaces/shop/{resource}/{name}{part}{query}"), body);
    if method == "PATCH" {
        request.headers_mut().insert("content-type", "application/merge-patch+json".parse().unwrap());
    }
    request
}

fn question(verb: &str, resource: &str, name: &str) -> Request<Full<Bytes>> {
    let (of, part) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes = json!({"namespace": "shop", "verb": verb, "group": group(resource), "resource": of,
        "subresource": part, "name": name});
    let review = json!({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
        "spec": {"resourceAttributes": attributes}});
    request("POST", ACCESS, &review.to_string())
}

/// `yes`, `ask` or `no`, and the reason.
fn said(answer: &Answer) -> (&'static str, String) {
    assert_eq!(answer.status(), StatusCode::CREATED, "{}", answer.text());
    let status = answer.json()["status"].clone();
    let word = match (status["allowed"].as_bool().unwrap(), status["denied"].as_bool().unwrap_or_default()) {
        (true, _) => "yes",
        (false, true) => "no",
        (false, false) => "ask",
    };
    (word, status["reason"].as_str().unwrap_or_default().to_owned())
}

fn happened(answer: &Answer) -> &'static str {
    match (answer.status(), answer.text().contains("ApprovalRequired")) {
        (StatusCode::FORBIDDEN, true) => "ask",
        (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, false) => "no",
        (status, _) => {
            assert!(status.is_success(), "{status} {}", answer.text());
            "yes"
        }
    }
}

async fn last(world: &World) -> AuditRecord {
    world.records().await.into_iter().rfind(|record| record.origin == Origin::Http).unwrap()
}

#[tokio::test]
async fn what_can_i_says_of_a_named_object_is_what_happens_under_rules_by_label() {
    let mut words = std::collections::BTreeMap::<&str, usize>::new();
    for rules in [NO_FINANCE, WEB, KEPT, ASKED, OPAQUE, LOGS_ONLY] {
        let world = world(rules).await;
        for (verb, resource, method, query) in KINDS {
            for name in ["fin-1", "web-1", "none-1", "gone-1", "locked-1"] {
                let before = world.api.seen().len();
                let answer = world.send(question(verb, resource, name)).await;
                let (foretold, reason) = said(&answer);
                let looked = world.api.seen().len() > before + 1;
                let answer = world.send(real(resource, method, query, name)).await;
                // What is not there, and what no rule looks at, is a matter of the cluster's own.
                if object(name).is_none() && !looked {
                    continue;
                }
                let happened = happened(&answer);
                assert_eq!(foretold, happened, "{verb} {resource} {name} under {rules}: {reason}: {}", answer.text());
                *words.entry(foretold).or_default() += 1;
            }
        }
    }
    assert!(["yes", "no", "ask"].into_iter().all(|word| words[word] > 5), "{words:?}");
}

#[tokio::test]
async fn a_log_a_shell_and_a_scale_are_decided_by_the_labels_of_what_they_belong_to() {
    for (rules, open, closed) in [(NO_FINANCE, "none-1", "fin-1"), (WEB, "web-1", "none-1")] {
        let world = world(rules).await;
        for (_, resource, method, query) in &KINDS[1..7] {
            let answer = world.send(real(resource, method, query, open)).await;
            assert_eq!(answer.status(), StatusCode::OK, "{resource}: {}", answer.text());
            let records = world.records().await;
            let own = records.iter().rfind(|record| record.origin == Origin::Http).unwrap();
            let read = records.iter().rfind(|record| record.parent_id == Some(own.id)).unwrap();
            assert_eq!(read.origin, Origin::Preview, "the read has a record of its own");
            assert!(read.request_uri.ends_with(open), "of the object itself: {}", read.request_uri);
            let before = world.api.seen().len();
            let refused = world.send(real(resource, method, query, closed)).await;
            let expected = if *method == "GET" { StatusCode::NOT_FOUND } else { StatusCode::FORBIDDEN };
            assert_eq!(refused.status(), expected, "{resource}: {}", refused.text());
            assert_eq!(last(&world).await.decision.unwrap().effect, Effect::Deny);
            let sent = world.api.seen().split_off(before);
            assert!(
                sent.iter().all(
                    |seen| seen.method == Method::GET && !seen.target.contains(resource.split_once('/').unwrap().1)
                ),
                "only the object was read"
            );
        }
    }
}

#[tokio::test]
async fn what_is_hidden_and_what_is_not_there_read_alike() {
    let world = world(NO_FINANCE).await;
    let without = |answer: &Answer, name: &str| {
        let id = answer.json()["details"]["causes"].to_string();
        let text = answer.json()["message"].as_str().unwrap_or_default().to_owned();
        let ids = answer.head.headers.get("audit-id").and_then(|id| id.to_str().ok()).unwrap_or("-").to_owned();
        (answer.status(), text.replace(name, "x").replace(&ids, "id"), id.len())
    };
    for (_, resource, method, query) in KINDS {
        let hidden = world.send(real(resource, method, query, "fin-1")).await;
        let missing = world.send(real(resource, method, query, "gone-1")).await;
        let (hidden, missing) = (without(&hidden, "fin-1"), without(&missing, "gone-1"));
        assert_eq!(hidden.0, missing.0, "{resource}");
        let words = |text: &str| text.split("Audit").next().unwrap_or_default().to_owned();
        assert_eq!(words(&hidden.1), words(&missing.1), "{resource}");
    }
    for (verb, resource, ..) in KINDS {
        let hidden = said(&world.send(question(verb, resource, "fin-1")).await);
        let missing = said(&world.send(question(verb, resource, "gone-1")).await);
        assert_eq!(hidden, missing, "{verb} {resource}");
    }
}

#[tokio::test]
async fn labels_that_cannot_be_read_fail_closed_and_say_why_with_one_next_step() {
    for (rules, name, why, next) in [
        (
            NO_FINANCE,
            "locked-1",
            "the cluster refuses to show it (HTTP 403)",
            "your role in the cluster must let you get pods",
        ),
        (NO_FINANCE, "gone-1", "there is none of that name that you may see", "check the name"),
        (
            "- {name: shells, match: {resources: [pods/exec], labelSelector: {app: web}}, allow: {}}\n",
            "web-1",
            "the policy does not let you get pods",
            "the policy must let you get pods too",
        ),
    ] {
        let world = world(rules).await;
        let answer = world.send(real("pods/exec", "POST", "?command=id&stdout=true", name)).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{}", answer.text());
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("decides by the object's labels, and those could not be read"), "{message}");
        assert!(message.contains(why) && message.contains(next) && !message.contains("Narrow"), "{message}");
        assert_eq!(message.matches("Next step").count(), 1, "{message}");
        let (word, reason) = said(&world.send(question("create", "pods/exec", name)).await);
        assert_eq!(word, "no");
        assert!(reason.contains(why) && reason.contains(next), "{reason}");
    }
}

#[tokio::test]
async fn nothing_is_read_for_a_question_or_a_log_that_no_label_decides() {
    let rules = format!("- {{name: read, match: {{risk: [read, masked]}}, allow: {{}}}}\n{NO_FINANCE}");
    let world = world(&rules).await;
    for request in [
        question("get", "pods", "web-1"),
        question("get", "pods/log", "web-1"),
        question("list", "pods", ""),
        question("get", "pods/log", ""),
    ] {
        assert_eq!(said(&world.send(request).await).0, "yes");
    }
    assert_eq!(world.send(real("pods/log", "GET", "", "web-1")).await.status(), StatusCode::OK);
    assert!(world.records().await.iter().all(|record| record.origin == Origin::Http));
}

#[tokio::test]
async fn what_stands_behind_proxy_is_no_object() {
    let world = world(NO_FINANCE).await;
    let path = "/api/v1/namespaces/shop/pods/web-1/proxy/a/proxy/b";
    let answer = world.send(request("POST", path, "")).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text());
    let seen: Vec<(Method, String)> = world.api.seen().into_iter().map(|seen| (seen.method, seen.target)).collect();
    assert_eq!(seen[0], (Method::GET, "/api/v1/namespaces/shop/pods/web-1".to_owned()));
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[tokio::test]
async fn a_condition_that_could_not_be_evaluated_is_told_to_the_agent_and_recorded() {
    let rules = "- {name: no-host-network, match: {resources: [deployments]}, when: \"has(object.spec.template.spec.hostNetwork)\", deny: {}}\n- {name: rest, allow: {}}\n";
    let world = world(rules).await;
    let mut annotate = request(
        "PATCH",
        "/apis/apps/v1/namespaces/shop/deployments/web-1",
        r#"{"metadata":{"annotations":{"a":"b"}},"spec":{}}"#,
    );
    annotate.headers_mut().insert("content-type", "application/merge-patch+json".parse().unwrap());
    let answer = world.send(annotate).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("condition of rule `no-host-network` could not be evaluated (no such key: template)"),
        "{message}"
    );
    let reasons = last(&world).await.decision.unwrap().reasons.concat();
    assert!(reasons.contains("it counts against the request"), "{reasons}");
}
