//! What a filtered read shows is what its caller gets one by one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;

use lockgate_core::{Action, Effect, Options, Risk, Stream, Subject, SubjectKind, Verb};
use lockgate_policy::{Facts, Item, Needs, Policy, View};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

fn policy(rules: &str) -> Arc<Policy> {
    Arc::new(Policy::parse(&format!("apiVersion: lockgate.dev/v1\nkind: Policy\nrules:\n{rules}")).unwrap())
}

fn subject() -> Subject {
    Subject {
        issuer: "https://idp".into(),
        id: "bot".into(),
        kind: SubjectKind::Agent,
        owner: None,
        on_behalf_of: None,
        groups: vec!["dev".into()],
        token_id: None,
    }
}

fn action(verb: Verb, resource: &str, namespace: Option<&str>, name: Option<&str>) -> Action {
    Action {
        verb,
        api_group: String::new(),
        api_version: "v1".into(),
        resource: resource.into(),
        subresource: None,
        namespace: namespace.map(Into::into),
        name: name.map(Into::into),
        path: String::new(),
        risk: Risk::Masked,
        stream: if verb == Verb::Watch { Stream::Watch } else { Stream::None },
    }
}

fn decided(policy: &Arc<Policy>, action: &Action) -> (Effect, Option<View>) {
    let options = Options::default();
    let facts = Facts::new(&options);
    let decision = policy.decide(&subject(), "c", action, &facts);
    let view = policy.view(&subject(), "c", action, &facts, &decision);
    assert_eq!(decision.obligations.filter, view.is_some());
    (decision.effect, view)
}

fn item<'i>(namespace: &'i str, name: &'i str) -> Item<'i> {
    Item { name, namespace, labels: &[], object: None }
}

#[test]
fn namespaces_show_those_that_may_be_got() {
    let shop = policy("- name: shop\n  match: {namespaces: [shop, dev-*]}\n  allow: {}\n");
    for resource in ["pods", "widgets"] {
        let mut view = decided(&shop, &action(Verb::List, resource, None, None)).1.unwrap();
        assert!(view.is_partial() && view.needs() == Needs::Head);
        assert!(view.shows(&item("shop", "a"), None) && view.shows(&item("dev-1", "a"), None));
        assert!(!view.shows(&item("kube-system", "a"), None) && !view.shows(&item("", "a"), None));
    }
    let mut view = decided(&shop, &action(Verb::Watch, "namespaces", None, None)).1.unwrap();
    assert!(view.shows(&item("", "shop"), None) && !view.shows(&item("", "kube-system"), None));
    assert_eq!(decided(&shop, &action(Verb::List, "nodes", None, None)).0, Effect::Deny);
    assert_eq!(decided(&shop, &action(Verb::DeleteCollection, "pods", None, None)).0, Effect::Deny);
}

#[test]
fn an_agreed_list_shows_what_asks_and_not_what_is_denied() {
    let rules =
        "- name: no\n  match: {names: [root]}\n  deny: {}\n- name: sre\n  match: {resources: [secrets]}\n  ask: {}\n";
    let (effect, view) = decided(&policy(rules), &action(Verb::List, "secrets", Some("shop"), None));
    let mut view = view.unwrap();
    assert_eq!(effect, Effect::Ask);
    assert!(view.shows(&item("shop", "db"), None) && !view.shows(&item("shop", "root"), None));
    let rules = format!("{rules}- name: read\n  match: {{}}\n  allow: {{}}\n");
    let mut view = decided(&policy(&rules), &action(Verb::List, "configmaps", None, None)).1.unwrap();
    assert!(view.shows(&item("shop", "db"), None) && !view.shows(&item("shop", "root"), None));
}

