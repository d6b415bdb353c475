//! What may happen to a ticket: pure, so that every backend does the same.

use std::time::Duration;

use lockgate_core::{
    Approval, ApprovalState, Decider, Dispatch, Event, EventBody, Subject, SubjectKind, Terms, Timestamp, Writer, limit,
};

use crate::backend::Change;
use crate::error::Rejection;
use crate::limit::{CLOCK_SKEW_MAX, DENIED_FOR, SIGN_IN_AGE_MAX};

/// What a change does.
#[derive(Debug)]
pub(crate) enum Step {
    /// The ticket is now this, and this event says so.
    Changed(Box<Approval>, Box<Event>),
    /// Nothing to do.
    Unchanged(Box<Approval>),
}

/// Applies a change to a ticket. The caller holds the ticket's row; nothing here looks anything up.
pub(crate) fn apply(ticket: Approval, change: &Change, at: Timestamp, writer: &Writer) -> Result<Step, Rejection> {
    let before = as_of(ticket, at);
    let mut after = before.clone();
    let mut word = Word::default();
    match change {
        Change::Decide { decider, note, .. } => {
            may_decide(&before.subject, &before.terms, &decider.subject)?;
            is_fresh(decider.at, decider.auth_time)?;
            note_fits(note.as_deref())?;
            if !spoken(&mut after, decider, note.clone())? {
                return Ok(Step::Unchanged(Box::new(after)));
            }
            word.decider = Some(decider.clone());
            word.note.clone_from(note);
        }
        Change::Reopen { decider, note } => {
            may_decide(&before.subject, &before.terms, &decider.subject)?;
            is_fresh(decider.at, decider.auth_time)?;
            note_says_why(note.as_deref())?;
            if before.state != ApprovalState::Denied {
                return Err(Rejection::NotDenied { approval: Box::new(before) });
            }
            if before.reopened_by.is_some() {
                return Ok(Step::Unchanged(Box::new(after)));
            }
            after.expires_at = at;
            after.reopened_by = Some(Decider::clone(decider));
            word.reopened_by = Some(decider.clone());
            word.note.clone_from(note);
        }
        Change::Consume { subject, fingerprint, audit_id } => {
            let usable = before.state == ApprovalState::Approved
                && before.subject.same_principal(subject)
                && before.fingerprint == *fingerprint;
            if !usable {
                return Ok(Step::Unchanged(Box::new(after)));
            }
            after.state = ApprovalState::Consumed;
            after.dispatches.push(Dispatch { at, audit_id: *audit_id });
            word.used_by = Some(*audit_id);
        }
        Change::Cancel { by } => {
            if !by.same_principal(&before.subject) && may_decide(&before.subject, &before.terms, by).is_err() {
                return Err(Rejection::MayNotCancel);
            }
            match before.state {
                ApprovalState::Pending | ApprovalState::Approved => after.state = ApprovalState::Cancelled,
                ApprovalState::Cancelled => return Ok(Step::Unchanged(Box::new(after))),
                _ => return Err(Rejection::AlreadyDecided { approval: Box::new(before) }),
            }
            word.cancelled_by = Some(by.clone());
        }
        // `as_of` has done it, if its time is up.
        Change::Expire => {}
        Change::Indeterminate => {
            if before.state == ApprovalState::Consumed {
                after.state = ApprovalState::Indeterminate;
            }
        }
    }
    let nothing = match change {
        Change::Expire => after.state != ApprovalState::Expired,
        Change::Indeterminate => before.state == after.state,
        Change::Decide { .. } | Change::Reopen { .. } | Change::Consume { .. } | Change::Cancel { .. } => false,
    };
    if nothing {
        return Ok(Step::Unchanged(Box::new(after)));
    }
    let event = word.event(&after, at, writer);
    Ok(Step::Changed(Box::new(after), Box::new(event)))
}

/// The ticket as it stands at an instant: open ones whose time is up have expired, whoever gets round to writing it down.
pub(crate) fn as_of(mut ticket: Approval, now: Timestamp) -> Approval {
    if ticket.state.is_open() && now >= ticket.expires_at {
        ticket.state = ApprovalState::Expired;
    }
    ticket
}

#[derive(Default)]
struct Word {
    decider: Option<Box<Decider>>,
    cancelled_by: Option<Box<Subject>>,
    note: Option<String>,
    used_by: Option<lockgate_core::AuditId>,
    reopened_by: Option<Box<Decider>>,
}

