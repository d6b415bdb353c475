//! What a refused document says: line, column, the line itself, the fix.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use lockgate_policy::Policy;

const HEAD: &str = "apiVersion: lockgate.dev/v1\nkind: Policy\nrules:\n";

/// The text after the head, the line it is refused at, what the message and the fix say.
const REFUSED: [(&str, u64, &str, &str); 22] = [
    ("- name: a\n  when: 'object.'\n  allow: {}\n", 5, "`when` of rule `a`", "CEL"),
    ("- name: a\n  when: claims.sub == 'x'\n  allow: {}\n", 5, "unknown variable claims", "use one of subject"),
    (
        "- name: a\n  match: {namespace: [x]}\n  allow: {}\n",
        5,
        "unknown field `namespace`",
        "did you mean `namespaces`?",
    ),
    ("- name: a\n  matches: {}\n  allow: {}\n", 5, "unknown field `matches`", "did you mean `match`?"),
    ("- name: a\n  match: {risk: [reed]}\n  allow: {}\n", 5, "unknown word `reed`", "did you mean `read`?"),
    (
        "- name: a\n  match: {verbs: [exec]}\n  allow: {}\n",
        5,
        "`exec` is no entry for verbs",
        "`create` on their subresource",
    ),
    ("- name: a\n  match: {verbs: []}\n  allow: {}\n", 5, "verbs is an empty list", "remove `verbs:`"),
    ("- name: a\n  match: {names: ['']}\n  allow: {}\n", 5, "no entry for names", "write a name"),
    ("- name: a\n  match: {resources: [Pods]}\n  allow: {}\n", 5, "`Pods`", "lower case"),
    (
        "- name: a\n  match: {resources: [deployments.apps]}\n  allow: {}\n",
        5,
        "`deployments.apps`",
        "without its group",
    ),
    ("- name: a\n  match: {nonResourceURLs: [healthz]}\n  allow: {}\n", 5, "`healthz`", "begins with `/`"),
    (
        "- name: a\n  match: {nonResourceURLs: [/healthz], resources: [pods]}\n  allow: {}\n",
        4,
        "never for both",
        "two rules",
    ),
    ("- name: a\n", 4, "exactly one of allow, deny and ask", "add `allow: {}`"),
    ("- name: a\n  allow: {}\n  deny: {}\n", 4, "exactly one of", "add"),
    ("- name: a\n  ask: {ttl: 10 minutes}\n", 5, "ttl is `10 minutes`", "10m"),
    ("- name: a\n  ask: {ttl: 5s}\n", 5, "ttl is 5 seconds", "30s to 24h"),
    ("- name: a\n  ask: {count: 0}\n", 5, "count is 0", "write 1 to 5"),
    ("- name: a\n  ask: {approvers: [sre]}\n", 5, "", ""),
    ("- name: a\n  allow: {mask: of}\n", 5, "unknown word `of`", "did you mean `off`?"),
    ("- name: a\n  allow: {}\n- name: a\n  deny: {}\n", 6, "a second rule is named `a`", "name of its own"),
    ("- name: ''\n  allow: {}\n", 4, "a rule's name", "such as `read`"),
    ("- match: {}\n  allow: {}\n", 5, "`name` is missing", "add `name:`"),
];

#[test]
fn every_refusal_says_where_what_and_how_to_mend_it() {
    for (rules, line, message, fix) in REFUSED {
        let error = Policy::parse(&format!("{HEAD}{rules}")).expect_err(rules);
        assert_eq!(error.line, line, "{rules}{error}");
        assert!(error.column > 0, "{rules}{error}");
        assert!(error.message.contains(message), "{rules}{error}");
        assert!(!error.fix.is_empty() && error.fix.contains(fix), "{rules}{error}");
        let shown = error.to_string();
        let written = format!("{HEAD}{rules}").lines().nth(usize::try_from(line).unwrap() - 1).unwrap().to_owned();
        assert!(shown.starts_with(&format!("line {line}, column ")) && shown.contains(&written), "{shown}");
    }
}

#[test]
fn another_kind_or_version_is_refused() {
    for (text, fix) in [
        ("apiVersion: v1\nkind: Policy\nrules: []\n", "write `apiVersion: lockgate.dev/v1`"),
        ("apiVersion: lockgate.dev/v1\nkind: Role\nrules: []\n", "write `kind: Policy`"),
    ] {
        assert_eq!(Policy::parse(text).expect_err(text).fix, fix);
    }
    for garbage in ["", "rules", "- a\n- b\n", "apiVersion: [", "a: &a [*a]\n", "\u{0}"] {
        assert!(Policy::parse(garbage).is_err(), "{garbage:?}");
    }
}

#[test]
fn a_policy_too_large_is_refused() {
    let text = format!("{HEAD}{}", "# padding\n".repeat(200_000));
    assert!(Policy::parse(&text).is_err());
    let many: String = (0..2_001).map(|index| format!("- name: r{index}\n  allow: {{}}\n")).collect();
    assert!(Policy::parse(&format!("{HEAD}{many}")).expect_err("too many").message.contains("2000 rules"));
}

#[test]
fn a_mistake_in_a_condition_is_told_at_its_own_place() {
    for (rule, line, column, message, fix) in [
        ("- name: a\n  when: action.vreb == 'get'\n  allow: {}\n", 5, 16, "action has no field vreb", "`verb`"),
        ("- name: a\n  when: \"true && objekt.x\"\n  allow: {}\n", 5, 18, "unknown variable objekt", "`object`"),
        (
            "- name: a\n  when: |\n    true &&\n      objekt.x\n  allow: {}\n",
            7,
            7,
            "unknown variable objekt",
            "`object`",
        ),
        ("- {name: a, when: change.replicas.to.sise() > 1, allow: {}}\n", 4, 38, "unknown function sise", "`size`"),
        ("- {name: a, when: change.replica.to > 1, allow: {}}\n", 4, 26, "change has no field replica", "`replicas`"),
        ("- {name: a, when: \"object.a.matches('(')\", allow: {}}\n", 4, 36, "no regular expression", "matches("),
    ] {
        let error = Policy::parse(&format!("{HEAD}{rule}")).expect_err(rule);
        assert_eq!((error.line, error.column), (line, column), "{error}");
        assert!(error.message.contains(message) && error.fix.contains(fix), "{error}");
    }
}
