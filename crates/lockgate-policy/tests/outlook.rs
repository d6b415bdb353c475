//! What would become of a request that nobody has sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use lockgate_core::{Action, Decision, Effect, Options, Risk, Stream, Subject, SubjectKind, Verb};
use lockgate_policy::risk::{self, presumable};
use lockgate_policy::{Depends, Facts, Outlook, Policy, Preset, Question};

fn agent() -> Subject {
    Subject {
        issuer: "https://idp".into(),
        id: "bot".into(),
        kind: SubjectKind::Agent,
        owner: Some("alice".into()),
        on_behalf_of: None,
        groups: vec!["deployers".into()],
        token_id: None,
    }
}

fn action(verb: Verb, resource: &str, namespace: Option<&str>, name: Option<&str>) -> Action {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    let group = match resource {
        "deployments" => "apps",
        "widgets" => "example.com",
        "*" => "*",
        _ => "",
    };
    let session = subresource.as_deref() == Some("exec");
    Action {
        verb,
        api_group: group.into(),
        api_version: "v1".into(),
        resource: resource.into(),
        subresource,
        namespace: namespace.map(Into::into),
        name: name.map(Into::into),
        path: String::new(),
        risk: Risk::Escalation,
        stream: if session { Stream::Exec } else { Stream::None },
    }
}

fn policy(rules: &str) -> Policy {
    Policy::parse(&format!("apiVersion: lockgate.dev/v1\nkind: Policy\nrules:\n{rules}")).unwrap()
}

fn outlook(policy: &Policy, action: &Action) -> Outlook {
    let options = Options::default();
    let facts = Facts { environment: "test", ..Facts::new(&options) };
    let question = Question { action, options: &options, any_version: true };
    policy.outlook(&agent(), "shop", &question, &facts)
}

fn decide(policy: &Policy, action: &Action) -> Decision {
    let options = Options::default();
    let facts = Facts { environment: "test", ..Facts::new(&options) };
    let risk = risk::classify(&risk::Request::of(action, &options, None));
    policy.decide(&agent(), "shop", &Action { risk, ..action.clone() }, &facts)
}

/// `allow read, but deny root (Object)`
fn line(outlook: &Outlook) -> String {
    let rule = |rule: &Option<String>| rule.clone().unwrap_or_else(|| "-".into());
    let Outlook { decision, exceptions } = outlook;
    let but: Vec<String> =
        exceptions.iter().map(|one| format!("{} {} {:?}", one.effect.as_str(), rule(&one.rule), one.depends)).collect();
    format!("{} {}: {}", decision.effect.as_str(), rule(&decision.rule), but.join(", "))
}

const SECRETS: &str = "
- name: root
  match: {resources: [secrets], names: [super-secret]}
  deny: {}
- name: kube
  match: {namespaces: [kube-system]}
  deny: {}
- name: labelled
  match: {resources: [configmaps], labelSelector: {frozen: 'yes'}, verbs: [patch]}
  deny: {}
- name: read
  match: {verbs: [get, list, watch], resources: [secrets, configmaps]}
  allow: {}
- name: own
  match: {verbs: [patch], resources: [configmaps], names: [app-config]}
  allow: {}
";

#[test]
fn c16_an_exception_is_named_and_closes_nothing_else() {
    let policy = policy(SECRETS);
    for (verb, namespace, name, expected) in [
        (Verb::List, Some("shop"), None, "allow read: deny root Object"),
        (Verb::Get, Some("shop"), None, "allow read: deny root Object"),
        (Verb::Get, Some("shop"), Some("super-secret"), "deny root: "),
        (Verb::Get, Some("shop"), Some("other"), "allow read: "),
        (Verb::Get, None, Some("other"), "allow read: deny kube Object"),
        (Verb::List, None, None, "allow read: deny root Object, deny kube Object"),
        (Verb::Get, Some("kube-system"), Some("other"), "deny kube: "),
        (Verb::Delete, Some("shop"), Some("other"), "deny -: "),
    ] {
        let found = line(&outlook(&policy, &action(verb, "secrets", namespace, name)));
        assert_eq!(found, expected, "{verb} {namespace:?} {name:?}");
    }
    let patch = |name| line(&outlook(&policy, &action(Verb::Patch, "configmaps", Some("shop"), name)));
    assert_eq!(patch(Some("app-config")), "allow own: deny labelled Labels");
    assert_eq!(patch(Some("theirs")), "deny -: ");
    assert_eq!(patch(None), "deny -: allow own Object");
}

