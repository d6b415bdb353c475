//! Answers on their way through the masker. However an answer is cut into pieces, the same comes out; JSON stays JSON; what is
//! masked stays as it is when it is masked again; and what a second, naive reading finds in `data` is gone.

use lockgate_wire::mask::{
    FieldRule, FieldRules, MaskError, MaskLimits, MaskPlan, MaskSummary, Masker, Profile, Reason,
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

fn masked<'a>(plan: MaskPlan, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<u8>, MaskSummary), MaskError> {
    let rule = FieldRule { group: "example.com".into(), kind: "Widget".into(), path: "spec.*.key".into() };
    let rules = FieldRules::compile(&[rule]).expect("a rule").into();
    let mut masker = Masker::new(plan, MaskLimits::default()).with_fields(rules);
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
