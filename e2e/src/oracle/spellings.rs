//! The same YAML through the gateway and past it. Lockgate sends YAML on as the JSON that it reads in it: so the API server must make the same
//! of both, and what it makes of a scalar is what Lockgate's own table says.

use std::fmt;

use http_body_util::BodyExt;
use serde_json::Value;

use super::{Agent, Stand};
use crate::standalone::{Connection, Protocol};

/// A spelling and the JSON that it stands for; `refused` where there is none.
const SCALARS: &str = include_str!("../../../crates/lockgate-wire/corpus/scalars.tsv");

/// Spellings with a style or a tag of their own.
const OTHERS: [&str; 22] = [
    "!!str 0400",
    "!!int \"0400\"",
    "!!int 1.0",
    "!!float 81",
    "!!bool yes",
    "!!null x",
    "!!binary aGk=",
    "!!timestamp 2001-01-01",
    "! 0400",
    "! \"0400\"",
    "!own 0400",
    "\"0400\"",
    "'yes'",
    "|-\n    0400",
    "{on: 1, 0x10: 2, n: 3, 'y': 4}",
    "{<<: {x: 1, z: 1}, z: 2}",
    "{<<: [{x: 1}, {x: 2, v: 2}], z: 3}",
    "{'<<': {x: 1}}",
    "[&a {x: 010}, *a]",
    "{1.5: x}",
    "{~: x}",
    "\"a\\u2028b\\x85c\\uFEFF\\x7F\"",
];

/// What Lockgate refuses and the API server takes.
const REFUSED_HERE: [&str; 1] = ["{1.5: x}"];

/// JSON that a reader of YAML may take for something else.
const JSON_AS_YAML: [&str; 5] =
    ["\"a\\u2028b\\u0085c\\ufeff\\u007f\"", "81.0", "-0", "1e400", "{\"<<\": {\"x\": 1}, \"y\": 1, \"0x10\": 2}"];

/// What came out.
#[derive(Debug, Default)]
pub struct Spellings {
    /// Bodies whose answers were compared.
    pub compared: usize,
    /// Those of them that the API server took.
    pub taken: usize,
    /// Everything that must not be.
    pub faults: Vec<String>,
}

impl fmt::Display for Spellings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { compared, taken, faults } = self;
        write!(
            formatter,
            "{compared} YAML bodies through the gateway and past it, {taken} taken, {} faults",
            faults.len()
        )
    }
}

/// A body with a spelling in it, and where the value is in the answer.
struct Place {
    method: &'static str,
    path: &'static str,
    content_type: &'static str,
    body: fn(&str) -> String,
    pointer: &'static str,
    /// Whether any value can stand there.
    takes_all: bool,
}

const PLACES: [Place; 5] = [
    Place {
        method: "POST",
        path: "/apis/example.com/v1/namespaces/oracle/widgets?dryRun=All",
        content_type: "application/yaml",
        body: |spelled| {
            format!("apiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: s}}\nspec:\n  value: {spelled}\n")
        },
        pointer: "/spec/value",
        takes_all: true,
    },
    Place {
        method: "PATCH",
        path: "/apis/example.com/v1/namespaces/oracle/widgets/s?dryRun=All&fieldManager=s",
        content_type: "application/apply-patch+yaml",
        body: |spelled| {
            format!("apiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: s}}\nspec:\n  value: {spelled}\n")
        },
        pointer: "/spec/value",
        takes_all: true,
    },
    Place {
        method: "POST",
        path: "/apis/apps/v1/namespaces/oracle/deployments?dryRun=All",
        content_type: "application/yaml",
        body: |spelled| deployment("replicas", spelled),
        pointer: "/spec/replicas",
        takes_all: false,
    },
    Place {
        method: "PATCH",
        path: "/apis/apps/v1/namespaces/oracle/deployments/s?dryRun=All&fieldManager=s",
        content_type: "application/apply-patch+yaml",
        body: |spelled| deployment("replicas", spelled),
        pointer: "/spec/replicas",
        takes_all: false,
    },
    Place {
        method: "PATCH",
        path: "/apis/apps/v1/namespaces/oracle/deployments/s?dryRun=All&fieldManager=s",
        content_type: "application/apply-patch+yaml",
        body: |spelled| deployment("hostPort", spelled),
        pointer: "/spec/template/spec/containers/0/ports/0/hostPort",
        takes_all: false,
    },
];