#[test]
fn conditions_on_the_object_are_asked_of_each_object() {
    let rules = "- name: opaque\n  match: {resources: [secrets]}\n  when: object.type == 'Opaque'\n  allow: {}\n";
    for (verb, name) in [(Verb::List, None), (Verb::Get, Some("a"))] {
        let (effect, view) = decided(&policy(rules), &action(verb, "secrets", Some("shop"), name));
        let mut view = view.unwrap();
        assert_eq!((effect, view.needs()), (Effect::Allow, Needs::Object));
        let mut shows =
            |object: serde_json::Value| view.shows(&Item { object: Some(&object), ..item("shop", "a") }, None);
        assert!(shows(json!({"type": "Opaque"})));
        assert!(!shows(json!({"type": "helm.sh/release.v1"})) && !shows(json!({})), "what cannot be evaluated hides");
    }
    assert_eq!(decided(&policy(rules), &action(Verb::Watch, "secrets", Some("shop"), None)).0, Effect::Deny);
    let status = Action { subresource: Some("status".into()), ..action(Verb::Get, "pods", Some("shop"), Some("a")) };
    let log = Action { subresource: Some("log".into()), ..status.clone() };
    let labelled = policy("- name: team\n  match: {resources: ['*'], labelSelector: {team: web}}\n  allow: {}\n");
    assert!(decided(&labelled, &status).1.is_some(), "an answer that is the object");
    assert_eq!(decided(&labelled, &log).0, Effect::Deny, "a log has no labels");
}

fn names() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "ab", "shop", "dev"]).prop_map(str::to_owned)
}

