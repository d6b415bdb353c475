//! Rows 9, 10, 13, 14 and 28: what a request would do.

use lockgate_core::{Effect, Outcome, Risk};
use lockgate_policy::Policy;
use testkit::api_server::Reply;
use testkit::gateway::request;

use crate::support::{ALLOW_ALL, OBJECT, world, world_with};

fn policy(rules: &str) -> String {
    format!("apiVersion: lockgate.dev/v1\nkind: Policy\nmetadata: {{name: test}}\nrules:\n{rules}\n")
}

#[tokio::test]
async fn bypass_row_9_a_rule_for_a_resource_does_not_cover_its_subresources() {
    let rules = policy("- {name: pods, match: {verbs: [get, patch, update, create], resources: [pods]}, allow: {}}");
    let world = world_with(&rules, |_| Reply::json(OBJECT)).await;
    let pod = "/api/v1/namespaces/shop/pods/web";
    let container =
        r#"{"spec":{"ephemeralContainers":[{"name":"debug","image":"busybox","targetContainerName":"app"}]}}"#;
    for (method, part, body) in [
        ("PATCH", "ephemeralcontainers", container),
        ("PUT", "ephemeralcontainers", container),
        ("PATCH", "resize", "{}"),
        ("PATCH", "status", "{}"),
        ("POST", "eviction", "{}"),
        ("POST", "binding", "{}"),
        ("POST", "exec?command=id", ""),
    ] {
        let mut asked = request(method, &format!("{pod}/{part}"), body);
        if method == "PATCH" {
            asked.headers_mut().insert("content-type", "application/strategic-merge-patch+json".parse().unwrap());
        }
        assert_eq!(world.send(asked).await.status(), 403, "{method} {part}");
    }
    assert_eq!(world.api.bytes_received(), 0);
    assert_eq!(world.get(pod).await.status(), 200);
}

/// The decision does not depend on whether the cluster knows the resource: nothing changes when it learns it.
#[tokio::test]
async fn bypass_row_10_an_unknown_resource_is_masked_or_asked_about() {
    let rules = policy(
        "- {name: reads, match: {risk: [read, masked]}, allow: {mask: strict}}\n\
         - {name: routine, match: {risk: [write]}, allow: {}}\n\
         - {name: rest, match: {}, ask: {approvers: {groups: [sre]}}}",
    );
    let secretive = r#"{"kind":"Vault","apiVersion":"example.com/v1","metadata":{"name":"v","uid":"u"},"data":{"password":"Y2FuYXJ5"}}"#;
    let limits = lockgate_proxy::gateway::Limits { hold: std::time::Duration::from_millis(20), ..Default::default() };
    let api = testkit::api_server::ApiServer::new(lockgate_proxy::upstream::dial::Protocol::Http2, move |_| {
        Reply::json(secretive)
    });
    let world = testkit::gateway::World::new(&rules, api, limits).await;
    let vaults = "/apis/example.com/v1/namespaces/shop/vaults";
    let answer = world.get(&format!("{vaults}/v")).await;
    assert_eq!(answer.status(), 200);
    let object = r#"{"kind":"Vault","apiVersion":"example.com/v1","metadata":{"name":"v"}}"#;
    for (method, path) in
        [("POST", vaults.to_owned()), ("PUT", format!("{vaults}/v")), ("DELETE", format!("{vaults}/v"))]
    {
        let body = if method == "DELETE" { "" } else { object };
        let answer = world.send(request(method, &path, body)).await;
        assert_eq!(answer.json()["reason"], "ApprovalRequired", "{method}: {}", answer.text());
    }
    assert!(world.api.seen().iter().all(|seen| seen.method == "GET"));
    let records = world.records().await;
    assert_eq!(records[0].action.as_ref().unwrap().risk, Risk::Masked);
    let writes = records.iter().filter(|record| matches!(record.method.as_str(), "POST" | "PUT"));
    assert!(writes.into_iter().all(|record| record.action.as_ref().unwrap().risk >= Risk::Ask));
}

#[tokio::test]
async fn bypass_row_13_an_unknown_verb_is_refused() {
    let world = world().await;
    for method in ["impersonate-on:user", "PROPFIND", "get", "LIST", "WATCH", "DELETECOLLECTION", "TRACE", "X"] {
        for path in ["/api/v1/namespaces/shop/pods", "/healthz"] {
            let Ok(method) = http::Method::from_bytes(method.as_bytes()) else { continue };
            let mut asked = request("GET", path, "");
            *asked.method_mut() = method.clone();
            assert_eq!(world.send(asked).await.status(), 405, "{method} {path}");
        }
    }
    assert_eq!(world.api.bytes_received(), 0);
    // Nor can a policy name one by mistake.
    for verb in ["impersonate-on:user", "bind", "escalate", "GET"] {
        let rules = policy(&format!("- {{name: all, match: {{verbs: ['{verb}'], resources: ['*']}}, allow: {{}}}}"));
        assert!(Policy::parse(&rules).is_err(), "{verb}");
    }
}

