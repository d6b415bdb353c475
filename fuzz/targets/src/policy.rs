//! A policy document. Whatever is accepted decides, always alike and always with a reason; and a denial on the URL alone
//! stands for every body.

use lockgate_core::Effect;
use lockgate_policy::test::PolicyTest;
use lockgate_policy::{Facts, Policy};
use serde_json::{Value, json};

use crate::sample;

/// The bytes are a document.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The same text as a file of cases: read or refused, and never otherwise.
    if let Err(error) = PolicyTest::parse(text) {
        assert!(!error.to_string().is_empty());
    }
    let policy = match Policy::parse(text) {
        Ok(policy) => policy,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let again = Policy::parse(text).expect("parsed a moment ago");
    assert_eq!(policy.revision(), again.revision());
    let bodies: [Option<Value>; 4] = [
        None,
        Some(json!({})),
        Some(json!({"metadata": {"name": "b", "labels": {"app": "web"}}, "spec": {"replicas": 0}, "data": {"k": "v"}})),
        Some(
            json!({"metadata": {"generateName": "b-"}, "spec": {"containers": [{"securityContext": {"privileged": true}}]}}),
        ),
    ];
    for subject in sample::subjects() {
        for (action, options) in sample::actions() {
            let facts = Facts { environment: "production", ..Facts::new(&options) };
            let unread = policy.denies_any_body(&subject, "shop", &action, &facts);
            for object in &bodies {
                let facts = Facts { object: object.as_ref(), ..facts };
                let mut action = action.clone();
                let name = object.as_ref().and_then(|object| object.pointer("/metadata/name")).and_then(Value::as_str);
                if action.verb == lockgate_core::Verb::Create && action.name.is_none() {
                    action.name = name.map(str::to_owned);
                }
                let decision = policy.decide(&subject, "shop", &action, &facts);
                assert_eq!(decision, again.decide(&subject, "shop", &action, &facts), "{action:?}");
                assert_eq!(decision, policy.explain(&subject, "shop", &action, &facts).decision, "{action:?}");
                assert!(!decision.reasons.is_empty());
                assert!(decision.rule.is_some() || decision.effect == Effect::Deny, "no rule, yet {decision:?}");
                assert_eq!(decision.terms.is_some(), decision.effect == Effect::Ask, "{decision:?}");
                if unread.is_some() {
                    assert_eq!(decision.effect, Effect::Deny, "denied on the URL alone: {action:?} with {object:?}");
                }
            }
        }
    }
}
