//! Asks a policy about one request, as the gateway would.

use lockgate_core::{Action, Decision, Options, Subject, SubjectKind, Terms, Timestamp};
use lockgate_policy::{Facts, Policy};
use serde_json::Value;

use crate::cli::Wrong;

/// Who asks, where and when.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) subject: Subject,
    pub(crate) cluster: String,
    pub(crate) environment: String,
    pub(crate) four_eyes: bool,
    pub(crate) now: Option<Timestamp>,
}

/// One request, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'c> {
    pub(crate) action: &'c Action,
    pub(crate) options: &'c Options,
    pub(crate) object: Option<&'c Value>,
    pub(crate) old_object: Option<&'c Value>,
}

impl Scene {
    pub(crate) fn facts<'c>(&'c self, case: Case<'c>) -> Facts<'c> {
        Facts {
            object: case.object,
            old_object: case.old_object,
            environment: &self.environment,
            four_eyes: self.four_eyes,
            now: self.now,
            ..Facts::new(case.options)
        }
    }

    pub(crate) fn decide(&self, policy: &Policy, case: Case<'_>) -> Decision {
        policy.decide(&self.subject, &self.cluster, case.action, &self.facts(case))
    }
}

/// `agent:x` or `human:x`
pub(crate) fn subject(
    text: &str,
    issuer: String,
    owner: Option<String>,
    groups: Vec<String>,
) -> Result<Subject, Wrong> {
    let (kind, id) = match text.split_once(':') {
        Some(("agent", id)) => (SubjectKind::Agent, id),
        Some(("human", id)) => (SubjectKind::Human, id),
        _ => return Err(Wrong(format!("--as {text}: say agent:ID or human:ID"))),
    };
    if id.is_empty() {
        return Err(Wrong(format!("--as {text}: the id is empty; say agent:ID or human:ID")));
    }
    Ok(Subject { issuer, id: id.to_owned(), kind, owner, on_behalf_of: None, groups, token_id: None })
}

/// `2 of sre or platform, not the agent's owner, within 10m`
pub(crate) fn terms_in_words(terms: &Terms) -> String {
    let people = if terms.count == 1 { "one person".to_owned() } else { format!("{} people", terms.count) };
    let groups = match terms.approver_groups.as_slice() {
        [] => String::new(),
        groups => format!(" of {}", groups.join(" or ")),
    };
    let owner = if terms.four_eyes { ", not the agent's owner" } else { "" };
    format!("{people}{groups}{owner}, within {}", duration(terms.ttl_seconds))
}

fn duration(seconds: u64) -> String {
    match seconds {
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}