#[test]
fn what_a_body_would_tell_is_an_exception() {
    let policy = policy(
        "
- name: no-host-network
  match: {resources: [deployments], verbs: [create]}
  when: has(object.spec.template.spec.hostNetwork)
  deny: {}
- name: look-around
  match: {resources: [pods/exec]}
  when: action.argv.size() > 0 && action.argv[0] in ['ls']
  allow: {}
- name: at-night
  match: {resources: [services]}
  when: cluster.environment == 'production'
  deny: {}
- name: mine
  match: {resources: [services]}
  when: action.namespace == 'shop' && subject.id == 'bot'
  allow: {}
- name: write
  match: {risk: [write]}
  allow: {}
- name: rest
  ask: {approvers: {groups: [sre]}}
",
    );
    let of = |verb, resource, namespace| line(&outlook(&policy, &action(verb, resource, namespace, Some("x"))));
    assert_eq!(
        of(Verb::Create, "deployments", Some("shop")),
        "allow write: deny no-host-network Condition, ask rest Class(Ask), ask rest Class(Destructive), ask rest Class(Mass), \
         ask rest Class(Escalation)"
    );
    assert_eq!(of(Verb::Create, "pods/exec", Some("shop")), "ask rest: allow look-around Condition");
    assert_eq!(of(Verb::Get, "services", Some("shop")), "allow mine: ");
    assert_eq!(of(Verb::Get, "services", Some("other")), "ask rest: ");
    assert_eq!(of(Verb::Get, "services", None), "ask rest: allow mine Condition");
}

#[test]
fn what_a_change_may_turn_out_to_be_is_an_exception() {
    let operate = Preset::Operate.policy().unwrap();
    let of = |verb, resource| line(&outlook(&operate, &action(verb, resource, Some("shop"), Some("web"))));
    assert_eq!(
        of(Verb::Patch, "deployments"),
        "allow routine: ask write Class(Ask), ask destructive Class(Destructive), ask mass Class(Mass), \
         deny escalation Class(Escalation)"
    );
    assert_eq!(of(Verb::Delete, "deployments"), "ask destructive: ");
    assert_eq!(of(Verb::Create, "pods/exec"), "ask stream: ");
    assert_eq!(of(Verb::Create, "serviceaccounts/token"), "deny escalation: ");
    let subject = action(Verb::Create, "pods", Some("kube-system"), None);
    assert_eq!(line(&outlook(&operate, &subject)), "deny escalation: ");
    let anywhere = action(Verb::Delete, "pods", None, Some("web"));
    assert_eq!(line(&outlook(&operate, &anywhere)), "ask destructive: deny escalation Class(Escalation)");
}

#[test]
fn everything_is_allowed_only_by_who_allows_everything() {
    let everything = |rules: &str, verb| line(&outlook(&policy(rules), &action(verb, "*", None, None)));
    let all = "- name: all\n  allow: {}\n";
    assert_eq!(everything(all, Verb::Delete), "allow all: ");
    let pods = "- name: pods\n  match: {resources: [pods], verbs: [get]}\n  deny: {}\n";
    assert_eq!(everything(&format!("{pods}{all}"), Verb::Delete), "allow all: ");
    let denied = outlook(&policy(&format!("{pods}{all}")), &action(Verb::Get, "*", None, None));
    assert_eq!((denied.decision.effect, denied.decision.rule.as_deref()), (Effect::Deny, Some("pods")));
    let asked = "- name: risky\n  match: {risk: [mass]}\n  ask: {}\n";
    assert_eq!(everything(&format!("{asked}{all}"), Verb::Delete), "ask risky: ");
    let some = "- name: some\n  match: {resources: [pods, secrets]}\n  allow: {}\n";
    assert_eq!(everything(some, Verb::Get), "deny -: allow some Object");
    let elsewhere = "- name: root\n  match: {nonResourceURLs: ['*']}\n  deny: {}\n- name: not-me\n  when: subject.id == 'x'\n  deny: {}\n";
    assert_eq!(everything(&format!("{elsewhere}{all}"), Verb::Get), "allow all: ");
}

