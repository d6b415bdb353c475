//! The schemas and the parser agree: on each field by name, and on a corpus of good and bad documents.
use std::collections::BTreeSet;

use lockgate_policy::Preset;
use serde_json::{Map, Value};

use crate::draft7::Schema;
use crate::mistakes::{self, Told};
use crate::{Kind, json};

/// A rule with these fields.
fn rule(fields: &str) -> String {
    format!("rules: [{{name: a, {fields}}}]")
}

fn good() -> Vec<(Kind, String)> {
    let rules = [
        "allow: {}",
        "allow: {message: m}",
        "allow: {mask: 'off', record: false, limits: {rate: {requests: 120, per: 1m}}}",
        "allow: {limits: {blast: {deletes: 10, per: 10m, ask: {count: 2, fourEyes: true, ttl: 5m, approvers: {groups: [sre]}}}}}",
        "allow: {limits: {blast: {deletes: 1, per: 1h, deny: {}}}}",
        "deny: {message: No.}",
        "ask: {}",
        "ask: {approvers: {groups: [sre]}, count: 5, fourEyes: true, ttl: 24h, scopes: [request], message: m, mask: strict}",
        "match: {}, allow: {}",
        "when: \"action.verb == 'get'\", allow: {}",
        "match: {subjects: {ids: [a, 'b-*'], groups: ['*'], owners: [o], kinds: [agent, human]}}, deny: {}",
        "match: {clusters: [a], environments: [production], namespaces: ['team-*'], names: [a]}, deny: {}",
        "match: {apiGroups: ['', apps, 'x*'], resources: [pods, pods/exec, '*/scale', 'pods/*', '*', '*/*']}, deny: {}",
        "match: {verbs: [get, list, watch, create, update, patch, delete, deletecollection, '*']}, deny: {}",
        "match: {verbs: [head, options, post, put], nonResourceURLs: [/healthz, '/openapi/*', '*']}, deny: {}",
        "match: {labelSelector: {app: web}, risk: [read, masked, write, ask]}, allow: {}",
        "match: {risk: [destructive, mass, stream, escalation]}, deny: {}",
    ];
    let mut good: Vec<(Kind, String)> = rules.iter().map(|fields| (Kind::Policy, rule(fields))).collect();
    good.push((Kind::Policy, "rules: []".into()));
    good.push((Kind::Policy, "preset: operate\nrules: []".into()));
    good.push((
        Kind::Policy,
        "metadata: {name: n, labels: {a: b}, annotations: {lockgate.dev/author: j}}\nrules: []".into(),
    ));
    for cases in [
        "mustAllow: [get pods web -n shop]",
        "mustDeny: [{request: 'DELETE /api/v1/namespaces/x', contentType: application/json, object: {a: 1}, oldObject: [1]}]",
        "mustAsk: [{request: get secrets db -n shop, name: n, rule: r, approvers: {groups: [sre]}, count: 2, fourEyes: true}]",
        "mustMask: [{request: get secrets db -n shop, mask: strict, now: '2026-11-25T09:30:00Z'}]",
        "mustAllow: [{request: create pods/exec web -n shop, argv: [ls, -l]}]\nmustAsk: []",
        "defaults: {subject: {id: b, kind: human, issuer: i, owner: o, onBehalfOf: p, groups: [g]}, cluster: {name: c, \
         environment: e, fourEyes: true}, now: '2026-11-25T09:30:00Z'}\nmetadata: {name: n}\nmustAllow: [get pods]",
    ] {
        good.push((Kind::PolicyTest, cases.to_owned()));
    }
    good
}

