//! Known values and detectors inside of JSON: in strings, names, annotations, messages, at every split.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lockgate_wire::mask::{
    Detector, FindSecrets, KnownValues, MaskLimits, MaskPlan, Masker, Profile, Reason, Scan, ValueLabel, ValueLimits,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fields::masked;

const VALUE: &str = "Zr8Kw2Lx9Vb4Nt6Q";
const HARD: &str = "p\"ss <w\u{f6}rd>&\\ 1\n2";

fn scan() -> Scan {
    let mut builder = KnownValues::builder(ValueLimits::default());
    for value in [VALUE, HARD] {
        let label = ValueLabel { namespace: "shop".into(), secret: "db".into(), key: "password".into() };
        builder.add(label, value.as_bytes());
    }
    let (values, left_out) = builder.build();
    assert_eq!(left_out, []);
    Scan { values: Some(Arc::new(values)), detectors: true }
}

fn finder() -> Arc<dyn FindSecrets> {
    Arc::new(scan())
}

fn plan(group: &str, resource: &str, profile: Profile) -> MaskPlan {
    MaskPlan::for_resource(group, resource, false, profile)
}

fn masker(plan: MaskPlan, finder: &Arc<dyn FindSecrets>) -> Masker {
    Masker::new(plan, MaskLimits::default()).searched_by(finder.clone())
}

/// Plans under which all that these tests plant passes but for what is found.
fn plans() -> [MaskPlan; 5] {
    [
        plan("", "events", Profile::Balanced),
        plan("", "pods", Profile::Balanced),
        plan("apps", "controllerrevisions", Profile::Balanced),
        plan("example.com", "widgets", Profile::Balanced),
        plan("", "services", Profile::Strict),
    ]
}

fn known(text: &str) -> String {
    text.replace('#', Reason::KnownValue.placeholder())
}

