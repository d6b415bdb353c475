//! The same request in protobuf and in JSON. Lockgate decides on the JSON that it reads in a protobuf body: so the API server must make the
//! same of both, whether it takes the object or says what is wrong with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::corpus::Resource;
use super::{Agent, Stand};
use crate::standalone::{Connection, Protocol};

/// `METHOD PATH`, base64 protobuf and JSON, as the Kubernetes Go types write them (`cargo xtask codegen protobuf`).
const TWINS: &str = include_str!("../../../crates/lockgate-wire/corpus/twins.tsv");

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const JSON: &str = "application/json";

/// Kinds whose values are masked in Lockgate's log: what it read of them cannot be compared there.
const MASKED_IN_THE_LOG: [&str; 2] = ["Secret", "TokenReview"];
/// What the API server makes anew for each request.
const VOLATILE: [&str; 11] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "resourceVersion",
    "time",
    "token",
    "expirationTimestamp",
    "lastTransitionTime",
    "lastPhaseTransitionTime",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
];
/// Begins the name, random behind it, of the volume with the token of a pod's service account.
const TOKEN_VOLUME: &str = "kube-api-access-";
/// Lists of a review of rules, which are in another order each time.
const UNORDERED: [&str; 2] = ["resourceRules", "nonResourceRules"];

struct Twin {
    method: &'static str,
    path: &'static str,
    protobuf: Vec<u8>,
    json: &'static str,
}

/// What came out.
#[derive(Debug, Default)]
pub struct Twins {
    /// Pairs of requests whose answers were compared.
    pub compared: usize,
    /// Those of them that the API server took.
    pub taken: usize,
    /// Everything that must not be.
    pub faults: Vec<String>,
}

impl fmt::Display for Twins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { compared, taken, faults } = self;
        write!(formatter, "{compared} protobuf bodies beside their JSON twins, {taken} taken, {} faults", faults.len())
    }
}

/// Sends every twin that the API server serves in both forms, without effect (`dryRun`), and compares its answers, and what Lockgate's log
/// says that it read.
///
/// # Panics
/// If one gets no answer.
pub async fn compare_twins(stand: &Stand, resources: &[Resource]) -> Twins {
    let client = stand.client(Agent::Administrator);
    let mut connection = client.connect(Protocol::Http1).await.expect("the gateway");
    let mut twins = Twins::default();
    let served: Vec<Twin> = read().into_iter().filter(|twin| is_served(twin, resources)).collect();
    for (index, twin) in served.iter().enumerate() {
        let protobuf = send(&mut connection, twin, (PROTOBUF, &twin.protobuf), index).await;
        let json = send(&mut connection, twin, (JSON, twin.json.as_bytes()), index).await;
        twins.compared += 1;
        twins.taken += usize::from(json["status"].as_u64().is_some_and(|status| (200..300).contains(&status)));
        let differences = differences(&protobuf, &json);
        twins.faults.extend(differences.iter().map(|one| format!("{} {}: {one}", twin.method, twin.path)));
    }
    let records = stand.records().await;
    let of_protobuf = records.iter().filter(|record| text(record, "/request/contentType") == PROTOBUF);
    let read: HashMap<&str, &Value> = of_protobuf.map(|record| (text(record, "/source/userAgent"), record)).collect();
    for (index, twin) in served.iter().enumerate() {
        let sent: Value = serde_json::from_str(twin.json).expect("JSON");
        let payload = read.get(mark(index).as_str()).and_then(|record| record.pointer("/request/payload"));
        if MASKED_IN_THE_LOG.contains(&text(&sent, "/kind")) {
            continue;
        }
        let differences = differences(payload.unwrap_or(&Value::Null), &sent);
        twins
            .faults
            .extend(differences.iter().map(|one| format!("{} {}, as it was read: {one}", twin.method, twin.path)));
    }
    twins
}