fn bad() -> Vec<(Kind, String)> {
    let rules = [
        "deny: {}, allow: {}",
        "match: {}",
        "allow: []",
        "allow: {mask: of}",
        "allow: {record: sometimes}",
        "allow: {masks: strict}",
        "allow: {limits: {}}",
        "allow: {limits: {rate: {requests: 0, per: 1m}}}",
        "allow: {limits: {rate: {requests: 1}}}",
        "allow: {limits: {rate: {requests: 100001, per: 1m}}}",
        "allow: {limits: {blast: {deletes: 1, per: 1m}}}",
        "allow: {limits: {blast: {deletes: 1, per: 1m, ask: {}, deny: {}}}}",
        "allow: {limits: {blast: {deletes: 1, per: 1m, ask: {message: m}}}}",
        "allow: {limits: {blast: {deletes: 1, per: 1m, deny: {message: m}}}}",
        "deny: {reason: x}",
        "ask: {count: 0}",
        "ask: {count: 6}",
        "ask: {count: -1}",
        "ask: {ttl: 10 minutes}",
        "ask: {scopes: [session]}",
        "ask: {approvers: [sre]}",
        "ask: {approvers: {groups: ['']}}",
        "ask: {approvers: {group: [sre]}}",
        "match: {namespace: [x]}, allow: {}",
        "match: {namespaces: x}, allow: {}",
        "match: {namespaces: []}, allow: {}",
        "match: {namespaces: ['']}, allow: {}",
        "match: {namespaces: ['*-x']}, allow: {}",
        "match: {namespaces: ['a**']}, allow: {}",
        "match: {apiGroups: ['*.example.com']}, allow: {}",
        "match: {resources: [Pods]}, allow: {}",
        "match: {resources: [deployments.apps]}, allow: {}",
        "match: {resources: [pods/]}, allow: {}",
        "match: {resources: [pods/exec/more]}, allow: {}",
        "match: {resources: ['po*']}, allow: {}",
        "match: {verbs: [exec]}, allow: {}",
        "match: {verbs: [GET]}, allow: {}",
        "match: {risk: [reed]}, allow: {}",
        "match: {risk: []}, allow: {}",
        "match: {risk: read}, allow: {}",
        "match: {labelSelector: {}}, allow: {}",
        "match: {labelSelector: app=web}, allow: {}",
        "match: {nonResourceURLs: [healthz]}, allow: {}",
        "match: {nonResourceURLs: [/healthz], resources: [pods]}, allow: {}",
        "match: {nonResourceURLs: [/healthz], names: [a]}, allow: {}",
        "match: {subjects: {kinds: [robot]}}, allow: {}",
        "match: {subjects: {kinds: []}}, allow: {}",
        "match: {subjects: {group: [a]}}, allow: {}",
        "match: {subjects: [a]}, allow: {}",
        "when: [a], allow: {}",
        "then: x, allow: {}",
    ];
    let mut bad: Vec<(Kind, String)> = rules.iter().map(|fields| (Kind::Policy, rule(fields))).collect();
    for text in [
        "metadata: {}",
        "rules: {}",
        "rules: [{allow: {}}]",
        "rules: [{name: '', allow: {}}]",
        "preset: operator\nrules: []",
        "metadata: {owner: x}\nrules: []",
        "spec: {}\nrules: []",
    ] {
        bad.push((Kind::Policy, text.to_owned()));
    }
    bad.push((Kind::Policy, format!("rules: [{{name: {}, allow: {{}}}}]", "n".repeat(101))));
    bad.push((Kind::Policy, rule(&format!("deny: {{message: {}}}", "m".repeat(501)))));
    let many = |number: usize| (0..number).map(|index| format!("n{index}")).collect::<Vec<_>>().join(", ");
    bad.push((Kind::Policy, rule(&format!("match: {{names: [{}]}}, deny: {{}}", many(1_001)))));
    for cases in [
        "mustAllow: []",
        "mustPass: [get pods]",
        "mustAllow: get pods",
        "mustAllow: ['']",
        "mustAllow: [[get, pods]]",
        "mustAllow: [{rule: x}]",
        "mustAllow: [{request: get pods, rules: x}]",
        "mustAllow: [{request: get pods, count: 2}]",
        "mustDeny: [{request: get pods, fourEyes: true}]",
        "mustMask: [{request: get secrets, approvers: {groups: [a]}}]",
        "mustAsk: [{request: get pods, approvers: {users: [a]}}]",
        "mustAsk: [{request: get pods, count: -1}]",
        "mustAsk: [{request: get pods, mask: partly}]",
        "mustAllow: [{request: get pods, now: noon}]",
        "mustAllow: [{request: create pods/exec web -n shop, argv: ls}]",
        "mustAllow: [{request: get pods, subject: {groups: [a]}}]",
        "mustAllow: [{request: get pods, subject: {id: a, kind: robot}}]",
        "mustAllow: [{request: get pods, cluster: {env: a}}]",
        "defaults: {user: a}\nmustAllow: [get pods]",
    ] {
        bad.push((Kind::PolicyTest, cases.to_owned()));
    }
    bad
}

