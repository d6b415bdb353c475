//! One decision over 500 rules, of which only the last decides: without conditions (target: under 5 µs), and where the
//! fields of ten rules match and their conditions are evaluated, on a real Deployment (target: under 50 µs).
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use lockgate_core::{Action, Effect, Options, Risk, Stream, Subject, SubjectKind, Timestamp, Verb};
use lockgate_policy::{Facts, Policy};
use serde_json::{Value, json};

const RULES: usize = 500;
/// None of them holds, so that all are evaluated.
const CONDITIONS: [&str; 10] = [
    "object.spec.replicas > 20",
    "object.spec.template.spec.containers.exists(c, !c.image.startsWith('registry.example.com/'))",
    "has(object.spec.template.spec.hostNetwork) && object.spec.template.spec.hostNetwork",
    "subject.owner == '' || !('deployers' in subject.groups)",
    "cluster.environment == 'staging' && action.verb == 'patch'",
    "now.getHours('Europe/Berlin') >= 22",
    "object.metadata.labels['app'] == 'db'",
    "oldObject.spec.replicas - object.spec.replicas > 2",
    "change.fields.exists(field, field.startsWith('metadata.finalizers'))",
    "change.images.exists(image, image.to.endsWith(':latest'))",
];

fn policy(conditions: &[&str]) -> Policy {
    let mut text = String::from("apiVersion: lockgate.dev/v1\nkind: Policy\nrules:\n");
    for index in 0..RULES - 1 - conditions.len() {
        text.push_str(&format!(
            "- name: r{index}\n  match: {{subjects: {{groups: [g{index}]}}, namespaces: [n{index}, team-{index}-*], \
             apiGroups: [apps], resources: [deployments, statefulsets], verbs: [get, list, patch]}}\n  allow: {{}}\n"
        ));
    }
    for (index, condition) in conditions.iter().enumerate() {
        text.push_str(&format!(
            "- name: c{index}\n  match: {{namespaces: [shop]}}\n  when: >-\n    {condition}\n  deny: {{}}\n"
        ));
    }
    text.push_str("- name: last\n  match: {namespaces: [shop]}\n  allow: {}\n");
    Policy::parse(&text).unwrap()
}

fn deployment(replicas: u32, tag: &str) -> Value {
    let container = |name: &str| {
        json!({"name": name, "image": format!("registry.example.com/shop/{name}:{tag}"),
            "ports": [{"containerPort": 8080}], "env": [{"name": "LOG", "value": "info"}, {"name": "ZONE", "value": "eu"}],
            "resources": {"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5}})
    };
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "uid": "8c9e2f4e"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"serviceAccountName": "web", "containers": [container("web"), container("proxy")]}}}})
}

fn decide(criterion: &mut Criterion) {
    let subject = Subject {
        issuer: "https://idp".into(),
        id: "bot".into(),
        kind: SubjectKind::Agent,
        owner: Some("alice".into()),
        on_behalf_of: None,
        groups: vec!["deployers".into(), "readers".into()],
        token_id: None,
    };
    let action = Action {
        verb: Verb::Update,
        api_group: "apps".into(),
        api_version: "v1".into(),
        resource: "deployments".into(),
        subresource: None,
        namespace: Some("shop".into()),
        name: Some("web".into()),
        path: "/apis/apps/v1/namespaces/shop/deployments/web".into(),
        risk: Risk::Write,
        stream: Stream::None,
    };
    let options = Options::default();
    let (object, old_object) = (deployment(6, "v2"), deployment(6, "v1"));
    let now: Timestamp = "2026-11-25T09:30:00Z".parse().unwrap();
    let facts = Facts {
        object: Some(&object),
        old_object: Some(&old_object),
        environment: "production",
        now: Some(now),
        ..Facts::new(&options)
    };
    for (name, conditions) in [("500 rules", &CONDITIONS[..0]), ("500 rules, ten conditions", &CONDITIONS[..])] {
        let policy = policy(conditions);
        let decision = policy.decide(&subject, "shop", &action, &facts);
        // A condition that could not be evaluated would deny.
        assert_eq!(decision.effect, Effect::Allow, "{decision:?}");
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| black_box(policy.decide(black_box(&subject), "shop", black_box(&action), &facts)));
        });
    }
}

criterion_group!(benches, decide);
criterion_main!(benches);
