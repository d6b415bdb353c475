//! What a policy decides, as a caller sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use lockgate_core::{Action, Decision, Effect, MaskProfile, Options, Risk, Stream, Subject, SubjectKind, Verb};
use lockgate_policy::{Facts, Policy, Preset};

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
        _ => "",
    };
    let mut action = Action {
        verb,
        api_group: group.into(),
        api_version: "v1".into(),
        resource: resource.into(),
        subresource,
        namespace: namespace.map(Into::into),
        name: name.map(Into::into),
        path: String::new(),
        risk: Risk::Escalation,
        stream: Stream::None,
    };
    let options = Options::default();
    action.risk = lockgate_policy::risk::classify(&lockgate_policy::risk::Request::of(&action, &options, None));
    action
}

fn policy(rules: &str) -> Policy {
    Policy::parse(&format!("apiVersion: lockgate.dev/v1\nkind: Policy\nrules:\n{rules}")).unwrap()
}

fn decide(policy: &Policy, action: &Action) -> Decision {
    decide_with(policy, action, &Options::default())
}

fn decide_with(policy: &Policy, action: &Action, options: &Options) -> Decision {
    let facts = Facts { environment: "production", ..Facts::new(options) };
    let decision = policy.decide(&agent(), "shop", action, &facts);
    assert!(!decision.reasons.is_empty(), "every decision has a reason");
    assert_eq!(decision.policy_revision, policy.revision());
    assert_eq!(decision.effect == Effect::Ask, decision.terms.is_some());
    decision
}

fn rule_of(decision: &Decision) -> &str {
    decision.rule.as_deref().unwrap_or("-")
}

#[test]
fn the_first_rule_that_matches_decides_and_none_denies() {
    let policy = policy(
        "- name: first\n  match: {namespaces: [shop], verbs: [get]}\n  allow: {mask: off}\n\
         - name: second\n  match: {namespaces: [shop]}\n  deny: {message: Hands off.}\n",
    );
    let first = decide(&policy, &action(Verb::Get, "pods", Some("shop"), Some("web")));
    assert_eq!((first.effect, rule_of(&first), first.obligations.mask), (Effect::Allow, "first", MaskProfile::Off));
    let second = decide(&policy, &action(Verb::Delete, "pods", Some("shop"), Some("web")));
    assert_eq!((second.effect, rule_of(&second)), (Effect::Deny, "second"));
    assert_eq!(second.message.as_deref(), Some("Hands off."), "the rule's own words; the gateway says the rest");
    let none = decide(&policy, &action(Verb::Get, "pods", Some("other"), Some("web")));
    assert_eq!((none.effect, none.rule), (Effect::Deny, None));
}

#[test]
fn an_ask_carries_its_terms() {
    let policy = policy(
        "- name: sre\n  match: {risk: [mass]}\n  ask: {approvers: {groups: [sre]}, count: 2, fourEyes: true, ttl: 2h}\n",
    );
    let decision = decide(&policy, &action(Verb::Delete, "namespaces", Some("shop"), Some("shop")));
    let terms = decision.terms.unwrap();
    assert_eq!(
        (terms.approver_groups, terms.count, terms.four_eyes, terms.ttl_seconds),
        (vec!["sre".into()], 2, true, 7200)
    );
}

#[test]
fn bypass_row_11_get_on_exec_is_create() {
    let policy = policy("- name: reads\n  match: {verbs: [get, list, watch]}\n  allow: {}\n");
    for subresource in ["pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy", "nodes/proxy"] {
        let decision = decide(&policy, &action(Verb::Get, subresource, Some("shop"), Some("web")));
        assert_eq!(decision.effect, Effect::Deny, "{subresource}");
    }
    assert_eq!(decide(&policy, &action(Verb::Get, "pods/log", Some("shop"), Some("web"))).effect, Effect::Allow);
}

#[test]
fn bypass_row_9_a_rule_for_pods_does_not_cover_ephemeral_containers() {
    let policy = policy("- name: pods\n  match: {resources: [pods]}\n  allow: {}\n");
    assert_eq!(decide(&policy, &action(Verb::Patch, "pods", Some("shop"), Some("web"))).effect, Effect::Allow);
    let sneaky = action(Verb::Patch, "pods/ephemeralcontainers", Some("shop"), Some("web"));
    assert_eq!(decide(&policy, &sneaky).effect, Effect::Deny);
}