/// Where a body is JSON under the name of YAML.
const PLACES_OF_JSON: [Place; 2] = [
    Place {
        body: |spelled| {
            format!(
                r#"{{"apiVersion":"example.com/v1","kind":"Widget","metadata":{{"name":"s"}},"spec":{{"value":{spelled}}}}}"#
            )
        },
        ..PLACES[0]
    },
    Place {
        body: |spelled| {
            format!(
                r#"{{"apiVersion":"example.com/v1","kind":"Widget","metadata":{{"name":"s"}},"spec":{{"value":{spelled}}}}}"#
            )
        },
        ..PLACES[1]
    },
];

fn deployment(field: &str, spelled: &str) -> String {
    let (replicas, port) = match field {
        "replicas" => (format!("  replicas: {spelled}\n"), String::new()),
        _ => (String::new(), format!("          hostPort: {spelled}\n")),
    };
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: s}}\nspec:\n{replicas}  selector: {{matchLabels: {{app: s}}}}\n  \
         template:\n    metadata: {{labels: {{app: s}}}}\n    spec:\n      containers:\n      - name: s\n        image: s\n        \
         ports:\n        - containerPort: 80\n{port}"
    )
}

/// Sends every spelling to every place, without effect (`dryRun`), both ways, and compares status and value.
///
/// # Panics
/// If one gets no answer.
pub async fn compare_spellings(stand: &Stand) -> Spellings {
    let mut past = stand.direct().await.connect(Protocol::Http1).await.expect("the API server");
    let mut through = stand.client(Agent::Administrator).connect(Protocol::Http1).await.expect("the gateway");
    let rows = SCALARS.lines().filter(|line| !line.starts_with('#'));
    let scalars = rows.map(|row| row.split_once('\t').unwrap_or_else(|| panic!("no spelling: {row}")));
    let scalars = scalars.flat_map(|(spelled, json)| PLACES.iter().map(move |place| (place, spelled, json)));
    let anything = || PLACES.iter().filter(|place| place.takes_all);
    let others = OTHERS.iter().flat_map(|spelled| anything().map(move |place| (place, *spelled, "")));
    let json = JSON_AS_YAML.iter().flat_map(|spelled| PLACES_OF_JSON.iter().map(move |place| (place, *spelled, "")));
    let mut spellings = Spellings::default();
    for (place, spelled, json) in scalars.chain(others).chain(json) {
        let (direct, ours) = (send(&mut past, place, spelled).await, send(&mut through, place, spelled).await);
        let is_taken = (200..300).contains(&direct.0);
        spellings.compared += 1;
        spellings.taken += usize::from(is_taken);
        let alike = if is_taken { direct == ours } else { !(200..300).contains(&ours.0) };
        let alike = alike || (ours.0 == 400 && REFUSED_HERE.contains(&spelled));
        let wanted = match json {
            _ if !is_taken || !place.takes_all || json.is_empty() => None,
            json => Some(serde_json::from_str::<Value>(json).expect("the table's JSON")),
        };
        if !alike || wanted.is_some_and(|wanted| !is_same(&wanted, &direct.1)) || (is_taken && json == "refused") {
            let line = format!("{} {}: {spelled}", place.method, place.pointer);
            spellings
                .faults
                .push(format!("{line}: the API server {direct:?}, through the gateway {ours:?}, the table {json}"));
        }
    }
    spellings
}

/// Whether two values are the same; as floats, where one is no `i64`.
fn is_same(one: &Value, other: &Value) -> bool {
    let is_float = |value: &Value| value.as_i64().is_none();
    one == other || (one.is_number() && one.as_f64() == other.as_f64() && (is_float(one) || is_float(other)))
}

/// Status, and the value that would be stored.
async fn send(connection: &mut Connection, place: &Place, spelled: &str) -> (u16, Value) {
    let headers = [("user-agent", "spellings"), ("accept", "application/json"), ("content-type", place.content_type)];
    let body = (place.body)(spelled);
    let answer = connection.open_with(place.method, place.path, &headers, body.as_bytes()).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    let answer: Value = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{spelled}: {body:?}"));
    (head.status.as_u16(), answer.pointer(place.pointer).cloned().unwrap_or_default())
}
