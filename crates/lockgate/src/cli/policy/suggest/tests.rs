//! The promise of a suggestion, on made-up histories: what happened is decided as it was, what did not is not allowed, and
//! nothing of another kind is let in.

use lockgate_core::{Action, Options, Risk, Stream, Verb};
use lockgate_policy::risk;

use super::*;

/// Rules that look at names, at what a request does, and at the command of an exec.
const IN_FORCE: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
rules:
- {name: no-crown, match: {names: [crown], namespaces: [shop], verbs: [get, delete, patch]}, deny: {}}
- {name: look, match: {resources: [pods/exec]}, when: \"action.argv[0] == 'ls'\", allow: {}}
- {name: shell, match: {resources: [pods/exec]}, ask: {approvers: {groups: [sre]}}}
- {name: secret, match: {resources: [secrets], names: [db]}, ask: {}}
- {name: helm, match: {resources: [configmaps], names: [name-2, name-3]}, allow: {mask: 'off'}}
- {name: helm-list, match: {resources: [configmaps], verbs: [list], labelSelector: {owner: helm}}, allow: {mask: 'off'}}
- {name: read, match: {risk: [read, masked]}, allow: {}}
- {name: careful, match: {names: [name-1], resources: [deployments]}, ask: {count: 2}}
- {name: routine, match: {risk: [write, ask], namespaces: [shop, stage]}, allow: {}}
- {name: destructive, match: {risk: [destructive, mass]}, ask: {}}
";

/// The same numbers every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.roll(from.len())]
    }
}

fn request(dice: &mut Dice) -> (Action, Options) {
    let (group, resource) =
        [("", "pods"), ("", "secrets"), ("apps", "deployments"), ("", "configmaps"), ("", "nodes")][dice.roll(5)];
    let exec = resource == "pods" && dice.roll(3) == 0;
    let verbs = [Verb::Get, Verb::List, Verb::Watch, Verb::Create, Verb::Patch, Verb::Update, Verb::Delete];
    let verb = if exec { Verb::Create } else { verbs[dice.roll(verbs.len())] };
    let collection = matches!(verb, Verb::List | Verb::Watch);
    let name = (!collection).then(|| match dice.roll(9) {
        0 => "crown".to_owned(),
        1 => "db".to_owned(),
        number => format!("name-{number}"),
    });
    let namespace = (resource != "nodes" && !(collection && dice.roll(4) == 0))
        .then(|| dice.pick(&["shop", "stage", "prod"]).to_owned());
    let mut options = Options::default();
    if exec {
        let argv: &[&str] = [&["ls", "-l"][..], &["ls"][..], &["sh", "-c", "echo 'a\"b'"][..]][dice.roll(3)];
        options.exec = Some(lockgate_core::ExecOptions {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            ..Default::default()
        });
    }
    if collection && dice.roll(2) == 0 {
        options.label_selector =
            Some(dice.pick(&["owner=helm", "owner=helm,a=b", "owner!=helm", "a in (b)"]).to_owned());
    }
    options.dry_run = !exec && dice.roll(8) == 0;
    let mut action = Action {
        verb,
        api_group: group.into(),
        api_version: "v1".into(),
        resource: resource.into(),
        subresource: exec.then(|| "exec".into()),
        namespace,
        name,
        path: "/".into(),
        risk: Risk::Read,
        stream: if exec { Stream::Exec } else { Stream::None },
    };
    action.risk = risk::classify(&risk::Request::of(&action, &options, None));
    if dice.roll(12) == 0 {
        let path = dice.pick(&["/api", "/apis/apps/v1", "/openapi/v3", "/version", "/logs"]);
        let plain = Action {
            verb: Verb::Get,
            api_group: String::new(),
            resource: String::new(),
            subresource: None,
            namespace: None,
            name: None,
            path: path.into(),
            stream: Stream::None,
            ..action
        };
        let options = Options::default();
        let risk = risk::classify(&risk::Request::of(&plain, &options, None));
        return (Action { risk, ..plain }, options);
    }
    (action, options)
}

