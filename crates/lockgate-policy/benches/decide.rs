//! One decision over 500 rules, of which only the last matches. Target: under 5 µs.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use lockgate_core::{Action, Effect, Options, Risk, Stream, Subject, SubjectKind, Verb};
use lockgate_policy::{Facts, Policy};

fn decide(criterion: &mut Criterion) {
    let mut text = String::from("apiVersion: lockgate.dev/v1\nkind: Policy\nrules:\n");
    for index in 0..499 {
        text.push_str(&format!(
            "- name: r{index}\n  match: {{subjects: {{groups: [g{index}]}}, namespaces: [n{index}, team-{index}-*], \
             apiGroups: [apps], resources: [deployments, statefulsets], verbs: [get, list, patch]}}\n  allow: {{}}\n"
        ));
    }
    text.push_str("- name: last\n  match: {namespaces: [shop]}\n  allow: {}\n");
    let policy = Policy::parse(&text).unwrap();
    let subject = Subject {
        issuer: "https://idp".into(),
        id: "bot".into(),
        kind: SubjectKind::Agent,
        owner: None,
        on_behalf_of: None,
        groups: vec!["deployers".into(), "readers".into()],
        token_id: None,
    };
    let action = Action {
        verb: Verb::Patch,
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
    let facts = Facts::new(&options);
    assert_eq!(policy.decide(&subject, "shop", &action, &facts).effect, Effect::Allow);
    criterion.bench_function("decide over 500 rules", |bencher| {
        bencher.iter(|| black_box(policy.decide(black_box(&subject), "shop", black_box(&action), &facts)));
    });
}

criterion_group!(benches, decide);
criterion_main!(benches);
