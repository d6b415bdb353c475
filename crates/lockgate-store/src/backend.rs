//! The seam to a database: rows and transactions, nothing about proofs.
//!
//! SQLite implements it now, PostgreSQL later; the conformance suite in `tests/` holds for both. Every write is durable
//! (committed with `synchronous=FULL` or its like) when it returns `Ok`; when it returns `Err`, it is not, or nobody knows.
//! A write whose future is dropped may still happen.

use async_trait::async_trait;
use lockgate_core::{
    Approval, ApprovalId, AuditId, Clearing, Decider, Effect, Event, Freeze, FreezeId, Outcome, Session, SessionId,
    Subject, Timestamp, Verb, Writer,
};
use serde::{Deserialize, Serialize};

use crate::agents::{FreezeFilter, Removal, Removed};
use crate::approvals::{ApprovalFilter, Hold};
use crate::error::{Rejection, StoreError};
use crate::limit::LIST_ROWS_DEFAULT;

/// The durability primitives.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Appends the events, in order, in one transaction.
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError>;

    /// The calls that match, newest first, each with its events in order.
    async fn calls(&self, filter: &AuditFilter) -> Result<Vec<Vec<Event>>, StoreError>;

    /// One call's events, in order; empty when there is none.
    async fn events(&self, id: AuditId) -> Result<Vec<Event>, StoreError>;

    /// Joins an open ticket of the same principal, cluster, fingerprint and target, or inserts this one, in one
    /// transaction.
    async fn hold(&self, ticket: NewTicket) -> Result<Hold, StoreError>;

    /// Applies a change to a ticket by the crate's pure rules and appends its event, in one transaction that no other
    /// change of the same ticket overlaps. The sealed body is wiped when the ticket leaves the open states. `None`: no
    /// such ticket.
    async fn change(
        &self,
        id: ApprovalId,
        change: Change,
        at: Timestamp,
        writer: Writer,
    ) -> Result<Option<ChangeOutcome>, StoreError>;

    /// One ticket, as stored: a lapsed one still reads as pending.
    async fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, StoreError>;

    /// The tickets that match, newest first; a lapsed one counts (and is returned) as it is stored until it is swept,
    /// except that `pending` and `approved` leave it out and `expired` takes it in.
    async fn approvals(&self, filter: &ApprovalFilter, now: Timestamp) -> Result<Vec<Approval>, StoreError>;

    /// The newest pending, approved or denied ticket of that principal, cluster and fingerprint that has not lapsed.
    async fn usable(
        &self,
        subject: &Subject,
        cluster: &str,
        fingerprint: &str,
        now: Timestamp,
    ) -> Result<Option<Approval>, StoreError>;

    /// The denied tickets of that principal and cluster that are still in force, newest first, at most
    /// [`crate::limit::DENIALS_IN_FORCE_MAX`].
    async fn denials(&self, subject: &Subject, cluster: &str, now: Timestamp) -> Result<Vec<Approval>, StoreError>;

    /// Freezes the principal unless it is frozen, and appends the event, in one transaction. The freeze in force
    /// afterwards.
    async fn freeze(&self, freeze: Freeze, writer: Writer) -> Result<Freeze, StoreError>;

    /// Ends a freeze by the crate's pure rules and appends the event, in one transaction. `None`: no such freeze.
    async fn clear_freeze(
        &self,
        id: FreezeId,
        clearing: Clearing,
        writer: Writer,
    ) -> Result<Option<Result<Freeze, Rejection>>, StoreError>;

    /// The principal's freeze, if one is in force.
    async fn active_freeze(&self, subject: &Subject) -> Result<Option<Freeze>, StoreError>;

    /// The freezes that match, newest first.
    async fn freezes(&self, filter: &FreezeFilter) -> Result<Vec<Freeze>, StoreError>;

    /// The principals of the newest calls, each with the time of its newest, newest first.
    async fn principals(&self) -> Result<Vec<(Subject, Timestamp)>, StoreError>;

    /// Counts a removal against its limit, and inserts it if it fits, in one transaction.
    async fn remove(&self, removal: Removal) -> Result<Removed, StoreError>;

    /// How many objects were removed after `since`, by rule.
    async fn removed(
        &self,
        subject: &Subject,
        cluster: &str,
        since: Timestamp,
    ) -> Result<Vec<(String, u32)>, StoreError>;

    /// Inserts a revision unless the newest one has the same digest. The newest one afterwards.
    async fn insert_policy(&self, revision: PolicyRevision) -> Result<PolicyRevision, StoreError>;

    /// The newest revision.
    async fn newest_policy(&self) -> Result<Option<PolicyRevision>, StoreError>;

    /// Inserts the session, or replaces it while it is live. One that has ended stays as it is.
    async fn put_session(&self, session: Session, writer: Writer) -> Result<(), StoreError>;

    /// The sessions that match, newest first.
    async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<Session>, StoreError>;

    /// One session.
    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError>;

    /// Renews the writer's lease. A real write.
    async fn heartbeat(&self, writer: Writer, now: Timestamp) -> Result<(), StoreError>;

    /// Writers, other than this one, that have said farewell or not been heard of since `heard_before`, and still have
    /// something open.
    async fn lapsed_writers(&self, own: &Writer, heard_before: Timestamp) -> Result<Vec<Writer>, StoreError>;

    /// Says farewell for a writer: what it left open is the sweeper's.
    async fn retire(&self, writer: Writer, now: Timestamp) -> Result<(), StoreError>;

    /// Open calls of a writer, at most `rows_max`.
    async fn open_calls(&self, writer: &Writer, rows_max: u32) -> Result<Vec<AuditId>, StoreError>;

    /// Live sessions of a writer, at most `rows_max`.
    async fn live_sessions(&self, writer: &Writer, rows_max: u32) -> Result<Vec<Session>, StoreError>;

    /// Consumed tickets whose call ended as unknown, or whose consumer's lease is over while the call has no end.
    async fn unsettled(
        &self,
        own: &Writer,
        heard_before: Timestamp,
        rows_max: u32,
    ) -> Result<Vec<ApprovalId>, StoreError>;

    /// Pending and approved tickets whose time is up, at most `rows_max`.
    async fn overdue(&self, now: Timestamp, rows_max: u32) -> Result<Vec<ApprovalId>, StoreError>;

    /// Waits for what is queued and lets go of the database.
    async fn close(&self) -> Result<(), StoreError>;
}

