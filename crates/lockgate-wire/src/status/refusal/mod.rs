//! The wording of refusals, made for agents: facts first, one next step, no alternatives, and a sentence that says not to
//! seek the same effect another way (a bare denial teaches agents to route around it).

mod limits;
mod masked;
mod requests;
mod tickets;
mod upstream;

use lockgate_core::Timestamp;

use super::{MESSAGE_BYTES_MAX, Reason, Status, is_unsafe_in_terminal};

pub use self::limits::{frozen, rate_limited, removes_too_much, too_many_asked, too_many_pending};
pub use self::masked::{asks_masked, modified_since_shown, not_restorable, placeholders};
pub use self::requests::{
    ambiguous, body_broken, body_timeout, body_too_large, client_gone, impersonation, issuer_unavailable,
    labels_unknown, not_understood, preview_not_allowed, preview_refused, preview_unreadable, stream_over_websocket,
    subprotocol, target_not_found, unauthenticated, unknown_cluster, websocket_required,
};
pub use self::tickets::{
    Denied, approval_cancelled, approval_expired, approval_indeterminate, approval_required, changed_since_review,
    denied_before, denied_by_human,
};
pub use self::upstream::{
    Sent, answer_withheld, audit_unavailable, overloaded, recorder_unavailable, upstream_credential, upstream_timeout,
    upstream_unreachable,
};

/// How every refusal ends that another try could get around.
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

/// Not allowed, for a reason that is no rule.
fn forbidden(facts: &str, next: &str) -> Status {
    Status::failure(403, Reason::Forbidden, format!("{facts}\nNext step: {next}.\n{NO_DETOUR}"))
}

/// Not served, for a reason in the request or in the gateway.
fn refused(code: u16, reason: Reason, why: &str, next: &str) -> Status {
    Status::failure(code, reason, format!("Lockgate did not run this request: {why}.\nNext step: {next}."))
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
mod tests;
