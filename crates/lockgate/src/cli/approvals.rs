//! `lockgate approvals`

use std::time::Duration;

use clap::Subcommand;
use lockgate_console::{inert, yaml};
use lockgate_core::ApprovalId;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Exit;
use super::api::Api;
use super::output::{self, Column, Output, action, at, subject, time};

/// One long poll asks for at most this.
const POLL_SECONDS_MAX: u64 = 30;

#[derive(Debug, Subcommand)]
pub(crate) enum Approvals {
    /// List held requests and what became of them, newest first
    List {
        /// Only this state: pending, approved, denied, expired, cancelled, consumed, indeterminate
        #[arg(long)]
        state: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one, with everything an approver decides on
    Show {
        /// The ticket, `apr_…`
        id: ApprovalId,
    },
    /// Approve one; needs a fresh sign-in (`lockgate login --fresh`)
    Approve {
        /// The ticket, `apr_…`
        id: ApprovalId,
        /// A note for the record and the agent
        #[arg(long)]
        note: Option<String>,
    },
    /// Deny one; needs a fresh sign-in (`lockgate login --fresh`)
    Deny {
        /// The ticket, `apr_…`
        id: ApprovalId,
        /// Why: goes back to the agent
        #[arg(long)]
        note: String,
    },
    /// Let a denied one, and whatever has its effect, be asked again; needs a fresh sign-in (`lockgate login --fresh`)
    Reopen {
        /// The ticket, `apr_…`
        id: ApprovalId,
        /// Why: goes into the record
        #[arg(long)]
        note: String,
    },
    /// Print held requests as they come and as they are decided
    Watch,
    /// Wait until one is decided: exit 0 approved, 3 denied, 75 still pending
    Wait {
        /// The ticket, `apr_…`
        id: ApprovalId,
        /// Give up after this long, such as 90s, 10m
        #[arg(long, default_value = "10m", value_parser = super::duration)]
        timeout: Duration,
    },
}

pub(crate) async fn run(api: &Api, out: &Output, command: &Approvals) -> anyhow::Result<Exit> {
    match command {
        Approvals::List { state, limit } => {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(state.iter().map(|state| ("state", state.clone())));
            out.list(&api.get("/api/v1/approvals", &query).await?, row)?;
        }
        Approvals::Show { id } => out.show(&api.get(&path(*id), &[]).await?, fields)?,
        Approvals::Approve { id, note } => decide(api, out, *id, "approve", note.as_deref()).await?,
        Approvals::Deny { id, note } => decide(api, out, *id, "deny", Some(note)).await?,
        Approvals::Reopen { id, note } => {
            let approval = api.post(&format!("{}/reopen", path(*id)), &json!({"note": note})).await?;
            output::note(&format!("{id} stays denied, and the same may be asked again."))?;
            out.show(&approval, fields)?;
        }
        Approvals::Watch => {
            let mut lines = api.stream("/api/v1/approvals/watch", &[]).await?;
            while let Some(line) = lines.line().await? {
                out.item(&serde_json::from_slice(&line)?, row)?;
            }
            anyhow::bail!("the console ended the watch; run it again");
        }
        Approvals::Wait { id, timeout } => return wait(api, out, *id, *timeout).await,
    }
    Ok(Exit::Done)
}

fn path(id: ApprovalId) -> String {
    format!("/api/v1/approvals/{id}")
}

async fn decide(api: &Api, out: &Output, id: ApprovalId, word: &str, note: Option<&str>) -> anyhow::Result<()> {
    let approval = api.post(&format!("{}/{word}", path(id)), &json!({"note": note})).await?;
    output::note(&format!("{id} is {}.", inert::line(&at(&approval, "/state"))))?;
    out.show(&approval, fields)
}

async fn wait(api: &Api, out: &Output, id: ApprovalId, timeout: Duration) -> anyhow::Result<Exit> {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let poll = left.as_secs().min(POLL_SECONDS_MAX);
        let approval = api.get(&path(id), &[("waitSeconds", poll.to_string())]).await?;
        let exit = match at(&approval, "/state").as_str() {
            "pending" if left.is_zero() || poll == 0 => Exit::Pending,
            "pending" => continue,
            // Once consumed the request has gone through: it was approved.
            "approved" | "consumed" | "indeterminate" => Exit::Done,
            "denied" => Exit::Denied,
            _ => Exit::Failed,
        };
        let note = at(&approval, "/note");
        let words = if note.is_empty() { String::new() } else { format!(": {}", inert::line(&note)) };
        output::note(&format!("{id} is {}{words}", inert::line(&at(&approval, "/state"))))?;
        out.show(&approval, fields)?;
        return Ok(exit);
    }
}

fn row(value: &Value) -> Vec<Column> {
    vec![
        Column("id", at(value, "/id")),
        Column("state", at(value, "/state")),
        Column("requested", time(value, "/requestedAt")),
        Column("who", subject(value, "/subject")),
        Column("cluster", at(value, "/cluster")),
        Column("summary", at(value, "/summary")),
    ]
}

fn fields(value: &Value) -> Vec<Column> {
    let mut fields = vec![
        Column("Ticket", at(value, "/id")),
        Column("State", at(value, "/state")),
        Column("Summary", at(value, "/summary")),
        Column("Who", subject(value, "/subject")),
        Column("Owner", at(value, "/subject/owner")),
        Column("On behalf of", at(value, "/subject/onBehalfOf")),
        Column("Issuer", at(value, "/subject/issuer")),
        Column("Cluster", at(value, "/cluster")),
        Column("Action", action(value, "/action")),
        Column("Risk", at(value, "/action/risk")),
        Column("Path", at(value, "/action/path")),
        Column("Reason (the agent's words)", at(value, "/reason")),
        Column("Requested", time(value, "/requestedAt")),
        Column("Expires", time(value, "/expiresAt")),
        Column("Rule", at(value, "/rule")),
        Column("Policy", at(value, "/policyRevision")),
        Column("Fingerprint", at(value, "/fingerprint")),
        Column("Target UID", at(value, "/targetUid")),
        Column("Audit", at(value, "/auditId")),
    ];
    for decider in value.pointer("/decidedBy").and_then(Value::as_array).into_iter().flatten() {
        let word = if decider.get("approved") == Some(&Value::Bool(true)) { "Approved by" } else { "Denied by" };
        fields.push(Column(word, format!("{} at {}", subject(decider, "/subject"), time(decider, "/at"))));
    }
    if let Some(word) = value.get("reopenedBy") {
        fields.push(Column("Reopened by", format!("{} at {}", subject(word, "/subject"), time(word, "/at"))));
    }
    fields.push(Column("Note", at(value, "/note")));
    for (name, pointer) in [("Options", "/options"), ("Payload (secrets masked)", "/payload")] {
        if let Some(part) = value.pointer(pointer).filter(|part| !part.is_null()) {
            fields.push(Column(name, yaml::document(part)));
        }
    }
    fields
}
