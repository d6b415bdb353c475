//! Placeholders that come back in writes: the cluster gets the values, and nobody else does. Questions about masked values are refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use lockgate_core::{AuditRecord, Origin};
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::upstream::dial::Protocol;
use lockgate_wire::PLACEHOLDER;
use lockgate_wire::mask::helm::{Stored, pack, unpack};
use lockgate_wire::mask::{MaskLimits, MaskPlan, Masker, Profile};
use serde_json::{Value, json};
use testkit::api_server::{ApiServer, Reply, Seen};
use testkit::gateway::{Answer, World, request};

const ALL: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: all, match: {resources: ['*', '*/*']}, allow: {}}
";

const ASKS: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: read, match: {verbs: [get, list], resources: ['*']}, allow: {}}
- {name: write, match: {resources: ['*']}, ask: {approvers: {groups: [sre]}}}
";

const DB: &str = "/api/v1/namespaces/shop/secrets/db";
const SECRETS: &str = "/api/v1/namespaces/shop/secrets";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";
const CANARY: &str = "aHVudGVyMi1jYW5hcnk=";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn secret(version: &str) -> Value {
    let copy = json!({"apiVersion": "v1", "data": {"password": CANARY}, "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}});
    json!({"apiVersion": "v1", "data": {"password": CANARY}, "kind": "Secret", "metadata": {"annotations": {LAST_APPLIED: copy.to_string()},
        "name": "db", "namespace": "shop", "resourceVersion": version, "uid": "u-1"}, "type": "Opaque"})
}

/// A revision of a Helm release, as its path names it.
fn revision(path: &str) -> Value {
    let (_, name) = path.rsplit_once('/').unwrap();
    let (_, version) = name.rsplit_once(".v").unwrap();
    let manifest = format!("---\nkind: Secret\napiVersion: v1\nmetadata:\n  name: a\ndata:\n  password: {CANARY}\n");
    let release = json!({"name": "web", "config": {"password": CANARY, "of": version}, "info": {"status": "deployed"}, "manifest": manifest,
        "version": version.parse::<u64>().unwrap()});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "shop", "resourceVersion": "1", "uid": name},
        "data": {"release": pack(release.to_string().as_bytes(), Stored::InSecret).unwrap()}, "type": "helm.sh/release.v1"})
}

/// An API server with one object, and a gateway before it.
struct Shop {
    world: World,
    live: Arc<Mutex<Value>>,
}