/// Whatever the verb, nothing shows or loses what a rule denies by name.
#[tokio::test]
async fn bypass_row_14_a_denial_by_name_holds_for_every_verb() {
    let rules = policy(
        "- {name: not-this, match: {resources: [configmaps], names: [crown]}, deny: {message: No.}}\n\
         - {name: rest, match: {resources: ['*']}, allow: {}}",
    );
    let world = world_with(&rules, |seen| {
        let item = |name: &str| {
            format!(r#"{{"metadata":{{"name":"{name}","namespace":"shop"}},"data":{{"k":"{name}-canary"}}}}"#)
        };
        if seen.target.contains("watch") {
            return Reply::json(&format!(r#"{{"type":"ADDED","object":{}}}"#, item("crown")));
        }
        let items = [item("crown"), item("other")].join(",");
        Reply::json(&format!(r#"{{"kind":"ConfigMapList","apiVersion":"v1","metadata":{{}},"items":[{items}]}}"#))
    })
    .await;
    let maps = "/api/v1/namespaces/shop/configmaps";
    for path in [
        format!("{maps}/crown"),
        maps.to_owned(),
        "/api/v1/configmaps".into(),
        format!("{maps}?watch=true"),
        "/api/v1/watch/namespaces/shop/configmaps".into(),
        format!("{maps}?fieldSelector=metadata.name%3Dcrown"),
        format!("{maps}?limit=1"),
    ] {
        let answer = world.get(&path).await;
        assert!(!answer.text().contains("crown-canary"), "{path}: {}", answer.text());
    }
    let before = world.api.seen().len();
    for path in [format!("{maps}/crown"), maps.to_owned(), format!("{maps}?labelSelector=a%3Db")] {
        assert_eq!(world.send(request("DELETE", &path, "")).await.status(), 403, "{path}");
    }
    let object = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"crown"}}"#;
    assert_eq!(world.send(request("POST", maps, object)).await.status(), 403);
    assert_eq!(world.send(request("PUT", &format!("{maps}/crown"), object)).await.status(), 403);
    assert_eq!(world.api.seen().len(), before);
}

#[tokio::test]
async fn bypass_row_28_the_body_of_a_delete_decides_alone() {
    let rules = policy("- {name: rehearsals, match: {resources: ['*']}, when: action.dryRun, allow: {}}");
    let world = world_with(&rules, |_| Reply::json(OBJECT)).await;
    let path = "/api/v1/namespaces/shop/configmaps/c?dryRun=All";
    assert_eq!(world.send(request("DELETE", path, "")).await.status(), 200, "without a body the query counts");
    let seen = world.api.seen().len();
    for body in [
        r#"{"kind":"DeleteOptions","apiVersion":"v1"}"#,
        r#"{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0}"#,
        r#"{"dryRun":[]}"#,
        r#"{"dryRun":null}"#,
        "{}",
    ] {
        assert_eq!(world.send(request("DELETE", path, body)).await.status(), 403, "{body}");
    }
    assert_eq!(world.api.seen().len(), seen, "a real delete never left");
    let records = world.records().await;
    let dry: Vec<bool> = records.iter().map(|record| record.options.dry_run).collect();
    assert_eq!(dry, [true, false, false, false, false, false]);
    assert!(records[1..].iter().all(|record| record.decision.as_ref().unwrap().effect == Effect::Deny));
}

/// What cannot be read is what nobody decided on.
#[tokio::test]
async fn an_undecodable_write_never_leaves() {
    let world = world_with(ALLOW_ALL, |_| Reply::json(OBJECT)).await;
    let maps = "/api/v1/namespaces/shop/configmaps";
    let map = "/api/v1/namespaces/shop/configmaps/c";
    let protobuf = "application/vnd.kubernetes.protobuf";
    for (method, path, content_type, body, code) in [
        ("POST", maps, "application/json", "", 400),
        ("PUT", map, "application/json", "", 400),
        ("PATCH", map, "application/merge-patch+json", "", 400),
        ("PATCH", map, "application/json-patch+json", "", 400),
        ("POST", maps, "application/json", " ", 400),
        ("POST", maps, "application/json", "null", 400),
        ("POST", maps, "application/json", "[]", 400),
        ("POST", maps, "application/json", r#"{"kind":"ConfigMap"#, 400),
        ("POST", maps, "application/json", r#"{"a":1,"a":2}"#, 400),
        ("POST", maps, "application/json", "{}{}", 400),
        ("PATCH", map, "application/json-patch+json", r#"[{"op":"add","path":"x/spec","value":1}]"#, 400),
        ("POST", maps, "application/yaml", "kind: ConfigMap\n---\nkind: Secret\n", 400),
        ("POST", maps, "application/yaml", "", 400),
        ("POST", maps, protobuf, "", 400),
        ("POST", maps, protobuf, "k8s\0", 400),
        ("POST", maps, protobuf, "k8s\0\u{a}\u{5}\u{a}\u{1}v\u{12}\u{7f}", 400),
        ("POST", maps, protobuf, "{\"kind\":\"ConfigMap\"}", 400),
        ("POST", maps, "application/cbor", "\u{1}", 415),
        ("POST", maps, "application/cbor-seq", "\u{1}", 415),
        ("PATCH", map, "application/apply-patch+cbor", "\u{1}", 415),
        ("PATCH", map, "application/json", "{}", 415),
        ("POST", maps, "text/plain", "{}", 415),
        ("POST", maps, "multipart/form-data; boundary=x", "{}", 415),
    ] {
        let mut asked = request(method, path, body);
        asked.headers_mut().insert("content-type", content_type.parse().unwrap());
        let answer = world.send(asked).await;
        assert_eq!(answer.status(), code, "{method} {content_type} {body:?}: {}", answer.text());
    }
    let mut twice = request("POST", maps, r#"{"kind":"ConfigMap"}"#);
    twice.headers_mut().append("content-type", "application/yaml".parse().unwrap());
    assert_eq!(world.send(twice).await.status(), 400);
    assert_eq!(world.api.bytes_received(), 0);
    assert!(world.records().await.iter().all(|record| record.outcome == Some(Outcome::Refused)));
}
