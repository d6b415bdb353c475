//! `lockgate policy simulate`: a candidate over recorded history, and what would change.
//!
//! A record keeps what was decided on: subject, action with its risk class, options, the payload with its secrets masked. What it
//! does not keep cannot be judged, and is said: never guessed.

use std::collections::BTreeMap;

use clap::Args;
use lockgate_console::inert;
use lockgate_core::{AuditRecord, Effect, Timestamp};
use lockgate_policy::Policy;
use lockgate_wire::PLACEHOLDER;
use serde_json::{Value, json};

use super::judge::{Case, Scene};
use super::records::History;
use super::{Source, count};
use crate::cli::output::{Output, Style, action};
use crate::cli::{Exit, Global};

/// Examples of each change.
const EXAMPLES_MAX: usize = 5;
/// Kinds of change that are told apart; further ones are counted together.
const GROUPS_MAX: usize = 10_000;
/// Stands in for a masked value to see whether a condition looks at it.
const ANOTHER_VALUE: &str = "another value";

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    history: History,
    /// Only requests of this agent, by its id
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
}

/// A verdict, as far as a record keeps it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Verdict {
    effect: &'static str,
    rule: Option<String>,
}

/// What the candidate makes of one record.
#[derive(Debug)]
pub(super) enum Judged {
    /// The same effect.
    Same,
    /// Another effect.
    Changed { from: Verdict, to: Verdict },
    /// The record does not hold what would be needed.
    Unknown(&'static str),
    /// It was refused before any rule was asked.
    NotDecided,
}

#[derive(Debug, Default)]
struct Group {
    count: u64,
    examples: Vec<Value>,
}

impl Group {
    fn add(&mut self, record: &AuditRecord) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(json!({"id": record.id, "startedAt": record.started_at,
                "subject": record.subject.as_ref().map(lockgate_core::Subject::name), "action": record.action}));
        }
    }
}

#[derive(Debug, Default)]
struct Findings {
    records: u64,
    same: u64,
    not_decided: u64,
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
    changed: BTreeMap<(Verdict, Verdict), Group>,
    unknown: BTreeMap<&'static str, Group>,
}

pub(crate) async fn run(global: &Global, out: &Output, command: &Simulate) -> anyhow::Result<Exit> {
    let chosen = command.source.read()?;
    let mut history = command.history.open(global, command.agent.as_deref()).await?;
    let mut findings = Findings::default();
    while let Some(page) = history.page().await? {
        page.iter().for_each(|record| findings.add(&chosen.policy, record));
    }
    out.report(&findings.as_json(&chosen.policy), |style| findings.in_words(style, &chosen.policy))?;
    Ok(Exit::Done)
}

/// Asks the candidate about one record.
pub(super) fn judge(policy: &Policy, record: &AuditRecord) -> Judged {
    let (Some(subject), Some(action), Some(before)) = (&record.subject, &record.action, &record.decision) else {
        return Judged::NotDecided;
    };
    let scene = Scene {
        subject: subject.clone(),
        cluster: record.cluster.clone(),
        environment: before.environment.clone(),
        // Changes how many are asked, never whether.
        four_eyes: false,
        now: Some(record.started_at),
    };
    let payload = record.request.payload.as_ref();
    let case = Case { action, options: &record.options, object: payload, old_object: None };
    if policy.needs_old_object(&scene.subject, &scene.cluster, action, &scene.facts(case)) {
        return Judged::Unknown("the candidate looks at the object as it was before, which a record does not keep");
    }
    let decided = scene.decide(policy, case);
    if payload.is_none() && record.request.bytes > 0 && action.stream != lockgate_core::Stream::Proxy {
        return Judged::Unknown("its payload was not kept");
    }
    // A condition on a masked value would see the placeholder: whoever looks at it decides differently on another.
    let masked = payload.and_then(with_other_values);
    if let Some(other) = &masked {
        let again = scene.decide(policy, Case { object: Some(other), ..case });
        if again.effect != decided.effect {
            return Judged::Unknown("the candidate looks at a value that is masked in the record");
        }
    }
    // What overruled the policy then (a limit, a freeze, a human's no) is no policy's: verdicts are compared with its own. One
    // that says no itself changes nothing for what was refused all the same.
    let by_policy = before.by_policy();
    if by_policy == decided.effect || before.effect == decided.effect {
        return Judged::Same;
    }
    Judged::Changed {
        from: Verdict { effect: by_policy.as_str(), rule: before.rule.clone() },
        to: Verdict { effect: decided.effect.as_str(), rule: decided.rule },
    }
}