fn record(number: usize, policy: &Policy, (action, options): (Action, Options), approved: bool) -> AuditRecord {
    let mut record: AuditRecord = serde_json::from_value(json!({
        "id": format!("aud_00000000-0000-7000-8000-{number:012x}"), "startedAt": "2026-11-25T01:00:00Z", "origin": "http",
        "subject": {"issuer": "i", "id": "x", "kind": "agent", "groups": ["dev"]},
        "source": {"ip": "127.0.0.1"}, "cluster": "shop", "method": "GET", "requestUri": "/clusters/shop/",
        "request": {"bytes": 0, "sha256": ""},
    }))
    .unwrap();
    let subject = record.subject.clone().unwrap();
    let facts = lockgate_policy::Facts { now: Some(record.started_at), ..lockgate_policy::Facts::new(&options) };
    let decision = policy.decide(&subject, "shop", &action, &facts);
    if decision.effect == Effect::Allow || (decision.effect == Effect::Ask && approved) {
        record.upstream = Some(lockgate_core::UpstreamFacts { user: "agent:x".into(), status: Some(200) });
    }
    record.decision = serde_json::from_value(json!({"effect": decision.effect, "rule": decision.rule,
        "policyRevision": decision.policy_revision, "reasons": decision.reasons, "mask": decision.obligations.mask}))
    .unwrap();
    record.action = Some(action);
    record.options = options;
    record
}

fn suggested(records: &[AuditRecord]) -> (String, Policy) {
    let mut seen = Seen::default();
    records.iter().for_each(|record| seen.add(record));
    let subject = seen.subject.clone().unwrap();
    let text = rules::text(&rules::policy(&seen, &subject));
    let policy = Policy::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    (text, policy)
}

#[test]
fn a_suggestion_decides_its_own_history_as_it_was() {
    let in_force = Policy::parse(IN_FORCE).unwrap();
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let length = 1 + dice.roll(60);
        let records: Vec<AuditRecord> = (0..length)
            .map(|number| {
                let asked = request(&mut dice);
                record(number, &in_force, asked, number % 4 != 0)
            })
            .collect();
        if !records.iter().any(happened) {
            continue;
        }
        let (text, policy) = suggested(&records);
        let mut trial = Trial::default();
        records.iter().for_each(|record| trial.add(&policy, record));
        assert_eq!(trial.differs, 0, "seed {seed}: {:?}\n{text}", trial.examples);
    }
}

#[test]
fn a_suggestion_lets_in_nothing_of_another_kind() {
    let in_force = Policy::parse(IN_FORCE).unwrap();
    let kind = |record: &AuditRecord| {
        let action = record.action.clone().unwrap();
        (action.verb, action.api_group.clone(), action.resource_path(), action.namespace.clone(), action.risk)
    };
    for seed in 0..100 {
        let mut dice = Dice(seed);
        let mut one = |number| record(number, &in_force, request(&mut dice), true);
        let records: Vec<AuditRecord> = (0..20).map(&mut one).filter(happened).collect();
        if records.is_empty() {
            continue;
        }
        let (text, policy) = suggested(&records);
        // What a list over all namespaces shows may be asked for in one of them.
        let known = |other: &AuditRecord| {
            let wanted = kind(other);
            records.iter().map(kind).any(|seen| {
                seen == wanted || (seen.3.is_none() && (seen.0, &seen.1, &seen.2) == (wanted.0, &wanted.1, &wanted.2))
            })
        };
        for other in
            (100..200).map(&mut one).filter(|other| other.action.as_ref().unwrap().is_resource() && !known(other))
        {
            let subject = other.subject.clone().unwrap();
            let action = other.action.clone().unwrap();
            let decision = policy.decide(&subject, "shop", &action, &lockgate_policy::Facts::new(&other.options));
            // A rule that asks about a list asks about its watch too: a human looks, which lets nothing in by itself. A
            // filtered list shows what may be read one by one.
            let lets_in = decision.effect == Effect::Allow && !decision.obligations.filter;
            assert!(!lets_in, "seed {seed}: {action:?}\n{text}");
        }
    }
}

