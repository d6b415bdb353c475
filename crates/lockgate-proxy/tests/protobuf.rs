//! Bodies in protobuf: what is decided about one is what is decided about its JSON twin, and what cannot be read goes nowhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use lockgate_core::{AuditRecord, Effect, Outcome};
use lockgate_policy::change::{self, Change};
use lockgate_policy::risk;
use lockgate_proxy::upstream::dial::Protocol;
use lockgate_proxy::{Limits, Reading};
use lockgate_store::AuditFilter;
use lockgate_store::limit::LIST_ROWS_MAX;
use lockgate_wire::protobuf::Protobuf;
use lockgate_wire::{Target, fingerprint};
use serde_json::{Value, json};
use testkit::api_server::{ApiServer, Reply};
use testkit::gateway::{World, agent, request};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const JSON: &str = "application/json";

/// Their calls are fewer than one look into the log gives.
const TWINS_PER_WORLD: usize = 60;

/// Rules that look into the body in every way there is, so that one misread field is another rule.
const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: node-access, match: {resources: ['*']}, when: change.privileged.size() > 0, deny: {message: No.}}
- {name: secrets, match: {resources: ['*']}, when: change.secrets.size() > 0, deny: {message: No.}}
- {name: wide-roles, match: {resources: ['*']}, when: \"'*' in change.rbac.verbs\", deny: {message: No.}}
- {name: bindings, match: {resources: ['*']}, when: change.rbac.subjects.size() > 0, deny: {message: No.}}
- {name: other-images, match: {resources: ['*']}, when: \"change.images.exists(image, image.to.endsWith('other'))\", deny: {message: No.}}
- {name: finalizers, match: {verbs: [create, update], resources: ['*']}, when: has(object.metadata.finalizers), ask: {approvers: {groups: [sre]}}}
- {name: outages, match: {resources: ['*', '*/*']}, when: change.replicas.to == 0, ask: {approvers: {groups: [sre]}}}
- {name: rehearsals, match: {verbs: [delete], resources: ['*']}, when: action.dryRun, allow: {}}
- {name: fields, match: {resources: ['*']}, when: \"change.fields.exists(field, field.startsWith('spec.ports'))\", deny: {message: No.}}
- {name: grave, match: {risk: [destructive, mass, escalation], resources: ['*', '*/*']}, ask: {approvers: {groups: [sre]}}}
- {name: rest, match: {resources: ['*', '*/*']}, allow: {}}
";

/// A request whose body can be sent in both forms, as the Kubernetes Go types write them.
struct Twin {
    method: String,
    path: String,
    protobuf: Vec<u8>,
    json: Vec<u8>,
}

/// `cargo xtask codegen protobuf` makes them: what makes a difference to a decision, and an object of every other kind.
fn twins() -> Vec<Twin> {
    let lines = include_str!("../../lockgate-wire/corpus/twins.tsv").lines();
    let twin = |line: &str| {
        let mut fields = line.split('\t');
        let (method, path) = fields.next().unwrap().split_once(' ').unwrap();
        let protobuf = STANDARD.decode(fields.next().unwrap()).unwrap();
        Twin { method: method.into(), path: path.into(), protobuf, json: fields.next().unwrap().as_bytes().to_vec() }
    };
    let twins: Vec<Twin> = lines.map(twin).collect();
    assert!(twins.len() >= 150, "{} twins", twins.len());
    twins
}

impl Twin {
    fn forms(&self) -> [(&'static str, &[u8]); 2] {
        [(JSON, &self.json), (PROTOBUF, &self.protobuf)]
    }

    fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn object(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap()
    }
}

fn with_body(method: &str, path: &str, content_type: &str, body: &[u8]) -> Request<Full<Bytes>> {
    let mut asked = request(method, path, "").map(|_| Full::new(Bytes::copy_from_slice(body)));
    asked.headers_mut().insert("content-type", content_type.parse().unwrap());
    asked
}

/// What is there before, whatever is asked for.
fn live() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Thing",
        "metadata": {"name": "a", "namespace": "oracle", "uid": "uid-1", "finalizers": ["example.com/first"]},
        "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "app", "image": "nobody.example.com/app"}]}}},
        "data": {"k": "v"},
    })
}

/// Everything that a decision, a ticket or a table of denials is made of.
fn facts(twin: &Twin, (content_type, body): (&str, &[u8]), old: Option<&Value>, protobuf: &Protobuf) -> Value {
    let target = Target::parse(&format!("/clusters/shop{}", twin.path)).unwrap();
    let read = Reading::of(&twin.method, &target, Some(content_type), body, protobuf).unwrap();
    let request = risk::Request::of(&read.action, &read.options, read.object.as_ref()).with_old_object(old);
    let change = Change::of(&request);
    let subject = agent("deployer");
    let fingerprint = fingerprint::fingerprint_input(&subject, "shop", &read.info, &read.options, read.object.as_ref());
    json!({
        "action": read.action,
        "options": read.options,
        "object": read.object,
        "risk": risk::classify(&request),
        "effect": risk::effect_key(&read.action, &read.options, &change),
        "change": change,
        "reviewed": change::reviewed(&request),
        "fingerprint": String::from_utf8(fingerprint).unwrap(),
    })
}

#[test]
fn a_protobuf_body_and_its_json_twin_have_the_same_facts() {
    let protobuf = Protobuf::load().unwrap();
    let (mut effects, mut touched) = (0, 0);
    for twin in twins() {
        for old in [None, Some(live())] {
            let [json, other] = twin.forms().map(|form| facts(&twin, form, old.as_ref(), &protobuf));
            assert_eq!(json, other, "{}", twin.line());
            assert_eq!(json["object"], twin.object(), "{}", twin.line());
            effects += usize::from(json["effect"].is_string());
            touched += usize::from(!json["change"]["fields"].as_array().unwrap().is_empty());
        }
    }
    assert!(effects >= 5 && touched >= 150, "{effects} with an effect, {touched} touch fields");
}

/// Reviews of the caller's own rights are answered with a review: the gateway adds its word to it.
fn answer(target: &str) -> Value {
    let kind = match target.rsplit('/').next().unwrap_or_default() {
        "selfsubjectaccessreviews" => "SelfSubjectAccessReview",
        "selfsubjectrulesreviews" => "SelfSubjectRulesReview",
        _ => return live(),
    };
    let version = target.split('/').nth(3).unwrap_or_default();
    let status = json!({"allowed": true, "incomplete": false, "resourceRules": [], "nonResourceRules": []});
    json!({"apiVersion": format!("authorization.k8s.io/{version}"), "kind": kind, "spec": {}, "status": status})
}

async fn world() -> World {
    let api = ApiServer::new(Protocol::Http2, |seen| Reply::json(&answer(&seen.target).to_string()));
    World::new(POLICY, api, Limits { hold: Duration::from_millis(20), ..Limits::default() }).await
}

/// The calls of the client, oldest first.
async fn own_records(world: &World) -> Vec<AuditRecord> {
    // Waits for their end; one look gives fewer.
    world.records().await;
    let filter = AuditFilter { limit: LIST_ROWS_MAX, ..AuditFilter::default() };
    let mut own = world.gateway.store.audit_records(&filter).await.unwrap();
    assert!(own.len() < LIST_ROWS_MAX as usize);
    own.reverse();
    own.retain(|record| record.parent_id.is_none());
    own
}

#[tokio::test]
async fn a_protobuf_body_and_its_json_twin_get_the_same_decision() {
    let mut decided = BTreeMap::<String, usize>::new();
    for twins in twins().chunks(TWINS_PER_WORLD) {
        let world = world().await;
        for twin in twins {
            both_forms(&world, twin).await;
        }
        let mut records = own_records(&world).await.into_iter();
        for twin in twins {
            let of = twin.line();
            let (json, protobuf) = (records.next().unwrap(), records.next().unwrap());
            assert_eq!((&json.action, &json.options), (&protobuf.action, &protobuf.options), "{of}");
            assert_eq!((&json.decision, json.outcome), (&protobuf.decision, protobuf.outcome), "{of}");
            assert_eq!(json.request.payload, protobuf.request.payload, "{of}");
            assert_eq!(protobuf.request.content_type.as_deref(), Some(PROTOBUF), "{of}");
            // One meaning is one ticket: a human is asked once, and the answer holds for both.
            assert_eq!(json.approval_id, protobuf.approval_id, "{of}");
            let decision = json.decision.unwrap_or_else(|| panic!("{of}: not decided"));
            *decided.entry(decision.rule.unwrap_or_default()).or_default() += 1;
            if decision.effect == Effect::Ask {
                assert_eq!(records.next().unwrap().approval_id, json.approval_id, "{of}: once approved");
            }
        }
    }
    let every_rule = POLICY.lines().filter_map(|line| line.strip_prefix("- {name: ")?.split(',').next());
    let unmet: Vec<&str> = every_rule.filter(|rule| !decided.contains_key(*rule)).collect();
    assert!(unmet.is_empty(), "no twin meets {unmet:?}: {decided:?}");
}

/// Sends both forms; where a human is asked, lets it be approved and sends the protobuf again.
async fn both_forms(world: &World, twin: &Twin) {
    let send = |(content_type, body): (&'static str, &[u8])| {
        world.send(with_body(&twin.method, &twin.path, content_type, body))
    };
    let [json, protobuf] = twin.forms();
    let (first, second) = (send(json).await, send(protobuf).await);
    let of = twin.line();
    assert_eq!((first.status(), &first.json()["reason"]), (second.status(), &second.json()["reason"]), "{of}");
    if first.json()["reason"] != "ApprovalRequired" {
        assert!(first.status() == 200 || first.json()["reason"] == "Forbidden", "{of}: {}", first.text());
        return;
    }
    let ticket = world.pending_tickets(1).await;
    assert_eq!(ticket.len(), 1, "{of}");
    world.decide(ticket[0].id, true, None).await;
    let again = send(protobuf).await;
    assert_eq!(again.status(), 200, "{of}: {}", again.text());
    let seen = world.api.seen();
    let sent = seen.iter().rfind(|seen| seen.method.as_str() == twin.method).unwrap();
    assert_eq!(sent.headers["content-type"], JSON, "{of}: what was reviewed is what is sent");
}

/// A length-delimited field.
fn field(number: u8, payload: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2], varint(payload.len()).as_slice(), payload].concat()
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// `k8s\0` and `runtime.Unknown`: the kind, and the object.
fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let kind = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [b"k8s\0".as_slice(), &field(1, &kind), &field(2, raw)].concat()
}