/// The payload with other values where it is masked; `None` where it is not.
fn with_other_values(payload: &Value) -> Option<Value> {
    fn replace(value: &mut Value, found: &mut bool) {
        match value {
            Value::String(text) if text.contains(PLACEHOLDER) => {
                *found = true;
                *text = text.replace(PLACEHOLDER, ANOTHER_VALUE);
            }
            Value::Array(items) => items.iter_mut().for_each(|item| replace(item, found)),
            Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, found)),
            _ => {}
        }
    }
    let mut other = payload.clone();
    let mut found = false;
    replace(&mut other, &mut found);
    found.then_some(other)
}

impl Findings {
    fn add(&mut self, policy: &Policy, record: &AuditRecord) {
        self.records += 1;
        self.newest = self.newest.max(Some(record.started_at));
        self.oldest = Some(self.oldest.map_or(record.started_at, |oldest| oldest.min(record.started_at)));
        match judge(policy, record) {
            Judged::Same => self.same += 1,
            Judged::NotDecided => self.not_decided += 1,
            Judged::Unknown(why) => self.unknown.entry(why).or_default().add(record),
            Judged::Changed { from, to } => {
                let key = if self.changed.len() < GROUPS_MAX || self.changed.contains_key(&(from.clone(), to.clone())) {
                    (from, to)
                } else {
                    let other = |verdict: Verdict| Verdict { rule: Some("(another rule)".into()), ..verdict };
                    (other(from), other(to))
                };
                self.changed.entry(key).or_default().add(record);
            }
        }
    }

    /// What gets stricter first, then by how often.
    fn changes(&self) -> Vec<(&(Verdict, Verdict), &Group)> {
        let rank = |verdict: &Verdict| match verdict.effect {
            effect if effect == Effect::Allow.as_str() => 0_i8,
            effect if effect == Effect::Ask.as_str() => 1,
            _ => 2,
        };
        let mut changes: Vec<_> = self.changed.iter().collect();
        changes.sort_by_key(|((from, to), group)| (rank(from) - rank(to), std::cmp::Reverse(group.count)));
        changes
    }

    fn as_json(&self, policy: &Policy) -> Value {
        let verdict = |verdict: &Verdict| json!({"effect": verdict.effect, "rule": verdict.rule});
        let changed: Vec<Value> = self
            .changes()
            .into_iter()
            .map(|((from, to), group)| {
                json!({"from": verdict(from), "to": verdict(to), "count": group.count, "examples": group.examples})
            })
            .collect();
        let unknown: Vec<Value> = self
            .unknown
            .iter()
            .map(|(why, group)| json!({"reason": why, "count": group.count, "examples": group.examples}))
            .collect();
        json!({"policy": {"name": policy.name(), "digest": policy.revision()}, "oldest": self.oldest,
            "newest": self.newest, "requests": self.records, "same": self.same, "notDecided": self.not_decided,
            "changed": changed, "notJudged": unknown})
    }

    fn in_words(&self, style: Style, policy: &Policy) -> String {
        let name = if policy.name().is_empty() { String::new() } else { format!(" {}", inert::line(policy.name())) };
        let (Some(oldest), Some(newest)) = (self.oldest, self.newest) else {
            return "No request was recorded in that time.\n".to_owned();
        };
        let requests = usize::try_from(self.records).unwrap_or(usize::MAX);
        let mut text = format!(
            "{} from {} to {}, under policy{name} {}\n\n",
            style.bold(&count(requests, "request")),
            seconds(oldest),
            seconds(newest),
            policy.short_revision()
        );
        let changed: u64 = self.changed.values().map(|group| group.count).sum();
        let unknown: u64 = self.unknown.values().map(|group| group.count).sum();
        text.push_str(&format!("{:>9} would be decided the same\n{changed:>9} would change\n", self.same));
        for (number, words) in
            [(unknown, "cannot be judged"), (self.not_decided, "were refused before any rule was asked")]
        {
            if number > 0 {
                text.push_str(&format!("{number:>9} {words}\n"));
            }
        }
        for ((from, to), group) in self.changes() {
            let arrow = format!("{} → {}", style.effect(from.effect), style.effect(to.effect));
            text.push_str(&format!("\n{arrow}  {} by {} (was: {})\n", group.count, rule(to), rule(from)));
            text.push_str(&examples(group));
        }
        for (why, group) in &self.unknown {
            text.push_str(&format!("\n{}  {}: {why}\n", style.yellow("not judged"), group.count));
            text.push_str(&examples(group));
        }
        text
    }
}

