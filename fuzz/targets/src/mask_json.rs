//! Answers on their way through the masker. However an answer is cut into pieces, the same comes out; JSON stays JSON; what is
//! masked stays as it is when it is masked again; and what a second, naive reading finds in `data` is gone. Where strings
//! are searched, a known value is in none of them any more, nor in a name.

use std::sync::{Arc, LazyLock};

use lockgate_wire::mask::{
    FieldRule, FieldRules, FindSecrets, KnownValues, MaskError, MaskLimits, MaskPlan, MaskSummary, Masker, Profile,
    Reason, Scan, ValueLabel, ValueLimits,
};
use serde_json::Value;

const RESOURCES: [(&str, &str); 8] = [
    ("", "secrets"),
    ("", "configmaps"),
    ("", "pods"),
    ("apps", "deployments"),
    ("apps", "controllerrevisions"),
    ("example.com", "widgets"),
    ("", "serviceaccounts"),
    ("certificates.k8s.io", "certificatesigningrequests"),
];
/// A known value, and one that JSON escapes.
const VALUES: [&str; 2] = ["Zr8Kw2Lx9Vb4Nt6Q", "p\"ss <w\u{f6}rd>&\\ 1\n2"];

static FINDER: LazyLock<Arc<dyn FindSecrets>> = LazyLock::new(|| {
    let mut builder = KnownValues::builder(ValueLimits::default());
    for value in VALUES {
        let label = ValueLabel { namespace: "shop".into(), secret: "db".into(), key: "password".into() };
        builder.add(label, value.as_bytes());
    }
    Arc::new(Scan { values: Some(Arc::new(builder.build().0)), detectors: true })
});

const PROFILES: [Profile; 4] = [Profile::Strict, Profile::Balanced, Profile::Secrets, Profile::Off];

/// The first byte says what was asked for, the second how the answer is cut; the rest is the answer.
pub fn run(data: &[u8]) {
    let [about, cut, answer @ ..] = data else { return };
    let at = usize::from(*about);
    let (group, resource) = RESOURCES.iter().cycle().nth(at % 8).copied().unwrap_or_default();
    let profile = PROFILES.iter().cycle().nth(at / 8 % 4).copied().unwrap_or(Profile::Strict);
    let plan = MaskPlan::for_resource(group, resource, at >= 128, profile);
    let whole = masked(plan, [answer]);
    let size = usize::from(*cut).max(1);
    assert_eq!(masked(plan, answer.chunks(size)), whole, "in pieces of {size}");
    searched(plan, profile, answer, size);
    let Ok((output, summary)) = whole else { return };
    if summary.masked == 0 {
        assert_eq!(output, answer, "nothing is masked, and something is changed");
    }
    let Ok(before) = serde_json::from_slice::<Value>(answer) else { return };
    let after: Value = serde_json::from_slice(&output).expect("JSON stays JSON");
    let (again, _) = masked(plan, [output.as_slice()]).expect("what was masked can be masked");
    assert_eq!(again, output, "masked twice");
    if group.is_empty()
        && matches!(
            (resource, profile),
            ("secrets", Profile::Strict | Profile::Balanced | Profile::Secrets) | ("configmaps", Profile::Strict)
        )
    {
        let data = |value: &Value, member: &str| value.get(member).cloned().unwrap_or_default();
        for member in ["data", "stringData"] {
            assert_masked(&data(&before, member), &data(&after, member));
        }
    }
}

/// The same with every string searched.
fn searched(plan: MaskPlan, profile: Profile, answer: &[u8], size: usize) {
    let make = || Masker::new(plan, MaskLimits::default()).searched_by(Arc::clone(&FINDER));
    let whole = push(make(), [answer]);
    assert_eq!(push(make(), answer.chunks(size)), whole, "searched, in pieces of {size}");
    let Ok((output, _)) = whole else { return };
    if profile == Profile::Off {
        assert_eq!(output, answer, "nothing is searched, and something is changed");
    }
    if serde_json::from_slice::<Value>(answer).is_ok() && profile != Profile::Off {
        let after: Value = serde_json::from_slice(&output).expect("JSON stays JSON");
        assert!(!holds_value(&after), "{after}");
    }
}

fn holds_value(json: &Value) -> bool {
    let is_held = |text: &str| VALUES.iter().any(|value| text.contains(value));
    match json {
        Value::String(text) => is_held(text),
        Value::Array(items) => items.iter().any(holds_value),
        Value::Object(members) => members.iter().any(|(name, member)| is_held(name) || holds_value(member)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn masked<'a>(plan: MaskPlan, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<u8>, MaskSummary), MaskError> {
    let rule = FieldRule { group: "example.com".into(), kind: "Widget".into(), path: "spec.*.key".into() };
    let rules = FieldRules::compile(&[rule]).expect("a rule").into();
    push(Masker::new(plan, MaskLimits::default()).with_fields(rules), pieces)
}

fn push<'a>(
    mut masker: Masker,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, MaskSummary), MaskError> {
    let mut output = Vec::new();
    for piece in pieces {
        masker.push(piece, &mut output)?;
    }
    let summary = masker.finish(&mut output)?;
    Ok((output, summary))
}

/// Every value is a placeholder now, under the same key. A Helm release is one packed.
fn assert_masked(before: &Value, after: &Value) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
            for (key, value) in after {
                let placeholder = value.as_str().is_some_and(|text| Reason::of(text).is_some());
                assert!(placeholder || key == "release", "{key}: {value}");
            }
        }
        (Value::Null, after) => assert_eq!(after, &Value::Null),
        (_, after) => assert!(after.as_str().is_some_and(|text| Reason::of(text).is_some()), "{after}"),
    }
}