#[test]
fn bypass_row_14_a_deny_by_name_closes_every_way_to_see_or_lose_it() {
    let policy = policy(
        "- name: no-super-secret\n  match: {resources: [secrets], names: [super-secret], verbs: [get, delete]}\n  deny: {}\n\
         - name: rest\n  allow: {}\n",
    );
    for verb in [Verb::List, Verb::Watch] {
        let decision = decide(&policy, &action(verb, "secrets", Some("shop"), None));
        assert_eq!((decision.effect, rule_of(&decision), decision.obligations.filter), (Effect::Allow, "rest", true));
        assert!(decision.reasons.concat().contains("`no-super-secret`"), "{:?}", decision.reasons);
    }
    let delete = decide(&policy, &action(Verb::DeleteCollection, "secrets", Some("shop"), None));
    assert_eq!((delete.effect, rule_of(&delete)), (Effect::Deny, "no-super-secret"));
    assert!(delete.message.unwrap().contains("Narrow the request"));
    let filtered = |verb, resource, name, options: &Options| {
        let decision = decide_with(&policy, &action(verb, resource, Some("shop"), name), options);
        assert_eq!(decision.effect, Effect::Allow);
        decision.obligations.filter
    };
    let options = Options::default();
    assert!(!filtered(Verb::Get, "secrets", Some("other"), &options));
    assert!(!filtered(Verb::List, "secrets", Some("other"), &options));
    assert!(!filtered(Verb::List, "configmaps", None, &options));
    // A selector is believed, and checked: an aggregated API server might not heed it.
    for selector in ["metadata.name!=super-secret", "metadata.name!=super-secret\\,x", "metadata.name=other"] {
        let excluded = Options { field_selector: Some(selector.into()), ..Options::default() };
        assert!(filtered(Verb::List, "secrets", None, &excluded), "{selector}");
    }
    let by_name = decide(&policy, &action(Verb::List, "secrets", Some("shop"), Some("super-secret")));
    assert_eq!((by_name.effect, rule_of(&by_name)), (Effect::Deny, "no-super-secret"));
}

#[test]
fn bypass_row_14_a_denied_namespace_is_left_out_of_the_list_of_all_namespaces() {
    let policy =
        policy("- name: control-plane\n  match: {namespaces: [kube-system]}\n  deny: {}\n- name: rest\n  allow: {}\n");
    let decided = |verb, resource, namespace, name| {
        let decision = decide(&policy, &action(verb, resource, namespace, name));
        (decision.effect, decision.obligations.filter)
    };
    const WHOLE: (Effect, bool) = (Effect::Allow, false);
    const FILTERED: (Effect, bool) = (Effect::Allow, true);
    assert_eq!(decided(Verb::List, "pods", None, None), FILTERED);
    assert_eq!(decided(Verb::List, "namespaces", None, None), FILTERED);
    assert_eq!(decided(Verb::DeleteCollection, "pods", None, None), (Effect::Deny, false));
    assert_eq!(decided(Verb::Get, "namespaces", Some("kube-system"), Some("kube-system")).0, Effect::Deny);
    assert_eq!(decided(Verb::Create, "namespaces", None, Some("kube-system")).0, Effect::Deny);
    assert_eq!(decided(Verb::List, "widgets", None, None), FILTERED, "a custom resource could live in namespaces");
    assert_eq!(decided(Verb::List, "nodes", None, None), WHOLE, "nodes live in no namespace");
    assert_eq!(decided(Verb::Get, "widgets", None, Some("w")), WHOLE, "a single object without a namespace has none");
    assert_eq!(decided(Verb::List, "pods", Some("shop"), None), WHOLE);
}