impl Shop {
    async fn with(policy: &str, hold: Duration) -> Self {
        let live = Arc::new(Mutex::new(secret("7")));
        let script = {
            let live = Arc::clone(&live);
            move |seen: Seen| match (seen.method, live.lock().unwrap().clone()) {
                (Method::GET, object) if seen.target.contains("sh.helm.release") && object != Value::Null => {
                    Reply::json(&revision(&seen.target).to_string())
                }
                (Method::GET, Value::Null) => {
                    Reply::status(404, JSON, r#"{"kind":"Status","apiVersion":"v1","code":404}"#)
                }
                (_, object) => Reply::json(&object.to_string()),
            }
        };
        let limits = Limits { hold, ..Limits::default() };
        Self { world: World::new(policy, ApiServer::new(Protocol::Http2, script), limits).await, live }
    }

    async fn new() -> Self {
        Self::with(ALL, Duration::ZERO).await
    }

    async fn send(&self, method: &str, path: &str, content_type: &str, body: impl Into<Bytes>) -> Answer {
        let mut asked = request(method, path, "").map(|_| Full::new(body.into()));
        asked.headers_mut().insert("content-type", content_type.parse().unwrap());
        let answer = self.world.send(asked).await;
        assert!(!answer.text().contains(CANARY), "{}", answer.text());
        answer
    }

    /// As the agent reads it.
    async fn shown(&self) -> Value {
        let answer = self.world.get(DB).await;
        assert!(!answer.text().contains(CANARY));
        answer.json()
    }

    /// What the cluster was last told to change.
    fn written(&self) -> Option<(Seen, Value)> {
        let seen = self.world.api.seen().into_iter().rfind(|seen| seen.method != Method::GET)?;
        let length: usize = seen
            .headers
            .get("content-length")
            .map_or(seen.body.len(), |value| value.to_str().unwrap().parse().unwrap());
        assert_eq!(length, seen.body.len());
        let body = serde_json::from_slice(&seen.body).unwrap();
        Some((seen, body))
    }

    fn reads(&self) -> usize {
        self.world.api.seen().iter().filter(|seen| seen.method == Method::GET).count()
    }

    async fn last(&self) -> AuditRecord {
        self.world.records().await.into_iter().rfind(|record| record.origin == Origin::Http).unwrap()
    }
}

fn causes(answer: &Answer) -> Vec<String> {
    let status = answer.json();
    let causes = status["details"]["causes"].as_array().unwrap().clone();
    causes.iter().filter_map(|cause| cause["field"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_put_of_what_was_read_gives_the_cluster_what_it_has() {
    let shop = Shop::new().await;
    let shown = shop.shown().await;
    let answer = shop.send("PUT", DB, JSON, shown.to_string()).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text());
    let (seen, body) = shop.written().unwrap();
    assert_eq!(body, secret("7"));
    assert_eq!(seen.headers["content-type"], JSON);
    let record = shop.last().await;
    assert_eq!(record.request.restored, 2);
    let sent = record.request.payload.unwrap();
    assert_eq!(sent["data"]["password"], PLACEHOLDER, "the record has what the agent sent");
    assert_eq!(record.request.bytes, shown.to_string().len() as u64);
    assert_eq!(shop.reads(), 2, "one by the agent, one to put back");
}

#[tokio::test]
async fn yaml_and_apply_are_put_back_too() {
    let shop = Shop::new().await;
    let yaml = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: db, labels: {{a: b}}}}\ndata: {{password: {PLACEHOLDER}}}\n"
    );
    for (method, path, content_type, sent_as) in [
        ("PUT", DB.to_owned(), "application/yaml", JSON),
        ("PATCH", format!("{DB}?fieldManager=a&force=true"), APPLY, APPLY),
    ] {
        let answer = shop.send(method, &path, content_type, yaml.clone()).await;
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text());
        let (seen, body) = shop.written().unwrap();
        assert_eq!(seen.headers["content-type"], sent_as);
        assert_eq!(
            body,
            json!({"apiVersion": "v1", "kind": "Secret", "data": {"password": CANARY},
            "metadata": {"name": "db", "labels": {"a": "b"}, "uid": "u-1", "resourceVersion": "7"}})
        );
    }
    let strange = shop.send("PATCH", &format!("{DB}?fieldManager=a"), APPLY, yaml.replace("password:", "other:")).await;
    assert_eq!((strange.status(), causes(&strange)[0].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "data.other"));
}

#[tokio::test]
async fn protobuf_is_put_back_as_json() {
    let shop = Shop::new().await;
    let corpus = include_str!("../../lockgate-wire/corpus/twins.tsv");
    assert!(corpus.contains("secrets"));
    // v1.Secret{metadata: {name: "db"}, data: {"password": "**masked by lockgate**"}}, as k8s.io/api writes it.
    let field = |tag: u8, bytes: &[u8]| [&[tag, u8::try_from(bytes.len()).unwrap()][..], bytes].concat();
    let entry = [field(0x0a, b"password"), field(0x12, b"**masked by lockgate**")].concat();
    let object = [field(0x0a, &field(0x0a, b"db")), field(0x12, &entry)].concat();
    let meta = [field(0x0a, b"v1"), field(0x12, b"Secret")].concat();
    let unknown = [field(0x0a, &meta), field(0x12, &object)].concat();
    let body = [b"k8s\0", unknown.as_slice()].concat();
    let answer = shop.send("PUT", DB, "application/vnd.kubernetes.protobuf", body).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text());
    let (seen, body) = shop.written().unwrap();
    assert_eq!(seen.headers["content-type"], JSON);
    assert_eq!(body["data"], json!({"password": CANARY}));
    assert_eq!(body["metadata"]["resourceVersion"], "7");
}

#[tokio::test]
async fn patches_leave_out_what_is_masked() {
    let shop = Shop::new().await;
    for content_type in [MERGE, STRATEGIC] {
        let body = json!({"data": {"password": PLACEHOLDER, "user": "YWRh"}}).to_string();
        assert_eq!(shop.send("PATCH", DB, content_type, body).await.status(), StatusCode::OK);
        assert_eq!(shop.written().unwrap().1, json!({"data": {"user": "YWRh"}}));
        assert_eq!(shop.last().await.request.restored, 1);
    }
    let moved = json!({"data": {"other": PLACEHOLDER}}).to_string();
    let answer = shop.send("PATCH", DB, MERGE, moved).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.json()["reason"], "Invalid");
    assert_eq!(causes(&answer), ["data.other", "lockgate", "audit"]);
    let operations = json!([{"op": "replace", "path": "/data/password", "value": PLACEHOLDER}]).to_string();
    assert_eq!(shop.send("PATCH", DB, JSON_PATCH, operations).await.status(), StatusCode::OK);
    assert_eq!(shop.written().unwrap().1[0]["value"], CANARY);
}