#[test]
fn what_the_parser_takes_the_schema_takes() {
    let shipped =
        [Preset::Observe, Preset::Operate, Preset::Admin].map(|preset| (Kind::Policy, preset.text().to_owned()));
    let corpus = good().into_iter().map(|(kind, text)| (kind, format!("{}{text}\n", kind.head())));
    for (kind, text) in corpus.chain(shipped) {
        kind.parse(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        kind.schema().check(&json(&text)).unwrap_or_else(|why| panic!("{text}\n{why}"));
    }
}

#[test]
fn what_the_schema_can_tell_both_refuse() {
    for (kind, text) in bad() {
        let text = format!("{}{text}\n", kind.head());
        assert!(kind.parse(&text).is_err(), "the parser takes\n{text}");
        assert!(kind.schema().check(&json(&text)).is_err(), "the schema takes\n{text}");
    }
    for kind in [Kind::Policy, Kind::PolicyTest] {
        for head in ["", "apiVersion: v1\nkind: Policy\n", "apiVersion: lockgate.dev/v1\nkind: Role\n"] {
            let text = format!("{head}rules: []\n");
            assert!(kind.parse(&text).is_err() && kind.schema().check(&json(&text)).is_err(), "{kind:?}\n{text}");
        }
    }
}

#[test]
fn of_the_golden_mistakes_the_schema_refuses_what_it_can_see() {
    for mistake in mistakes::all() {
        let text = mistake.text();
        let fits = || mistake.kind.schema().check(&json(&text));
        match mistake.told {
            Told::YamlReader => {}
            Told::SchemaToo => assert!(fits().is_err(), "the schema takes {}\n{text}", mistake.what),
            Told::ParserAlone => {
                assert_eq!(fits(), Ok(()), "no longer the parser's alone: {}\n{text}", mistake.what)
            }
        }
    }
}

/// For each object of the documents: a text with a field in it that nothing has, and where the schema has that object.
const OBJECTS: [(Kind, &str, &str); 18] = [
    (Kind::Policy, "X: 1\nrules: []", ""),
    (Kind::Policy, "metadata: {X: 1}\nrules: []", "/definitions/metadata"),
    (Kind::Policy, "rules: [{X: 1}]", "/definitions/rule"),
    (Kind::Policy, "rules: [{name: a, match: {X: 1}}]", "/definitions/match"),
    (Kind::Policy, "rules: [{name: a, match: {subjects: {X: 1}}}]", "/definitions/subjects"),
    (Kind::Policy, "rules: [{name: a, allow: {X: 1}}]", "/definitions/allow"),
    (Kind::Policy, "rules: [{name: a, ask: {X: 1}}]", "/definitions/ask"),
    (Kind::Policy, "rules: [{name: a, allow: {limits: {X: 1}}}]", "/definitions/limits"),
    (Kind::Policy, "rules: [{name: a, allow: {limits: {rate: {X: 1}}}}]", "/definitions/limits/properties/rate"),
    (Kind::Policy, "rules: [{name: a, allow: {limits: {blast: {X: 1}}}}]", "/definitions/limits/properties/blast"),
    (
        Kind::Policy,
        "rules: [{name: a, allow: {limits: {blast: {ask: {X: 1}}}}}]",
        "/definitions/limits/properties/blast/properties/ask",
    ),
    (Kind::PolicyTest, "X: 1", ""),
    (Kind::PolicyTest, "metadata: {X: 1}", "/properties/metadata"),
    (Kind::PolicyTest, "defaults: {X: 1}", "/properties/defaults"),
    (Kind::PolicyTest, "defaults: {subject: {X: 1}}", "/definitions/subject"),
    (Kind::PolicyTest, "defaults: {cluster: {X: 1}}", "/definitions/cluster"),
    (Kind::PolicyTest, "mustAsk: [{X: 1}]", "/definitions/case/anyOf/1"),
    (Kind::PolicyTest, "mustAsk: [{request: get pods, cluster: {X: 1}}]", "/definitions/cluster"),
];

#[test]
fn the_schema_has_the_parsers_fields() {
    for (kind, text, pointer) in OBJECTS {
        // So far from every word that the fix lists them all.
        let text = format!("{}{}\n", kind.head(), text.replace('X', &"0".repeat(40)));
        let error = kind.parse(&text).expect_err(&text);
        let listed = error.fix.strip_prefix("use one of ").unwrap_or_else(|| panic!("{error}"));
        let parsed: BTreeSet<&str> = listed.split(", ").collect();
        let schema = kind.schema();
        let at = schema.root().pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"));
        let described: BTreeSet<&str> = at["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, parsed, "{kind:?} {pointer}");
        assert_eq!(at["additionalProperties"], false, "{kind:?} {pointer}");
    }
}

/// The same for words.
const WORDS: [(&str, &str); 5] = [
    ("preset: X\nrules: []", "/properties/preset"),
    ("rules: [{name: a, allow: {mask: X}}]", "/definitions/mask"),
    ("rules: [{name: a, match: {risk: [X]}}]", "/definitions/match/properties/risk/items"),
    ("rules: [{name: a, match: {subjects: {kinds: [X]}}}]", "/definitions/subjects/properties/kinds/items"),
    // A test's verbs are a rule's.
    ("mustAllow: [X pods]", "/definitions/match/properties/verbs/items"),
];

#[test]
fn the_schema_has_the_parsers_words() {
    for (text, pointer) in WORDS {
        let kind = if text.starts_with("must") { Kind::PolicyTest } else { Kind::Policy };
        let text = format!("{}{}\n", kind.head(), text.replace('X', &"x".repeat(40)));
        let error = kind.parse(&text).expect_err(&text);
        let listed = error.fix.strip_prefix("use one of ").unwrap_or_else(|| panic!("{error}"));
        let parsed: BTreeSet<&str> = listed.split(", ").collect();
        let schema = Kind::Policy.schema();
        let words =
            schema.root().pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"))["enum"].as_array().unwrap();
        let described: BTreeSet<&str> =
            words.iter().map(|word| word.as_str().unwrap()).filter(|word| *word != "*").collect();
        assert_eq!(described, parsed, "{pointer}");
    }
}

#[test]
fn no_object_takes_fields_at_random() {
    fn walk(value: &Value, place: &str) {
        if let Some(object) = value.as_object() {
            let closed = object.contains_key("additionalProperties");
            assert!(object.get("type") != Some(&"object".into()) || closed, "{place}");
        }
        let children: Vec<(String, &Value)> = match value {
            Value::Object(fields) => fields.iter().map(|(name, child)| (name.clone(), child)).collect(),
            Value::Array(items) => items.iter().enumerate().map(|(index, child)| (index.to_string(), child)).collect(),
            _ => Vec::new(),
        };
        children.iter().for_each(|(name, child)| walk(child, &format!("{place}/{name}")));
    }
    for kind in [Kind::Policy, Kind::PolicyTest] {
        walk(kind.schema().root(), &format!("{kind:?}"));
    }
}

#[test]
fn the_validator_itself_can_refuse() {
    let schema =
        Schema::new(r#"{"type": "object", "additionalProperties": false, "properties": {"a": {"enum": [1]}}}"#);
    assert_eq!(schema.check(&Value::Object(Map::new())), Ok(()));
    for wrong in ["[]", "a: 2", "b: 1"] {
        assert!(schema.check(&json(wrong)).is_err(), "{wrong}");
    }
    assert!(Schema::new(r#"{"multipleOf": 2}"#).check(&json("4")).expect_err("a keyword").contains("multipleOf"));
}
