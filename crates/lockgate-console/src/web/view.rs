//! How core's nouns are shown. Single-line texts are made inert here, line breaks included.

use std::collections::BTreeMap;

use lockgate_core::{
    Action, Approval, ApprovalState, AuditRecord, Options, Outcome, Risk, Session, Subject, Terms, Timestamp,
};
use lockgate_wire::PLACEHOLDER;
use serde_json::Value;

use crate::context::App;
use crate::identity::{Caller, Role};
use crate::inert::line;
use crate::yaml;

/// An instant, for programs and for people.
#[derive(Debug, Clone)]
pub(crate) struct Time {
    pub(crate) iso: String,
    pub(crate) shown: String,
}

/// A cluster and its environment.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) cluster: String,
    pub(crate) environment: String,
    /// The style class of its colour.
    pub(crate) class: &'static str,
}

/// Who asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Who {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) owner: String,
    pub(crate) on_behalf_of: String,
}

/// A label and its value; pages leave out what is empty.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    /// Shown in the fixed-width font.
    pub(crate) code: bool,
    pub(crate) link: Option<String>,
}

pub(crate) fn time(at: Timestamp) -> Time {
    let iso = at.to_string();
    let (date, rest) = iso.split_once('T').unwrap_or((iso.as_str(), ""));
    let clock: String = rest.chars().take(8).collect();
    Time { shown: format!("{date} {clock} UTC"), iso }
}

pub(crate) fn place(cluster: &str, environments: &BTreeMap<String, String>) -> Place {
    let environment = environments.get(cluster).cloned().unwrap_or_default();
    let class = match environment.to_ascii_lowercase().as_str() {
        "production" | "prod" | "live" => "env-production",
        "staging" | "stage" | "preproduction" | "uat" => "env-staging",
        "development" | "dev" | "test" | "sandbox" => "env-development",
        _ => "env-other",
    };
    Place { cluster: line(cluster).into_owned(), environment: line(&environment).into_owned(), class }
}

pub(crate) fn who(subject: &Subject) -> Who {
    let optional = |text: &Option<String>| text.as_deref().map(|text| line(text).into_owned()).unwrap_or_default();
    Who {
        name: line(&subject.id).into_owned(),
        kind: match subject.kind {
            lockgate_core::SubjectKind::Agent => "agent",
            lockgate_core::SubjectKind::Human => "human",
        },
        owner: optional(&subject.owner),
        on_behalf_of: optional(&subject.on_behalf_of),
    }
}

/// What the class means, in words.
pub(crate) const fn risk(risk: Risk) -> (&'static str, &'static str) {
    match risk {
        Risk::Read => ("read", "reads"),
        Risk::Masked => ("masked", "reads secrets, masked"),
        Risk::Write => ("write", "routine write"),
        Risk::Ask => ("ask", "write that asks"),
        Risk::Destructive => ("destructive", "destructive"),
        Risk::Mass => ("mass", "mass loss"),
        Risk::Stream => ("stream", "interactive"),
        Risk::Escalation => ("escalation", "gains rights"),
    }
}

/// `shop/web`, `shop`, or a path.
pub(crate) fn target(action: &Action) -> String {
    if !action.is_resource() {
        return line(&action.path).into_owned();
    }
    let name = match (action.namespace.as_deref(), action.name.as_deref()) {
        (Some(namespace), Some(name)) if action.resource != "namespaces" => format!("{namespace}/{name}"),
        (_, Some(name)) => name.to_owned(),
        (Some(namespace), None) => format!("in {namespace}"),
        (None, None) => "in the whole cluster".to_owned(),
    };
    line(&name).into_owned()
}

/// `pods/exec`, with its group where it has one.
pub(crate) fn resource(action: &Action) -> String {
    let mut text = action.resource_path();
    if !action.api_group.is_empty() {
        text = format!("{text}.{}", action.api_group);
    }
    line(&text).into_owned()
}