#[tokio::test]
async fn a_create_with_a_placeholder_is_refused() {
    let shop = Shop::new().await;
    let mut shown = shop.shown().await;
    shown["metadata"] = json!({"generateName": "copy-"});
    for path in [SECRETS.to_owned(), format!("{SECRETS}?dryRun=All")] {
        let answer = shop.send("POST", &path, JSON, shown.to_string()).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(causes(&answer), ["data.password", "lockgate", "audit"]);
        assert!(answer.text().contains("secretKeyRef"), "it says what to do");
    }
    // `kubectl debug --copy-to`: a new pod made of a masked one.
    let pod = json!({"kind": "Pod", "metadata": {"name": "copy"}, "spec": {"containers": [
        {"name": "a", "env": [{"name": "A", "value": "**masked by lockgate: environment**"}]}]}});
    let answer = shop.send("POST", "/api/v1/namespaces/shop/pods", JSON, pod.to_string()).await;
    assert_eq!(causes(&answer), ["spec.containers[0].env[0].value", "lockgate", "audit"]);
    *shop.live.lock().unwrap() = Value::Null;
    let apply = json!({"kind": "Secret", "data": {"password": PLACEHOLDER}}).to_string();
    let answer = shop.send("PATCH", &format!("{DB}?fieldManager=a"), APPLY, apply.clone()).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "an apply that would create it");
    assert_eq!(shop.send("PUT", DB, JSON, apply).await.status(), StatusCode::NOT_FOUND);
    assert!(shop.written().is_none());
}

#[tokio::test]
async fn a_rollback_by_helm_gets_the_values_of_the_revision_it_goes_back_to() {
    let shop = Shop::new().await;
    let path = |version: u64| format!("{SECRETS}/sh.helm.release.v1.web.v{version}");
    // As an agent under `strict` sees it.
    let mut masker = Masker::new(MaskPlan::for_resource("", "secrets", false, Profile::Strict), MaskLimits::default());
    let mut shown = Vec::new();
    masker.push(revision(&path(1)).to_string().as_bytes(), &mut shown).unwrap();
    masker.finish(&mut shown).unwrap();
    let mut body: Value = serde_json::from_slice(&shown).unwrap();
    let opened = |object: &Value| -> Value {
        serde_json::from_slice(&unpack(object["data"]["release"].as_str().unwrap(), Stored::InSecret).unwrap()).unwrap()
    };
    let mut inner = opened(&body);
    assert!(!inner.to_string().contains(CANARY));
    inner["info"] = json!({"status": "pending-rollback", "description": "Rollback to 1"});
    inner["version"] = json!(3);
    let mut sent = |inner: &Value| {
        body["data"]["release"] = json!(pack(inner.to_string().as_bytes(), Stored::InSecret).unwrap());
        body["metadata"] = json!({"name": "sh.helm.release.v1.web.v3"});
        body.to_string()
    };
    let answer = shop.send("POST", SECRETS, JSON, sent(&inner)).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text());
    let (_, written) = shop.written().unwrap();
    let written = opened(&written);
    assert_eq!(written["config"], json!({"password": CANARY, "of": "1"}), "of the first revision, not of the second");
    assert_eq!(written["manifest"], opened(&revision(&path(1)))["manifest"]);
    assert_eq!((&written["version"], &written["info"]["status"]), (&json!(3), &json!("pending-rollback")));
    let reads: Vec<String> =
        shop.world.api.seen().into_iter().filter(|seen| seen.method == Method::GET).map(|seen| seen.target).collect();
    assert_eq!(reads, [path(1), path(2)]);
    inner["config"]["moved"] = inner["config"]["password"].clone();
    let answer = shop.send("POST", SECRETS, JSON, sent(&inner)).await;
    assert_eq!(causes(&answer), ["data.release#config.moved", "lockgate", "audit"]);
    *shop.live.lock().unwrap() = Value::Null;
    assert_eq!(
        shop.send("POST", SECRETS, JSON, sent(&inner)).await.status(),
        StatusCode::UNPROCESSABLE_ENTITY,
        "not there"
    );
}

