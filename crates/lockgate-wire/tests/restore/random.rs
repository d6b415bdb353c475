//! Any object: masked, and sent back, it is what it was, byte for byte.

use lockgate_wire::mask::restore::{Write, restore};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

/// Names that mean something to the masker, and some that do not.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![
            "data", "stringData", "binaryData", "env", "args", "command", "httpHeaders", "name", "value", "spec", "template",
            "password", "token", "metadata", "annotations", "labels", "items", "object", "valueFrom", "release", LAST_APPLIED,
        ]).prop_map(str::to_owned),
        1 => "[a-c]{1,2}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ -~]{0,12}",
        1 => Just("--password=hunter2".to_owned()),
        1 => Just(json!({"kind": "Secret", "data": {"a": "b"}}).to_string()),
        1 => Just("é\n\u{1f600}\"\\".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        6 => text().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            3 => btree_map(name(), inner.clone(), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
            2 => vec(inner, 0..5).prop_map(Value::Array),
        ]
    })
}

/// An API object of any shape. Its kind comes first, so that nothing passes before it is known.
fn object() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        ("v1", "Secret"),
        ("v1", "ConfigMap"),
        ("apps/v1", "Deployment"),
        ("example.com/v1", "Widget"),
    ]);
    (kind, btree_map(name(), value(), 0..6), btree_map(text(), text(), 0..3), any::<bool>()).prop_map(
        |((version, kind), members, annotations, spaced)| {
            let mut object: serde_json::Map<String, Value> = members.into_iter().collect();
            object.insert(
                "metadata".into(),
                json!({"annotations": annotations, "name": "x", "resourceVersion": "7", "uid": "u-1"}),
            );
            let rest = Value::Object(object);
            let rest = if spaced { serde_json::to_string_pretty(&rest).unwrap() } else { rest.to_string() };
            format!(
                "{{\"apiVersion\":\"{version}\",\"kind\":\"{kind}\",{}",
                rest.trim_start().strip_prefix('{').unwrap()
            )
        },
    )
}

fn kinds() -> impl Strategy<Value = Kind> {
    let of = prop::sample::select(vec![
        SECRETS,
        MAPS,
        DEPLOYMENTS,
        WIDGETS,
        Kind { group: "apps", resource: "controllerrevisions", ..MAPS },
    ]);
    (of, prop::sample::select(PROFILES.to_vec())).prop_map(|(kind, profile)| Kind { profile, ..kind })
}

fn try_masked(kind: Kind, object: &str) -> Option<String> {
    let mut masker =
        Masker::new(MaskPlan::for_resource(kind.group, kind.resource, false, kind.profile), MaskLimits::default());
    let mut output = Vec::new();
    masker.push(object.as_bytes(), &mut output).ok()?;
    masker.finish(&mut output).ok()?;
    String::from_utf8(output).ok()
}

/// Takes the placeholder at one place to a name that the live object does not have.
fn moved(value: &mut Value) -> bool {
    match value {
        Value::Object(members) => {
            let marked = members.iter().find(|(_, value)| {
                value.as_str().is_some_and(|text| text.contains("by lockgate") || text.starts_with("KiptYX"))
            });
            if let Some((_, value)) = marked {
                let value = value.clone();
                members.insert("elsewhere".into(), value);
                return true;
            }
            members.values_mut().any(moved)
        }
        Value::Array(elements) => elements.iter_mut().any(moved),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_was_masked_comes_back(kind in kinds(), object in object()) {
        let Some(masked) = try_masked(kind, &object) else { return Ok(()) };
        let live = Live::read(&Secret::new(object.clone().into_bytes()), &kind.masking());
        let Ok(live) = live else { return Ok(()) };
        for write in [Write::Whole, Write::Merge] {
            let restored = restore(masked.as_bytes(), write, Values::AsGiven, &live, &kind.masking()).unwrap();
            match restored {
                None => prop_assert_eq!(&masked, &object),
                Some(restored) if write == Write::Whole => prop_assert_eq!(String::from_utf8(restored.body).unwrap(), object.clone()),
                Some(restored) => {
                    // Merged into the live object it changes nothing.
                    let mut merged = parsed(&object);
                    merge(&mut merged, &serde_json::from_slice(&restored.unpinned).unwrap());
                    prop_assert_eq!(without_nulls(merged), without_nulls(parsed(&object)));
                }
            }
        }
    }

    #[test]
    fn what_was_masked_elsewhere_is_refused(kind in kinds(), object in object()) {
        let Some(masked) = try_masked(kind, &object) else { return Ok(()) };
        let Ok(live) = Live::read(&Secret::new(object.into_bytes()), &kind.masking()) else { return Ok(()) };
        let mut body = parsed(&masked);
        if !moved(&mut body) {
            return Ok(());
        }
        let body = body.to_string();
        for write in [Write::Whole, Write::Merge, Write::Strategic] {
            let refused = restore(body.as_bytes(), write, Values::AsGiven, &live, &kind.masking());
            prop_assert!(matches!(refused, Err(Unrestorable::Fields(_))), "{}", body);
        }
    }

    /// Bytes of any kind, and trees cut anywhere.
    #[test]
    fn no_body_is_too_strange(kind in kinds(), object in object(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let Some(masked) = try_masked(kind, &object) else { return Ok(()) };
        let Ok(live) = Live::read(&Secret::new(object.into_bytes()), &kind.masking()) else { return Ok(()) };
        let mut body = masked.into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        for write in [Write::Whole, Write::Merge, Write::Strategic, Write::Json] {
            if let Ok(Some(restored)) = restore(&body, write, Values::AsGiven, &live, &kind.masking()) {
                prop_assert!(serde_json::from_slice::<Value>(&restored.body).is_ok());
            }
        }
    }
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in members {
        let fields = target.as_object_mut().unwrap();
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// A null in a patch deletes: in objects outside of lists there is none left.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
        ),
        other => other,
    }
}