fn rule(verdict: &Verdict) -> String {
    match &verdict.rule {
        Some(rule) => format!("rule {}", inert::line(rule)),
        None => "no rule".to_owned(),
    }
}

fn examples(group: &Group) -> String {
    let line = |example: &Value| {
        let who = example["subject"].as_str().unwrap_or("-");
        format!(
            "  {}  {}\n",
            example["id"].as_str().unwrap_or_default(),
            inert::line(&format!("{who}  {}", action(example, "/action")))
        )
    };
    let mut text: String = group.examples.iter().map(line).collect();
    let more = group.count.saturating_sub(group.examples.len() as u64);
    if more > 0 {
        text.push_str(&format!("  … and {more} more\n"));
    }
    text
}

fn seconds(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('.').map_or_else(|| text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &Value, effect: &str) -> AuditRecord {
        serde_json::from_value(json!({
            "id": "aud_01a21099-f89b-7058-93b6-5c327d08d4f3", "startedAt": "2026-11-25T01:00:00Z", "origin": "http",
            "subject": {"issuer": "i", "id": "x", "kind": "agent", "groups": []},
            "source": {"ip": "127.0.0.1"}, "cluster": "shop", "method": "POST",
            "requestUri": "/clusters/shop/api/v1/namespaces/shop/secrets",
            "action": {"verb": "create", "apiVersion": "v1", "resource": "secrets", "namespace": "shop", "name": "s",
                "path": "/api/v1/namespaces/shop/secrets", "risk": "ask", "stream": "none"},
            "decision": {"effect": effect, "rule": "old", "policyRevision": "r", "reasons": []},
            "request": {"bytes": 10, "sha256": "", "payload": payload},
        }))
        .unwrap()
    }

    fn policy(when: &str, effect: &str) -> Policy {
        Policy::parse(&format!(
            "apiVersion: lockgate.dev/v1\nkind: Policy\nrules:\n- name: new\n  match: {{resources: [secrets]}}\n  when: \
             \"{when}\"\n  {effect}: {{}}\n"
        ))
        .unwrap()
    }

    #[test]
    fn a_change_names_both_rules() {
        let policy = policy("true", "ask");
        let judged = judge(&policy, &record(&json!({"data": {"a": PLACEHOLDER}}), "allow"));
        let Judged::Changed { from, to } = judged else { panic!("{judged:?}") };
        assert_eq!((from.effect, from.rule.as_deref()), ("allow", Some("old")));
        assert_eq!((to.effect, to.rule.as_deref()), ("ask", Some("new")));
        assert!(matches!(judge(&policy, &record(&json!({}), "ask")), Judged::Same));
    }

    #[test]
    fn a_request_that_a_limit_refused_is_no_change_of_policy() {
        let mut refused = record(&json!({}), "deny");
        refused.decision.as_mut().unwrap().policy_effect = Some(Effect::Allow);
        for effect in ["allow", "deny"] {
            let judged = judge(&policy("true", effect), &refused);
            assert!(matches!(judged, Judged::Same), "{effect}: {judged:?}");
        }
        let judged = judge(&policy("true", "ask"), &refused);
        let Judged::Changed { from, .. } = judged else { panic!("{judged:?}") };
        assert_eq!(from.effect, "allow", "what the policy said");
    }

    #[test]
    fn what_a_record_does_not_hold_is_not_judged() {
        let masked = record(&json!({"data": {"a": PLACEHOLDER}}), "allow");
        let on_value = policy("object.data.a == 'another value'", "allow");
        assert!(matches!(judge(&on_value, &masked), Judged::Unknown(why) if why.contains("masked")));
        let on_key = policy("has(object.data.a)", "allow");
        assert!(matches!(judge(&on_key, &masked), Judged::Same));
        let on_old = policy("oldObject.type == 'Opaque'", "allow");
        assert!(matches!(judge(&on_old, &masked), Judged::Unknown(why) if why.contains("before")));
        assert!(
            matches!(judge(&on_key, &record(&Value::Null, "allow")), Judged::Unknown(why) if why.contains("payload"))
        );
    }
}
