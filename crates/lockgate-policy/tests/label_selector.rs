//! `labelSelector` in a rule: the labels of the objects, as far as a request or its answer tells them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;

use lockgate_core::{Action, Decision, Effect, MaskProfile, Options, Risk, Stream, Subject, SubjectKind, Verb};
use lockgate_policy::{Facts, Item, Policy, View};
use serde_json::json;

const HELM: &str = r#"
- name: helm
  match: {namespaces: [shop], apiGroups: [""], resources: [secrets], labelSelector: {owner: helm}, verbs: [list]}
  allow: {mask: "off"}
- name: read
  match: {risk: [read, masked]}
  allow: {}
"#;

fn policy(rules: &str) -> Arc<Policy> {
    Arc::new(Policy::parse(&format!("apiVersion: lockgate.dev/v1\nkind: Policy\nrules:\n{rules}")).unwrap())
}

fn subject() -> Subject {
    Subject {
        issuer: "https://idp.example.com".into(),
        id: "agent".into(),
        kind: SubjectKind::Agent,
        owner: None,
        on_behalf_of: None,
        groups: Vec::new(),
        token_id: None,
    }
}

fn action(verb: Verb, namespace: Option<&str>, name: Option<&str>) -> Action {
    Action {
        verb,
        api_group: String::new(),
        api_version: "v1".into(),
        resource: "secrets".into(),
        subresource: None,
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        path: "/api/v1/namespaces/shop/secrets".into(),
        risk: Risk::Masked,
        stream: if verb == Verb::Watch { Stream::Watch } else { Stream::None },
    }
}

fn selecting(selector: &str) -> Options {
    Options { label_selector: (!selector.is_empty()).then(|| selector.to_owned()), ..Options::default() }
}

fn decided(rules: &str, action: &Action, selector: &str) -> (Decision, Option<View>) {
    let (policy, options) = (policy(rules), selecting(selector));
    let facts = Facts::new(&options);
    let decision = policy.decide(&subject(), "shop", action, &facts);
    let view = policy.view(&subject(), "shop", action, &facts, &decision);
    (decision, view)
}

fn mask(verb: Verb, namespace: Option<&str>, selector: &str) -> MaskProfile {
    let (decision, _) = decided(HELM, &action(verb, namespace, None), selector);
    assert_eq!(decision.effect, Effect::Allow);
    decision.obligations.mask
}

#[test]
fn only_a_selector_that_asks_for_the_label_is_unmasked() {
    for selector in ["owner=helm", "owner==helm", "name=web,owner=helm", "owner=helm,status=deployed", " owner = helm"]
    {
        assert_eq!(mask(Verb::List, Some("shop"), selector), MaskProfile::Off, "{selector}");
    }
    for selector in [
        "owner!=helm",
        "owner",
        "!owner",
        "owner=helmet",
        "xowner=helm",
        "owner in (helm)",
        "a in (b,owner=helm,c)",
        "",
    ] {
        // Where both rules give a part, the stricter mask goes for all of the answer.
        assert_eq!(mask(Verb::List, Some("shop"), selector), MaskProfile::Strict, "{selector}");
    }
    assert_eq!(mask(Verb::List, Some("other"), "owner=helm"), MaskProfile::Strict);
    assert_eq!(mask(Verb::List, None, "owner=helm"), MaskProfile::Strict);
    assert_eq!(mask(Verb::Get, Some("shop"), "owner=helm"), MaskProfile::Strict);
}

#[test]
fn what_both_rules_allow_is_not_filtered() {
    for selector in ["", "owner=helm", "owner!=helm"] {
        let (decision, view) = decided(HELM, &action(Verb::List, Some("shop"), None), selector);
        assert!(view.is_none_or(|view| !view.is_partial()), "{selector}: {decision:?}");
    }
}

const TEAM: &str = "- name: team\n  match: {labelSelector: {team: web}}\n  allow: {}\n";
const NOT_PROTECTED: &str =
    "- name: protected\n  match: {labelSelector: {protected: 'true'}}\n  deny: {}\n- name: rest\n  allow: {}\n";

/// The selector that is sent, for a watch; an error where the watch is refused.
fn sent(rules: &str, selector: &str) -> Result<Option<String>, String> {
    let (decision, view) = decided(rules, &action(Verb::Watch, Some("shop"), None), selector);
    match decision.effect {
        Effect::Allow => Ok(view.and_then(|view| view.selector().map(str::to_owned))),
        Effect::Deny | Effect::Ask => Err(decision.message.unwrap()),
    }
}

