//! Words that can match nothing beside the words that are near them and can: told in the document, with what to write.

use lockgate_policy::Policy;

use crate::Kind;

fn parse(matches: &str) -> Result<Vec<String>, String> {
    let text = format!("{}rules:\n- {{name: a, match: {{{matches}}}, deny: {{}}}}\n", Kind::Policy.head());
    let policy = Policy::parse(&text).map_err(|error| format!("{}: {}", error.message, error.fix))?;
    Ok(policy.warnings(&text).into_iter().map(|warning| format!("{}: {}", warning.message, warning.fix)).collect())
}

#[track_caller]
fn refused(matches: &str, expected: &str) {
    match parse(matches) {
        Ok(warnings) => panic!("{matches}: passes with {warnings:?}"),
        Err(error) => assert!(error.contains(expected), "{matches}: {error}"),
    }
}

#[track_caller]
fn warned(matches: &str, expected: &str) {
    let warnings = parse(matches).unwrap_or_else(|error| panic!("{matches}: {error}"));
    assert!(warnings.iter().any(|warning| warning.contains(expected)), "{matches}: {warnings:?}");
}

#[track_caller]
fn fine(matches: &str) {
    assert_eq!(parse(matches), Ok(Vec::new()), "{matches}");
}

#[test]
fn a_label_that_no_object_can_have() {
    refused("labelSelector: {app: \"web*\"}", "no label can have the value `web*`: write the whole value");
    refused("labelSelector: {app: \"x y\"}", "no label can have the value `x y`: a label's value has");
    refused("labelSelector: {app: \"web \"}", "no label can have the value `web `: write `web`");
    refused("labelSelector: {app: \"-web\"}", "no label can have the value");
    refused(&format!("labelSelector: {{app: {}}}", "a".repeat(64)), "no label can have the value");
    for key in ["a b", "a/b/c", "/a", "a/", "Example.com/a", "a*", ""] {
        refused(&format!("labelSelector: {{\"{key}\": x}}"), &format!("no label can have the key `{key}`"));
    }
    for fits in ["app: ''", "app.kubernetes.io/name: Web_1.0-b", "A_b.c-d: x", "\"1\": \"2\""] {
        fine(&format!("labelSelector: {{{fits}}}"));
    }
}

#[test]
fn a_verb_that_no_request_on_the_subresource_has() {
    for below in ["exec", "attach", "portforward"] {
        let expected = format!("requests on `pods/{below}` have the verb `create`, whatever the method");
        refused(&format!("resources: [pods/{below}], verbs: [get]"), &expected);
        warned(&format!("resources: [pods, pods/{below}], verbs: [get, list]"), &expected);
        fine(&format!("resources: [pods/{below}], verbs: [get, create]"));
        fine(&format!("resources: [pods/{below}], verbs: ['*']"));
        fine(&format!("resources: [pods/{below}]"));
    }
    refused("resources: ['*/exec'], verbs: [get]", "requests on `*/exec` have the verb `create`");
    refused("resources: [pods/log], verbs: [create]", "requests on `pods/log` have the verb `get`");
    refused("resources: [pods/eviction], verbs: [delete]", "requests on `pods/eviction` have the verb `create`");
    fine("resources: [pods/log, pods], verbs: [get, list]");
    fine("resources: [pods/proxy, services/proxy], verbs: [get]");
    fine("apiGroups: [example.com], resources: [widgets/exec], verbs: [get]");
}

#[test]
fn a_path_that_no_request_without_a_resource_has() {
    for path in ["/api/v1/pods", "/api/v1/namespaces/shop/pods*", "/apis/apps/v1/deployments"] {
        refused(&format!("nonResourceURLs: ['{path}']"), "is the path of a resource");
    }
    refused(
        "nonResourceURLs: ['/healthz?verbose']",
        "has a query, which is no part of a path: write the path alone: `/healthz`",
    );
    for path in ["/a/../b", "/./a", "/a/.."] {
        refused(&format!("nonResourceURLs: ['{path}']"), "has a dot segment");
    }
    for path in [
        "/api",
        "/api/v1",
        "/api/*",
        "/api/v1*",
        "/apis/apps/v1",
        "/apis/*",
        "/.well-known/openid-configuration",
        "/*",
        "*",
    ] {
        fine(&format!("nonResourceURLs: ['{path}']"));
    }
}

#[test]
fn a_group_or_person_near_a_real_one() {
    warned("apiGroups: [rbac.authorization.k8s]", "did you mean `rbac.authorization.k8s.io`?");
    for fits in ["networking.istio.io", "metrics.k8s.io", "rbac.authorization.k8s.io", "apps.example.com"] {
        fine(&format!("apiGroups: [{fits}]"));
    }
    for field in ["groups", "ids", "owners"] {
        refused(&format!("subjects: {{{field}: [\"sre \"]}}"), "`sre ` has blanks around it: write `sre`");
        fine(&format!("subjects: {{{field}: [\"s re\"]}}"));
    }
    let text = format!("{}rules:\n- {{name: a, ask: {{approvers: {{groups: [' sre']}}}}}}\n", Kind::Policy.head());
    assert!(Policy::parse(&text).unwrap_err().message.contains("has blanks around it"));
}