/// Sends a body that ends too early, as the administrator who may do everything.
///
/// # Panics
/// If the API server hears of it, or it is answered with anything but 400.
pub async fn corrupt_protobuf_does_not_reach_the_cluster(stand: &Stand) {
    let twins = read();
    let mut connection = stand.client(Agent::Administrator).connect(Protocol::Http1).await.expect("the gateway");
    let seen =
        |events: &[Value]| events.iter().filter(|event| text(event, "/userAgent").starts_with("corrupt/")).count();
    for (index, twin) in twins.iter().filter(|twin| twin.path.ends_with("/pods")).enumerate() {
        let cut = twin.protobuf.get(..twin.protobuf.len() / 2).expect("a half");
        let agent = format!("corrupt/{index}");
        let headers = [("user-agent", agent.as_str()), ("content-type", PROTOBUF)];
        let answer = connection.open_with(twin.method, twin.path, &headers, cut).await.expect("an answer");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        assert_eq!(head.status.as_u16(), 400, "{}", String::from_utf8_lossy(&body));
    }
    // What comes after them is in the cluster's log: then they would be too.
    let headers = [("user-agent", "corrupt-end"), ("accept", JSON)];
    let after =
        connection.open_with("GET", "/api/v1/namespaces/oracle/pods/a", &headers, b"").await.expect("an answer");
    assert_eq!(after.status().as_u16(), 200);
    let (_, events) = stand.logs().await;
    assert!(events.iter().any(|event| text(event, "/userAgent") == "corrupt-end"));
    assert_eq!(seen(&events), 0, "corrupt bodies reached the API server");
}

fn read() -> Vec<Twin> {
    let twin = |line: &'static str| {
        let mut fields = line.split('\t');
        let (method, path) = fields.next()?.split_once(' ')?;
        let protobuf = STANDARD.decode(fields.next()?).ok()?;
        Some(Twin { method, path, protobuf, json: fields.next()? })
    };
    TWINS.lines().map(|line| twin(line).unwrap_or_else(|| panic!("no twin: {line}"))).collect()
}

fn is_served(twin: &Twin, resources: &[Resource]) -> bool {
    resources.iter().any(|resource| {
        let rest = twin.path.strip_prefix(&resource.root()).unwrap_or_default();
        let rest = if resource.namespaced { rest.strip_prefix("/namespaces/oracle").unwrap_or_default() } else { rest };
        let mut segments = rest.split('/').skip(1);
        let (name, _object, subresource) = (segments.next(), segments.next(), segments.next());
        name == Some(resource.name.as_str()) && subresource == resource.subresource.as_deref()
    })
}

/// Both forms of a twin have the same: it names the manager of the object's fields too.
fn mark(index: usize) -> String {
    format!("twin/{index}")
}

/// The answer's body, without what is new each time.
async fn send(connection: &mut Connection, twin: &Twin, (kind, body): (&str, &[u8]), index: usize) -> Value {
    // Beside a body the API server ignores a delete's query.
    let target = if twin.method == "DELETE" { twin.path.to_owned() } else { format!("{}?dryRun=All", twin.path) };
    let mark = mark(index);
    let headers = [("user-agent", mark.as_str()), ("accept", JSON), ("content-type", kind)];
    let answer = connection.open_with(twin.method, &target, &headers, body).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    let mut answer = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{target}: {body:?}"));
    forget_volatile(&mut answer);
    json!({"status": head.status.as_u16(), "body": answer})
}

/// Where two values differ: paths with both sides.
fn differences(one: &Value, other: &Value) -> Vec<String> {
    let (one, other) = (leaves(one), leaves(other));
    let paths: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differing = paths.into_iter().filter(|path| one.get(*path) != other.get(*path));
    differing.map(|path| format!("{path}: {:?} and {:?}", one.get(path), other.get(path))).collect()
}

/// Everything that holds nothing, by its path.
fn leaves(value: &Value) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                open.extend(fields.iter().map(|(name, value)| (format!("{path}/{name}"), value)));
            }
            Value::Array(items) if !items.is_empty() => {
                open.extend(items.iter().enumerate().map(|(index, value)| (format!("{path}/{index}"), value)));
            }
            leaf => drop(leaves.insert(path, leaf.clone())),
        }
    }
    leaves
}

fn forget_volatile(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !VOLATILE.contains(&name.as_str()));
            // A random name.
            if fields.contains_key("generateName") {
                fields.remove("name");
            }
            for (name, value) in fields {
                forget_volatile(value);
                if let (true, Some(items)) = (UNORDERED.contains(&name.as_str()), value.as_array_mut()) {
                    items.sort_by_key(Value::to_string);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(forget_volatile),
        Value::String(text) if text.starts_with(TOKEN_VOLUME) => text.truncate(TOKEN_VOLUME.len()),
        _ => {}
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
