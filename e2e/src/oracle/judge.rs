//! What the gateway's log and the cluster's log say of the same request, compared; and the reviewed list of what may differ.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::RangeBounds;

use regex_automata::meta::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::corpus::Call;
use super::send::mark;

/// Stands in the list of differences for the name that the object in the request's body has.
const NAME_IN_BODY: &str = "{metadata.name}";
/// Failures that are shown.
const SHOWN_MAX: usize = 40;

/// One log's words for a request: empty where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reading {
    verb: String,
    api_group: String,
    api_version: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    path: String,
}

impl Reading {
    fn of_action(action: &Value) -> Self {
        let text = |field: &str| action.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            verb: text("verb"),
            api_group: text("apiGroup"),
            api_version: text("apiVersion"),
            resource: text("resource"),
            subresource: text("subresource"),
            namespace: text("namespace"),
            name: text("name"),
            path: text("path"),
        }
    }

    fn of_event(event: &Value) -> Self {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let object = |field: &str| text(&format!("/objectRef/{field}"));
        let uri = text("/requestURI");
        Self {
            verb: text("/verb"),
            api_group: object("apiGroup"),
            api_version: object("apiVersion"),
            resource: object("resource"),
            subresource: object("subresource"),
            namespace: object("namespace"),
            name: object("name"),
            path: percent_decoded(uri.split('?').next().unwrap_or_default()),
        }
    }

    fn fields(&self) -> [(&'static str, &str); 8] {
        [
            ("verb", &self.verb),
            ("apiGroup", &self.api_group),
            ("apiVersion", &self.api_version),
            ("resource", &self.resource),
            ("subresource", &self.subresource),
            ("namespace", &self.namespace),
            ("name", &self.name),
            ("path", &self.path),
        ]
    }
}

fn percent_decoded(raw: &str) -> String {
    let mut decoded = Vec::new();
    let mut rest = raw.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = behind.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// One reviewed difference, as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    name: String,
    /// A regular expression over `METHOD /path?query`.
    request: String,
    field: String,
    /// What Lockgate says.
    lockgate: String,
    /// What the API server says.
    server: String,
    /// Only where the API server answered one of these; any answer where empty.
    #[serde(default)]
    statuses: Vec<u64>,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    differences: Vec<Listed>,
}

/// The reviewed list of what may differ; each entry must be met at least once.
pub struct Differences(Vec<(Listed, Regex)>);

impl Differences {
    /// Reads the file's text.
    ///
    /// # Panics
    /// If it is none, or an entry gives no reason.
    pub fn read(text: &str) -> Self {
        let file: File = serde_saphyr::from_str(text).expect("a list of differences");
        let compiled = file.differences.into_iter().map(|listed| {
            assert!(!listed.reason.trim().is_empty(), "{}: a reason is wanted", listed.name);
            let request = Regex::new(&listed.request).unwrap_or_else(|error| panic!("{}: {error}", listed.name));
            (listed, request)
        });
        Self(compiled.collect())
    }

    fn find(&self, call: &Call, difference: &Difference) -> Option<usize> {
        let name_in_body = call.name_in_body();
        self.0.iter().position(|(listed, request)| {
            let says = |wanted: &str, said: &str| match wanted {
                NAME_IN_BODY => name_in_body.as_deref() == Some(said),
                wanted => wanted == said,
            };
            listed.field == difference.field
                && says(&listed.lockgate, &difference.lockgate)
                && says(&listed.server, &difference.server)
                && (listed.statuses.is_empty() || listed.statuses.contains(&difference.status))
                && request.is_match(&call.line())
        })
    }
}

struct Difference {
    field: &'static str,
    lockgate: String,
    server: String,
    /// The API server's answer.
    status: u64,
}

/// What came out.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Requests that both logs have, by the cluster's verb.
    pub joined: BTreeMap<String, usize>,
    /// Requests that the gateway refused, by its answer: their places among the calls.
    pub refused: BTreeMap<u16, Vec<usize>>,
    /// How often each reviewed difference was met.
    pub listed: BTreeMap<String, usize>,
    /// Everything that must not be.
    pub faults: Vec<String>,
}

impl Judgement {
    /// Requests that both logs have.
    pub fn joined_total(&self) -> usize {
        self.joined.values().sum()
    }

    /// The lines of those of `calls` at these `places` that the gateway refused.
    pub fn refused_among(&self, calls: &[Call], places: impl RangeBounds<usize>) -> Vec<String> {
        let refused = self.refused.values().flatten().filter(|place| places.contains(place));
        refused.filter_map(|place| calls.get(*place)).map(Call::line).collect()
    }