#[tokio::test]
async fn what_changed_since_it_was_read_is_a_conflict() {
    let shop = Shop::new().await;
    let shown = shop.shown().await;
    *shop.live.lock().unwrap() = secret("8");
    let answer = shop.send("PUT", DB, JSON, shown.to_string()).await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert_eq!(answer.json()["reason"], "Conflict");
    assert!(answer.text().contains("the object has been modified"), "{}", answer.text());
    let mut other = secret("8");
    other["metadata"]["uid"] = json!("u-2");
    *shop.live.lock().unwrap() = other;
    let mut shown = shown;
    shown["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(shop.send("PUT", DB, JSON, shown.to_string()).await.status(), StatusCode::CONFLICT);
    assert!(shop.written().is_none());
}

#[tokio::test]
async fn leak_row_25_questions_about_masked_values_are_refused() {
    let shop = Shop::new().await;
    for operations in [
        json!([{"op": "test", "path": "/data/password", "value": CANARY}]),
        json!([{"op": "test", "path": "/data/password", "value": "d3Jvbmc="}]),
        json!([{"op": "copy", "from": "/data/password", "path": "/metadata/labels/a"}]),
        json!([{"op": "move", "from": "/data/password", "path": "/metadata/labels/a"}]),
    ] {
        for path in [DB.to_owned(), format!("{DB}?dryRun=All")] {
            let answer = shop.send("PATCH", &path, JSON_PATCH, operations.to_string()).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{operations}");
            assert!(answer.text().contains("masked"), "{}", answer.text());
        }
    }
    for (method, path) in [
        ("GET", format!("{SECRETS}?fieldSelector=data.password%3DaHVudGVyMg")),
        ("GET", format!("{SECRETS}?watch=true&fieldSelector=metadata.name%3Ddb,data.password!%3Da")),
        ("DELETE", format!("{SECRETS}?fieldSelector=data.password%3DaHVudGVyMg")),
    ] {
        let answer = shop.world.send(request(method, &path, "")).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}: {}", answer.text());
    }
    assert!(shop.written().is_none());
    let harmless = json!([{"op": "test", "path": "/metadata/resourceVersion", "value": "7"}, {"op": "remove", "path": "/data/password"}]);
    assert_eq!(shop.send("PATCH", DB, JSON_PATCH, harmless.to_string()).await.status(), StatusCode::OK);
    assert_eq!(shop.written().unwrap().1, harmless, "sent as it is");
    let named = shop.world.get(&format!("{SECRETS}?fieldSelector=metadata.name%3Ddb,type%3DOpaque")).await;
    assert_eq!(named.status(), StatusCode::OK);
}

#[tokio::test]
async fn leak_row_25_a_dry_run_does_not_tell_whether_a_guess_is_right() {
    let shop = Shop::new().await;
    let dry = format!("{DB}?dryRun=All");
    let mut written = Vec::new();
    for guess in [CANARY, "d3Jvbmc="] {
        let mut body = secret("7");
        body["data"]["password"] = json!(guess);
        body["metadata"]["annotations"] = json!({});
        assert_eq!(shop.send("PUT", &dry, JSON, body.to_string()).await.status(), StatusCode::OK);
        written.push(shop.written().unwrap().1);
        let patch = json!({"data": {"password": guess, "new": "bmV3"}}).to_string();
        assert_eq!(shop.send("PATCH", &dry, MERGE, patch).await.status(), StatusCode::OK);
        assert_eq!(shop.written().unwrap().1, json!({"data": {"new": "bmV3"}}));
    }
    assert_eq!(written[0], written[1], "the cluster is not asked");
    let real = json!({"data": {"password": "d3Jvbmc="}});
    assert_eq!(shop.send("PATCH", DB, MERGE, real.to_string()).await.status(), StatusCode::OK);
    assert_eq!(shop.written().unwrap().1, real, "a real write writes what it says");
}

#[tokio::test]
async fn nothing_is_read_where_nothing_is_masked() {
    let shop = Shop::new().await;
    let body = json!({"data": {"password": "bmV3"}}).to_string();
    assert_eq!(shop.send("PATCH", DB, MERGE, body).await.status(), StatusCode::OK);
    let labels = json!({"metadata": {"labels": {"a": "b"}}}).to_string();
    assert_eq!(shop.send("PATCH", &format!("{DB}?dryRun=All"), MERGE, labels).await.status(), StatusCode::OK);
    assert_eq!(shop.reads(), 0);
}

#[tokio::test]
async fn who_may_not_read_the_object_cannot_put_back_what_it_holds() {
    let policy = ALL
        .replace("- {name: all", "- {name: no, match: {verbs: [get], resources: [secrets]}, deny: {}}\n- {name: all");
    let shop = Shop::with(&policy, Duration::ZERO).await;
    let body = json!({"data": {"password": PLACEHOLDER}}).to_string();
    let answer = shop.send("PATCH", DB, MERGE, body).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(answer.text().contains("cannot be read"), "{}", answer.text());
    assert!(shop.written().is_none());
}

