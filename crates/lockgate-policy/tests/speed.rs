//! Deciding takes time in proportion to the rules, and what conditions look at is made once for all of them. The bounds are
//! loose, so that a busy machine keeps them: they catch an accident in kind. The figures are the benchmark's
//! (`cargo bench -p lockgate-policy --bench decide`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::{Duration, Instant};

use lockgate_core::{Action, Effect, Options, Risk, Stream, Subject, SubjectKind, Verb};
use lockgate_policy::{Facts, Policy};
use serde_json::{Value, json};

/// Rules that do not decide, then one that does.
fn policy(rules: usize, rule: impl Fn(usize) -> String) -> Policy {
    let rules: String = (0..rules).map(|index| format!("- {{name: r{index}, {}}}\n", rule(index))).collect();
    let text = format!("apiVersion: lockgate.dev/v1\nkind: Policy\nrules:\n{rules}- {{name: last, allow: {{}}}}\n");
    Policy::parse(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// The least time of a decision by the last rule: what else the machine does only adds to it.
fn least(policy: &Policy, object: &Value) -> Duration {
    let subject = Subject {
        issuer: "https://idp".into(),
        id: "bot".into(),
        kind: SubjectKind::Agent,
        owner: None,
        on_behalf_of: None,
        groups: vec!["deployers".into()],
        token_id: None,
    };
    let action = Action {
        verb: Verb::Update,
        api_group: "apps".into(),
        api_version: "v1".into(),
        resource: "deployments".into(),
        subresource: None,
        namespace: Some("shop".into()),
        name: Some("web".into()),
        path: "/apis/apps/v1/namespaces/shop/deployments/web".into(),
        risk: Risk::Write,
        stream: Stream::None,
    };
    let options = Options::default();
    let facts = Facts { object: Some(object), ..Facts::new(&options) };
    let once = || {
        let start = Instant::now();
        let decision = policy.decide(&subject, "shop", &action, &facts);
        let time = start.elapsed();
        assert_eq!((decision.effect, decision.rule.as_deref()), (Effect::Allow, Some("last")), "{decision:?}");
        time
    };
    (0..60).map(|_| once()).min().expect("a time")
}

#[test]
fn eight_times_the_rules_take_about_eight_times_the_time() {
    // All of them are looked at closely: what keeps them from deciding is the name, which no sieve knows.
    let rule =
        |index| format!("match: {{namespaces: [shop], resources: [deployments], names: [n{index}]}}, deny: {{}}");
    let object = json!({});
    let (few, many) = (least(&policy(240, rule), &object), least(&policy(1_920, rule), &object));
    assert!(many < few * 24, "240 rules: {few:?}, 1,920 rules: {many:?}");
    assert!(many < Duration::from_millis(20), "1,920 rules: {many:?}");
}

#[test]
fn an_object_is_made_ready_once_for_all_conditions() {
    let items: Vec<Value> =
        (0..900).map(|index| json!({"name": format!("n{index}"), "value": {"from": index}})).collect();
    let object = json!({"spec": {"replicas": 3, "items": items}});
    let rule = |index| format!("when: object.spec.replicas > {}, deny: {{}}", index + 10);
    let (one, many) = (least(&policy(1, rule), &object), least(&policy(50, rule), &object));
    assert!(many < one * 12, "one condition: {one:?}, 50 conditions: {many:?}");
}
