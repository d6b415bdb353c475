//! Helm's releases in the `data` of a Secret or ConfigMap. What can be unpacked is masked inside and can be unpacked again, with
//! no value of its `config` left; everything else is masked whole. The same release gives the same bytes.

use lockgate_wire::mask::helm::{Stored, pack, unpack};
use lockgate_wire::mask::{MaskLimits, MaskPlan, Masker, Profile, Reason};
use serde_json::{Value, json};

/// The first byte says how it is stored, and whether the rest is the release's JSON or the stored value.
pub fn run(data: &[u8]) {
    let Some((form, bytes)) = data.split_first() else { return };
    let (resource, stored) =
        if form & 1 == 0 { ("secrets", Stored::InSecret) } else { ("configmaps", Stored::InConfigMap) };
    let value =
        if form & 2 == 0 { pack(bytes, stored).expect("memory") } else { String::from_utf8_lossy(bytes).into_owned() };
    let answer = json!({"data": {"release": value}}).to_string();
    let output = masked(resource, answer.as_bytes());
    assert_eq!(masked(resource, answer.as_bytes()), output);
    let output: Value = serde_json::from_slice(&output).expect("JSON stays JSON");
    let after = output.pointer("/data/release").and_then(Value::as_str).expect("a text stays a text");
    if Reason::of(after).is_some() {
        return;
    }
    let release = unpack(after, stored).expect("what is not masked whole can be read");
    let Ok(release) = serde_json::from_slice::<Value>(&release) else { return };
    assert!(release.is_object(), "{release}");
    assert_given(release.get("config").unwrap_or(&Value::Null));
    assert_given(release.pointer("/chart/values").unwrap_or(&Value::Null));
}

fn masked(resource: &str, answer: &[u8]) -> Vec<u8> {
    let plan = MaskPlan::for_resource("", resource, false, Profile::Strict);
    let mut masker = Masker::new(plan, MaskLimits::default());
    let mut output = Vec::new();
    masker.push(answer, &mut output).expect("an object");
    masker.finish(&mut output).expect("a whole one");
    output
}

fn assert_given(value: &Value) {
    match value {
        Value::String(text) => assert!(text.is_empty() || text == Reason::Release.placeholder(), "{text}"),
        Value::Object(members) => members.values().for_each(assert_given),
        Value::Array(elements) => elements.iter().for_each(assert_given),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