#[tokio::test]
async fn what_the_policy_denies_is_denied_before_anything_else() {
    let policy = ALL.replace(
        "- {name: all",
        "- {name: no-writes, match: {verbs: [create, patch], resources: [secrets]}, deny: {}}\n- {name: all",
    );
    let shop = Shop::with(&policy, Duration::ZERO).await;
    let body = json!({"data": {"other": PLACEHOLDER}}).to_string();
    for (method, path, content_type) in [("PATCH", DB, MERGE), ("POST", SECRETS, JSON)] {
        let answer = shop.send(method, path, content_type, body.clone()).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert!(answer.text().contains("no-writes"), "{}", answer.text());
    }
    let shop = Shop::with(ASKS, Duration::ZERO).await;
    assert_eq!(shop.send("PATCH", DB, MERGE, body).await.status(), StatusCode::UNPROCESSABLE_ENTITY, "nobody is asked");
}

#[tokio::test]
async fn the_reviewer_sees_what_was_sent_and_the_cluster_gets_the_values_of_then() {
    let shop = Shop::with(ASKS, Duration::ZERO).await;
    let mut body = shop.shown().await;
    body["metadata"]["labels"] = json!({"a": "b"});
    let put = || shop.send("PUT", DB, JSON, body.to_string());
    assert_eq!(put().await.status(), StatusCode::FORBIDDEN);
    let ticket = shop.world.pending().await;
    let reviewed = serde_json::to_string(&ticket).unwrap();
    assert!(reviewed.contains(PLACEHOLDER) && !reviewed.contains(CANARY));
    shop.world.decide(ticket.id, true, None).await;
    let answer = put().await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text());
    let mut expected = secret("7");
    expected["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(shop.written().unwrap().1, expected);
    assert_eq!(put().await.status(), StatusCode::FORBIDDEN, "once");
    let records = serde_json::to_string(&shop.world.records().await).unwrap();
    assert!(!records.contains(CANARY));
}

#[tokio::test]
async fn invariant_12_values_that_changed_since_the_review_are_another_request() {
    let shop = Shop::with(ASKS, Duration::ZERO).await;
    let mut body = shop.shown().await;
    body["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    body["metadata"]["labels"] = json!({"a": "b"});
    let put = || shop.send("PUT", DB, JSON, body.to_string());
    assert_eq!(put().await.status(), StatusCode::FORBIDDEN);
    shop.world.decide(shop.world.pending().await.id, true, None).await;
    let mut rotated = secret("8");
    rotated["data"]["password"] = json!("cm90YXRlZA==");
    *shop.live.lock().unwrap() = rotated;
    assert_eq!(put().await.status(), StatusCode::FORBIDDEN);
    assert!(shop.written().is_none());
    shop.world.pending().await;
    // Another version with the same values is what was reviewed.
    *shop.live.lock().unwrap() = secret("9");
    assert_eq!(put().await.status(), StatusCode::OK);
    assert_eq!(shop.written().unwrap().1["metadata"]["resourceVersion"], "9");
}

#[tokio::test]
async fn invariant_12_values_that_change_during_the_hold_are_not_put_back() {
    let shop = Arc::new(Shop::with(ASKS, Duration::from_secs(20)).await);
    let mut body = shop.shown().await;
    body["metadata"] = json!({"name": "db"});
    let held = tokio::spawn({
        let (shop, body) = (Arc::clone(&shop), body.to_string());
        async move { shop.send("PUT", DB, JSON, body).await }
    });
    let ticket = shop.world.pending().await;
    let mut rotated = secret("8");
    rotated["data"]["password"] = json!("cm90YXRlZA==");
    *shop.live.lock().unwrap() = rotated;
    shop.world.decide(ticket.id, true, None).await;
    let answer = held.await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{}", answer.text());
    assert!(shop.written().is_none());
}

#[tokio::test]
async fn the_verdict_is_about_what_the_write_comes_to() {
    let policy = ALL.replace("- {name: all", "- {name: changes, match: {verbs: [update], resources: [secrets]}, when: \"change.fields.exists(field, field.startsWith('data'))\", deny: {message: No.}}\n- {name: all");
    let shop = Shop::with(&policy, Duration::ZERO).await;
    let mut body = shop.shown().await;
    body["metadata"]["labels"] = json!({"a": "b"});
    let answer = shop.send("PUT", DB, JSON, body.to_string()).await;
    assert_eq!(answer.status(), StatusCode::OK, "the data does not change: {}", answer.text());
    body["data"]["password"] = json!("bmV3");
    assert_eq!(shop.send("PUT", DB, JSON, body.to_string()).await.status(), StatusCode::FORBIDDEN);
}
