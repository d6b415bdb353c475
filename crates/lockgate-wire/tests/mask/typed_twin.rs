//! Pod templates against a reference that masks a parsed `serde_json::Value`, on random trees, in random pieces. It shares
//! no code with the masker but the placeholders.

use lockgate_wire::mask::{MaskLimits, MaskPlan, Profile, Reason};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::pieces;

fn text() -> impl Strategy<Value = String> {
    let words = select(vec![
        "",
        "sh",
        "-c",
        "--flag",
        "--flag=x",
        "-pX",
        "-p",
        "A=b",
        "A=",
        "$(REF)",
        "A=$(REF)",
        "true",
        "--on=true",
        "a b",
        "--",
        "-",
        "--a b=c",
        "\"\\",
        "é",
    ]);
    prop_oneof![4 => words.prop_map(str::to_owned), 1 => "[ -~]{0,8}"]
}

fn name() -> impl Strategy<Value = String> {
    select(vec![
        "env",
        "Env",
        "args",
        "command",
        "httpHeaders",
        "name",
        "value",
        "valueFrom",
        "envFrom",
        "containers",
        "x",
    ])
    .prop_map(str::to_owned)
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::String),
        1 => select(vec![json!(null), json!(true), json!(false), json!(7), json!(-1.5)]),
    ];
    leaf.prop_recursive(7, 80, 5, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::Array),
            2 => vec((name(), inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn placeholder(reason: Reason) -> Value {
    json!(reason.placeholder())
}

fn look(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(look),
        Value::Object(members) => {
            for (name, value) in members {
                match name.as_str() {
                    "env" | "Env" => pairs(value, Reason::Environment),
                    "httpHeaders" => pairs(value, Reason::Header),
                    "args" | "command" => words(value, name == "command"),
                    _ => look(value),
                }
            }
        }
        _ => {}
    }
}

fn pairs(value: &mut Value, reason: Reason) {
    match value {
        Value::Null => {}
        Value::Object(_) => mapped(value, reason),
        Value::Array(elements) => elements.iter_mut().for_each(|element| pair(element, reason)),
        _ => *value = placeholder(reason),
    }
}

fn pair(value: &mut Value, reason: Reason) {
    match value {
        Value::Null => {}
        Value::String(text) if reason == Reason::Environment => word(text, false, reason),
        Value::Array(elements) => elements.iter_mut().for_each(|element| pair(element, reason)),
        Value::Object(members) => {
            for (name, value) in members {
                if name == "value" {
                    *value = placeholder(reason)
                } else if name == "name" {
                    said(value)
                } else {
                    look(value)
                }
            }
        }
        _ => *value = placeholder(reason),
    }
}

/// A name is a text; anything else is looked through.
fn said(value: &mut Value) {
    look(value);
}

fn mapped(value: &mut Value, reason: Reason) {
    match value {
        Value::Null => {}
        Value::Array(elements) => elements.iter_mut().for_each(|element| mapped(element, reason)),
        Value::Object(members) => {
            for (name, value) in members {
                if name == "valueFrom" { look(value) } else { mapped(value, reason) }
            }
        }
        _ => *value = placeholder(reason),
    }
}

fn words(value: &mut Value, program: bool) {
    match value {
        Value::Null => {}
        Value::String(text) => word(text, false, Reason::Argument),
        Value::Array(elements) => {
            // A null or a number is no word: the program is the first text.
            let mut program = program;
            for element in elements {
                let is_text = element.is_string();
                one_word(element, program);
                program = program && !is_text;
            }
        }
        Value::Object(_) => look(value),
        _ => *value = placeholder(Reason::Argument),
    }
}

fn one_word(value: &mut Value, program: bool) {
    match value {
        Value::Null => {}
        Value::String(text) => word(text, program, Reason::Argument),
        Value::Array(elements) => elements.iter_mut().for_each(|element| one_word(element, false)),
        Value::Object(_) => pair(value, Reason::Argument),
        _ => *value = placeholder(Reason::Argument),
    }
}

fn word(text: &mut String, program: bool, reason: Reason) {
    let harmless = |text: &str| {
        matches!(text, "" | "true" | "false")
            || (text.starts_with("$(") && text.ends_with(')') && name_like(&text[2..text.len() - 1]))
    };
    let kept = if program && text.chars().all(|c| c.is_ascii_alphanumeric() || "_./+-".contains(c)) {
        return;
    } else if let Some((name, _)) = text.split_once('=').filter(|(name, _)| name_like(name.trim_start_matches('-'))) {
        name.len() + 1
    } else if text == "-" || text == "--" || text.strip_prefix("--").is_some_and(name_like) {
        return;
    } else if text.starts_with('-') && text.chars().nth(1).is_some_and(|c| c.is_ascii_alphanumeric()) {
        2
    } else {
        0
    };
    if !harmless(&text[kept..]) {
        text.truncate(kept);
        text.push_str(reason.placeholder());
    }
}

fn name_like(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn templates_are_masked_as_the_reference_masks_them(spec in tree(), status in tree(), size in 1_usize..100, at in 0_usize..4) {
        let (group, resource) = [("", "pods"), ("apps", "deployments"), ("batch", "jobs"), ("example.com", "widgets")][at];
        let plan = MaskPlan::for_resource(group, resource, false, Profile::Strict);
        let input = json!({"spec": spec, "status": status}).to_string();
        let mut expected: Value = serde_json::from_str(&input).unwrap();
        look(&mut expected["spec"]);
        if group == "example.com" {
            look(&mut expected["status"]);
        }
        let (output, summary) = pieces(plan, MaskLimits::default(), input.as_bytes().chunks(size)).unwrap();
        let found: Value = serde_json::from_slice(&output).unwrap();
        prop_assert_eq!(&found, &expected, "{}", input);
        if summary.masked == 0 {
            prop_assert_eq!(output, input.into_bytes());
        }
    }
}
