//! What `policy check` warns of: no mistake for certain, and told all the same.

use lockgate_policy::{Policy, Preset};

use crate::Kind;

/// The warnings about these rules, one a line.
fn warnings(rules: &str) -> Vec<String> {
    let text = format!("{}{rules}\n", Kind::Policy.head());
    let policy = Policy::parse(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let line = |warning: &lockgate_policy::PolicyError| {
        format!("{}:{}: {}; {}", warning.line, warning.column, warning.message, warning.fix)
    };
    policy.warnings(&text).iter().map(line).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn a_resource_that_is_not_built_in_may_be_a_custom_one() {
    let doubtful = "rules:\n- {name: a, match: {resources: [widgets]}, deny: {}}";
    assert_eq!(
        warnings(doubtful),
        ["4:33: `widgets` is no built-in resource; if it is a custom resource, name its group beside it: \
          `apiGroups: [example.com]`"]
    );
    for fine in [
        "{apiGroups: [example.com], resources: [widgets, widgets/status, widgets/scale]}",
        "{apiGroups: [serving.knative.dev], resources: [services, po, secret]}",
        "{apiGroups: ['example.*'], resources: [widgets]}",
        "{apiGroups: [apps, example.com], resources: [deployments, widgets]}",
        "{apiGroups: ['', apps], resources: [pods, pods/log, deployments, deployments/scale, '*/status', 'pods/*']}",
        "{apiGroups: [metrics.k8s.io], resources: [pods, nodes]}",
        "{resources: [events, '*/scale', '*/*', serviceaccounts/token, certificatesigningrequests/approval]}",
    ] {
        assert_eq!(warnings(&format!("rules:\n- {{name: a, match: {fine}, deny: {{}}}}")), NONE, "{fine}");
    }
}

#[test]
fn a_word_of_a_later_kubernetes_is_no_mistake() {
    let later = "rules:\n- {name: a, match: {apiGroups: [batch], resources: [orchestrations]}, deny: {}}";
    let [warning] = &warnings(later)[..] else { panic!("{later}") };
    assert!(warning.contains("`orchestrations` is no resource of the group batch that Lockgate knows"), "{warning}");
    let aggregated = "rules:\n- {name: a, match: {apiGroups: [wardle]}, deny: {}}";
    let [warning] = &warnings(aggregated)[..] else { panic!("{aggregated}") };
    assert!(warning.contains("`wardle` is no API group that is built in"), "{warning}");
    let below = "rules:\n- {name: a, match: {resources: [pods/hibernation]}, deny: {}}";
    let [warning] = &warnings(below)[..] else { panic!("{below}") };
    assert!(warning.contains("`pods` has no subresource `hibernation` that Lockgate knows"), "{warning}");
}

/// A routine rule, and one that would ask about what is destructive.
fn routine(matches: &str, between: &str) -> String {
    format!(
        "rules:\n- name: routine\n  match: {matches}\n  allow: {{}}\n{between}- name: destructive\n  \
         match: {{risk: [destructive, mass, escalation, stream]}}\n  ask: {{}}"
    )
}

#[test]
fn a_routine_rule_without_risk_allows_what_a_later_one_would_ask_about() {
    let deploys = "{namespaces: [shop], apiGroups: [apps, ''], resources: [deployments, configmaps], verbs: [create, update, patch]}";
    assert_eq!(
        warnings(&routine(deploys, "")),
        [
            "4:9: rule `routine` allows what turns out to be destructive or escalation before rule `destructive` can ask; list \
          the classes that it is for, such as `risk: [write]`, in its match, or move it behind"
        ]
    );
    let everything = warnings(&routine("{namespaces: [shop]}", ""));
    assert!(
        everything.len() == 1 && everything[0].contains("destructive or mass or stream or escalation"),
        "{everything:?}"
    );
    let before_preset =
        "preset: operate\nrules:\n- {name: deploys, match: {resources: [deployments], verbs: [patch]}, allow: {}}";
    let [warning] = &warnings(before_preset)[..] else { panic!("{before_preset}") };
    assert!(warning.contains("before rule `operate/escalation` can deny it"), "{warning}");
}

#[test]
fn what_a_rule_says_outright_or_another_settles_is_not_warned_of() {
    let deploys = "{namespaces: [shop], resources: [deployments], verbs: [patch], risk: [write]}";
    assert_eq!(warnings(&routine(deploys, "")), NONE);
    for meant in [
        "{resources: [pods], verbs: [delete], namespaces: [shop]}",
        "{resources: [pods/exec], verbs: [create], namespaces: [shop]}",
        "{verbs: [get, list, watch]}",
        "{nonResourceURLs: [/healthz]}",
    ] {
        assert_eq!(warnings(&routine(meant, "")), NONE, "{meant}");
    }
    let first = "- {name: first, match: {risk: [destructive, escalation]}, deny: {}}\n";
    let routine_after = routine("{namespaces: [shop], resources: [deployments], verbs: [patch]}", "");
    assert_eq!(warnings(&routine_after.replacen("- name", &format!("{first}- name"), 1)), NONE);
    let elsewhere = "rules:\n- {name: a, match: {namespaces: [shop], verbs: [patch]}, allow: {}}\n\
                     - {name: b, match: {namespaces: ['bill*'], risk: [destructive]}, ask: {}}";
    assert_eq!(warnings(elsewhere), NONE);
    let conditional = routine("{namespaces: [shop]}\n  when: action.dryRun", "");
    assert_eq!(warnings(&conditional), NONE);
}

#[test]
fn nothing_that_ships_or_is_taught_is_warned_of() {
    const GUIDE: &str = include_str!("../../../../docs/policy.md");
    const DEMO: &str = include_str!("../../../../xtask/src/demo/shop/policy.yaml");
    let shipped = [Preset::Observe, Preset::Operate, Preset::Admin].map(|preset| preset.text().to_owned());
    let taught = GUIDE.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()));
    let policies =
        shipped.into_iter().chain(taught).chain([DEMO.to_owned()]).filter(|text| text.contains("\nkind: Policy\n"));
    let mut looked_at = 0;
    for text in policies {
        let warnings = Policy::parse(&text).unwrap_or_else(|error| panic!("{text}\n{error}")).warnings(&text);
        assert!(warnings.is_empty(), "{text}\n{warnings:?}");
        looked_at += 1;
    }
    assert!(looked_at >= 8, "{looked_at}");
}