#[test]
fn few_names_are_kept_and_many_are_not() {
    let in_force = lockgate_policy::Preset::Operate.policy().unwrap();
    let patch = |number: usize| {
        let (mut action, options) = (request(&mut Dice(0)).0, Options::default());
        action = Action {
            verb: Verb::Patch,
            api_group: "apps".into(),
            resource: "deployments".into(),
            subresource: None,
            namespace: Some("shop".into()),
            name: Some(format!("web-{number}")),
            risk: Risk::Write,
            stream: Stream::None,
            ..action
        };
        record(number, &in_force, (action, options), true)
    };
    let (few, _) = suggested(&(0..3).map(patch).collect::<Vec<_>>());
    assert!(few.contains("names: [web-0, web-1, web-2]"), "{few}");
    let (many, _) = suggested(&(0..30).map(patch).collect::<Vec<_>>());
    assert!(!many.contains("names:"), "{many}");
}

#[test]
fn what_no_cluster_can_have_is_left_out_and_told() {
    let in_force = Policy::parse(IN_FORCE).unwrap();
    let (action, options) = request(&mut Dice(1));
    let pod = |resource: &str, namespace: &str| Action {
        verb: Verb::Get,
        api_group: String::new(),
        resource: resource.into(),
        subresource: None,
        namespace: Some(namespace.into()),
        name: Some("web".into()),
        risk: Risk::Masked,
        stream: Stream::None,
        ..action.clone()
    };
    let mut seen = Seen::default();
    for (number, (resource, namespace)) in [("pods", "shop"), ("pod", "shop"), ("pods", "Shop")].into_iter().enumerate()
    {
        let mut record = record(number, &in_force, (pod(resource, namespace), options.clone()), true);
        let status = Some(if number == 0 { 200 } else { 404 });
        record.upstream = Some(lockgate_core::UpstreamFacts { user: "agent:x".into(), status });
        record.decision.as_mut().unwrap().effect = Effect::Allow;
        seen.add(&record);
    }
    let text = rules::text(&rules::policy(&seen, &seen.subject.clone().unwrap()));
    Policy::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert!(text.contains("resources: [pods]") && !text.contains("Shop"), "{text}");
    assert_eq!(seen.left_out.len(), 2, "{:?}", seen.left_out);
    assert!(seen.grants.keys().all(|grant| grant.resource == "pods"), "{:?}", seen.grants);
}

#[test]
fn the_clusters_grant_knows_sessions_subresources_and_applies() {
    let in_force = Policy::parse(IN_FORCE).unwrap();
    let (action, _) = request(&mut Dice(1));
    let exec = Action {
        verb: Verb::Create,
        api_group: String::new(),
        resource: "pods".into(),
        subresource: Some("exec".into()),
        namespace: Some("shop".into()),
        name: Some("web".into()),
        risk: Risk::Stream,
        stream: Stream::Exec,
        ..action
    };
    let options = Options {
        exec: Some(lockgate_core::ExecOptions { argv: vec!["ls".into()], ..Default::default() }),
        ..Options::default()
    };
    let apply = Action {
        verb: Verb::Patch,
        resource: "configmaps".into(),
        subresource: None,
        risk: Risk::Write,
        stream: Stream::None,
        ..exec.clone()
    };
    let applied = Options { patch_type: Some(lockgate_core::PatchType::Apply), ..Options::default() };
    let mut made = record(2, &in_force, (apply, applied), true);
    made.upstream = Some(lockgate_core::UpstreamFacts { user: "agent:x".into(), status: Some(201) });
    let mut seen = Seen::default();
    for record in [record(1, &in_force, (exec, options), true), made] {
        seen.add(&record);
    }
    let objects = rbac::objects(&seen, &seen.subject.clone().unwrap(), "shop");
    let role = objects.iter().find(|object| object["kind"] == "Role").unwrap();
    let rules = role["rules"].as_array().unwrap();
    let verbs = |resource: &str| -> BTreeSet<&str> {
        let of = rules.iter().filter(|rule| rule["resources"].as_array().unwrap().iter().any(|one| one == resource));
        of.flat_map(|rule| rule["verbs"].as_array().unwrap()).filter_map(Value::as_str).collect()
    };
    assert_eq!(verbs("pods/exec"), BTreeSet::from(["create", "get"]));
    assert_eq!(verbs("configmaps"), BTreeSet::from(["create", "get", "patch"]));
    assert_eq!(role["metadata"]["namespace"], "shop");
}
