use std::path::Path;

use super::*;
use crate::body::from_json;

fn protobuf() -> Protobuf {
    Protobuf::load().unwrap()
}

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// Where two values differ first.
fn difference(left: &Value, right: &Value, path: &str) -> Option<String> {
    match (left, right) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            keys.into_iter().find_map(|key| match (one.get(key), other.get(key)) {
                (Some(one), Some(other)) => difference(one, other, &format!("{path}.{key}")),
                (one, other) => Some(format!("{path}.{key}: {one:?} and {other:?}")),
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => one
            .iter()
            .zip(other)
            .enumerate()
            .find_map(|(index, (one, other))| difference(one, other, &format!("{path}[{index}]"))),
        _ => (left != right).then(|| format!("{path}: {left} and {right}")),
    }
}

/// Lines of base64 protobuf, a tab, and JSON, as the API server's own serializers wrote them; returns how many.
fn check(lines: &str) -> usize {
    let protobuf = protobuf();
    let mut faults = Vec::new();
    for line in lines.lines() {
        let (wire, json) = line.split_once('\t').unwrap();
        let expected = from_json(json.as_bytes()).unwrap();
        let kind = format!("{} {}", expected["apiVersion"], expected["kind"]);
        match protobuf.decode(&base64(wire)) {
            Ok(value) => faults.extend(difference(&value, &expected, &kind)),
            Err(error) => faults.push(format!("{kind}: {error}")),
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults[..faults.len().min(30)].join("\n"));
    lines.lines().count()
}

/// `cargo xtask codegen protobuf --check` does the same with all kinds and with Kubernetes' own fixtures.
#[test]
fn bodies_are_the_json_that_the_api_server_writes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/protobuf.tsv");
    assert!(check(&std::fs::read_to_string(path).unwrap()) >= 100);
}

/// The same request in both forms: whatever looks at the decoded body cannot tell them apart.
#[test]
fn a_body_and_its_json_twin_are_the_same_value() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/twins.tsv");
    let twins = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = twins.lines().map(|line| line.split_once('\t').unwrap().1).collect();
    assert!(check(&lines.join("\n")) >= 150);
}

/// One length-delimited field.
fn field(number: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = varint(u64::from(number) << 3 | 2);
    bytes.extend(varint(payload.len() as u64));
    bytes.extend(payload);
    bytes
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let type_meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [MAGIC.to_vec(), field(1, &type_meta), field(2, raw)].concat()
}

fn refusal(bytes: &[u8]) -> String {
    let error = protobuf().decode(bytes).unwrap_err();
    assert_eq!(error.status().code(), 400);
    error.to_string()
}

#[test]
fn delete_options_are_read_from_protobuf() {
    // kubectl: gracePeriodSeconds = 1, preconditions = 2, orphanDependents = 3, propagationPolicy = 4, dryRun = 5.
    let raw = [vec![8, 0], field(4, b"Orphan"), field(5, b"All")].concat();
    let value = protobuf().decode(&body("v1", "DeleteOptions", &raw)).unwrap();
    assert_eq!(
        value,
        serde_json::json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "propagationPolicy": "Orphan", "dryRun": ["All"]})
    );
}

#[test]
fn unknown_fields_are_refused_at_every_depth() {
    let unknown = field(99, b"x");
    let mut raw = unknown.clone();
    // Pod.spec = 2, PodSpec.containers = 2, Container.securityContext = 15, SecurityContext.capabilities = 1.
    assert!(refusal(&body("v1", "Pod", &raw)).contains("field 99 of api/core/v1.Pod "));
    for (number, message) in [(1, "SecurityContext"), (15, "Container"), (2, "PodSpec"), (2, "Pod")] {
        raw = field(number, &raw);
        let whole = match message {
            "SecurityContext" => field(2, &field(2, &field(15, &raw))),
            "Container" => field(2, &field(2, &raw)),
            "PodSpec" => field(2, &raw),
            _ => raw.clone(),
        };
        let text = refusal(&body("v1", "Pod", &whole));
        assert!(text.contains("field 99 of api/core/v1.Capabilities "), "{text}");
    }
    // In a map's entry, a quantity, a time, the envelope and its type.
    let data = field(2, &[field(1, b"a"), field(2, b"b"), unknown.clone()].concat());
    assert!(refusal(&body("v1", "Secret", &data)).contains("entry"));
    assert!(refusal(&[body("v1", "Secret", &[]), unknown.clone()].concat()).contains("envelope"));
    assert!(refusal(&body("v1", "Secret", &field(1, &field(8, &unknown)))).contains("Time"));
    assert!(refusal(&body("v1", "Widget", &[])).contains("not built in"));
    assert!(refusal(&body("example.com/v1", "Secret", &[])).contains("not built in"));
}

