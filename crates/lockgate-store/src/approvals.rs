//! Approvals, as the gateway and the console use them: hold, decide, consume.

use bytes::Bytes;
use lockgate_core::{
    Action, Approval, ApprovalId, ApprovalState, AuditId, Decider, FreezeId, Options, Secret, Subject, Terms,
    Timestamp, limit,
};

use crate::backend::{Change, ChangeOutcome, NewTicket};
use crate::error::{DecideError, StoreError};
use crate::limit::{ASKED_PER_HOUR_MAX, LIST_ROWS_DEFAULT, PENDING_PER_PRINCIPAL_MAX};
use crate::proof::{Claim, Grant, ReviewedBody};
use crate::store::{Store, Topic};
use crate::ticket::as_of;

/// A request to hold for a human.
pub struct NewApproval {
    /// Who asks.
    pub subject: Subject,
    /// Where.
    pub cluster: String,
    /// What.
    pub action: Action,
    /// The options in effect.
    pub options: Options,
    /// One line in words.
    pub summary: String,
    /// Why, in the agent's words; cut at [`limit::REASON_BYTES_MAX`].
    pub reason: Option<String>,
    /// Hex SHA-256 over what "the same request" means.
    pub fingerprint: String,
    /// The rule that asked.
    pub rule: Option<String>,
    /// Who may decide.
    pub terms: Terms,
    /// The revision of the policy that asked.
    pub policy_revision: String,
    /// The target's UID, where it exists.
    pub target_uid: Option<String>,
    /// The body for people: decoded, secret values masked.
    pub payload: Option<serde_json::Value>,
    /// The exact body that is sent once a human agrees. Sealed until then.
    pub body: Bytes,
    /// That body's content type.
    pub content_type: Option<String>,
    /// What it would bring about, whatever the request looks like.
    pub effect: Option<String>,
    /// The client's word on which invocation it belongs to; left out above [`limit::INVOCATION_BYTES_MAX`].
    pub invocation: Option<String>,
    /// The call that is held.
    pub audit_id: AuditId,
}

impl std::fmt::Debug for NewApproval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApproval").field("audit_id", &self.audit_id).finish_non_exhaustive()
    }
}

/// What became of a hold.
#[derive(Debug, Clone)]
pub enum Hold {
    /// A new ticket.
    New(Approval),
    /// An open ticket for the same request: pending, or approved and not yet used.
    Joined(Approval),
}

impl Hold {
    /// The ticket, new or joined.
    pub const fn approval(&self) -> &Approval {
        match self {
            Self::New(approval) | Self::Joined(approval) => approval,
        }
    }
}

/// A human's word on a ticket.
#[derive(Debug, Clone)]
pub struct Word {
    /// Who.
    pub by: Subject,
    /// When they signed in for this.
    pub auth_time: Timestamp,
    /// Yes or no.
    pub approve: bool,
    /// The note to the agent.
    pub note: Option<String>,
}

/// Which tickets to list.
#[derive(Debug, Clone)]
pub struct ApprovalFilter {
    /// Where they stand now.
    pub state: Option<ApprovalState>,
    /// Whose they are, as [`Subject::same_principal`] says.
    pub subject: Option<Subject>,
    /// Only tickets older than this one: the last of the page before.
    pub before: Option<ApprovalId>,
    /// At most so many; capped at [`crate::limit::LIST_ROWS_MAX`].
    pub limit: u32,
}

impl Default for ApprovalFilter {
    fn default() -> Self {
        Self { state: None, subject: None, before: None, limit: LIST_ROWS_DEFAULT }
    }
}

impl Store {
    /// Opens a ticket, or joins the open one for the same principal, cluster, fingerprint and target UID. Durable on
    /// return. Cancelled: the ticket may exist; the same request joins it later.
    pub async fn hold(&self, new: NewApproval) -> Result<Hold, StoreError> {
        let at = self.clock().now();
        let id = ApprovalId::new(self.fresh_uuid());
        let body = ReviewedBody { content_type: new.content_type, bytes: Secret::new(new.body.to_vec()) };
        let sealed = self.key().seal(id, &body)?;
        let expires_at = at.plus(std::time::Duration::from_secs(new.terms.ttl_seconds));
        let approval = Approval {
            id,
            state: ApprovalState::Pending,
            requested_at: at,
            expires_at,
            subject: new.subject,
            cluster: new.cluster,
            action: new.action,
            options: new.options,
            summary: new.summary,
            reason: new.reason.map(|reason| cut(reason, limit::REASON_BYTES_MAX)),
            fingerprint: new.fingerprint,
            rule: new.rule,
            terms: new.terms,
            policy_revision: new.policy_revision,
            target_uid: new.target_uid,
            payload: new.payload,
            decided_by: Vec::new(),
            decided_at: None,
            note: None,
            audit_id: new.audit_id,
            dispatches: Vec::new(),
            effect: new.effect,
            invocation: new.invocation.filter(|word| word.len() <= limit::INVOCATION_BYTES_MAX),
            reopened_by: None,
        };
        let ticket = NewTicket {
            approval,
            sealed,
            pending_max: PENDING_PER_PRINCIPAL_MAX,
            asked_per_hour_max: ASKED_PER_HOUR_MAX,
            at,
        };
        let hold = self.backend().hold(ticket).await?;
        self.changed(Topic::Approvals);
        Ok(hold)
    }