#[test]
fn leaks_13_and_14_known_values_in_strings_and_names() {
    let finder = finder();
    for (input, expected) in [
        (format!(r#"{{"message":"a {VALUE} b","x":1}}"#), r##"{"message":"a # b","x":1}"##),
        (format!(r#"{{"spec":{{"a":["{VALUE}","b"]}}}}"#), r##"{"spec":{"a":["#","b"]}}"##),
        (r#"{"status":{"m":"\tZr8Kw\u0032Lx9Vb4Nt6Q\n"}}"#.to_owned(), r##"{"status":{"m":"\t#\n"}}"##),
        (format!(r#"{{"spec":{{"{VALUE}":{{"x":1}}}}}}"#), r##"{"spec":{"#":{"x":1}}}"##),
        (format!(r#"{{"spec":{{"a{VALUE}" : 1}}}}"#), r##"{"spec":{"a#" : 1}}"##),
        (r#"{"Zr8Kw\u0032Lx9Vb4Nt6Q":{"y":1}}"#.to_owned(), r##"{"#":{"y":1}}"##),
        (format!(r#"{{"kind":"{VALUE}","apiVersion":"a/{VALUE}"}}"#), r##"{"kind":"#","apiVersion":"a/#"}"##),
        (format!(r#"{{"metadata":{{"labels":{{"{VALUE}":"{VALUE}"}}}}}}"#), r##"{"metadata":{"labels":{"#":"#"}}}"##),
        (
            format!(r#"{{"metadata":{{"annotations":{{"note":"see {VALUE}","list":"[\"{VALUE}\"]"}}}}}}"#),
            r##"{"metadata":{"annotations":{"note":"see #","list":"[\"#\"]"}}}"##,
        ),
    ] {
        for plan in plans() {
            assert_eq!(masked(|| masker(plan, &finder), &input), known(expected), "{plan:?}");
        }
    }
}

#[test]
fn detectors_see_strings_and_what_names_say_of_them() {
    let finder = finder();
    for (input, detector, rest) in [
        (
            "{\"message\":\"Get \\\"http://h/role?user=a&password=kw93jd&x=1\\\": refused\"}",
            Detector::Password,
            "{\"message\":\"Get \\\"http://h/role?user=a&password=#&x=1\\\": refused\"}",
        ),
        ("{\"spec\":{\"password\":\"kw93jd\"}}", Detector::Password, "{\"spec\":{\"password\":\"#\"}}"),
        (
            "{\"spec\":{\"adminPassword\" :\n\"a\\\"b\\nc\"}}",
            Detector::Password,
            "{\"spec\":{\"adminPassword\" :\n\"#\"}}",
        ),
        ("{\"status\":{\"token\":\"k3Lx9Vb4Nt6Qw\"}}", Detector::NamedSecret, "{\"status\":{\"token\":\"#\"}}"),
        ("{\"status\":{\"auth\":\"k3Lx9Vb4Nt6Qw\"}}", Detector::NamedSecret, "{\"status\":{\"auth\":\"#\"}}"),
        ("{\"spec\":{\"url\":\"amqp://a:kw93jd@q\"}}", Detector::UrlPassword, "{\"spec\":{\"url\":\"amqp://a:#@q\"}}"),
        (
            "{\"metadata\":{\"annotations\":{\"a\":\"{\\\"password\\\":\\\"kw93jd\\\"}\"}}}",
            Detector::Password,
            "{\"metadata\":{\"annotations\":{\"a\":\"{\\\"password\\\":\\\"#\\\"}\"}}}",
        ),
    ] {
        for plan in plans() {
            let expected = rest.replace('#', Reason::Detected(detector).placeholder());
            assert_eq!(masked(|| masker(plan, &finder), input), expected, "{plan:?}");
        }
    }
    for input in [
        "{\"spec\":{\"passwordSecretRef\":{\"name\":\"db-k3Lx9Vb4Nt6Qw\",\"key\":\"k3Lx9Vb4Nt6Qw\"}}}",
        "{\"spec\":{\"password\":{\"k3Lx9Vb4Nt6Qw\":1},\"token\":[\"k3Lx9Vb4Nt6Qw\"],\"x\":\"k3Lx9Vb4Nt6Qw\"}}",
        "{\"spec\":{\"secretName\":\"default-token-x7k2p\",\"secret\":\"db-credentials\",\"password\":\"\"}}",
        "{\"spec\":{\"password\":\"$(DB_PASSWORD)\",\"token\":\"**masked by lockgate: token**\"}}",
    ] {
        for plan in plans() {
            assert_eq!(masked(|| masker(plan, &finder), input), input, "{plan:?}");
        }
    }
}

#[test]
fn leak_3_values_of_sets_in_managed_fields() {
    let finder = finder();
    let input = format!(
        r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"managedFields":[{{"fieldsV1":{{"f:spec":{{"v:\"{VALUE}\"":{{}},"k:{{\"name\":\"x\"}}":{{".":{{}}}}}}}}}}]}}}}"#
    );
    for plan in plans() {
        let expected = input.replace(VALUE, Reason::KnownValue.placeholder());
        assert_eq!(masked(|| masker(plan, &finder), &input), expected, "{plan:?}");
    }
}

#[test]
fn what_is_found_is_counted_by_reason_and_key_and_never_under_a_secret() {
    let finder = finder();
    let input = format!(
        r#"{{"metadata":{{"name":"{VALUE}"}},"spec":{{"dsn":"a {VALUE} {VALUE}","{VALUE}":"{VALUE}","env":[{{"name":"URL","value":"h/{VALUE}"}},{{"name":"{VALUE}","value":"b{VALUE}"}}]}}}}"#
    );
    for (group, resource) in [("", "pods"), ("example.com", "widgets"), ("", "services")] {
        let mut masker = masker(plan(group, resource, Profile::Balanced), &finder);
        let mut output = Vec::new();
        masker.push(input.as_bytes(), &mut output).unwrap();
        masker.finish(&mut output).unwrap();
        let counts = masker.counts();
        assert_eq!(counts.masked(), 8);
        let keys: Vec<_> = counts.by_key().iter().map(|count| (count.reason, count.key.as_str())).collect();
        assert!(keys.contains(&(Reason::KnownValue, "name")), "{keys:?}");
        assert!(keys.contains(&(Reason::KnownValue, "dsn")), "{keys:?}");
        assert!(keys.iter().all(|(_, key)| !key.contains(VALUE)), "{keys:?}");
        assert!(!counts.warning("pods").unwrap().contains(VALUE));
    }
}

#[test]
fn a_message_that_is_masked_elsewhere_is_searched_too() {
    let finder = finder();
    let input = format!(
        r#"{{"kind":"Status","apiVersion":"v1","message":"admission webhook \"w\" denied: {VALUE} is weak, not \"abc\""}}"#
    );
    for (resource, masks) in [("secrets", true), ("configmaps", true), ("pods", false)] {
        let output = masked(|| masker(plan("", resource, Profile::Strict), &finder), &input);
        assert!(!output.contains(VALUE) && output.contains(Reason::KnownValue.placeholder()), "{output}");
        assert_eq!(output.contains("abc"), !masks, "{output}");
    }
}

#[test]
fn what_is_too_large_to_be_searched_does_not_pass() {
    let finder = finder();
    let limits = MaskLimits { annotation_bytes_max: 40, ..MaskLimits::default() };
    let large = Reason::Large.placeholder();
    let long = format!("{}{VALUE}", "x".repeat(40));
    for plan in plans() {
        let make = || Masker::new(plan, limits).searched_by(finder.clone());
        for (input, expected) in [
            (format!(r#"{{"spec":{{"a":"{long}","b":1}}}}"#), format!(r#"{{"spec":{{"a":"{large}","b":1}}}}"#)),
            (format!(r#"{{"{long}":{{"b":1}}}}"#), format!(r#"{{"{large}":{{"b":1}}}}"#)),
            (format!(r#"{{"spec":{{"{long}":[]}}}}"#), format!(r#"{{"spec":{{"{large}":[]}}}}"#)),
            (format!(r#"{{"kind":"{long}","a":1}}"#), format!(r#"{{"kind":"{large}","a":1}}"#)),
        ] {
            assert_eq!(masked(make, &input), expected, "{plan:?}");
        }
    }
}

#[test]
fn off_searches_nothing() {
    let finder = finder();
    let input = format!(r#"{{"metadata":{{"managedFields":["{VALUE}"]}},"spec":{{"password":"{VALUE}"}}}}"#);
    assert_eq!(masked(|| masker(plan("", "pods", Profile::Off), &finder), &input), input);
}

/// Every spelling of a value that the documentation names.
fn spelled(value: &str, how: usize) -> String {
    let percent = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    match how {
        0 => value.to_owned(),
        1..=3 => STANDARD.encode(format!("{}{value}tail", "abc".get(..how - 1).unwrap())),
        4..=6 => URL_SAFE_NO_PAD.encode(format!("{}{value}tail", "abc".get(..how - 4).unwrap())),
        7 => value.bytes().map(|byte| format!("{byte:02x}")).collect(),
        8 => value.bytes().map(|byte| format!("{byte:02X}")).collect(),
        9 => value.bytes().map(percent).collect(),
        _ => json!(value).to_string(),
    }
}

/// What must not be left: the spelling without what it shares with its surroundings.
fn core(value: &str, how: usize) -> String {
    let whole = spelled(value, how);
    let alignment = match how {
        1..=6 => (how - 1) % 3,
        10 => return whole.trim_matches('"').to_owned(),
        _ => return whole,
    };
    let (first, end) = ((alignment * 8usize).div_ceil(6), (alignment + value.len()) * 8 / 6);
    whole.get(first..end).unwrap().to_owned()
}

/// JSON around a text: as a value, an element, a name, in an annotation, deep in something unknown.
fn around(text: &str, place: usize) -> Value {
    match place {
        0 => json!({"message": format!("a {text} b")}),
        1 => json!({"spec": {"list": ["x", [text]]}}),
        2 => json!({"metadata": {"annotations": {"a": json!({"spec": {"m": text}}).to_string(), "b": text}}}),
        3 => json!({"status": {text: {"n": 1}}}),
        4 => json!({"rows": [{"cells": [text, 1], "object": {"metadata": {"name": text}}}]}),
        _ => json!({"items": [{"kind": text, "apiVersion": text, "spec": {"env": [{"name": text, "value": "x"}]}}]}),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_spelling_is_left_however_the_answer_is_cut(
        how in 0_usize..11,
        place in 0_usize..6,
        hard in any::<bool>(),
        which in 0_usize..5,
        cuts in proptest::collection::vec(1_usize..40, 1..20),
    ) {
        let value = if hard { HARD } else { VALUE };
        let finder = finder();
        let input = around(&spelled(value, how), place).to_string();
        let mut masker = masker(plans()[which], &finder);
        let mut output = Vec::new();
        let mut rest = input.as_bytes();
        for size in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (head, tail) = rest.split_at((*size).min(rest.len()));
            masker.push(head, &mut output).unwrap();
            rest = tail;
        }
        let summary = masker.finish(&mut output).unwrap();
        prop_assert!(summary.masked > 0);
        let output = String::from_utf8(output).unwrap();
        prop_assert_eq!(&output, &masked(|| Masker::new(plans()[which], MaskLimits::default()).searched_by(finder.clone()), &input));
        // No string of the answer holds it, decoded or as it is written.
        let decoded: Value = serde_json::from_str(&output).unwrap();
        let core = core(value, how);
        prop_assert!(!output.contains(&core), "{}", output);
        prop_assert!(!strings(&decoded).iter().any(|text| text.contains(&core)), "{}", output);
    }
}

/// The same, without the quick look that spares most strings a search.
#[derive(Debug)]
struct Thorough(Scan);

impl FindSecrets for Thorough {
    fn find(&self, name: &[u8], text: &[u8], found: &mut Vec<lockgate_wire::mask::Found>) {
        FindSecrets::find(&self.0, name, text, found);
    }
}

const PARTS: [&str; 22] = [
    VALUE,
    HARD,
    "Zr8Kw2Lx",
    "9Vb4Nt6Q",
    "password",
    "token",
    "secret",
    "=",
    ": ",
    " ",
    "\"",
    "\\",
    "kw93jdX2",
    "x",
    "Bearer ",
    "k3Lx9Vb4Nt6Qw7Ys",
    "://a:",
    "@h",
    "AKIA",
    "ABCDEFGHIJKLMNOP",
    "\n",
    "sk-",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_quick_look_misses_nothing(
        texts in proptest::collection::vec(proptest::collection::vec(0_usize..PARTS.len(), 0..6), 8),
        which in 0_usize..5,
        size in 1_usize..200,
    ) {
        let texts: Vec<String> = texts.iter().map(|parts| parts.iter().map(|&part| PARTS[part]).collect()).collect();
        let [a, b, c, d, e, f, g, h] = texts.as_slice() else { panic!() };
        let input = json!({
            "metadata": {"name": a, "labels": {b: c}, "annotations": {"x": d}},
            "spec": {"password": e, "list": [f, {g: h, "token": a}], "env": [{"name": b, "value": "x"}]},
            "status": {c: [d], "message": e, "auth": f},
        })
        .to_string();
        let thorough: Arc<dyn FindSecrets> = Arc::new(Thorough(scan()));
        let [quick, thorough] = [finder(), thorough].map(|finder| {
            let mut masker = masker(plans()[which], &finder);
            let mut output = Vec::new();
            input.as_bytes().chunks(size).for_each(|piece| masker.push(piece, &mut output).unwrap());
            masker.finish(&mut output).unwrap();
            (String::from_utf8(output).unwrap(), masker.counts().clone())
        });
        prop_assert_eq!(quick, thorough);
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(members) => {
            members.iter().flat_map(|(name, member)| [vec![name.clone()], strings(member)].concat()).collect()
        }
        _ => Vec::new(),
    }
}