#[test]
fn a_collection_delete_over_an_asked_part_asks_and_a_later_deny_still_counts() {
    let asks = "- name: prod\n  match: {namespaces: [prod]}\n  ask: {approvers: {groups: [sre]}}\n";
    let rest = "- name: rest\n  allow: {}\n";
    let (list, delete) = (action(Verb::List, "pods", None, None), action(Verb::DeleteCollection, "pods", None, None));
    let asked = decide(&policy(&format!("{asks}{rest}")), &delete);
    assert_eq!((asked.effect, rule_of(&asked)), (Effect::Ask, "prod"));
    let listed = decide(&policy(&format!("{asks}{rest}")), &list);
    assert_eq!((listed.effect, listed.obligations.filter), (Effect::Allow, true), "a list leaves the part out");
    let deny = "- name: control-plane\n  match: {namespaces: [kube-system]}\n  deny: {}\n";
    let denied = decide(&policy(&format!("{asks}{deny}{rest}")), &delete);
    assert_eq!((denied.effect, rule_of(&denied)), (Effect::Deny, "control-plane"));
    let other = "- name: dev\n  match: {namespaces: [dev]}\n  ask: {approvers: {groups: [devs]}}\n";
    let mixed = decide(&policy(&format!("{asks}{other}{rest}")), &delete);
    assert_eq!(mixed.effect, Effect::Deny, "one ticket has one set of approvers");
    let uncovered = decide(&policy(asks), &delete);
    assert_eq!(uncovered.effect, Effect::Deny, "nobody allows the rest");
    let given = decide(&policy("- name: own\n  match: {names: ['web-*']}\n  allow: {}\n"), &delete);
    let message = given.message.as_deref().unwrap_or_default();
    assert!(given.effect == Effect::Deny && given.rule.is_none(), "a part that is given gives no collection");
    assert!(message.contains("`own`") && message.contains("by name"), "{message}");
    let part = decide(&policy(asks), &list);
    assert_eq!((part.effect, part.obligations.filter), (Effect::Ask, true), "once agreed to, a list shows the part");
}

#[test]
fn c17_a_rule_by_name_covers_a_list_with_exactly_that_name() {
    let policy = policy(
        "- name: config\n  match: {resources: [configmaps], names: [app-config], verbs: [get, list, watch]}\n  allow: {}\n",
    );
    for verb in [Verb::Get, Verb::List, Verb::Watch] {
        // The classifier puts an exact metadata.name selector into the action's name.
        assert_eq!(
            decide(&policy, &action(verb, "configmaps", Some("shop"), Some("app-config"))).effect,
            Effect::Allow
        );
        assert_eq!(decide(&policy, &action(verb, "configmaps", Some("shop"), Some("other"))).effect, Effect::Deny);
    }
    let listed = |selector: Option<&str>| {
        let options = Options { field_selector: selector.map(Into::into), ..Options::default() };
        let decision = decide_with(&policy, &action(Verb::List, "configmaps", Some("shop"), None), &options);
        (decision.effect, decision.obligations.filter)
    };
    for selector in ["", "metadata.name!=app-config"] {
        assert_eq!(listed(Some(selector)).0, Effect::Deny, "{selector}");
    }
    for selector in [None, Some("metadata.namespace=shop")] {
        assert_eq!(listed(selector), (Effect::Allow, true), "only app-config is in the answer: {selector:?}");
    }
}

#[test]
fn a_generated_name_is_covered_only_by_what_it_must_become() {
    let policy = policy("- name: jobs\n  match: {names: [batch-*]}\n  allow: {}\n");
    let create = action(Verb::Create, "pods", Some("shop"), None);
    let decide = |object: serde_json::Value| {
        let options = Options::default();
        let facts = Facts { object: Some(&object), ..Facts::new(&options) };
        policy.decide(&agent(), "shop", &create, &facts).effect
    };
    assert_eq!(decide(serde_json::json!({"metadata": {"generateName": "batch-x-"}})), Effect::Allow);
    assert_eq!(decide(serde_json::json!({"metadata": {"generateName": "bat"}})), Effect::Deny);
    assert_eq!(decide(serde_json::json!({"metadata": {}})), Effect::Deny);
}

#[test]
fn subjects_clusters_and_environments_match() {
    let read = action(Verb::Get, "pods", Some("shop"), Some("web"));
    let matches = |condition: &str| {
        let policy = policy(&format!("- name: rule\n  match: {{{condition}}}\n  allow: {{}}\n"));
        decide(&policy, &read).effect == Effect::Allow
    };
    assert!(matches("subjects: {groups: [deployers]}"));
    assert!(matches("subjects: {groups: [other, deploy*], ids: [bot], kinds: [agent], owners: [alice]}"));
    assert!(matches("clusters: [shop], environments: [production]"));
    for wrong in [
        "subjects: {groups: [admins]}",
        "subjects: {groups: [deployers], ids: [somebody]}",
        "subjects: {kinds: [human]}",
        "subjects: {owners: [bob]}",
        "clusters: [bank]",
        "environments: [staging]",
    ] {
        assert!(!matches(wrong), "{wrong}");
    }
}