#[test]
fn of_an_unknown_kind_nobody_knows_where_it_lives() {
    let policy = policy("- name: shop\n  match: {namespaces: [shop], resources: [widgets]}\n  allow: {}\n");
    let found = outlook(&policy, &action(Verb::Get, "widgets", Some("shop"), Some("w")));
    assert_eq!(line(&found), "allow shop: deny - Scope");
    assert_eq!(found.exceptions[0].depends, Depends::Scope);
    let known = outlook(&policy, &action(Verb::Get, "pods", Some("shop"), Some("w")));
    assert_eq!(line(&known), "deny -: ");
}

#[test]
fn a_tree_of_paths_is_not_whole_where_a_rule_takes_one_away() {
    let policy = policy(
        "- name: logs\n  match: {nonResourceURLs: [/logs/secret]}\n  deny: {}\n- name: paths\n  match: {nonResourceURLs: [/logs/*]}\n  allow: {}\n",
    );
    let path = |path: &str| {
        let mut asked = action(Verb::Get, "", None, None);
        asked.path = path.into();
        line(&outlook(&policy, &asked))
    };
    assert_eq!(path("/logs/a"), "allow paths: ");
    assert_eq!(path("/logs/secret"), "deny logs: ");
    assert_eq!(path("/logs/*"), "allow paths: deny logs Object");
}

/// A question that leaves nothing open gets the verdict that the request would get.
#[test]
fn what_leaves_nothing_open_is_what_happens() {
    let documents =
        [SECRETS.to_owned(), String::new(), "- name: all\n  match: {verbs: [get, delete]}\n  ask: {}\n".into()];
    let mut policies: Vec<Policy> = documents.iter().filter(|text| !text.is_empty()).map(|text| policy(text)).collect();
    policies.extend([Preset::Observe, Preset::Operate, Preset::Admin].map(|preset| preset.policy().unwrap()));
    let verbs = [
        Verb::Get,
        Verb::List,
        Verb::Watch,
        Verb::Create,
        Verb::Update,
        Verb::Patch,
        Verb::Delete,
        Verb::DeleteCollection,
    ];
    let mut compared = 0;
    for policy in &policies {
        for verb in verbs {
            for (resource, namespace) in [
                ("pods", Some("shop")),
                ("pods/exec", Some("shop")),
                ("pods/log", Some("shop")),
                ("secrets", Some("shop")),
                ("secrets", Some("kube-system")),
                ("deployments", Some("shop")),
                ("deployments/scale", Some("shop")),
                ("nodes", None),
            ] {
                let collection = matches!(verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
                let names: &[Option<&str>] = if collection { &[None] } else { &[Some("a"), Some("super-secret")] };
                for name in names {
                    let asked = action(verb, resource, namespace, *name);
                    let (foreseen, decided) = (outlook(policy, &asked).decision, decide(policy, &asked));
                    assert_eq!(
                        (foreseen.effect, foreseen.rule, foreseen.terms),
                        (decided.effect, decided.rule, decided.terms),
                        "{} {verb} {resource} {namespace:?} {name:?}",
                        policy.name()
                    );
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn the_plainest_class_comes_first() {
    let options = Options::default();
    for (verb, resource, expected) in [
        (Verb::Get, "pods", vec![Risk::Masked]),
        (Verb::Delete, "pods", vec![Risk::Destructive]),
        (Verb::Delete, "namespaces", vec![Risk::Mass]),
        (Verb::Create, "pods/exec", vec![Risk::Stream]),
        (Verb::Patch, "configmaps", vec![Risk::Write, Risk::Ask, Risk::Destructive, Risk::Mass, Risk::Escalation]),
    ] {
        let action = action(verb, resource, Some("shop"), Some("x"));
        assert_eq!(presumable(&risk::Request::of(&action, &options, None)), expected, "{verb} {resource}");
    }
}
