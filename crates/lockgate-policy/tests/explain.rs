//! An explanation names every rule and why it did not match.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use lockgate_core::{Options, Subject, SubjectKind};
use lockgate_policy::test::{Asked, PolicyTest, Understood};
use lockgate_policy::{Explanation, Facts, Policy, RuleOutcome};

const POLICY: &str = "\
apiVersion: lockgate.dev/v1
kind: Policy
rules:
- name: control-plane
  match: {namespaces: [kube-system, lockgate]}
  deny: {}
- name: read
  match: {risk: [read, masked], verbs: [get, list]}
  allow: {}
- name: few-replicas
  match: {resources: [deployments/scale], subjects: {groups: [deployers], kinds: [agent]}}
  when: object.spec.replicas < 5
  allow: {}
- name: urls
  match: {nonResourceURLs: [/healthz*]}
  allow: {}
- name: rest
  ask: {approvers: {groups: [sre]}, count: 2, fourEyes: true, ttl: 5m}
- name: unreachable
  match: {environments: [staging]}
  deny: {}
";

fn understood(request: &str) -> Understood {
    let text = format!("apiVersion: lockgate.dev/v1\nkind: PolicyTest\nmustDeny: ['{request}']\n");
    match PolicyTest::parse(&text).unwrap_or_else(|error| panic!("{error}")).cases.remove(0).asked {
        Asked::Understood(understood) => *understood,
        Asked::Raw(_) => panic!("raw"),
    }
}

fn bot() -> Subject {
    Subject {
        issuer: "https://idp".into(),
        id: "bot".into(),
        kind: SubjectKind::Agent,
        owner: None,
        on_behalf_of: None,
        groups: vec!["deployers".into()],
        token_id: None,
    }
}

fn explain(request: &str, object: Option<serde_json::Value>) -> Explanation {
    let Understood { action, options, .. } = understood(request);
    let facts = Facts { object: object.as_ref(), environment: "production", ..Facts::new(&options) };
    let policy = Policy::parse(POLICY).unwrap();
    let explanation = policy.explain(&bot(), "shop", &action, &facts);
    assert_eq!(explanation.decision, policy.decide(&bot(), "shop", &action, &facts));
    explanation
}

#[test]
fn an_explanation_in_words() {
    let text =
        explain("patch deployments/scale web -n shop", Some(serde_json::json!({"spec": {"replicas": 9}}))).to_string();
    assert_eq!(
        text,
        "\
ask by rule `rest`
  because rule `rest` asks 2 humans of sre for agent:bot to patch deployments.apps/web/scale in namespace shop of cluster shop
  asks 2 humans of sre, not the agent's owner, within 5m
rules, in order:
    1  control-plane  deny   does not match: namespaces wants kube-system, lockgate, here is shop
    2  read           allow  does not match: verbs wants get, list, here is patch; risk wants read, masked, here is write
    3  few-replicas   allow  does not match: `object.spec.replicas < 5` is false
    4  urls           allow  does not match: nonResourceURLs wants /healthz*, here is the resource deployments/scale
*   5  rest           ask    matches
    6  unreachable    deny   (comes too late) does not match: environments wants staging, here is production"
    );
    let unknown = explain("patch deployments/scale web -n shop", Some(serde_json::json!({})));
    assert!(
        unknown.to_string().contains("`object.spec.replicas < 5` cannot be evaluated (no such key: spec)"),
        "{unknown}"
    );
}

#[test]
fn an_explanation_as_data() {
    let json = serde_json::to_value(explain("list pods -A", None)).unwrap();
    assert_eq!((&json["decision"]["rule"], &json["decision"]["obligations"]["filter"]), (&"read".into(), &true.into()));
    assert_eq!(json["rules"][0]["outcome"], "matchesPart");
    assert_eq!((&json["rules"][1]["outcome"], &json["rules"][4]["tooLate"]), (&"matches".into(), &true.into()));
    assert_eq!(json["cluster"], serde_json::json!({"name": "shop", "environment": "production", "fourEyes": false}));
    let exec = explain("get pods/exec web -n shop", None);
    let found = &exec.rules[1].mismatches[0].found;
    assert!(found.starts_with("create (") && found.contains("sent as get"), "{found}");
}

/// Whatever a rule lists: it is kept out by a named field, or it matches.
#[test]
fn a_rule_that_does_not_match_names_a_field() {
    let policy = Policy::parse(
        "apiVersion: lockgate.dev/v1\nkind: Policy\nrules:\n\
         - {name: a, match: {clusters: [bank]}, allow: {}}\n\
         - {name: b, match: {subjects: {ids: [x]}}, allow: {}}\n\
         - {name: c, match: {subjects: {groups: [x]}}, allow: {}}\n\
         - {name: d, match: {subjects: {owners: [x]}}, allow: {}}\n\
         - {name: e, match: {subjects: {kinds: [human]}}, allow: {}}\n\
         - {name: f, match: {apiGroups: [apps]}, allow: {}}\n\
         - {name: g, match: {names: [x]}, allow: {}}\n\
         - {name: h, match: {labelSelector: {a: b}}, allow: {}}\n\
         - {name: i, match: {resources: [nodes]}, allow: {}}\n\
         - {name: j, match: {namespaces: [x]}, allow: {}}\n\
         - {name: k, match: {environments: [x]}, allow: {}}\n\
         - {name: l, match: {verbs: [watch]}, allow: {}}\n\
         - {name: m, match: {risk: [mass]}, allow: {}}\n\
         - {name: n, match: {nonResourceURLs: [/x]}, allow: {}}\n",
    )
    .unwrap();
    let fields = |request: &str| -> Vec<Vec<&str>> {
        let Understood { action, options, .. } = understood(request);
        let explanation = policy.explain(&bot(), "shop", &action, &Facts::new(&options));
        for trace in &explanation.rules {
            assert_eq!(trace.mismatches.is_empty(), trace.outcome != RuleOutcome::DoesNotMatch, "{request} {trace:?}");
        }
        explanation.rules.iter().map(|trace| trace.mismatches.iter().map(|mismatch| mismatch.field).collect()).collect()
    };
    let of_one = fields("get pods web -n shop");
    let expected = [
        "clusters",
        "subjects.ids",
        "subjects.groups",
        "subjects.owners",
        "subjects.kinds",
        "apiGroups",
        "names",
        "labelSelector",
        "resources",
        "namespaces",
        "environments",
        "verbs",
        "risk",
        "nonResourceURLs",
    ];
    // One object's labels are known from the answer only: the rule matches a part.
    assert_eq!(of_one, expected.map(|field| if field == "labelSelector" { vec![] } else { vec![field] }));
    for request in [
        "get /healthz",
        "list pods -A",
        "list nodes",
        "get nodes n",
        "create pods/exec web -n shop",
        "delete namespaces x",
    ] {
        fields(request);
    }
    let options = Options { label_selector: Some("a=b".into()), ..Options::default() };
    let action = understood("list pods -n shop").action;
    let selected = policy.explain(&bot(), "shop", &action, &Facts::new(&options));
    assert_eq!(selected.rules[7].outcome, RuleOutcome::Matches);
}