#[test]
fn non_resource_urls_and_resources_never_meet() {
    let mut health = action(Verb::Get, "", None, None);
    health.path = "/healthz/ready".into();
    let effect = |condition: &str, action: &Action| {
        decide(&policy(&format!("- name: rule\n  match: {{{condition}}}\n  allow: {{}}\n")), action).effect
    };
    assert_eq!(effect("nonResourceURLs: [/healthz*]", &health), Effect::Allow);
    assert_eq!(effect("nonResourceURLs: [/healthz]", &health), Effect::Deny);
    assert_eq!(effect("resources: ['*']", &health), Effect::Deny);
    let pods = action(Verb::Get, "pods", Some("shop"), Some("web"));
    assert_eq!(effect("nonResourceURLs: ['*']", &pods), Effect::Deny);
}

#[test]
fn the_presets_do_what_their_names_say() {
    let table = [
        (Verb::Get, "pods", [Effect::Allow, Effect::Allow]),
        (Verb::Patch, "deployments", [Effect::Deny, Effect::Ask]),
        (Verb::Delete, "deployments", [Effect::Deny, Effect::Ask]),
        (Verb::Create, "pods/exec", [Effect::Deny, Effect::Ask]),
        (Verb::Create, "serviceaccounts/token", [Effect::Deny, Effect::Deny]),
        (Verb::Get, "nodes/proxy", [Effect::Deny, Effect::Deny]),
        (Verb::Get, "widgets", [Effect::Allow, Effect::Allow]),
        (Verb::Create, "widgets", [Effect::Deny, Effect::Ask]),
    ];
    let (observe, operate) = (Preset::Observe.policy().unwrap(), Preset::Operate.policy().unwrap());
    for (verb, resource, expected) in table {
        let action = action(verb, resource, Some("shop"), Some("web"));
        let found = [decide(&observe, &action).effect, decide(&operate, &action).effect];
        assert_eq!(found, expected, "{verb} {resource}");
    }
    let patch = action(Verb::Patch, "deployments", Some("shop"), Some("web"));
    let options = Options::default();
    let facts = Facts { environment: "staging", ..Facts::new(&options) };
    assert_eq!(operate.decide(&agent(), "shop", &patch, &facts).effect, Effect::Allow, "routine outside production");
    let human = Subject { kind: SubjectKind::Human, ..agent() };
    let admin = Preset::Admin.policy().unwrap();
    assert_eq!(admin.decide(&human, "shop", &patch, &facts).effect, Effect::Allow);
    assert_eq!(admin.decide(&agent(), "shop", &patch, &facts).effect, Effect::Deny);
}

#[test]
fn the_revision_is_the_digest_of_the_text() {
    let revision = Preset::Observe.policy().unwrap().revision().to_owned();
    assert_eq!(revision.len(), 64);
    assert_ne!(revision, Preset::Operate.policy().unwrap().revision());
    assert_eq!(revision, Preset::Observe.policy().unwrap().revision());
}

#[test]
fn a_condition_that_cannot_be_evaluated_counts_against_the_request() {
    let policy = policy(
        "- name: no-host\n  match: {resources: [deployments]}\n  when: object.spec.template.spec.hostNetwork\n  deny: {}\n\
         - name: few-shells\n  match: {resources: [pods/exec]}\n  when: action.argv.size() > 0 && action.argv[0] in ['ls', 'cat']\n  allow: {}\n\
         - name: own\n  match: {resources: [deployments]}\n  when: subject.owner == 'alice' && action.environment == 'production'\n  allow: {}\n",
    );
    let exec = action(Verb::Create, "pods/exec", Some("shop"), Some("web"));
    let run = |argv: &[&str]| {
        let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
        let exec_options = lockgate_core::ExecOptions { argv, ..Default::default() };
        decide_with(&policy, &exec, &Options { exec: Some(exec_options), ..Options::default() }).effect
    };
    assert_eq!((run(&["ls", "-l"]), run(&["sh"]), run(&[])), (Effect::Allow, Effect::Deny, Effect::Deny));
    let patch = action(Verb::Patch, "deployments", Some("shop"), Some("web"));
    let options = Options::default();
    let effect = |object: serde_json::Value| {
        let facts = Facts { object: Some(&object), environment: "production", ..Facts::new(&options) };
        policy.decide(&agent(), "shop", &patch, &facts).effect
    };
    assert_eq!(effect(serde_json::json!({"spec": {"template": {"spec": {"hostNetwork": false}}}})), Effect::Allow);
    assert_eq!(effect(serde_json::json!({"spec": {"template": {"spec": {"hostNetwork": true}}}})), Effect::Deny);
    assert_eq!(effect(serde_json::json!({})), Effect::Deny, "the deny could not be evaluated, so it stands");
}