/// Bodies that no API server should have to make sense of.
fn corrupt() -> Vec<(String, Vec<u8>)> {
    // ConfigMap: metadata = 1 {name = 1}, data = 2 {key = 1, value = 2}.
    let metadata = field(1, &field(1, b"made"));
    let raw = [metadata.clone(), field(2, &[field(1, b"k"), field(2, b"canary")].concat())].concat();
    let whole = body("v1", "ConfigMap", &raw);
    let of = |raw: &[&[u8]]| body("v1", "ConfigMap", &raw.concat());
    let head = whole.len() - raw.len();
    let mut bodies: Vec<(String, Vec<u8>)> = (1..whole.len())
        .filter(|cut| *cut < 5 || *cut >= head)
        .map(|cut| (format!("cut after {cut} bytes"), whole[..cut].to_vec()))
        .collect();
    let mut named = |name: &str, body: Vec<u8>| bodies.push((name.to_owned(), body));
    named("another magic", [b"k8s\x01", &whole[4..]].concat());
    named("the magic in capitals", [b"K8S\0", &whole[4..]].concat());
    named("no magic", whole[4..].to_vec());
    named("the magic twice", [b"k8s\0", whole.as_slice()].concat());
    named("JSON", br#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"made"}}"#.to_vec());
    named("a kind that is not built in", body("v1", "Widget", &raw));
    named("a kind of another group", body("apps/v1", "ConfigMap", &raw));
    named("no kind", [b"k8s\0".as_slice(), &field(2, &raw)].concat());
    named("metadata as a number", of(&[&[8, 1]]));
    named("metadata as 64 bits", of(&[&[9, 0, 0, 0, 0, 0, 0, 0, 0]]));
    named("metadata as 32 bits", of(&[&[13, 0, 0, 0, 0]]));
    named("metadata as a group", of(&[&[11, 12]]));
    named("a wire type that there is not", of(&[&[15]]));
    named("field 0", of(&[&[2, 0]]));
    named("a tag of eleven bytes", of(&[&[0xff; 10], &[1]]));
    named("a length of eleven bytes", of(&[&[10], &[0x80; 10], &[0]]));
    named("a length of more than 64 bits", of(&[&[10], &[0xff; 9], &[0x7f]]));
    named("a negative length", of(&[&[10], &[0xff; 9], &[1]]));
    named("a length beyond the end", of(&[&[10, 0x7f, 1]]));
    named("a byte behind the envelope", [whole.as_slice(), &[0]].concat());
    named("a field behind the envelope", [whole.clone(), field(9, b"x")].concat());
    named("a second object", [whole.clone(), field(2, &raw)].concat());
    named("a body behind the body", [whole.clone(), whole.clone()].concat());
    named("a byte behind the object", of(&[&raw, &[0]]));
    named("an unknown field behind the object", of(&[&raw, &field(15, b"x")]));
    named("metadata twice", of(&[&metadata, &metadata]));
    named("a key twice", of(&[&raw, &field(2, &field(1, b"k"))]));
    named("text that is not UTF-8", of(&[&field(1, &field(1, b"\xff"))]));
    // ResourceQuota: spec = 2 {hard = 1 {key = 1, value = 2 {string = 1}}}.
    let hard = field(2, &field(1, &[field(1, b"pods"), field(2, &field(1, b"1x"))].concat()));
    named("text that is no quantity", body("v1", "ResourceQuota", &[metadata.clone(), hard].concat()));
    named("an encoding", [whole.clone(), field(3, b"gzip")].concat());
    named("another type inside", [whole.clone(), field(4, b"application/json")].concat());
    bodies
}

#[tokio::test]
async fn corrupt_protobuf_is_400_and_never_forwarded() {
    let world = world().await;
    let places =
        [("POST", "/api/v1/namespaces/oracle/configmaps"), ("PUT", "/api/v1/namespaces/oracle/configmaps/made")];
    let (mut refused, bodies) = (0, corrupt());
    for (method, path) in places {
        for (what, body) in &bodies {
            let answer = world.send(with_body(method, path, PROTOBUF, body)).await;
            assert_eq!(answer.status(), 400, "{method}, {what}: {}", answer.text());
            assert_eq!(answer.json()["kind"], "Status", "{method}, {what}");
            assert!(!answer.text().contains("canary"), "{method}, {what}: {}", answer.text());
            refused += 1;
        }
    }
    // The options of a delete decide what it does to whom.
    for options in [&body("v1", "DeleteOptions", &[8])[..], b"k8s\0\xff", &body("v1", "Widget", &[])] {
        let answer = world.send(with_body("DELETE", "/api/v1/namespaces/oracle/configmaps/a", PROTOBUF, options)).await;
        assert_eq!(answer.status(), 400, "{}", answer.text());
    }
    assert_eq!(world.api.bytes_received(), 0);
    let records = own_records(&world).await;
    assert_eq!(records.len(), refused + 3);
    for record in &records {
        assert_eq!((record.outcome, &record.upstream, &record.decision), (Some(Outcome::Refused), &None, &None));
        assert!(record.request.payload.is_none());
    }
    let whole = body("v1", "ConfigMap", &field(1, &field(1, b"made")));
    assert_eq!(
        world.send(with_body("POST", places[0].1, PROTOBUF, &whole)).await.status(),
        200,
        "an intact one leaves"
    );
}
