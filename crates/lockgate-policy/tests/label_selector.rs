//! `labelSelector` in a rule: an allowance for collections that the request itself narrows to certain labels.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use lockgate_core::{Action, Effect, MaskProfile, Options, Risk, Stream, Subject, SubjectKind, Verb};
use lockgate_policy::{Facts, Policy};

const POLICY: &str = r#"
apiVersion: lockgate.dev/v1
kind: Policy
rules:
- name: helm
  match: {namespaces: [shop], apiGroups: [""], resources: [secrets], labelSelector: {owner: helm}, verbs: [list]}
  allow: {mask: "off"}
- name: read
  match: {risk: [read, masked]}
  allow: {}
"#;

fn decided(verb: Verb, namespace: Option<&str>, selector: Option<&str>) -> (Option<String>, Effect, MaskProfile) {
    let subject = Subject {
        issuer: "https://idp.example.com".into(),
        id: "agent".into(),
        kind: SubjectKind::Agent,
        owner: None,
        on_behalf_of: None,
        groups: Vec::new(),
        token_id: None,
    };
    let action = Action {
        verb,
        api_group: String::new(),
        api_version: "v1".into(),
        resource: "secrets".into(),
        subresource: None,
        namespace: namespace.map(str::to_owned),
        name: None,
        path: "/api/v1/namespaces/shop/secrets".into(),
        risk: Risk::Masked,
        stream: Stream::None,
    };
    let options = Options { label_selector: selector.map(str::to_owned), ..Options::default() };
    let facts = Facts::new(&options);
    let decision = Policy::parse(POLICY).unwrap().decide(&subject, "shop", &action, &facts);
    (decision.rule, decision.effect, decision.obligations.mask)
}

#[test]
fn only_a_selector_that_asks_for_the_label_is_unmasked() {
    for selector in ["owner=helm", "owner==helm", "name=web,owner=helm", "owner=helm,status=deployed", " owner = helm"]
    {
        let (rule, effect, mask) = decided(Verb::List, Some("shop"), Some(selector));
        assert_eq!((rule.as_deref(), effect, mask), (Some("helm"), Effect::Allow, MaskProfile::Off), "{selector}");
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
        let (rule, effect, mask) = decided(Verb::List, Some("shop"), Some(selector));
        assert_eq!((rule.as_deref(), effect, mask), (Some("read"), Effect::Allow, MaskProfile::Strict), "{selector}");
    }
    assert_eq!(decided(Verb::List, Some("shop"), None).2, MaskProfile::Strict);
}

#[test]
fn neither_another_namespace_nor_one_object_is_meant() {
    assert_eq!(decided(Verb::List, Some("other"), Some("owner=helm")).2, MaskProfile::Strict);
    assert_eq!(decided(Verb::List, None, Some("owner=helm")).2, MaskProfile::Strict);
    assert_eq!(decided(Verb::Get, Some("shop"), Some("owner=helm")).2, MaskProfile::Strict);
}

#[test]
fn a_rule_that_restricts_cannot_rely_on_the_requests_own_selector() {
    let restricting = POLICY.replace("allow: {mask: \"off\"}", "deny: {}");
    let error = Policy::parse(&restricting).unwrap_err().to_string();
    assert!(error.contains("labelSelector") && error.contains("helm"), "{error}");
    let empty = POLICY.replace("labelSelector: {owner: helm}", "labelSelector: {}");
    assert!(Policy::parse(&empty).unwrap_err().to_string().contains("labelSelector"));
}
