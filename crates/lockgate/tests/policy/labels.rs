//! `policy explain` where labels decide that nobody has read, and where a condition could not be evaluated.

use serde_json::json;

use super::{Room, data, said};

const POLICY: &str = "\
apiVersion: lockgate.dev/v1
kind: Policy
rules:
- {name: no-finance, match: {labelSelector: {team: finance}}, deny: {}}
- {name: no-host-network, match: {resources: [deployments]}, when: 'has(object.spec.template.spec.hostNetwork)', deny: {}}
- {name: rest, allow: {}}
";

const ASKED: [&str; 6] = ["policy", "explain", "--policy", "policy.yaml", "--as", "agent:x"];

#[test]
fn explain_says_that_a_verdict_by_labels_is_not_certain_and_on_which_labels_it_depends() {
    let room = Room::new().with("policy.yaml", POLICY);
    for (method, path) in [
        ("DELETE", "/api/v1/namespaces/shop/configmaps/webc"),
        ("GET", "/api/v1/namespaces/shop/pods/toolbox/log"),
        ("GET", "/api/v1/namespaces/shop/pods/toolbox"),
    ] {
        let text = said(&room.run(&[&ASKED[..], &[method, path]].concat()), 0);
        let expected = "not certain: depends on the object's labels: denied if team=finance (rule no-finance)";
        assert!(text.contains(expected) && !text.contains("Narrow"), "{text}");
        let value = data(&room.run(&[&ASKED[..], &[method, path, "-o", "json"]].concat()), 0);
        let depends = json!([{"rule": "no-finance", "effect": "deny", "labels": ["team=finance"]}]);
        assert_eq!(value["requests"][0]["dependsOnLabels"], depends, "{path}");
    }
}

#[test]
fn explain_says_which_condition_could_not_be_evaluated_and_what_to_write() {
    let only_conditions: String =
        POLICY.lines().filter(|line| !line.contains("no-finance")).map(|line| format!("{line}\n")).collect();
    let body = r#"{"metadata": {"annotations": {"a": "b"}}, "spec": {}}"#;
    let room = Room::new().with("policy.yaml", &only_conditions).with("annotate.json", body);
    let of = ["--body", "annotate.json", "--content-type", "application/merge-patch+json", "PATCH"];
    let path = "/apis/apps/v1/namespaces/shop/deployments/web";
    let text = said(&room.run(&[&ASKED[..], &of, &[path]].concat()), 0);
    for expected in [
        "DENIED by rule no-host-network",
        "condition of rule no-host-network could not be evaluated (no such key: template): it counts against the request",
        "write `has(object.spec.template) && has(object.spec.template.spec) && …` before it",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let value = data(&room.run(&[&ASKED[..], &["-o", "json"], &of, &[path]].concat()), 0);
    let request = &value["requests"][0];
    assert!(request["decision"]["reasons"].to_string().contains("could not be evaluated"), "{request}");
    assert!(request["rules"][0]["condition"]["fix"].as_str().unwrap().starts_with("has(object.spec.template) && "));
}
