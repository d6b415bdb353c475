//! What a verdict hangs on that nobody knows: labels that were not read, conditions that gave no value.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use lockgate_core::{Action, Decision, Effect, Options, Risk, Stream, Subject, SubjectKind};
use lockgate_policy::risk;
use lockgate_policy::{Facts, Outlook, Policy, Question};
use serde_json::{Value, json};

const NO_FINANCE: &str = "
- {name: no-finance, match: {labelSelector: {team: finance}}, deny: {}}
- {name: rest, allow: {}}
";
const WEB: &str = "
- {name: web, match: {labelSelector: {app: web}}, allow: {}}
";

fn policy(rules: &str) -> Policy {
    Policy::parse(&format!("apiVersion: lockgate.dev/v1\nkind: Policy\nrules:{rules}")).unwrap()
}

fn agent() -> Subject {
    Subject {
        issuer: "https://idp".into(),
        id: "bot".into(),
        kind: SubjectKind::Agent,
        owner: None,
        on_behalf_of: None,
        groups: Vec::new(),
        token_id: None,
    }
}

/// `get pods/log web`
fn action(words: &str) -> Action {
    let words: Vec<&str> = words.split(' ').collect();
    let (resource, subresource) = match words[1].split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (words[1], None),
    };
    let action = Action {
        verb: serde_json::from_value(json!(words[0])).unwrap(),
        api_group: if resource == "deployments" { "apps".into() } else { String::new() },
        api_version: "v1".into(),
        resource: resource.into(),
        stream: match subresource.as_deref() {
            Some("exec") => Stream::Exec,
            Some("portforward") => Stream::Portforward,
            _ => Stream::None,
        },
        subresource,
        namespace: Some("shop".into()),
        name: words.get(2).map(|name| (*name).to_owned()),
        path: String::new(),
        risk: Risk::Escalation,
    };
    Action { risk: risk::classify(&risk::Request::of(&action, &Options::default(), None)), ..action }
}

fn decide(policy: &Policy, action: &Action, object: Option<&Value>, old_object: Option<&Value>) -> Decision {
    let options = Options::default();
    let facts = Facts { object, old_object, ..Facts::new(&options) };
    policy.decide(&agent(), "shop", action, &facts)
}

fn labelled(labels: Value) -> Value {
    json!({"metadata": {"name": "web", "namespace": "shop", "labels": labels}})
}

const PARTS: [&str; 7] = [
    "get pods/log web",
    "create pods/exec web",
    "create pods/portforward web",
    "create pods/attach web",
    "create pods/eviction web",
    "get deployments/scale web",
    "patch deployments/scale web",
];

#[test]
fn a_part_of_an_object_has_that_object_s_labels() {
    let (finance, web, none) =
        (labelled(json!({"team": "finance"})), labelled(json!({"app": "web"})), labelled(json!({})));
    for part in PARTS {
        let action = action(part);
        let effect = |rules: &str, object: &Value| decide(&policy(rules), &action, None, Some(object)).effect;
        assert_eq!(effect(NO_FINANCE, &finance), Effect::Deny, "{part}");
        assert_eq!(effect(NO_FINANCE, &none), Effect::Allow, "{part}");
        assert_eq!(effect(WEB, &web), Effect::Allow, "{part}");
        assert_eq!(effect(WEB, &none), Effect::Deny, "{part}");
    }
}

#[test]
fn labels_that_nobody_knows_are_said_to_be_unknown_and_no_narrower_request_is_advised() {
    for part in PARTS.into_iter().chain(["delete configmaps webc"]) {
        let action = action(part);
        let options = Options::default();
        for (rules, rule, effect, labels) in
            [(NO_FINANCE, "no-finance", Effect::Deny, "team=finance"), (WEB, "web", Effect::Allow, "app=web")]
        {
            let policy = policy(rules);
            let decision = decide(&policy, &action, None, None);
            assert_eq!(decision.effect, Effect::Deny, "{part}");
            let message = decision.message.unwrap();
            assert!(
                message.contains(labels) && message.contains("not known") && !message.contains("Narrow"),
                "{message}"
            );
            assert!(decision.reasons.concat().contains("its labels are not known"), "{:?}", decision.reasons);
            let by_labels = policy.by_labels(&agent(), "shop", &action, &Facts::new(&options));
            assert_eq!(by_labels.len(), 1);
            assert_eq!((by_labels[0].rule.as_str(), by_labels[0].effect), (rule, effect));
            assert_eq!(by_labels[0].labels, [labels]);
        }
    }
    // A collection has no one name: there the request can be narrowed.
    let collection = decide(&policy(NO_FINANCE), &action("deletecollection pods"), None, None);
    assert!(collection.message.unwrap().contains("Narrow the request"));
}