#[test]
fn a_connection_of_four_eyes_wants_two_people_for_mass_destruction_alone() {
    let policy = Preset::Operate.policy().unwrap();
    let options = Options::default();
    let count = |four_eyes, action: &Action| {
        let facts = Facts { four_eyes, ..Facts::new(&options) };
        policy.decide(&agent(), "shop", action, &facts).terms.unwrap().count
    };
    let mass = action(Verb::Delete, "namespaces", Some("shop"), Some("shop"));
    let one = action(Verb::Delete, "deployments", Some("shop"), Some("web"));
    assert_eq!((count(false, &mass), count(true, &mass), count(true, &one)), (1, 2, 1));
}

#[test]
fn a_condition_on_the_old_object_asks_for_it_and_counts_against_the_request_without_it() {
    let policy = policy(
        "- name: other-team\n  match: {resources: [deployments], verbs: [patch]}\n  \
         when: oldObject.metadata.labels.team != 'shop'\n  deny: {}\n- name: rest\n  allow: {}\n",
    );
    let patch = action(Verb::Patch, "deployments", Some("shop"), Some("web"));
    let options = Options::default();
    let needs = |action: &Action| policy.needs_old_object(&agent(), "shop", action, &Facts::new(&options));
    assert!(needs(&patch));
    assert!(!needs(&action(Verb::Get, "deployments", Some("shop"), Some("web"))), "no rule about it looks");
    assert!(!needs(&action(Verb::Patch, "configmaps", Some("shop"), Some("web"))));
    let effect = |old: Option<&serde_json::Value>| {
        let facts = Facts { old_object: old, ..Facts::new(&options) };
        policy.decide(&agent(), "shop", &patch, &facts).effect
    };
    let team = |team: &str| serde_json::json!({"metadata": {"labels": {"team": team}}});
    assert_eq!(effect(Some(&team("shop"))), Effect::Allow);
    assert_eq!(effect(Some(&team("bank"))), Effect::Deny);
    assert_eq!(effect(None), Effect::Deny);
}

#[test]
fn a_condition_sees_the_cluster_and_the_time() {
    let policy = policy(
        "- name: office-hours\n  match: {verbs: [patch]}\n  \
         when: cluster.environment == 'production' && now.getHours('Europe/Berlin') in [9, 10, 11]\n  allow: {}\n\
         - name: two-people\n  match: {verbs: [create]}\n  when: cluster.fourEyes && cluster.name == 'shop'\n  allow: {}\n",
    );
    let options = Options::default();
    let effect = |verb, facts: &Facts<'_>| {
        policy.decide(&agent(), "shop", &action(verb, "deployments", Some("shop"), Some("web")), facts).effect
    };
    let at = |time: Option<&str>| {
        let now = time.map(|time| time.parse().unwrap());
        effect(Verb::Patch, &Facts { environment: "production", now, ..Facts::new(&options) })
    };
    assert_eq!(at(Some("2026-11-25T08:30:00Z")), Effect::Allow);
    assert_eq!(at(Some("2026-11-25T07:30:00Z")), Effect::Deny);
    assert_eq!(at(None), Effect::Deny, "nobody says what time it is");
    assert_eq!(effect(Verb::Create, &Facts { four_eyes: true, ..Facts::new(&options) }), Effect::Allow);
    assert_eq!(effect(Verb::Create, &Facts::new(&options)), Effect::Deny);
}