impl Word {
    fn event(self, ticket: &Approval, at: Timestamp, writer: &Writer) -> Event {
        Event {
            audit_id: ticket.audit_id,
            at,
            writer: writer.clone(),
            body: EventBody::Approval {
                approval_id: ticket.id,
                state: ticket.state,
                decider: self.decider,
                cancelled_by: self.cancelled_by,
                note: self.note,
                used_by: self.used_by,
                reopened_by: self.reopened_by,
            },
        }
    }
}

/// Whether this person may speak about what `asked` wants, under these terms.
pub(crate) fn may_decide(asked: &Subject, terms: &Terms, by: &Subject) -> Result<(), Rejection> {
    if by.kind != SubjectKind::Human {
        return Err(Rejection::NotHuman);
    }
    if same_person(by, asked) {
        return Err(Rejection::OwnRequest);
    }
    if terms.four_eyes && owns(by, asked) {
        return Err(Rejection::Owner);
    }
    let groups = &terms.approver_groups;
    if !groups.is_empty() && !groups.iter().any(|group| by.groups.contains(group)) {
        return Err(Rejection::NotInGroup { groups: groups.clone() });
    }
    Ok(())
}

/// Whether this person answers for that agent.
pub(crate) fn owns(by: &Subject, agent: &Subject) -> bool {
    agent.owner.as_deref().is_some_and(|owner| owner.eq_ignore_ascii_case(&by.id))
}

/// Whether a word spoken at this time comes from a person who signed in for it.
pub(crate) fn is_fresh(at: Timestamp, auth_time: Timestamp) -> Result<(), Rejection> {
    let too_old = at.since(auth_time) > SIGN_IN_AGE_MAX;
    let from_the_future = auth_time.since(at) > CLOCK_SKEW_MAX;
    if too_old || from_the_future {
        return Err(Rejection::StaleSignIn { max_seconds: SIGN_IN_AGE_MAX.as_secs() });
    }
    Ok(())
}

/// Whether there is a note, and it fits.
pub(crate) fn note_says_why(note: Option<&str>) -> Result<(), Rejection> {
    match note {
        Some(note) if !note.trim().is_empty() => note_fits(Some(note)),
        Some(_) | None => Err(Rejection::NoteMissing),
    }
}

fn note_fits(note: Option<&str>) -> Result<(), Rejection> {
    match note {
        Some(note) if note.len() > limit::NOTE_BYTES_MAX => {
            Err(Rejection::NoteTooLong { bytes_max: limit::NOTE_BYTES_MAX })
        }
        Some(_) | None => Ok(()),
    }
}

/// Adds a word. `false`: it changes nothing, because it has been said already.
fn spoken(ticket: &mut Approval, decider: &Decider, note: Option<String>) -> Result<bool, Rejection> {
    match (ticket.state, decider.approved) {
        (ApprovalState::Pending, _) => {}
        (ApprovalState::Approved | ApprovalState::Consumed | ApprovalState::Indeterminate, true)
        | (ApprovalState::Denied, false) => return Ok(false),
        _ => return Err(Rejection::AlreadyDecided { approval: Box::new(ticket.clone()) }),
    }
    let said = |other: &&Decider| other.approved && same_person(&other.subject, &decider.subject);
    if decider.approved && ticket.decided_by.iter().any(|other| said(&other)) {
        return Ok(false);
    }
    ticket.decided_by.push(decider.clone());
    if note.is_some() {
        ticket.note = note;
    }
    let agreed = u32::try_from(ticket.decided_by.iter().filter(|decider| decider.approved).count()).unwrap_or(u32::MAX);
    let settled = if !decider.approved {
        ApprovalState::Denied
    } else if agreed >= ticket.terms.count.max(1) {
        ApprovalState::Approved
    } else {
        return Ok(true);
    };
    ticket.state = settled;
    ticket.decided_at = Some(decider.at);
    let ttl = Duration::from_secs(ticket.terms.ttl_seconds);
    ticket.expires_at = decider.at.plus(if settled == ApprovalState::Denied { ttl.max(DENIED_FOR) } else { ttl });
    Ok(true)
}

/// Whether both are one person, whatever groups or token they come with.
fn same_person(one: &Subject, other: &Subject) -> bool {
    one.issuer == other.issuer && one.id == other.id
}
