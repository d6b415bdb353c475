//! The wording of refusals, made for agents: facts first, one next step, no alternatives, and a sentence that says not to
//! seek the same effect another way (a bare denial teaches agents to route around it).

use lockgate_core::{ApprovalId, Timestamp};

use super::{MESSAGE_BYTES_MAX, Reason, Status, is_unsafe_in_terminal};

/// How a ticket's refusals end.
const NO_DETOUR: &str = "Do not seek the same effect by another command, tool or credential.";

/// Longest summary or rule name inside a message, in bytes.
const PHRASE_BYTES_MAX: usize = 110;

/// No rule allows the request, or one denies it. `message` is the rule's own text.
pub fn denied_by_policy(summary: &str, cluster: &str, rule: Option<&str>, message: Option<&str>) -> Status {
    let why = match rule {
        Some(rule) => format!("denied by rule {:?}", phrase(rule)),
        None => "no policy rule allows it".to_owned(),
    };
    let facts = format!("Lockgate did not run: {} on cluster {}: {why}.", phrase(summary), phrase(cluster));
    let ending = format!("Next step: tell your human that this needs a change of policy.\n{NO_DETOUR}");
    let text = match message {
        Some(message) => {
            let room = MESSAGE_BYTES_MAX.saturating_sub(facts.len() + ending.len() + 2);
            format!("{facts}\n{}\n{ending}", shortened(message, room, "…"))
        }
        None => format!("{facts}\n{ending}"),
    };
    Status::failure(403, Reason::Forbidden, text)
}

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

/// Exec, attach and port-forward over SPDY, which this gateway does not carry.
pub fn websocket_required(summary: &str) -> Status {
    Status::failure(
        400,
        Reason::BadRequest,
        format!(
            "{}: this gateway carries sessions over WebSocket only, and the request came over SPDY.\n\
             Next step: use kubectl 1.31 or later, which speaks WebSocket by default.",
            phrase(summary)
        ),
    )
}

/// A human refused. The note goes back to the agent, cut visibly when it is long.
pub fn denied_by_human(ticket: ApprovalId, summary: &str, decided_by: &str, note: Option<&str>) -> Status {
    let facts = format!("{} was denied by {} and was not run.", phrase(summary), phrase(decided_by));
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

/// No credential, or one that is not accepted. `reason` says which check failed, never what the token holds.
pub fn unauthenticated(reason: &str) -> Status {
    Status::failure(
        401,
        Reason::Unauthorized,
        format!(
            "Lockgate did not accept the credential: {}. Next step: obtain a fresh token from your identity provider.",
            phrase(reason)
        ),
    )
}

/// The cluster in the path is not one of ours. The names that exist are not told.
pub fn unknown_cluster(cluster: &str) -> Status {
    Status::failure(
        404,
        Reason::NotFound,
        format!(
            "no cluster named {:?} is served by this gateway. Next step: check the path /clusters/<name> in the kubeconfig's server.",
            phrase(cluster)
        ),
    )
}

/// The body exceeds the limit.
pub fn body_too_large(limit_bytes: usize) -> Status {
    Status::failure(
        413,
        Reason::RequestEntityTooLarge,
        format!("the request body exceeds the limit of {limit_bytes} bytes"),
    )
}

/// The log cannot be written: nothing passes unrecorded.
pub fn audit_unavailable() -> Status {
    Status::failure(
        503,
        Reason::ServiceUnavailable,
        "Lockgate cannot write its audit log, so nothing was sent to the cluster. Next step: tell the operator; try again later.",
    )
}

/// The recorder cannot take the session.
pub fn recorder_unavailable() -> Status {
    Status::failure(
        503,
        Reason::ServiceUnavailable,
        "Lockgate cannot record this session, so it was not opened. Next step: tell the operator; try again later.",
    )
}

/// The gateway is ending, or at a limit named in `what`.
pub fn overloaded(what: &str) -> Status {
    Status::failure(503, Reason::ServiceUnavailable, format!("Lockgate cannot take this request now: {}", phrase(what)))
        .with_retry_after_seconds(1)
}

/// The API server could not be reached, or broke off before its answer began. `sent` tells whether the request may have
/// taken effect.
pub fn upstream_unreachable(cluster: &str, sent: Sent) -> Status {
    let cluster = phrase(cluster);
    let text = match sent {
        Sent::No => format!(
            "the API server of cluster {cluster} cannot be reached; nothing was sent. Next step: try again later."
        ),
        Sent::Perhaps => format!(
            "the connection to the API server of cluster {cluster} broke before it answered; whether the request took effect \
             is unknown. Next step: read the object's present state."
        ),
    };
    Status::failure(502, Reason::BadGateway, text)
}

/// The API server did not answer in time.
pub fn upstream_timeout(cluster: &str) -> Status {
    Status::failure(
        504,
        Reason::Timeout,
        format!(
            "the API server of cluster {} did not answer in time; whether the request took effect is unknown. \
             Next step: read the object's present state.",
            phrase(cluster)
        ),
    )
}

/// Whether a request may have reached the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Certainly not.
    No,
    /// Nobody knows.
    Perhaps,
}