fn rule() -> impl Strategy<Value = String> {
    let list = |field: &'static str| {
        proptest::option::of(vec(prop_oneof![names(), Just("a*".to_owned()), Just("'*'".to_owned())], 1..3))
            .prop_map(move |list| list.map(|list| format!("{field}: [{}]", list.join(", "))))
    };
    let labels = proptest::option::of((names(), names()))
        .prop_map(|label| label.map(|(key, value)| format!("labelSelector: {{{key}: {value}}}")));
    let verbs = select(vec!["verbs: [get, list, watch]", "risk: [masked]", "verbs: ['*']"]);
    let when = select(vec!["", "\n  when: \"action.name != 'b'\"", "\n  when: object.spec == 'a'"]);
    let verdict = select(vec!["allow: {}", "allow: {mask: off}", "deny: {}", "ask: {}"]);
    (list("namespaces"), list("names"), labels, verbs, when, verdict).prop_map(
        |(namespaces, names, labels, verbs, when, verdict)| {
            let fields: Vec<String> =
                [namespaces, names, labels, Some(verbs.to_owned())].into_iter().flatten().collect();
            format!("match: {{{}}}{when}\n  {verdict}", fields.join(", "))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of any policy and any object: what a list or a get by name shows is what the policy gives of that object, and where
    /// nothing is filtered, everything is.
    #[test]
    fn a_filtered_list_shows_what_a_get_of_each_object_gives(
        rules in vec(rule(), 0..6),
        (namespace, name, label, spec) in (names(), names(), (names(), names()), names()),
        everywhere in any::<bool>(),
    ) {
        let rules: String = rules.iter().enumerate().map(|(at, rule)| format!("- name: r{at}\n  {rule}\n")).collect();
        let text = if rules.is_empty() { " []".to_owned() } else { rules };
        let policy = policy(&text);
        let (labels, object) = ([label], json!({"spec": spec}));
        let item = Item { name: &name, namespace: &namespace, labels: &labels, object: Some(&object) };
        let get = decided(&policy, &action(Verb::Get, "pods", Some(&namespace), Some(&name)));
        let gets = match get {
            (Effect::Allow, Some(mut view)) => view.shows(&item, None),
            (Effect::Allow, None) => true,
            // A human is asked about the object by name, whatever its labels; in a list they may give it.
            (Effect::Ask, Some(_)) => return Ok(()),
            (Effect::Ask | Effect::Deny, _) => false,
        };
        let place = if everywhere { None } else { Some(namespace.as_str()) };
        match decided(&policy, &action(Verb::List, "pods", place, None)) {
            (Effect::Allow, Some(mut view)) => prop_assert_eq!(view.shows(&item, None), gets, "{}", text),
            (Effect::Allow, None) => prop_assert!(gets, "{}", text),
            (Effect::Ask | Effect::Deny, _) => prop_assert!(!gets, "{}", text),
        }
        // A watch shows the same or is refused.
        if let (Effect::Allow, Some(mut view)) = decided(&policy, &action(Verb::Watch, "pods", place, None)) {
            prop_assert_eq!(view.shows(&item, None), gets, "{}", text);
        }
    }
}

/// Labels and content give one object before anybody is asked for it, once it has been read.
#[test]
fn nobody_is_asked_for_an_object_that_its_labels_give() {
    let own = policy(
        "- name: own\n  match: {labelSelector: {team: web}}\n  allow: {}\n\
         - name: small\n  when: object.size == 1\n  allow: {}\n\
         - name: rest\n  ask: {approvers: {groups: [sre]}}\n",
    );
    let get = action(Verb::Get, "configmaps", Some("shop"), Some("x"));
    let options = Options::default();
    fn read<'f>(options: &'f Options, object: Option<&'f serde_json::Value>) -> Facts<'f> {
        Facts { object, old_object: object, ..Facts::new(options) }
    }
    let unread = read(&options, None);
    assert!(own.asks_by_object(&subject(), "c", &get, &unread));
    assert_eq!(own.decide(&subject(), "c", &get, &unread).effect, Effect::Ask);
    let observing = own.decide_observing(&subject(), "c", &get, &unread);
    assert_eq!((observing.effect, observing.obligations.filter), (Effect::Allow, true));
    for (object, effect, rule) in [
        (json!({"metadata": {"name": "x", "labels": {"team": "web"}}, "size": 2}), Effect::Allow, "own"),
        (json!({"metadata": {"name": "x", "labels": {"team": "db"}}, "size": 1}), Effect::Allow, "small"),
        (json!({"metadata": {"name": "x", "labels": {"team": "db"}}, "size": 2}), Effect::Ask, "rest"),
        (json!({"metadata": {"name": "x"}}), Effect::Ask, "rest"),
    ] {
        let facts = read(&options, Some(&object));
        assert!(!own.asks_by_object(&subject(), "c", &get, &facts));
        let decision = own.decide(&subject(), "c", &get, &facts);
        assert_eq!((decision.effect, decision.rule.as_deref()), (effect, Some(rule)), "{object}");
        if effect == Effect::Allow {
            // By the time of the answer it may be another's.
            let mut view = own.view(&subject(), "c", &get, &facts, &decision).expect("the answer is looked at again");
            assert_eq!(view.needs(), Needs::Object);
            let labels = [("team".to_owned(), "db".to_owned())];
            let other = json!({"size": 3});
            assert!(!view.shows(&Item { name: "x", namespace: "shop", labels: &labels, object: Some(&other) }, None));
        }
    }
    let db = policy(
        "- name: db\n  match: {labelSelector: {team: db}}\n  ask: {approvers: {groups: [sre]}}\n- name: rest\n  allow: {}\n",
    );
    assert!(db.asks_by_object(&subject(), "c", &get, &unread));
    let object = json!({"metadata": {"name": "x", "labels": {"team": "db"}}});
    assert_eq!(db.decide(&subject(), "c", &get, &read(&options, Some(&object))).effect, Effect::Ask);
    let plain = policy("- name: rest\n  ask: {approvers: {groups: [sre]}}\n");
    assert!(!plain.asks_by_object(&subject(), "c", &get, &unread), "no read for nothing");
}

/// The guide's policy does what its table says.
#[test]
fn the_guides_example_filters_as_it_says() {
    let guide = include_str!("../../../docs/filtering.md");
    let text = guide.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let policy = Arc::new(Policy::parse(text).unwrap());
    let effect = |verb, resource: &str, namespace, name| decided(&policy, &action(verb, resource, namespace, name)).0;
    assert_eq!(effect(Verb::List, "configmaps", None, None), Effect::Allow);
    assert_eq!(effect(Verb::Get, "secrets", Some("shop"), Some("super-secret")), Effect::Deny);
    assert_eq!(effect(Verb::Watch, "configmaps", None, None), Effect::Deny, "alternatives of labels");
    assert_eq!(effect(Verb::DeleteCollection, "configmaps", Some("shop"), None), Effect::Deny);
    let (watch, view) = decided(&policy, &action(Verb::Watch, "configmaps", Some("shop"), None));
    assert_eq!((watch, view.unwrap().selector()), (Effect::Allow, Some("team=web")));
}