#[test]
fn what_is_denied_anyway_hangs_on_no_labels() {
    let options = Options::default();
    for (rules, rule) in [
        (
            "\n- {name: no-finance, match: {labelSelector: {team: finance}}, deny: {}}\n- {name: pods, match: {resources: [configmaps]}, allow: {}}\n",
            None,
        ),
        (
            "\n- {name: no-finance, match: {labelSelector: {team: finance}}, deny: {}}\n- {name: none, deny: {message: Nobody.}}\n",
            Some("none"),
        ),
    ] {
        let policy = policy(rules);
        let action = action("create pods/exec web");
        let decision = decide(&policy, &action, None, None);
        assert_eq!((decision.effect, decision.rule.as_deref()), (Effect::Deny, rule));
        assert!(policy.by_labels(&agent(), "shop", &action, &Facts::new(&options)).is_empty());
    }
}

#[test]
fn an_object_is_worth_reading_only_where_a_rule_before_the_deciding_one_looks_at_it() {
    let options = Options::default();
    let hangs = |rules: &str, words: &str| {
        let policy = policy(rules);
        policy.hangs_on_object(&agent(), "shop", &action(words), &Facts::new(&options)).map(str::to_owned)
    };
    for words in PARTS.into_iter().chain(["get pods web", "delete configmaps web", "patch configmaps web"]) {
        assert_eq!(hangs(NO_FINANCE, words).as_deref(), Some("no-finance"), "{words}");
        assert_eq!(hangs(WEB, words).as_deref(), Some("web"), "{words}");
        assert_eq!(
            hangs("\n- {name: all, allow: {}}\n- {name: late, match: {labelSelector: {a: b}}, deny: {}}\n", words),
            None
        );
    }
    for words in ["list pods", "create pods web", "create pods", "get pods", "deletecollection pods"] {
        assert_eq!(hangs(NO_FINANCE, words), None, "{words}");
    }
    let by_class = "\n- {name: read, match: {risk: [read, masked]}, allow: {}}\n- {name: late, match: {labelSelector: {a: b}}, allow: {}}\n";
    assert_eq!(hangs(by_class, "get pods/log web"), None, "the class of a read is known");
    assert_eq!(hangs(by_class, "patch configmaps web").as_deref(), Some("late"), "that of a change may not be");
    let content = "\n- {name: typed, match: {resources: [secrets]}, when: object.type == 'Opaque', allow: {}}\n";
    assert_eq!(hangs(content, "get secrets web").as_deref(), Some("typed"));
    assert_eq!(hangs(content, "patch secrets web"), None, "of a change it is the body");
    let old = content.replace("object.type", "oldObject.type");
    assert_eq!(hangs(&old, "patch secrets web").as_deref(), Some("typed"));
}

fn outlook(rules: &str, words: &str, old_object: Option<&Value>) -> Outlook {
    let (policy, action, options) = (policy(rules), action(words), Options::default());
    let facts = Facts { old_object, ..Facts::new(&options) };
    policy.outlook(&agent(), "shop", &Question { action: &action, options: &options, any_version: true }, &facts)
}

#[test]
fn a_question_about_an_object_that_was_seen_is_answered_as_the_request_would_be() {
    let objects = [labelled(json!({"team": "finance"})), labelled(json!({"app": "web"})), labelled(json!({}))];
    let old = "\n- {name: mine, when: \"oldObject.metadata.labels['app'] == 'web'\", allow: {}}\n";
    for words in PARTS.into_iter().chain(["get pods web", "delete configmaps web", "patch configmaps web"]) {
        for rules in [NO_FINANCE, WEB, old] {
            for object in &objects {
                let action = action(words);
                let asked_for = Some(object).filter(|_| action.verb.is_read());
                let real = decide(&policy(rules), &action, asked_for, Some(object));
                let outlook = outlook(rules, words, Some(object));
                assert_eq!(outlook.decision.effect, real.effect, "{words}: {object} under {rules}");
                assert_eq!(outlook.decision.rule, real.rule, "{words}");
                assert!(outlook.exceptions.is_empty(), "{words}: {:?}", outlook.exceptions);
            }
        }
    }
}

const HOST_NETWORK: &str = "
- name: no-host-network
  match: {resources: [deployments], verbs: [patch]}
  when: \"has(object.spec.template.spec.hostNetwork)\"
  deny: {}
- {name: rest, allow: {}}
";