fn ticket_status(reason: Reason, ticket: ApprovalId, facts: &str, next: &str) -> Status {
    Status::failure(403, reason, render(ticket, facts, next)).with_cause("ApprovalID", ticket.to_string())
}

/// The ticket stands within the first 20 characters and again in the last line.
fn render(ticket: ApprovalId, facts: &str, next: &str) -> String {
    format!("Ticket {ticket}: {facts}\n{next}\n{NO_DETOUR}\nTicket: {ticket}")
}

/// A short piece of foreign text on one line.
fn phrase(text: &str) -> String {
    shortened(text, PHRASE_BYTES_MAX, "…")
}

/// Foreign text made inert and, when it does not fit, cut visibly.
fn shortened(text: &str, bytes_max: usize, mark: &str) -> String {
    let clean: String = text
        .chars()
        .map(|character| if character.is_whitespace() { ' ' } else { character })
        .filter(|character| !is_unsafe_in_terminal(*character))
        .collect();
    if clean.len() <= bytes_max {
        return clean;
    }
    let mut cut = String::new();
    for character in clean.chars() {
        if cut.len() + character.len_utf8() + mark.len() > bytes_max {
            break;
        }
        cut.push(character);
    }
    cut + mark
}

/// UTC to the minute: seconds help nobody here.
fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    match text.get(..16) {
        Some(minute) => format!("{} UTC", minute.replace('T', " ")),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> ApprovalId {
        "apr_01932f3e-7d4c-7000-8000-0123456789ab".parse().unwrap()
    }

    fn all() -> Vec<(&'static str, Status)> {
        let summary = "delete namespace shop";
        let expires = Timestamp::from_seconds(1_795_600_000);
        vec![
            (
                "denied_by_policy",
                denied_by_policy(
                    summary,
                    "prod",
                    Some("control-plane"),
                    Some("The control plane is off limits for agents."),
                ),
            ),
            ("denied_by_no_rule", denied_by_policy(summary, "prod", None, None)),
            ("approval_required", approval_required(ticket(), summary, "prod", expires)),
            ("websocket_required", websocket_required("exec in pod shop/web-1")),
            ("denied_by_human", denied_by_human(ticket(), summary, "Ada", Some("Ask the shop team first."))),
            ("denied_by_human_without_note", denied_by_human(ticket(), summary, "Ada", None)),
            ("approval_expired", approval_expired(ticket(), summary)),
            ("approval_cancelled", approval_cancelled(ticket(), summary)),
            ("approval_indeterminate", approval_indeterminate(ticket(), summary)),
            ("changed_since_review", changed_since_review(ticket(), "patch deployment shop/web")),
            ("unauthenticated", unauthenticated("the token has expired")),
            ("unknown_cluster", unknown_cluster("prud")),
            ("body_too_large", body_too_large(3 * 1024 * 1024)),
            ("audit_unavailable", audit_unavailable()),
            ("recorder_unavailable", recorder_unavailable()),
            ("overloaded", overloaded("too many sessions are open")),
            ("upstream_unreachable", upstream_unreachable("prod", Sent::No)),
            ("upstream_broke", upstream_unreachable("prod", Sent::Perhaps)),
            ("upstream_timeout", upstream_timeout("prod")),
        ]
    }

    #[test]
    fn every_refusal_has_its_golden_wording() {
        let text: String = all()
            .into_iter()
            .map(|(name, status)| {
                format!("== {name}: {} {}\n{}\n\n", status.code(), status.reason().as_str(), status.message())
            })
            .collect();
        insta::assert_snapshot!(text);
        insta::assert_snapshot!(
            String::from_utf8(
                approval_required(ticket(), "delete namespace shop", "prod", Timestamp::from_seconds(0)).to_json()
            )
            .unwrap()
        );
    }

    #[test]
    fn a_ticket_stands_early_and_in_the_last_line_and_no_message_is_long() {
        let long = "x".repeat(5_000);
        let note = "ü\u{202e}\u{1b}[31m\n".repeat(500);
        let mut statuses: Vec<Status> = all().into_iter().map(|(_, status)| status).collect();
        statuses.push(denied_by_human(ticket(), &long, &long, Some(&note)));
        statuses.push(denied_by_policy(&long, &long, Some(&long), Some(&note)));
        statuses.push(approval_required(ticket(), &long, &long, Timestamp::from_seconds(0)));
        statuses.push(changed_since_review(ticket(), &long));
        for status in statuses {
            let message = status.message();
            assert!(message.len() <= MESSAGE_BYTES_MAX, "{} bytes: {message}", message.len());
            assert!(
                !message.chars().any(|character| character != '\n' && is_unsafe_in_terminal(character)),
                "{message:?}"
            );
            if status.code() == 403 && status.reason() != Reason::Forbidden {
                assert!(message.find("apr_").unwrap() < 20);
                assert!(message.lines().last().unwrap().contains(&ticket().to_string()));
            }
            if status.code() == 403 {
                assert!(message.contains(NO_DETOUR));
            }
        }
    }
}