    /// Fails with the first faults.
    ///
    /// # Panics
    /// If there are any.
    #[track_caller]
    pub fn assert_faultless(&self) {
        let shown: Vec<&str> = self.faults.iter().take(SHOWN_MAX).map(String::as_str).collect();
        assert!(self.faults.is_empty(), "{self}\n{} faults:\n{}", self.faults.len(), shown.join("\n"));
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.joined_total();
        let refused: BTreeMap<u16, usize> = self.refused.iter().map(|(status, calls)| (*status, calls.len())).collect();
        write!(formatter, "{total} requests in both logs {:?}; refused {refused:?}; ", self.joined)?;
        write!(formatter, "reviewed differences {:?}", self.listed)
    }
}

/// Compares what both logs say of `calls`, whose answers had these `statuses`.
///
/// # Panics
/// If the gateway's records are not what they are promised to be.
pub fn judge(
    calls: &[Call],
    statuses: &[u16],
    records: &[Value],
    events: &[Value],
    differences: &Differences,
) -> Judgement {
    let unrecorded = unrecorded(records, events).into_iter().map(|line| format!("not in the gateway's log: {line}"));
    let mut judgement = Judgement { faults: unrecorded.collect(), ..Judgement::default() };
    let records = by_mark(records, "/source/userAgent");
    let marked_events = by_mark(events, "/userAgent");
    let events = last_by_id(events);
    for (index, (call, status)) in calls.iter().zip(statuses).enumerate() {
        let mark = mark(index);
        let record = records.get(mark.as_str());
        let id = record.and_then(|record| record.get("id")?.as_str()).unwrap_or_default().trim_start_matches("aud_");
        let Some(event) = events.get(id) else {
            judgement.refused.entry(*status).or_default().push(index);
            let reached = marked_events.contains_key(mark.as_str());
            let claimed = record.is_some_and(|record| record.pointer("/upstream/status").is_some_and(Value::is_u64));
            if reached || claimed || !(400..500).contains(status) {
                let said = format!("{} ({status}): recorded as forwarded: {claimed}, seen: {reached}", call.line());
                judgement.faults.push(format!("{said}, but not joined"));
            }
            continue;
        };
        compare(call, record, event, differences, &mut judgement);
    }
    let unmet = differences.0.iter().filter(|(listed, _)| !judgement.listed.contains_key(&listed.name));
    let unmet: Vec<String> = unmet.map(|(listed, _)| format!("listed difference never met: {}", listed.name)).collect();
    judgement.faults.extend(unmet);
    judgement
}

fn compare(call: &Call, record: Option<&&Value>, event: &Value, differences: &Differences, judgement: &mut Judgement) {
    let action = record.and_then(|record| record.get("action")).expect("a forwarded request has an action");
    let (lockgate, server) = (Reading::of_action(action), Reading::of_event(event));
    *judgement.joined.entry(server.verb.clone()).or_default() += 1;
    let status = event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default();
    for ((field, ours), (_, theirs)) in lockgate.fields().into_iter().zip(server.fields()) {
        if ours == theirs {
            continue;
        }
        let difference = Difference { field, lockgate: ours.to_owned(), server: theirs.to_owned(), status };
        match differences.find(call, &difference).and_then(|found| differences.0.get(found)) {
            Some((listed, _)) => *judgement.listed.entry(listed.name.clone()).or_default() += 1,
            None => {
                let says = format!("Lockgate {ours:?}, the API server {theirs:?}, which answered {status}");
                judgement.faults.push(format!("{}: {field}: {says}", call.line()));
            }
        }
    }
}

/// By the marks of our requests; calls that the gateway makes on behalf of another are not ours.
fn by_mark<'a>(logged: &'a [Value], pointer: &str) -> HashMap<&'a str, &'a Value> {
    let own = logged.iter().filter(|one| one.get("parentId").is_none());
    let marked = own.filter_map(|one| Some((one.pointer(pointer)?.as_str()?, one)));
    marked.filter(|(mark, _)| mark.starts_with("oracle/")).collect()
}

/// The last event of each request: it knows the name in the body of a create, and the answer.
fn last_by_id(events: &[Value]) -> HashMap<&str, &Value> {
    events.iter().filter_map(|event| Some((event.get("auditID")?.as_str()?, event))).collect()
}

/// The requests that the cluster's log has and ours has not, by their ids: there must be none.
fn unrecorded(records: &[Value], events: &[Value]) -> Vec<String> {
    let text = |one: &Value, pointer: &str| one.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let known: HashSet<String> =
        records.iter().map(|record| text(record, "/id").trim_start_matches("aud_").to_owned()).collect();
    let agents = events.iter().filter(|event| text(event, "/impersonatedUser/username").starts_with("agent:"));
    let unknown = agents.filter(|event| !known.contains(&text(event, "/auditID")));
    unknown.map(|event| format!("{} {}", text(event, "/verb"), text(event, "/requestURI"))).collect()
}