#[test]
fn one_conjunction_of_labels_becomes_part_of_the_selector() {
    let sys = "- name: sys\n  match: {names: [sys-*]}\n  deny: {}\n";
    let two = "- name: two\n  match: {labelSelector: {team: web, tier: front}}\n  allow: {}\n";
    for (rules, selector, expected) in [
        (TEAM.to_owned(), "", Some("team=web")),
        (TEAM.to_owned(), "app=x", Some("app=x,team=web")),
        (TEAM.to_owned(), "team=web", None),
        (TEAM.to_owned(), "team in (web, db)", Some("team in (web, db),team=web")),
        (NOT_PROTECTED.to_owned(), "", Some("protected!=true")),
        (NOT_PROTECTED.to_owned(), "protected!=true", None),
        (format!("{sys}{TEAM}"), "", Some("team=web")),
        (two.to_owned(), "", Some("team=web,tier=front")),
        (two.to_owned(), "tier=front", Some("tier=front,team=web,tier=front")),
        (format!("{two}{TEAM}"), "tier=front", Some("tier=front,team=web")),
        (
            NOT_PROTECTED.replace("allow: {}", "match: {labelSelector: {team: web}}\n  allow: {}"),
            "",
            Some("team=web,protected!=true"),
        ),
    ] {
        assert_eq!(sent(&rules, selector).as_ref().map(Option::as_deref), Ok(expected), "{selector} in\n{rules}");
    }
}

#[test]
fn what_is_no_conjunction_refuses_the_watch_with_a_next_step_and_filters_the_list() {
    let named = "- name: named\n  match: {names: [a]}\n  allow: {}\n";
    let two = "- name: two\n  match: {labelSelector: {protected: 'true', tier: front}}\n  deny: {}\n- name: rest\n  allow: {}\n";
    let looks = "- name: looks\n  match: {resources: [secrets]}\n  when: object.type == 'Opaque'\n  allow: {}\n";
    for (rules, step) in [
        (format!("{named}{TEAM}"), "-l team=web"),
        (format!("{TEAM}{NOT_PROTECTED}"), "-l team=web"),
        (two.to_owned(), "-l key=value"),
        (looks.to_owned(), "list instead"),
    ] {
        let message = sent(&rules, "").unwrap_err();
        assert!(message.contains(step) && message.contains("Rules `"), "{message}");
        let (decision, view) = decided(&rules, &action(Verb::List, Some("shop"), None), "");
        assert_eq!((decision.effect, decision.obligations.filter), (Effect::Allow, true), "{rules}");
        assert_eq!(view.unwrap().selector(), None);
    }
    assert_eq!(sent(&format!("{named}{TEAM}"), "team=web"), Ok(None), "a request may settle it itself");
}

fn shows(view: &mut View, name: &str, labels: &[(&str, &str)]) -> bool {
    let labels: Vec<_> = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    view.shows(&Item { name, namespace: "shop", labels: &labels, object: None }, None)
}

#[test]
fn one_object_by_name_is_shown_if_it_has_the_labels() {
    let (decision, view) = decided(TEAM, &action(Verb::Get, Some("shop"), Some("a")), "");
    assert_eq!((decision.effect, decision.obligations.filter), (Effect::Allow, true));
    let mut view = view.unwrap();
    assert!(shows(&mut view, "a", &[("app", "x"), ("team", "web")]));
    assert!(!shows(&mut view, "a", &[("team", "db")]) && !shows(&mut view, "a", &[]));
    assert_eq!(view.selector(), None);
    let mut view = decided(NOT_PROTECTED, &action(Verb::Get, Some("shop"), Some("a")), "").1.unwrap();
    assert!(shows(&mut view, "a", &[]) && !shows(&mut view, "a", &[("protected", "true")]));
}

#[test]
fn a_write_is_judged_by_the_labels_in_the_cluster_and_a_create_by_its_own() {
    let effect = |rules: &str, verb, object: Option<serde_json::Value>, old: Option<serde_json::Value>| {
        let name = (verb != Verb::Create).then_some("a");
        let (action, options) = (action(verb, Some("shop"), name), Options::default());
        let facts = Facts { object: object.as_ref(), old_object: old.as_ref(), ..Facts::new(&options) };
        policy(rules).decide(&subject(), "shop", &action, &facts).effect
    };
    let object = |labels: serde_json::Value| Some(json!({"metadata": {"name": "a", "labels": labels}}));
    let (team, other) = (object(json!({"team": "web"})), object(json!({"team": "db"})));
    for verb in [Verb::Update, Verb::Patch, Verb::Delete] {
        assert_eq!(effect(TEAM, verb, other.clone(), team.clone()), Effect::Allow, "{verb}");
        assert_eq!(effect(TEAM, verb, team.clone(), other.clone()), Effect::Deny, "{verb}");
        assert_eq!(effect(TEAM, verb, team.clone(), None), Effect::Deny, "{verb}: nobody knows the labels");
        assert_eq!(effect(NOT_PROTECTED, verb, None, None), Effect::Deny, "{verb}: nobody knows the labels");
        assert_eq!(effect(NOT_PROTECTED, verb, None, team.clone()), Effect::Allow, "{verb}");
    }
    assert_eq!(effect(TEAM, Verb::Create, team, None), Effect::Allow);
    assert_eq!(effect(TEAM, Verb::Create, other, None), Effect::Deny);
    let delete = action(Verb::DeleteCollection, Some("shop"), None);
    assert_eq!(decided(TEAM, &delete, "").0.effect, Effect::Deny);
    assert_eq!(decided(TEAM, &delete, "team=web").0.effect, Effect::Allow);
    assert_eq!(decided(NOT_PROTECTED, &delete, "").0.effect, Effect::Deny);
    assert_eq!(decided(NOT_PROTECTED, &delete, "protected!=true").0.effect, Effect::Allow);
}