/// The options in effect, in words.
pub(crate) fn options(options: &Options) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name, value: Option<String>| facts.extend(value.map(|value| fact(name, &value)));
    add("Dry run", options.dry_run.then(|| "yes: nothing is changed".to_owned()));
    add("Propagation", options.propagation_policy.clone());
    add("Grace period", options.grace_period_seconds.map(|seconds| format!("{seconds} s")));
    add("Force", options.force.map(|force| force.to_string()));
    add("Field manager", options.field_manager.clone());
    add("Patch type", options.patch_type.map(|kind| format!("{kind:?}").to_lowercase()));
    add("Only if UID", options.precondition_uid.clone());
    add("Label selector", options.label_selector.clone());
    add("Field selector", options.field_selector.clone());
    if let Some(exec) = &options.exec {
        add("Container", exec.container.clone());
        let words = [(exec.tty, "terminal"), (exec.stdin, "stdin"), (exec.stdout, "stdout"), (exec.stderr, "stderr")];
        let open: Vec<_> = words.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        add("Streams", Some(open.join(", ")));
    }
    facts
}

/// A value in the fixed-width font.
pub(crate) fn fact(name: &'static str, value: &str) -> Fact {
    Fact { name, value: line(value).into_owned(), code: true, link: None }
}

/// A value in words.
pub(crate) fn said(name: &'static str, value: &str) -> Fact {
    Fact { code: false, ..fact(name, value) }
}

/// A value that leads somewhere.
pub(crate) fn linked(name: &'static str, value: &str, link: String) -> Fact {
    Fact { link: Some(link), ..fact(name, value) }
}

/// The arguments of a command, one by one: a separator inside an argument must not look like one between two.
pub(crate) fn argv(words: &[String]) -> Vec<String> {
    words.iter().map(|word| line(word).into_owned()).collect()
}

pub(crate) fn state(state: ApprovalState) -> (&'static str, &'static str) {
    let words = match state {
        ApprovalState::Pending => "waits for a human",
        ApprovalState::Approved => "approved, not yet used",
        ApprovalState::Denied => "denied",
        ApprovalState::Expired => "expired",
        ApprovalState::Cancelled => "cancelled",
        ApprovalState::Consumed => "approved and done",
        ApprovalState::Indeterminate => "approved, outcome unknown",
    };
    (state.as_str(), words)
}

/// The word for a call's end, and its style class.
pub(crate) const fn outcome(record: &AuditRecord) -> &'static str {
    match record.outcome {
        None => "open",
        Some(Outcome::Completed) => "completed",
        Some(Outcome::Refused) => "refused",
        Some(Outcome::Failed) => "failed",
        Some(Outcome::Aborted) => "aborted",
        Some(Outcome::Unknown) => "unknown",
    }
}

/// `delete namespaces shop`
pub(crate) fn headline(record: &AuditRecord) -> (String, String) {
    match &record.action {
        Some(action) if action.is_resource() => {
            (action.verb.to_string(), format!("{} {}", resource(action), target(action)))
        }
        Some(action) => (action.verb.to_string(), target(action)),
        None => (line(&record.method).into_owned(), line(&record.request_uri).into_owned()),
    }
}

/// One line in words for a session.
pub(crate) fn session_end(session: &Session) -> (&'static str, String) {
    match (&session.ended_at, session.exit_code) {
        (None, _) => ("open", "live".to_owned()),
        (Some(_), Some(0)) => ("completed", "exit 0".to_owned()),
        (Some(_), Some(code)) => ("failed", format!("exit {code}")),
        (Some(_), None) => ("unknown", line(session.end_reason.as_deref().unwrap_or("ended")).into_owned()),
    }
}

/// What this person may do with what a human decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    Decide,
    SignInAgain,
    Look,
}

pub(crate) fn may(app: &App, caller: Option<&Caller>) -> May {
    let signed_in = caller.and_then(|caller| caller.auth_time);
    let fresh = signed_in.is_some_and(|at| app.now().since(at) <= app.context.sign_in_age_max);
    match caller.map(|caller| caller.role) {
        Some(Role::Approver) if fresh => May::Decide,
        Some(Role::Approver) => May::SignInAgain,
        _ => May::Look,
    }
}

