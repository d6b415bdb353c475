//! What a self review says is what happens: a yes needs the cluster's and Lockgate's. In process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use http::StatusCode;
use lockgate_core::Outcome;
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::upstream::dial::Protocol;
use serde_json::{Value, json};
use testkit::api_server::{ApiServer, Reply, Seen};
use testkit::gateway::{Answer, World, request};

const ACCESS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const RULES: &str = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";

/// C16: one name is denied.
const NAMED: &str = "
- {name: root, match: {resources: [secrets], names: [super-secret]}, deny: {message: Ask the platform team.}}
- {name: delete, match: {verbs: [delete]}, ask: {approvers: {groups: [sre]}}}
- {name: collections, match: {verbs: [deletecollection]}, deny: {}}
- {name: own, match: {resources: [configmaps], names: [app-config], verbs: [patch]}, allow: {}}
- {name: look-around, match: {resources: [pods/exec]}, when: \"action.argv == ['ls']\", allow: {}}
- {name: read, match: {risk: [read, masked]}, allow: {}}
";

fn policy(rules: &str) -> String {
    format!("apiVersion: lockgate.dev/v1\nkind: Policy\nmetadata: {{name: test}}\nrules:{rules}")
}

fn preset(name: &str) -> String {
    format!("apiVersion: lockgate.dev/v1\nkind: Policy\nmetadata: {{name: test}}\npreset: {name}\nrules: []\n")
}

/// A cluster that says yes to everything but leases, and lists some rights.
fn script(seen: Seen) -> Reply {
    let (path, _) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let answer = |kind: &str, status: Value| {
        let answer = json!({"kind": kind, "apiVersion": "authorization.k8s.io/v1", "metadata": {"creationTimestamp": null}, "spec": body["spec"], "status": status});
        Reply::status(201, "application/json", &answer.to_string())
    };
    match path {
        ACCESS if body.pointer("/spec/resourceAttributes/resource") == Some(&json!("leases")) => {
            answer("SelfSubjectAccessReview", json!({"allowed": false, "reason": "RBAC: no"}))
        }
        ACCESS => answer("SelfSubjectAccessReview", json!({"allowed": true, "reason": "RBAC: yes"})),
        RULES => answer("SelfSubjectRulesReview", rights()),
        "/apis/authentication.k8s.io/v1/selfsubjectreviews" => Reply::status(
            201,
            "application/json",
            r#"{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1","status":{"userInfo":{"username":"agent:deployer"}}}"#,
        ),
        _ => {
            let name = path.rsplit('/').next().unwrap();
            let object = json!({"kind": "X", "apiVersion": "v1", "metadata": {"name": name, "namespace": "shop", "uid": "u"}, "items": []});
            Reply::json(&object.to_string())
        }
    }
}

fn rights() -> Value {
    json!({
        "resourceRules": [
            {"verbs": ["get", "list", "delete", "use"], "apiGroups": [""], "resources": ["pods", "secrets", "pods/log"]},
            {"verbs": ["patch"], "apiGroups": [""], "resources": ["configmaps"]},
            {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["super-secret", "other"]},
            {"verbs": ["*"], "apiGroups": ["batch"], "resources": ["*"]},
        ],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/api/*", "/logs"]}, {"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": false,
    })
}

async fn world(policy: &str) -> World {
    let limits = Limits { hold: Duration::ZERO, ..Limits::default() };
    World::new(policy, ApiServer::new(Protocol::Http2, script), limits).await
}

fn attributes(verb: &str, resource: &str, namespace: &str, name: &str) -> Value {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let group = match resource {
        "deployments" => "apps",
        "leases" => "coordination.k8s.io",
        "clusterroles" => "rbac.authorization.k8s.io",
        _ => "",
    };
    json!({"namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": subresource, "name": name})
}

fn review(attributes: &Value) -> Value {
    json!({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {"resourceAttributes": attributes}})
}

async fn can_i(world: &World, attributes: &Value) -> Answer {
    let answer = world.send(request("POST", ACCESS, &review(attributes).to_string())).await;
    assert_eq!(answer.status(), StatusCode::CREATED, "{}", answer.text());
    answer
}

/// `yes`, `ask` or `no`, and the reason.
fn said(answer: &Answer) -> (&'static str, String) {
    let status = answer.json()["status"].clone();
    let reason = status["reason"].as_str().unwrap_or_default().to_owned();
    match (status["allowed"].as_bool().unwrap(), status["denied"].as_bool().unwrap_or_default()) {
        (true, false) => ("yes", reason),
        (false, false) => ("ask", reason),
        (false, true) => ("no", reason),
        (true, true) => panic!("{status}"),
    }
}

#[tokio::test]
async fn c16_the_answer_is_the_cluster_s_and_ours() {
    let world = world(&policy(NAMED)).await;
    for (verb, resource, name, expected, reason) in [
        (
            "list",
            "secrets",
            "",
            "yes",
            "RBAC: yes; Lockgate: allowed by rule \"read\". But rule \"root\" denies it for some, by name or place.",
        ),
        (
            "get",
            "secrets",
            "super-secret",
            "no",
            "Lockgate: denied by rule \"root\". Ask the platform team. Next step: tell your human that this needs a change of policy.",
        ),
        ("get", "secrets", "other", "yes", "RBAC: yes"),
        ("get", "leases", "x", "ask", "RBAC: no"),
        (
            "delete",
            "pods",
            "web",
            "ask",
            "Lockgate: needs approval by a human of sre (rule \"delete\"). Next step: send the request; it waits for their decision.",
        ),
        (
            "patch",
            "configmaps",
            "",
            "no",
            "Lockgate: no policy rule allows it. But rule \"own\" allows it for some, by name or place. Next step: tell your human that this needs a change of policy.",
        ),
        (
            "use",
            "pods",
            "web",
            "no",
            "Lockgate: no request has this verb; what needs it is decided when it is sent. Next step: tell your human that this needs a change of policy.",
        ),
    ] {
        let answer = can_i(&world, &attributes(verb, resource, "shop", name)).await;
        assert_eq!(said(&answer), (expected, reason.to_owned()), "{verb} {resource} {name}");
        let warning = answer.head.headers.get("warning").map(|value| value.to_str().unwrap());
        assert_eq!(warning.is_some(), expected == "yes" && reason.contains("But"), "{warning:?}");
        let record = world.records().await.pop().unwrap();
        assert_eq!(record.outcome, Some(Outcome::Completed));
        let reasons = record.decision.unwrap().reasons.concat();
        let ours = if reason == "RBAC: no" || expected == "yes" { "what it asks about: " } else { reason };
        assert!(reasons.contains(ours), "the record says what we said: {reasons}");
    }
    let every = can_i(&world, &attributes("*", "pods", "shop", "")).await;
    assert_eq!(said(&every).0, "no");
    assert!(
        said(&every).1.starts_with("Lockgate: `*` is every verb, and of create, update, patch: "),
        "{:?}",
        said(&every)
    );
}

#[tokio::test]
async fn whatever_the_body_is_written_in_the_answer_is_json_and_the_same() {
    let world = world(&policy(NAMED)).await;
    let asked = attributes("get", "secrets", "shop", "super-secret");
    let mut yaml = request(
        "POST",
        ACCESS,
        "kind: SelfSubjectAccessReview\napiVersion: authorization.k8s.io/v1\nspec:\n  resourceAttributes: {namespace: shop, verb: get, resource: secrets, name: super-secret}\n",
    );
    yaml.headers_mut().insert("content-type", "application/yaml".parse().unwrap());
    let mut protobuf = request("POST", ACCESS, "");
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let kind = [field(1, b"authorization.k8s.io/v1"), field(2, b"SelfSubjectAccessReview")].concat();
    let resource = [field(1, b"shop"), field(2, b"get"), field(5, b"secrets"), field(7, b"super-secret")].concat();
    let raw = field(2, &field(1, &resource));
    let bytes = [b"k8s\0".to_vec(), field(1, &kind), field(2, &raw)].concat();
    *protobuf.body_mut() = http_body_util::Full::new(bytes.into());
    protobuf.headers_mut().insert("content-type", "application/vnd.kubernetes.protobuf".parse().unwrap());
    protobuf.headers_mut().insert("accept", "application/vnd.kubernetes.protobuf,application/json".parse().unwrap());
    for twin in [yaml, protobuf, request("POST", ACCESS, &review(&asked).to_string())] {
        let answer = world.send(twin).await;
        assert_eq!(answer.status(), StatusCode::CREATED, "{}", answer.text());
        assert_eq!(answer.head.headers["content-type"], "application/json");
        assert_eq!(said(&answer).0, "no");
    }
    for seen in world.api.seen() {
        assert_eq!(seen.headers["accept"], "application/json");
        assert_eq!(seen.headers["impersonate-user"], "agent:deployer");
    }
    let mut table = request("POST", ACCESS, &review(&asked).to_string());
    table.headers_mut().insert("accept", "application/json;as=Table;g=meta.k8s.io;v=v1".parse().unwrap());
    assert_eq!(world.send(table).await.status(), StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_withheld_and_an_error_passes() {
    let yes = r#"{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":true}}"#;
    let long = format!("{yes}{}", " ".repeat(5 * 1024 * 1024));
    for (code, content_type, body, expected) in [
        (201, "application/json", r#"{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1"}"#, 502),
        (201, "application/json", r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1"}"#, 502),
        (201, "application/json", "{", 502),
        (200, "application/vnd.kubernetes.protobuf", yes, 502),
        (204, "application/json", "", 502),
        (201, "application/json", long.as_str(), 502),
        (201, "application/json", yes, 201),
        (422, "application/json", r#"{"kind":"Status","apiVersion":"v1","code":422}"#, 422),
        (403, "application/json", r#"{"kind":"Status","apiVersion":"v1","code":403}"#, 403),
    ] {
        let reply = body.to_owned();
        let content = content_type.to_owned();
        let api = ApiServer::new(Protocol::Http2, move |_| Reply::status(code, &content, &reply));
        let world = World::new(&policy(NAMED), api, Limits::default()).await;
        let answer =
            world.send(request("POST", ACCESS, &review(&attributes("get", "pods", "shop", "x")).to_string())).await;
        assert_eq!(answer.status().as_u16(), expected, "{code} {content_type}: {}", answer.text());
        let outcome = world.records().await.pop().unwrap().outcome;
        assert_eq!(outcome, Some(if expected == 502 { Outcome::Aborted } else { Outcome::Completed }));
    }
}

#[tokio::test]
async fn c16_a_list_of_rights_holds_what_is_given_and_tells_the_rest() {
    let world = world(&policy(NAMED)).await;
    let asked = json!({"kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1", "spec": {"namespace": "shop"}});
    let answer = world.send(request("POST", RULES, &asked.to_string())).await;
    assert_eq!(answer.status(), StatusCode::CREATED, "{}", answer.text());
    let status = answer.json()["status"].clone();
    let rows = status["resourceRules"].as_array().unwrap();
    let gives = |verb: &str, resource: &str, name: &str| {
        let has = |row: &Value, field: &str, word: &str| {
            row[field].as_array().is_some_and(|list| list.contains(&json!(word)))
        };
        rows.iter().any(|row| {
            let named =
                if name.is_empty() { row.get("resourceNames").is_none() } else { has(row, "resourceNames", name) };
            has(row, "verbs", verb) && has(row, "resources", resource) && named
        })
    };
    for (verb, resource, name, expected) in [
        ("get", "pods", "", true),
        ("list", "pods", "", true),
        ("get", "pods/log", "", true),
        ("get", "secrets", "", true),
        ("get", "secrets", "other", true),
        ("get", "secrets", "super-secret", false),
        ("delete", "pods", "", false),
        ("use", "pods", "", false),
        ("patch", "configmaps", "", false),
        ("patch", "configmaps", "app-config", true),
        ("watch", "jobs", "", true),
        ("get", "jobs/status", "", true),
        ("create", "jobs", "", false),
        ("deletecollection", "jobs", "", false),
    ] {
        assert_eq!(gives(verb, resource, name), expected, "{verb} {resource} {name}: {status:#}");
    }
    assert!(!status["resourceRules"].to_string().contains('*'), "{status:#}");
    let paths = status["nonResourceRules"].to_string();
    assert!(paths.contains("/api/*") && paths.contains("/version") && !paths.contains("/logs"), "{paths}");
    assert_eq!(status["incomplete"], json!(true));
    let note = status["evaluationError"].as_str().unwrap();
    for part in [
        "not listed, since it needs approval by a human of sre (rule \"delete\"): delete ",
        "of what is listed, rule \"root\" denies it for some, by name or place: get secrets, list secrets",
        "ask about another one by one",
    ] {
        assert!(note.contains(part), "{part:?} in {note}");
    }
    let record = world.records().await.pop().unwrap();
    assert!(record.decision.unwrap().reasons.concat().contains("in namespace \"shop\""));
}

#[tokio::test]
async fn a_list_of_rights_stays_as_it_is_where_everything_is_allowed() {
    // Without a masker nothing else is in the way of the answer that was put together.
    for allow in ["{}", "{mask: off}"] {
        let world = world(&policy(&format!("\n- {{name: all, allow: {allow}}}\n"))).await;
        let asked = json!({"kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1", "spec": {"namespace": "shop"}});
        let status = world.send(request("POST", RULES, &asked.to_string())).await.json()["status"].clone();
        let batch = json!({"verbs": ["*"], "apiGroups": ["batch"], "resources": ["*"]});
        assert!(status["resourceRules"].as_array().unwrap().contains(&batch), "{status:#}");
        assert_eq!((&status["incomplete"], status.get("evaluationError")), (&json!(false), None), "{status:#}");
    }
}

#[tokio::test]
async fn reviews_of_others_are_what_the_policy_says_and_whoami_tells_who() {
    let body = r#"{"kind":"K","apiVersion":"authorization.k8s.io/v1","spec":{"user":"other","resourceAttributes":{"verb":"get","resource":"secrets"}}}"#;
    for (name, expected) in [("operate", "ApprovalRequired"), ("observe", "Forbidden")] {
        let world = world(&preset(name)).await;
        for (path, kind) in [
            ("/apis/authorization.k8s.io/v1/subjectaccessreviews", "SubjectAccessReview"),
            ("/apis/authorization.k8s.io/v1/namespaces/shop/localsubjectaccessreviews", "LocalSubjectAccessReview"),
            (
                "/apis/authorization.k8s.io/v1/namespaces/shop/localsubjectaccessreviews?dryRun=All",
                "LocalSubjectAccessReview",
            ),
        ] {
            let answer = world.send(request("POST", path, &body.replace("\"K\"", &format!("{kind:?}")))).await;
            assert_eq!((answer.status().as_u16(), &answer.json()["reason"]), (403, &json!(expected)), "{name} {path}");
        }
        assert!(world.api.seen().is_empty(), "no oracle");
        let whoami = r#"{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}"#;
        let answer = world.send(request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", whoami)).await;
        assert_eq!(answer.json()["status"]["userInfo"]["username"], "agent:deployer");
    }
}

/// Method, path and body of the real request.
fn real(attributes: &Value) -> (&'static str, String, &'static str) {
    let text = |field: &str| attributes[field].as_str().unwrap();
    let (verb, resource, namespace, name) = (text("verb"), text("resource"), text("namespace"), text("name"));
    let root = if text("group").is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}/v1", text("group")) };
    let place = if resource == "nodes" || resource == "clusterroles" {
        String::new()
    } else {
        format!("/namespaces/{namespace}")
    };
    let collection = format!("{root}{place}/{resource}");
    let below = if text("subresource").is_empty() { String::new() } else { format!("/{}", text("subresource")) };
    let object = format!("{collection}/{name}{below}");
    let new = r#"{"metadata":{"name":"web"}}"#;
    match verb {
        "get" => ("GET", object, ""),
        "list" => ("GET", collection, ""),
        "watch" => ("GET", format!("{collection}?watch=true"), ""),
        "create" if below.is_empty() => ("POST", collection, new),
        "create" => ("POST", object, new),
        "update" => ("PUT", object, r#"{"metadata":{"name":"web"},"data":{"a":"b"}}"#),
        "patch" => ("PATCH", object, r#"{"metadata":{"labels":{"a":"b"}}}"#),
        "delete" => ("DELETE", object, ""),
        _ => ("DELETE", collection, ""),
    }
}

/// `yes`: it reached the cluster; `ask`: it got a ticket; `no`.
async fn happens(world: &World, attributes: &Value) -> String {
    let (method, path, body) = real(attributes);
    let mut asked = request(method, &path, body);
    if method == "PATCH" {
        asked.headers_mut().insert("content-type", "application/merge-patch+json".parse().unwrap());
    }
    let answer = world.send(asked).await;
    let reason =
        serde_json::from_slice::<Value>(&answer.body).ok().and_then(|body| body["reason"].as_str().map(str::to_owned));
    match reason.as_deref() {
        Some("ApprovalRequired") => "ask".into(),
        Some("Forbidden") => "no".into(),
        Some(other) => format!("{method} {path}: {other}: {}", answer.text()),
        None => "yes".into(),
    }
}

#[tokio::test]
async fn what_a_review_says_is_what_happens() {
    let everything = policy("\n- {name: all, allow: {}}\n");
    let mut wrong = Vec::new();
    let mut compared = 0;
    for policy in [policy(NAMED), preset("observe"), preset("operate"), everything] {
        let world = world(&policy).await;
        for verb in ["get", "list", "create", "update", "patch", "delete", "deletecollection"] {
            for (resource, namespace, name) in [
                ("pods", "shop", "web"),
                ("pods", "kube-system", "web"),
                ("secrets", "shop", "super-secret"),
                ("secrets", "shop", "web"),
                ("configmaps", "shop", "app-config"),
                ("configmaps", "shop", "web"),
                ("deployments", "shop", "web"),
                ("nodes", "shop", "web"),
                ("clusterroles", "shop", "web"),
                ("serviceaccounts/token", "shop", "web"),
                ("pods/eviction", "shop", "web"),
                ("pods/log", "shop", "web"),
            ] {
                let below = resource.contains('/');
                let sent = if resource == "pods/log" { "get" } else { "create" };
                if below && verb != sent || verb == "create" && !below && name != "web" {
                    continue;
                }
                let collection = matches!(verb, "list" | "deletecollection");
                let asked = attributes(verb, resource, namespace, if collection { "" } else { name });
                let foretold = said(&can_i(&world, &asked).await).0;
                let happened = happens(&world, &asked).await;
                if foretold != happened {
                    wrong.push(format!(
                        "{verb} {resource} {namespace}/{name}: said {foretold}, was {happened}\n{policy}"
                    ));
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 150, "{compared}");
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn what_a_human_stopped_is_a_no() {
    let world = world(&policy(NAMED)).await;
    let delete = |name: &str| attributes("delete", "pods", "shop", name);
    assert_eq!(happens(&world, &delete("web")).await, "ask");
    let ticket = world.pending().await;
    world.decide(ticket.id, false, Some("not today")).await;
    let denied = said(&can_i(&world, &delete("web")).await);
    assert_eq!(denied.0, "no");
    assert!(denied.1.contains(&ticket.id.to_string()), "{}", denied.1);
    assert!(happens(&world, &delete("web")).await.contains("ApprovalDenied"));
    assert_eq!(said(&can_i(&world, &delete("other")).await).0, "ask");

    let human = testkit::gateway::human("alice");
    let auth_time = world.gateway.clock().now();
    let word = lockgate_store::HumanWord { by: human, auth_time, note: "it runs wild".into() };
    world.gateway.store.freeze(testkit::gateway::agent("deployer"), word).await.unwrap();
    let frozen = said(&can_i(&world, &delete("other")).await);
    assert!(frozen.0 == "no" && frozen.1.contains("it runs wild"), "{frozen:?}");
    assert!(frozen.1.contains("lockgate agents clear ") && !frozen.1.contains("change of policy"), "{frozen:?}");
    assert_eq!(said(&can_i(&world, &attributes("get", "pods", "shop", "other")).await).0, "yes", "reads go on");
}

const LIMITED: &str = "
- {name: few, match: {verbs: [delete, deletecollection], resources: [configmaps, services]}, allow: {limits: {blast: {deletes: 2, per: 10m, deny: {}}}}}
- {name: two, match: {verbs: [delete, deletecollection], resources: [pods]}, allow: {limits: {blast: {deletes: 1, per: 10m, ask: {approvers: {groups: [sre]}, count: 2}}}}}
- {name: slow, match: {risk: [read, masked]}, allow: {limits: {rate: {requests: 100, per: 1m}}}}
";

#[tokio::test]
async fn no_answer_promises_more_than_limits_give() {
    let world = world(&policy(LIMITED)).await;
    let asked = async |verb: &str, resource: &str, name: &str| {
        let asked = attributes(verb, resource, "shop", name);
        said(&can_i(&world, &asked).await)
    };
    for (resource, deletes, word) in [("services", "deletecollection", "no"), ("pods", "deletecollection", "ask")] {
        let (foretold, reason) = asked(deletes, resource, "").await;
        assert_eq!(foretold, word, "{reason}");
        assert!(reason.contains("and this removes any number at once"), "{reason}");
        assert_eq!(happens(&world, &attributes(deletes, resource, "shop", "")).await, foretold);
    }
    let reason = asked("deletecollection", "pods", "").await.1;
    assert!(
        reason.starts_with("Lockgate: needs approval by 2 humans of sre (rule \"two\"). rule \"two\" lets"),
        "{reason}"
    );

    for (resource, name, gone, word, then) in [
        ("configmaps", "a", 0, "yes", "rule \"few\" denies it beyond 2 removed objects in 600 s"),
        ("configmaps", "", 1, "yes", "rule \"few\" denies it beyond 2 removed objects in 600 s"),
        ("services", "c", 2, "no", "rule \"few\" lets this agent remove 2 objects in 600 s, and 2 are gone already"),
        ("configmaps", "", 2, "no", "rule \"few\" lets this agent remove 2 objects in 600 s, and 2 are gone already"),
        ("pods", "", 0, "yes", "rule \"two\" asks 2 humans of sre beyond 1 removed objects in 600 s"),
        ("pods", "e", 1, "ask", "rule \"two\" lets this agent remove 1 objects in 600 s, and 1 are gone already"),
    ] {
        for _ in 0..3 {
            let (foretold, reason) = asked("delete", resource, name).await;
            assert_eq!(foretold, word, "asking spends nothing: {reason}");
            assert!(reason.contains(then) && reason.contains(&format!("{gone} are gone")), "{reason}");
        }
        let named = if name.is_empty() { "web" } else { name };
        assert_eq!(happens(&world, &attributes("delete", resource, "shop", named)).await, word, "{resource} {named}");
    }
    assert_eq!(asked("delete", "*", "").await.0, "no", "no rule gives everything");

    let answer = can_i(&world, &attributes("list", "pods", "shop", "")).await;
    let (foretold, reason) = said(&answer);
    assert_eq!(foretold, "yes");
    assert!(reason.contains("by rule \"slow\", which lets this agent send 100 requests in 60 s."), "{reason}");
    assert!(answer.head.headers.get("warning").is_none(), "a limit on speed takes nothing away");
}
