//! `lockgate audit`

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use lockgate_console::yaml;
use lockgate_core::AuditId;
use serde_json::Value;

use super::api::Api;
use super::output::{Column, Output, action, at, subject, time};
use super::{Exit, Wrong};

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List calls, newest first
    List {
        #[command(flatten)]
        filter: Filter,
        /// Not before: an RFC 3339 time, or how long ago, such as 90s, 10m, 2h, 1d
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Not after; same forms
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one call's whole record
    Show {
        /// The call, `aud_…` (or the bare `Audit-ID` of the cluster's own log)
        id: String,
    },
    /// Print calls as they come; a call that is still open is printed again when it ends
    Tail {
        #[command(flatten)]
        filter: Filter,
    },
}

/// Filters by field.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// The subject's id
    #[arg(long)]
    subject: Option<String>,
    /// The cluster
    #[arg(long)]
    cluster: Option<String>,
    /// The verb, such as delete
    #[arg(long)]
    verb: Option<String>,
    /// The resource in the plural, such as pods
    #[arg(long)]
    resource: Option<String>,
    /// The namespace
    #[arg(long)]
    namespace: Option<String>,
    /// The object's name
    #[arg(long)]
    name: Option<String>,
    /// The decision: allow, deny, ask
    #[arg(long)]
    effect: Option<String>,
    /// How it ended: completed, refused, failed, aborted, unknown
    #[arg(long)]
    outcome: Option<String>,
    /// The approval that it waited for or used, `apr_…`
    #[arg(long)]
    approval: Option<String>,
    /// Its recording, `ses_…`
    #[arg(long)]
    session: Option<String>,
    /// Only calls that the candidate policy in shadow mode would have decided otherwise
    #[arg(long)]
    shadow_differs: bool,
}

impl Filter {
    fn query(&self) -> Vec<(&'static str, String)> {
        let fields = [
            ("subject", &self.subject),
            ("cluster", &self.cluster),
            ("verb", &self.verb),
            ("resource", &self.resource),
            ("namespace", &self.namespace),
            ("name", &self.name),
            ("effect", &self.effect),
            ("outcome", &self.outcome),
            ("approvalId", &self.approval),
            ("sessionId", &self.session),
        ];
        let shadow = self.shadow_differs.then(|| ("shadowDiffers", "true".to_owned()));
        fields.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).chain(shadow).collect()
    }
}

pub(crate) async fn run(api: &Api, out: &Output, command: &Audit) -> anyhow::Result<Exit> {
    match command {
        Audit::List { filter, since, until, limit } => {
            let mut query = filter.query();
            query.push(("limit", limit.to_string()));
            for (name, text) in [("since", since), ("until", until)] {
                if let Some(text) = text {
                    query.push((name, instant(text, Timestamp::now())?.to_string()));
                }
            }
            out.list(&api.get("/api/v1/audit", &query).await?, row)?;
        }
        Audit::Show { id } => {
            let id = if id.starts_with("aud_") { id.clone() } else { format!("aud_{id}") };
            let id: AuditId = id.parse().map_err(|error| Wrong(format!("{error}")))?;
            out.show(&api.get(&format!("/api/v1/audit/{id}"), &[]).await?, fields)?;
        }
        Audit::Tail { filter } => {
            let mut lines = api.stream("/api/v1/audit/tail", &filter.query()).await?;
            while let Some(line) = lines.line().await? {
                out.item(&serde_json::from_slice(&line)?, row)?;
            }
            anyhow::bail!("the console ended the tail; run it again");
        }
    }
    Ok(Exit::Done)
}

/// An RFC 3339 time, or how long before `now`.
pub(crate) fn instant(text: &str, now: Timestamp) -> Result<Timestamp, Wrong> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let ago = super::duration(text).map_err(|_| {
        Wrong(format!("{text:?} is no time: use 2026-11-25T01:02:03Z, or how long ago: 90s, 10m, 2h, 1d"))
    })?;
    SignedDuration::try_from(ago)
        .ok()
        .and_then(|ago| now.checked_sub(ago).ok())
        .ok_or_else(|| Wrong(format!("{text} is too long ago")))
}

fn row(value: &Value) -> Vec<Column> {
    let outcome = at(value, "/outcome");
    vec![
        Column("started", time(value, "/startedAt")),
        Column("id", at(value, "/id")),
        Column("who", subject(value, "/subject")),
        Column("cluster", at(value, "/cluster")),
        Column("action", if value["action"].is_object() { action(value, "/action") } else { request(value) }),
        Column("decision", at(value, "/decision/effect")),
        Column("outcome", if outcome.is_empty() { "open".to_owned() } else { outcome }),
        Column("status", at(value, "/response/status")),
    ]
}

fn request(value: &Value) -> String {
    format!("{} {}", at(value, "/method"), at(value, "/requestUri"))
}

/// `revision 7 by jane@example.com, sha256 …`
fn policy(value: &Value) -> String {
    let digest = at(value, "/decision/policyRevision");
    match at(value, "/decision/policy/revision") {
        revision if revision.is_empty() => digest,
        revision => format!("revision {revision} by {}, SHA-256 {digest}", at(value, "/decision/policy/author")),
    }
}

fn shadow(value: &Value) -> String {
    let effect = at(value, "/decision/shadow/effect");
    let rule = at(value, "/decision/shadow/rule");
    if rule.is_empty() { effect } else { format!("{effect} by rule {rule}") }
}

fn fields(value: &Value) -> Vec<Column> {
    let mut fields = vec![
        Column("Call", at(value, "/id")),
        Column("Started", at(value, "/startedAt")),
        Column("Finished", at(value, "/finishedAt")),
        Column("Outcome", at(value, "/outcome")),
        Column("Message", at(value, "/message")),
        Column("Who", subject(value, "/subject")),
        Column("Owner", at(value, "/subject/owner")),
        Column("From", format!("{} {}", at(value, "/source/ip"), at(value, "/source/userAgent"))),
        Column("Cluster", at(value, "/cluster")),
        Column("Action", action(value, "/action")),
        Column("Risk", at(value, "/action/risk")),
        Column("Request", request(value)),
        Column("Decision", at(value, "/decision/effect")),
        Column("Policy said", at(value, "/decision/policyEffect")),
        Column("Rule", at(value, "/decision/rule")),
        Column("Policy", policy(value)),
        Column("Candidate would", shadow(value)),
        Column("Approval", at(value, "/approvalId")),
        Column("Session", at(value, "/sessionId")),
        Column("Upstream user", at(value, "/upstream/user")),
        Column("Upstream status", at(value, "/upstream/status")),
        Column("Status", at(value, "/response/status")),
        Column("Bytes", at(value, "/response/bytes")),
        Column("Masked values", at(value, "/response/masked")),
        Column("Hidden objects", at(value, "/response/hidden")),
        Column("Masked values kept", at(value, "/request/restored")),
        Column("Body SHA-256", at(value, "/request/sha256")),
    ];
    for (name, pointer) in [("Reasons", "/decision/reasons"), ("Payload (secrets masked)", "/request/payload")] {
        if let Some(part) = value.pointer(pointer).filter(|part| !part.is_null()) {
            fields.push(Column(name, yaml::document(part)));
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_an_instant_or_how_long_ago() {
        let now: Timestamp = "2026-11-25T01:00:00Z".parse().unwrap();
        assert_eq!(instant("2026-11-24T00:00:00Z", now).unwrap().to_string(), "2026-11-24T00:00:00Z");
        assert_eq!(instant("90m", now).unwrap().to_string(), "2026-11-24T23:30:00Z");
        assert!(instant("yesterday", now).is_err());
    }
}