/// Who may decide, in words: `Decides: a member of sre, not the agent's owner.`
pub(crate) fn terms(verb: &str, terms: &Terms) -> String {
    let who = if terms.approver_groups.is_empty() {
        "any approver".to_owned()
    } else {
        format!("a member of {}", terms.approver_groups.join(" or "))
    };
    let count = match terms.count {
        0 | 1 => String::new(),
        count => format!(", {count} different people"),
    };
    let eyes = if terms.four_eyes { ", not the agent's owner" } else { "" };
    line(&format!("{verb}: {who}{count}{eyes}.")).into_owned()
}

/// A size as people read it.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{}.{} KiB", bytes / 1_024, bytes % 1_024 * 10 / 1_024),
        _ => format!("{}.{} MiB", bytes / 1_048_576, bytes % 1_048_576 * 10 / 1_048_576),
    }
}

/// A JSON value as YAML in HTML: keys and masked values marked, everything escaped.
pub(crate) fn yaml_html(value: &Value) -> String {
    let document = yaml::document(value);
    let mut out = String::with_capacity(document.len().saturating_mul(2));
    for text in document.lines() {
        let start = text.len().saturating_sub(text.trim_start_matches([' ', '-']).len());
        let (lead, rest) = text.split_at_checked(start).unwrap_or(("", text));
        out.push_str(lead);
        match rest.split_once(':').filter(|(key, _)| !key.contains(['"', ' '])) {
            Some((key, value)) => {
                out.push_str(&format!("<span class=\"key\">{}</span>:{}", escaped(key), marked(value)));
            }
            None => out.push_str(&marked(rest)),
        }
        out.push('\n');
    }
    out
}

fn marked(text: &str) -> String {
    let mark = "<mark class=\"masked\">masked</mark>";
    let quoted = format!("\"{PLACEHOLDER}\"");
    escaped(text).replace(&escaped(&quoted), mark).replace(PLACEHOLDER, mark)
}

/// Text as HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// The approval's facts that every view of it shows.
#[derive(Debug, Clone)]
pub(crate) struct ApprovalView {
    pub(crate) id: String,
    pub(crate) state: &'static str,
    pub(crate) state_words: &'static str,
    pub(crate) pending: bool,
    pub(crate) summary: String,
    pub(crate) place: Place,
    pub(crate) who: Who,
    pub(crate) risk: &'static str,
    pub(crate) risk_words: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) requested: Time,
    pub(crate) expires: Time,
    pub(crate) decided: Option<String>,
    pub(crate) note: Option<String>,
}

pub(crate) fn approval(approval: &Approval, environments: &BTreeMap<String, String>) -> ApprovalView {
    let (state, state_words) = state(approval.state);
    let (risk, risk_words) = risk(approval.action.risk);
    ApprovalView {
        id: approval.id.to_string(),
        state,
        state_words,
        pending: approval.state == ApprovalState::Pending,
        summary: line(&approval.summary).into_owned(),
        place: place(&approval.cluster, environments),
        who: who(&approval.subject),
        risk,
        risk_words,
        reason: approval.reason.clone().filter(|reason| !reason.is_empty()),
        requested: time(approval.requested_at),
        expires: time(approval.expires_at),
        decided: approval.decided_by.last().map(|decider| line(&decider.subject.id).into_owned()),
        note: approval.note.clone().filter(|note| !note.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_payload_is_escaped_and_its_masks_are_marked() {
        let html = yaml_html(&json!({"data": {"password": PLACEHOLDER}, "x": "<script>", "l": [{"a": 1}]}));
        assert_eq!(
            html,
            "<span class=\"key\">data</span>:\n  <span class=\"key\">password</span>: <mark class=\"masked\">masked</mark>\n\
             <span class=\"key\">l</span>:\n- <span class=\"key\">a</span>: 1\n<span class=\"key\">x</span>: &quot;&lt;script&gt;&quot;\n"
        );
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 * 1_048_576), "3.0 MiB");
    }
}
