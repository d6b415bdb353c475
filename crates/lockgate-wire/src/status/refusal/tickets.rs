//! What is said about a ticket: that a human must agree, and what the human said.

use lockgate_core::{ApprovalId, Timestamp};

use super::{MESSAGE_BYTES_MAX, NO_DETOUR, Reason, Status, minute, phrase, shortened};

/// Longest word about an earlier denial, in bytes: the request's own summary stands beside it.
const DENIED_BYTES_MAX: usize = 70;

/// A human must agree: not run, send it again once the ticket is approved.
pub fn approval_required(ticket: ApprovalId, summary: &str, cluster: &str, expires_at: Timestamp) -> Status {
    ticket_status(
        Reason::ApprovalRequired,
        ticket,
        &format!("{} on cluster {} needs a human's approval and was not run.", phrase(summary), phrase(cluster)),
        &format!(
            "Next step: wait with `lockgate approvals wait {ticket}`, then send the same request again; approved, it goes \
             through once. The ticket waits until {}.",
            minute(expires_at)
        ),
    )
}

/// A human refused. The note goes back to the agent, cut visibly when it is long.
pub fn denied_by_human(ticket: ApprovalId, summary: &str, decided_by: &str, note: Option<&str>) -> Status {
    let facts = format!("{} was denied by {} and was not run.", phrase(summary), phrase(decided_by));
    with_note(ticket, facts, note)
}

/// A human refused something with the same effect a while ago. The same note goes back.
pub fn denied_before(ticket: ApprovalId, summary: &str, denied: &Denied<'_>) -> Status {
    let facts = format!(
        "{} was not run: it has the effect of what {} denied ({}). The denial stands until {}.",
        phrase(summary),
        shortened(denied.by, DENIED_BYTES_MAX, "…"),
        shortened(denied.summary, DENIED_BYTES_MAX, "…"),
        minute(denied.until)
    );
    with_note(ticket, facts, denied.note)
}

/// A denial that still stands.
#[derive(Debug, Clone, Copy)]
pub struct Denied<'d> {
    /// What was denied, in words.
    pub summary: &'d str,
    /// By whom.
    pub by: &'d str,
    /// Until when it stands.
    pub until: Timestamp,
    /// The human's note.
    pub note: Option<&'d str>,
}

/// Nobody decided in time.
pub fn approval_expired(ticket: ApprovalId, summary: &str) -> Status {
    ticket_status(
        Reason::ApprovalExpired,
        ticket,
        &format!("nobody decided about {} in time; it was not run.", phrase(summary)),
        "Next step: if it is still wanted, send the same request again; a human is then asked anew.",
    )
}

/// The ticket was withdrawn.
pub fn approval_cancelled(ticket: ApprovalId, summary: &str) -> Status {
    ticket_status(
        Reason::ApprovalExpired,
        ticket,
        &format!("the request to approve {} was withdrawn; it was not run.", phrase(summary)),
        "Next step: if it is still wanted, send the same request again; a human is then asked anew.",
    )
}

/// Sent once, outcome never learnt; nothing is replayed blindly.
pub fn approval_indeterminate(ticket: ApprovalId, summary: &str) -> Status {
    ticket_status(
        Reason::ApprovalIndeterminate,
        ticket,
        &format!(
            "{} was approved and sent, but the outcome is unknown: the connection to the cluster broke.",
            phrase(summary)
        ),
        "Next step: read the object's present state before anything else.",
    )
}

/// The target changed between review and dispatch.
pub fn changed_since_review(ticket: ApprovalId, summary: &str) -> Status {
    ticket_status(
        Reason::ApprovalRequired,
        ticket,
        &format!(
            "{}: the target has changed since it was reviewed; the approval no longer holds and nothing was run.",
            phrase(summary)
        ),
        "Next step: read the object, and if the change is still right send the request again; a human is then asked anew.",
    )
}

fn with_note(ticket: ApprovalId, facts: String, note: Option<&str>) -> Status {
    let next = "Next step: follow the note, or ask your human.";
    let text = match note.filter(|note| !note.trim().is_empty()) {
        Some(note) => {
            let rest = render(ticket, &facts, next).len() + " Note: \"\"".len();
            let more = format!("… (whole note: lockgate approvals show {ticket})");
            format!("{facts} Note: \"{}\"", shortened(note, MESSAGE_BYTES_MAX.saturating_sub(rest), &more))
        }
        None => facts,
    };
    ticket_status(Reason::ApprovalDenied, ticket, &text, next)
}

fn ticket_status(reason: Reason, ticket: ApprovalId, facts: &str, next: &str) -> Status {
    Status::failure(403, reason, render(ticket, facts, next)).with_cause("ApprovalID", ticket.to_string())
}

/// The ticket stands within the first 20 characters and again in the last line.
fn render(ticket: ApprovalId, facts: &str, next: &str) -> String {
    format!("Ticket {ticket}: {facts}\n{next}\n{NO_DETOUR}\nTicket: {ticket}")
}
