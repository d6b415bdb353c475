//! The smallest policy that covers what was seen and, names of objects aside, nothing more.
//!
//! Every kind of request becomes a rule of its own; rules that differ in one list are then merged, list by list. A merge never
//! widens: everything else is the same in both.

use std::collections::{BTreeMap, BTreeSet};

use lockgate_console::inert;
use lockgate_core::{Subject, Terms};
use serde_json::{Map, Value, json};

use super::seen::{Kind, Seen, Sight};
use crate::cli::policy::set;

/// Names are kept where there are at most so many.
const NAMES_FEW: usize = 5;
/// Commands of exec are kept where there are at most so many.
const COMMANDS_FEW: usize = 10;

/// The fields of `match`, in the order in which they are written.
const FIELDS: [&str; 10] = [
    "subjects",
    "clusters",
    "namespaces",
    "apiGroups",
    "resources",
    "nonResourceURLs",
    "verbs",
    "names",
    "labelSelector",
    "risk",
];

type Set = BTreeSet<String>;

/// A rule that is being put together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Draft {
    /// `ask` stands before `allow` where both could match.
    asks: bool,
    /// The rule whose terms are asked for.
    terms_of: Option<String>,
    mask_off: bool,
    labels: Option<BTreeMap<String, String>>,
    clusters: Set,
    namespaces: Option<Set>,
    group: String,
    resources: Set,
    verbs: Set,
    risks: Set,
    names: Option<Set>,
    commands: BTreeSet<Vec<String>>,
    urls: Set,
}

/// The document as a person would write it: lists on one line, the name of a rule first.
pub(super) fn text(policy: &Value) -> String {
    let word = |value: &Value, field: &str| flow(value.get(field).unwrap_or(&Value::Null));
    let mut text = String::from("apiVersion: lockgate.dev/v1\nkind: Policy\n");
    text.push_str(&format!("metadata: {}\nrules:\n", word(policy, "metadata")));
    for rule in policy.get("rules").and_then(Value::as_array).into_iter().flatten() {
        text.push_str(&format!("- name: {}\n  match:\n", word(rule, "name")));
        let matches = rule.get("match").unwrap_or(&Value::Null);
        for field in FIELDS.into_iter().filter(|field| matches.get(field).is_some()) {
            text.push_str(&format!("    {field}: {}\n", word(matches, field)));
        }
        for field in ["when", "allow", "ask"].into_iter().filter(|field| rule.get(field).is_some()) {
            text.push_str(&format!("  {field}: {}\n", word(rule, field)));
        }
    }
    text
}

/// JSON is YAML; plain words need no quotes.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {}", flow(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => inert::json(&other.to_string()),
    }
}

/// Whether YAML reads it as this text and nothing else.
fn is_plain(text: &str) -> bool {
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !reserved.contains(&text.to_ascii_lowercase().as_str())
}

/// The document.
pub(super) fn policy(seen: &Seen, subject: &Subject) -> Value {
    let mut drafts: Vec<Draft> =
        seen.did.iter().map(|((kind, effect), sight)| draft(seen, kind, effect, sight)).collect();
    drafts = merge(drafts, |draft| std::mem::take(&mut draft.urls), |draft, urls| draft.urls = urls);
    drafts = merge(drafts, |draft| std::mem::take(&mut draft.verbs), |draft, verbs| draft.verbs = verbs);
    drafts = merge(drafts, |draft| std::mem::take(&mut draft.resources), |draft, all| draft.resources = all);
    drafts = merge(drafts, |draft| std::mem::take(&mut draft.risks), |draft, risks| draft.risks = risks);
    drafts = merge_namespaces(drafts);
    drafts = merge(drafts, |draft| std::mem::take(&mut draft.clusters), |draft, all| draft.clusters = all);
    // A masked rule without names must not come before an unmasked one with them.
    drafts.sort_by_key(|draft| (!draft.asks, !draft.mask_off));
    let mut names = BTreeSet::new();
    let rules: Vec<Value> = drafts.iter().map(|draft| rule(draft, seen, subject, &mut names)).collect();
    json!({
        "apiVersion": "lockgate.dev/v1", "kind": "Policy",
        "metadata": {"name": format!("suggested-for-{}", super::slug(&subject.id))},
        "rules": rules,
    })
}

fn draft(seen: &Seen, kind: &Kind, effect: &'static str, sight: &Sight) -> Draft {
    let one = |text: &str| Set::from([text.to_owned()]);
    let is_path = kind.resource.is_empty();
    Draft {
        asks: effect == "ask",
        terms_of: sight.rules.iter().find(|rule| seen.terms.contains_key(*rule)).cloned(),
        mask_off: kind.mask_off && !(kind.named && sight.any_name),
        labels: kind.labels.clone(),
        clusters: one(&kind.cluster),
        namespaces: kind.namespace.as_deref().map(one),
        group: kind.group.clone(),
        resources: if is_path { Set::new() } else { one(&kind.resource) },
        verbs: one(kind.verb),
        risks: one(&kind.risk),
        names: (!is_path && keeps_names(seen, kind, effect, sight)).then(|| sight.names.clone()),
        commands: if sight.any_command || sight.commands.len() > COMMANDS_FEW {
            BTreeSet::new()
        } else {
            sight.commands.clone()
        },
        urls: if is_path { sight.names.iter().map(|path| tree(path)).collect() } else { Set::new() },
    }
}

