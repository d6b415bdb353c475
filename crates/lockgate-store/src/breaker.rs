//! When denials freeze an agent: pure, so that every backend does the same.
//!
//! Three distinct invocations denied by humans in a row, and no approval in between. What counts is being told no and
//! trying again, so requests that were sent before the first answer came are one invocation (forty deletes at once, the two
//! tries of one exec). A client's own word on what belongs together (kubectl's session header) counts only for a request
//! that follows the denial at once, and only for so long: a client that says the same word for ever is frozen all the same.

use lockgate_core::{Approval, ApprovalId, ApprovalState, Timestamp};

use crate::limit::{INVOCATION_GAP_MAX, INVOCATION_MAX};

/// Requests that one run of a command made.
struct Invocation<'t> {
    first: ApprovalId,
    word: Option<&'t str>,
    began_at: Timestamp,
    first_denied_at: Timestamp,
    last_denied_at: Timestamp,
}

impl<'t> Invocation<'t> {
    const fn of(ticket: &'t Approval, denied_at: Timestamp) -> Self {
        Self {
            first: ticket.id,
            word: match &ticket.invocation {
                Some(word) => Some(word.as_str()),
                None => None,
            },
            began_at: ticket.requested_at,
            first_denied_at: denied_at,
            last_denied_at: denied_at,
        }
    }

    fn takes_in(&self, ticket: &Approval) -> bool {
        let asked_at = ticket.requested_at;
        let before_any_answer = asked_at < self.first_denied_at;
        let said_to_belong = self.word.is_some() && self.word == ticket.invocation.as_deref();
        let at_once = asked_at.since(self.last_denied_at) <= INVOCATION_GAP_MAX
            && asked_at.since(self.began_at) <= INVOCATION_MAX;
        before_any_answer || (said_to_belong && at_once)
    }
}

/// The first ticket of each invocation that was denied since the newest approval, oldest first. `decided` are one
/// principal's decided tickets, the newest decision first.
pub(crate) fn denied_in_a_row(decided: &[Approval]) -> Vec<ApprovalId> {
    let counted = decided.iter().filter(|ticket| ticket.reopened_by.is_none());
    let mut denied: Vec<&Approval> = counted.take_while(|ticket| ticket.state == ApprovalState::Denied).collect();
    denied.sort_by_key(|ticket| (ticket.requested_at, ticket.id));
    let mut invocations: Vec<Invocation<'_>> = Vec::new();
    for ticket in denied {
        let denied_at = ticket.decided_at.unwrap_or(ticket.requested_at);
        match invocations.last_mut() {
            Some(invocation) if invocation.takes_in(ticket) => {
                invocation.first_denied_at = invocation.first_denied_at.min(denied_at);
                invocation.last_denied_at = invocation.last_denied_at.max(denied_at);
            }
            Some(_) | None => invocations.push(Invocation::of(ticket, denied_at)),
        }
    }
    invocations.iter().map(|invocation| invocation.first).collect()
}