#[test]
fn a_condition_that_could_not_be_evaluated_is_a_reason_and_told_where_it_decided() {
    let annotate = json!({"spec": {}, "metadata": {"annotations": {"a": "b"}}});
    let decision = decide(&policy(HOST_NETWORK), &action("patch deployments web"), Some(&annotate), None);
    assert_eq!((decision.effect, decision.rule.as_deref()), (Effect::Deny, Some("no-host-network")));
    let reason = "condition of rule `no-host-network` could not be evaluated (no such key: template): it counts against the request";
    assert!(decision.reasons.contains(&reason.to_owned()), "{:?}", decision.reasons);
    assert!(decision.message.unwrap().contains("could not be evaluated (no such key: template)"));
    // One that would have allowed it.
    let few = "\n- {name: few, when: object.spec.replicas < 5, allow: {}}\n";
    let decision = decide(&policy(few), &action("patch deployments web"), Some(&json!({})), None);
    assert_eq!((decision.effect, decision.rule), (Effect::Deny, None));
    assert!(decision.message.unwrap().contains("condition of rule `few` could not be evaluated (no such key: spec)"));
    // One that decided nothing is a reason, and the caller is not bothered with it.
    let decision = decide(
        &policy(&format!("{few}- {{name: rest, allow: {{}}}}\n")),
        &action("patch deployments web"),
        Some(&json!({})),
        None,
    );
    assert_eq!((decision.effect, decision.message), (Effect::Allow, None));
    assert!(decision.reasons.concat().contains("condition of rule `few`"), "{:?}", decision.reasons);
}

#[test]
fn an_explanation_says_what_could_not_be_evaluated_and_the_fix() {
    let (policy, options, annotate) = (policy(HOST_NETWORK), Options::default(), json!({"spec": {}}));
    let facts = Facts { object: Some(&annotate), ..Facts::new(&options) };
    let explanation = policy.explain(&agent(), "shop", &action("patch deployments web"), &facts);
    let fix = "has(object.spec.template) && has(object.spec.template.spec) && …";
    let text = explanation.to_string();
    assert!(text.contains("could not be evaluated (no such key: template)") && text.contains(fix), "{text}");
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["rules"][0]["condition"]["fix"], fix);
    assert!(json["decision"]["reasons"].to_string().contains("could not be evaluated"));
}

#[test]
fn an_explanation_of_one_object_says_on_which_labels_it_depends() {
    let options = Options::default();
    let explain = |old_object: Option<&Value>| {
        let facts = Facts { old_object, ..Facts::new(&options) };
        policy(NO_FINANCE).explain(&agent(), "shop", &action("delete configmaps web"), &facts).to_string()
    };
    assert!(explain(None).contains("matches if the object is labelled team=finance"), "{}", explain(None));
    let seen = explain(Some(&labelled(json!({"app": "web"}))));
    assert!(seen.contains("labelSelector wants team=finance, here is an object with app=web"), "{seen}");
}

const OWN: &str = "
- {name: own, when: \"oldObject.metadata.labels['app'] == 'web'\", allow: {}}
- {name: reads, match: {risk: [read, masked]}, allow: {}}
";

#[test]
fn what_was_not_read_is_unknown_and_not_absent() {
    let (policy, options) = (policy(OWN), Options::default());
    let when = "oldObject.metadata.labels['app'] == 'web'";
    let by_object = |words: &str, old_object: Option<&Value>| {
        let facts = Facts { old_object, ..Facts::new(&options) };
        serde_json::to_value(policy.by_object(&agent(), "shop", &action(words), &facts)).unwrap()
    };
    for words in ["delete configmaps web", "patch deployments web", "create pods/eviction web", "delete pods web"] {
        let possible =
            json!([{"effect": "allow", "rule": "own", "when": when}, {"effect": "deny", "rule": null, "when": null}]);
        assert_eq!(by_object(words, None), possible, "{words}");
        for labels in [json!({"app": "web"}), json!({})] {
            assert_eq!(by_object(words, Some(&labelled(labels))), json!([]), "it was read: {words}");
        }
    }
    for words in ["list pods", "get configmaps web", "create configmaps", "deletecollection pods"] {
        assert_eq!(by_object(words, None), json!([]), "no object decides, or all comes to the same: {words}");
    }
    let explain = |old_object: Option<&Value>| {
        let facts = Facts { old_object, ..Facts::new(&options) };
        policy.explain(&agent(), "shop", &action("delete configmaps web"), &facts).to_string()
    };
    let unread = explain(None);
    assert!(unread.contains("looks at the object as it is in the cluster, which was not read"), "{unread}");
    let read = explain(Some(&labelled(json!({}))));
    assert!(!read.contains("was not read") && read.contains("cannot be evaluated"), "{read}");
}