    /// The newest ticket that speaks for this request and is still in force: pending, approved or denied.
    pub async fn usable(
        &self,
        subject: &Subject,
        cluster: &str,
        fingerprint: &str,
    ) -> Result<Option<Approval>, StoreError> {
        self.backend().usable(subject, cluster, fingerprint, self.clock().now()).await
    }

    /// Uses the grant for one call: exactly one caller gets it, whatever the concurrency. `None` when the ticket is not
    /// approved, has lapsed, or is not for this principal and fingerprint.
    ///
    /// Durable on return. Cancelled: the grant may be used up without a dispatch; the sweeper makes the ticket
    /// indeterminate once this process is gone.
    pub async fn consume(
        &self,
        id: ApprovalId,
        subject: &Subject,
        fingerprint: &str,
        audit_id: AuditId,
    ) -> Result<Option<Grant>, StoreError> {
        let change =
            Change::Consume { subject: Box::new(subject.clone()), fingerprint: fingerprint.to_owned(), audit_id };
        match self.change(id, change).await? {
            Some(ChangeOutcome::Changed { approval, sealed }) => {
                let claim = Claim { store: self.clone(), approval_id: id, audit_id, spent: false };
                let body = self.key().open(id, sealed.ok_or(StoreError::Sealed { id })?)?;
                Ok(Some(Grant::new(*approval, body, claim)))
            }
            Some(ChangeOutcome::Unchanged(_) | ChangeOutcome::Rejected(_)) | None => Ok(None),
        }
    }

    /// A human speaks. Refused for agents, for the one that asked, for the owner where the rule wants four eyes, for
    /// people outside the groups, and for old sign-ins. Saying the same again changes nothing and is no error. Durable on
    /// return, as a state and as an event.
    pub async fn decide(&self, id: ApprovalId, word: Word) -> Result<Approval, DecideError> {
        let Word { by, auth_time, approve, note } = word;
        let decider = Decider { subject: by, at: self.clock().now(), approved: approve, auth_time };
        let freeze = FreezeId::new(self.fresh_uuid());
        let approval = self.change_or_say_why(id, Change::Decide { decider: Box::new(decider), note, freeze }).await?;
        if approval.state == ApprovalState::Denied
            && let Some(frozen) = self.active_freeze(&approval.subject).await?.filter(|frozen| frozen.id == freeze)
        {
            let (id, agent) = (frozen.id, approval.subject.name());
            tracing::warn!(%id, agent, "an agent is frozen: its requests were denied several times in a row");
        }
        Ok(approval)
    }

    /// A human lets a denied request, and whatever has the same effect, be asked again before the denial's time is up. The
    /// ticket stays denied. For those who may decide it; a note is needed. Durable on return, as a state and as an event.
    pub async fn reopen(&self, id: ApprovalId, word: Word) -> Result<Approval, DecideError> {
        let Word { by, auth_time, note, .. } = word;
        let decider = Decider { subject: by, at: self.clock().now(), approved: true, auth_time };
        self.change_or_say_why(id, Change::Reopen { decider: Box::new(decider), note }).await
    }

    /// What humans have denied to this principal in this cluster and is still in force, newest first.
    pub async fn denials(&self, subject: &Subject, cluster: &str) -> Result<Vec<Approval>, StoreError> {
        self.backend().denials(subject, cluster, self.clock().now()).await
    }

    /// Withdraws an open ticket: for the one that asked, and for humans who may decide.
    pub async fn cancel(&self, id: ApprovalId, by: &Subject) -> Result<Approval, DecideError> {
        self.change_or_say_why(id, Change::Cancel { by: Box::new(by.clone()) }).await
    }

    /// What became of the ticket's dispatch will never be known. Changes consumed tickets only. `None`: no such ticket.
    pub async fn indeterminate(&self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        Ok(match self.change(id, Change::Indeterminate).await? {
            Some(ChangeOutcome::Changed { approval, .. } | ChangeOutcome::Unchanged(approval)) => Some(*approval),
            Some(ChangeOutcome::Rejected(_)) | None => None,
        })
    }

    /// One ticket, as it stands now.
    pub async fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        let now = self.clock().now();
        Ok(self.backend().approval(id).await?.map(|ticket| as_of(ticket, now)))
    }

    /// Tickets, as they stand now, newest first.
    pub async fn approvals(&self, filter: &ApprovalFilter) -> Result<Vec<Approval>, StoreError> {
        let now = self.clock().now();
        let tickets = self.backend().approvals(filter, now).await?;
        Ok(tickets.into_iter().map(|ticket| as_of(ticket, now)).collect())
    }

    async fn change_or_say_why(&self, id: ApprovalId, change: Change) -> Result<Approval, DecideError> {
        match self.change(id, change).await? {
            Some(ChangeOutcome::Changed { approval, .. } | ChangeOutcome::Unchanged(approval)) => Ok(*approval),
            Some(ChangeOutcome::Rejected(rejection)) => Err(rejection.into()),
            None => Err(DecideError::NotFound(id)),
        }
    }

    pub(crate) async fn change(&self, id: ApprovalId, change: Change) -> Result<Option<ChangeOutcome>, StoreError> {
        let outcome = self.backend().change(id, change, self.clock().now(), self.writer().clone()).await?;
        if let Some(ChangeOutcome::Changed { .. }) = &outcome {
            self.changed(Topic::Approvals);
            self.changed(Topic::Audit);
            self.changed(Topic::Agents);
        }
        Ok(outcome)
    }
}

/// The longest prefix of at most so many bytes that is whole characters.
fn cut(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}