/// Which calls to list.
#[derive(Debug, Clone)]
pub struct AuditFilter {
    /// Arrived at or after.
    pub since: Option<Timestamp>,
    /// Arrived before.
    pub until: Option<Timestamp>,
    /// The subject's id.
    pub subject: Option<String>,
    /// The cluster.
    pub cluster: Option<String>,
    /// The verb.
    pub verb: Option<Verb>,
    /// The resource in the plural, alone (any subresource) or as `resource/subresource`.
    pub resource: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: Option<String>,
    /// The verdict.
    pub effect: Option<Effect>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The ticket that held it or whose grant it used.
    pub approval_id: Option<ApprovalId>,
    /// Its recording.
    pub session_id: Option<SessionId>,
    /// Only calls that a candidate policy in shadow mode would have decided otherwise.
    pub shadow_differs: bool,
    /// Only calls older than this one: the last of the page before.
    pub before: Option<AuditId>,
    /// At most so many; capped at [`crate::limit::LIST_ROWS_MAX`].
    pub limit: u32,
}

impl Default for AuditFilter {
    fn default() -> Self {
        Self {
            since: None,
            until: None,
            subject: None,
            cluster: None,
            verb: None,
            resource: None,
            namespace: None,
            name: None,
            effect: None,
            outcome: None,
            approval_id: None,
            session_id: None,
            shadow_differs: false,
            before: None,
            limit: LIST_ROWS_DEFAULT,
        }
    }
}

/// Whether a session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It goes on.
    Live,
    /// It has ended.
    Ended,
}

/// Which sessions to list.
#[derive(Debug, Clone)]
pub struct SessionFilter {
    /// Live or ended.
    pub state: Option<SessionState>,
    /// The subject's id.
    pub subject: Option<String>,
    /// The cluster.
    pub cluster: Option<String>,
    /// Started at or after.
    pub since: Option<Timestamp>,
    /// Only sessions older than this one: the last of the page before.
    pub before: Option<SessionId>,
    /// At most so many; capped at [`crate::limit::LIST_ROWS_MAX`].
    pub limit: u32,
}

impl Default for SessionFilter {
    fn default() -> Self {
        Self { state: None, subject: None, cluster: None, since: None, before: None, limit: LIST_ROWS_DEFAULT }
    }
}

/// A stored policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRevision {
    /// The store's number, from 1, rising; what is given to an insert is not read.
    pub revision: u64,
    /// Hex SHA-256 of the text.
    pub digest: String,
    /// The documents.
    pub text: String,
    /// Who or what brought it.
    pub author: String,
    /// When.
    pub at: Timestamp,
}

/// A body, encrypted under the instance key.
#[derive(Clone)]
pub struct SealedBody(pub Vec<u8>);

impl std::fmt::Debug for SealedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedBody(…)")
    }
}

/// A ticket to insert.
#[derive(Debug, Clone)]
pub struct NewTicket {
    /// The ticket, pending.
    pub approval: Approval,
    /// Its exact body.
    pub sealed: SealedBody,
    /// Tickets that this principal may have pending, this one included.
    pub pending_max: u32,
    /// Tickets that this principal may open within an hour, this one included.
    pub asked_per_hour_max: u32,
    /// Now.
    pub at: Timestamp,
}

/// What is to happen to a ticket.
#[derive(Debug, Clone)]
pub enum Change {
    /// A human speaks.
    Decide {
        /// Who, when, what.
        decider: Box<Decider>,
        /// The note to the agent.
        note: Option<String>,
        /// The id of the freeze that a denial may cause.
        freeze: FreezeId,
    },
    /// A human lets a denied request be asked again.
    Reopen {
        /// Who, when.
        decider: Box<Decider>,
        /// Why.
        note: Option<String>,
    },
    /// The grant is used, if it is there for this principal and this fingerprint.
    Consume {
        /// Who re-sent the request.
        subject: Box<Subject>,
        /// What it means.
        fingerprint: String,
        /// The call.
        audit_id: AuditId,
    },
    /// It is withdrawn.
    Cancel {
        /// By whom.
        by: Box<Subject>,
    },
    /// Its time is up.
    Expire,
    /// What became of its dispatch will never be known.
    Indeterminate,
}

/// What became of a change.
#[derive(Debug, Clone)]
pub enum ChangeOutcome {
    /// The ticket changed. For [`Change::Consume`] with the body, which is wiped from the store.
    Changed {
        /// The ticket now.
        approval: Box<Approval>,
        /// The body that was sealed.
        sealed: Option<SealedBody>,
    },
    /// There was nothing to change.
    Unchanged(Box<Approval>),
    /// It may not be changed so.
    Rejected(Rejection),
}