/// Few names are kept; and all of them where the same kind of request was decided otherwise for another.
fn keeps_names(seen: &Seen, kind: &Kind, effect: &'static str, sight: &Sight) -> bool {
    if !kind.named || sight.any_name {
        return false;
    }
    let other = if effect == "ask" { "allow" } else { "ask" };
    let masked_otherwise = Kind { mask_off: !kind.mask_off, ..kind.clone() };
    if kind.mask_off
        || seen.denied.contains(kind)
        || seen.did.contains_key(&(kind.clone(), other))
        || seen.did.contains_key(&(masked_otherwise, effect))
    {
        return true;
    }
    let listed = ["list", "watch"].iter().any(|verb| {
        let list = Kind { verb, named: false, ..kind.clone() };
        seen.did.contains_key(&(list, "allow"))
    });
    let read = matches!(kind.verb, "get" | "list" | "watch");
    if read && listed {
        // Whoever has read the list knows every object in it; but for what he was asked about, which the list left out.
        return effect == "ask";
    }
    sight.names.len() <= NAMES_FEW
}

/// Discovery is walked as a whole; other paths stand as they are.
fn tree(path: &str) -> String {
    for (root, pattern) in [("/api", "/api*"), ("/openapi", "/openapi*"), ("/version", "/version*")] {
        if path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', 's'])) {
            return pattern.to_owned();
        }
    }
    path.to_owned()
}

/// Unites one list of those that are the same in everything else.
fn merge(drafts: Vec<Draft>, take: impl Fn(&mut Draft) -> Set, put: impl Fn(&mut Draft, Set)) -> Vec<Draft> {
    let mut merged: BTreeMap<Draft, Set> = BTreeMap::new();
    for mut draft in drafts {
        let list = take(&mut draft);
        merged.entry(draft).or_default().extend(list);
    }
    let whole = merged.into_iter().map(|(mut draft, list)| {
        put(&mut draft, list);
        draft
    });
    whole.collect()
}

/// As [`merge`]; "no namespace" is not one of several.
fn merge_namespaces(drafts: Vec<Draft>) -> Vec<Draft> {
    let (bound, free): (Vec<Draft>, Vec<Draft>) = drafts.into_iter().partition(|draft| draft.namespaces.is_some());
    let bound = merge(
        bound,
        |draft| draft.namespaces.take().unwrap_or_default(),
        |draft, namespaces| draft.namespaces = Some(namespaces),
    );
    free.into_iter().chain(bound).collect()
}

fn rule(draft: &Draft, seen: &Seen, subject: &Subject, names: &mut BTreeSet<String>) -> Value {
    let mut matches = Map::new();
    let mut put = |field: &str, value: Value| drop(matches.insert(field.to_owned(), value));
    put("subjects", json!({"kinds": [subject.kind], "ids": [subject.id]}));
    put("clusters", json!(draft.clusters));
    if draft.urls.is_empty() {
        if let Some(namespaces) = &draft.namespaces {
            put("namespaces", json!(namespaces));
        }
        put("apiGroups", json!([draft.group]));
        put("resources", json!(draft.resources));
    } else {
        put("nonResourceURLs", json!(draft.urls));
    }
    put("verbs", json!(draft.verbs));
    if let Some(names) = &draft.names {
        put("names", json!(names));
    }
    if let Some(labels) = &draft.labels {
        put("labelSelector", json!(labels));
    }
    put("risk", json!(draft.risks));
    let mut rule = Map::new();
    rule.insert("name".into(), unused(draft, names).into());
    rule.insert("match".into(), Value::Object(matches));
    if !draft.commands.is_empty() {
        // A list of strings in JSON is one in CEL.
        let one = |command: &Vec<String>| format!("action.argv == {}", json!(command));
        let when: Vec<String> = draft.commands.iter().map(one).collect();
        rule.insert("when".into(), when.join(" || ").into());
    }
    if draft.asks {
        let terms = draft.terms_of.as_ref().and_then(|rule| seen.terms.get(rule));
        let mut ask = terms.map_or_else(|| json!({}), ask);
        if draft.mask_off {
            set(&mut ask, &["mask"], "off");
        }
        rule.insert("ask".into(), ask);
    } else {
        rule.insert("allow".into(), if draft.mask_off { json!({"mask": "off"}) } else { json!({}) });
    }
    Value::Object(rule)
}

fn ask(terms: &Terms) -> Value {
    json!({
        "approvers": {"groups": terms.approver_groups}, "count": terms.count, "fourEyes": terms.four_eyes,
        "ttl": format!("{}s", terms.ttl_seconds),
    })
}

/// `read-pods-in-shop`, with a number where that is taken.
fn unused(draft: &Draft, taken: &mut BTreeSet<String>) -> String {
    let verbs: Vec<&str> = draft.verbs.iter().map(String::as_str).collect();
    let reads = verbs.iter().all(|verb| matches!(*verb, "get" | "list" | "watch" | "head" | "options"));
    let verb = match verbs.as_slice() {
        [one] if !reads => (*one).to_owned(),
        _ if reads => "read".to_owned(),
        _ => "write".to_owned(),
    };
    let what = match draft.resources.first() {
        None => "paths".to_owned(),
        Some(first) if draft.resources.len() == 1 => super::slug(first),
        Some(first) => format!("{}-and-more", super::slug(first)),
    };
    let place = match draft.namespaces.as_ref().map(|all| (all.first(), all.len())) {
        Some((Some(first), 1)) => format!("-in-{}", super::slug(first)),
        _ => String::new(),
    };
    let ask = if draft.asks { "ask-" } else { "" };
    let base: String = format!("{ask}{verb}-{what}{place}").chars().take(80).collect();
    let mut name = base.clone();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{base}-{number}");
        number += 1;
    }
    name
}