#[test]
fn ambiguous_and_malformed_bodies_are_refused() {
    let name = field(1, &field(1, b"a"));
    for (what, raw) in [
        ("repeated message", [name.clone(), name.clone()].concat()),
        ("repeated text", field(1, &[field(1, b"a"), field(1, b"b")].concat())),
        ("repeated key", [field(2, &field(1, b"a")), field(2, &field(1, b"a"))].concat()),
        ("not UTF-8", field(1, &field(1, b"\xff"))),
        ("wrong wire type", vec![8, 1]),
        ("group", vec![11, 12]),
        ("fixed32", vec![13, 0, 0, 0, 0]),
        ("field 0", vec![2, 0]),
        ("endless varint", vec![0xff; 12]),
        ("length beyond the end", vec![10, 5, 1]),
    ] {
        assert!(protobuf().decode(&body("v1", "Secret", &raw)).is_err(), "{what}");
    }
    assert!(protobuf().decode(b"").is_err());
    assert!(protobuf().decode(b"{}").is_err());
    assert!(protobuf().decode(&[MAGIC, &field(3, b"gzip")].concat()).is_err());
}

#[test]
fn every_cut_is_refused_or_is_a_shorter_body() {
    let raw = [field(1, &field(1, b"db")), field(2, &[field(1, b"k"), field(2, b"hunter2")].concat())].concat();
    let whole = body("v1", "Secret", &raw);
    let protobuf = protobuf();
    assert_eq!(protobuf.decode(&whole).unwrap()["data"]["k"], "aHVudGVyMg==");
    for cut in 0..whole.len() {
        match protobuf.decode(&whole[..cut]) {
            Err(error) => assert!(!error.to_string().contains("hunter2")),
            // The envelope may end before its second field.
            Ok(value) => assert!(value.get("data").is_none(), "{cut}: {value}"),
        }
    }
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    // JSONSchemaProps.not = 28, inside CustomResourceDefinition.spec = 2 .versions = 7 .schema = 4 .openAPIV3Schema = 1.
    let nested = |levels: usize| {
        let mut raw = Vec::new();
        for _ in 0..levels {
            raw = field(28, &raw);
        }
        body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &field(2, &field(7, &field(4, &field(1, &raw)))))
    };
    let protobuf = protobuf();
    assert!(protobuf.decode(&nested(PROTOBUF_DEPTH_MAX - 8)).is_ok());
    assert!(refusal(&nested(PROTOBUF_DEPTH_MAX)).contains("deep"));
    assert!(refusal(&nested(100_000)).contains("deep"));
    // A pod with very many empty containers.
    let containers = field(2, b"").repeat(PROTOBUF_VALUES_MAX);
    assert!(refusal(&body("v1", "Pod", &field(2, &containers))).contains("too many"));
}

#[test]
fn no_bytes_panic() {
    let protobuf = protobuf();
    proptest::proptest!(|(raw in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200))| {
        for (api_version, kind) in [("v1", "Pod"), ("v1", "DeleteOptions"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition")] {
            if let Ok(value) = protobuf.decode(&body(api_version, kind, &raw)) {
                proptest::prop_assert_eq!(&value["kind"], kind);
            }
        }
        proptest::prop_assert!(protobuf.decode(&raw).is_err());
    });
}

#[test]
fn no_damaged_body_panics() {
    let corpus = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/protobuf.tsv")).unwrap();
    let bodies: Vec<Vec<u8>> = corpus.lines().map(|line| base64(line.split_once('\t').unwrap().0)).collect();
    let protobuf = protobuf();
    proptest::proptest!(|(index in 0..bodies.len(), at in proptest::prelude::any::<proptest::sample::Index>(), byte in proptest::prelude::any::<u8>())| {
        let mut body = bodies[index].clone();
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(value) = protobuf.decode(&body) {
            proptest::prop_assert!(value.is_object() && value["kind"].is_string());
        }
    });
}
