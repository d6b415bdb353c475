//! Durable truth, and the proofs that something is durable.
//!
//! Owns the evidence log ([`CallLog`] writes it, [`Store::audit_records`] reads it), approvals with their single-use
//! grants, freezes of agents, sessions with their recordings, policy revisions, writers' leases, and the proofs ([`Grant`], [`Permit`],
//! [`Ticket`], [`Receipt`], [`Refused`]) without which the gateway can neither forward nor refuse. Everything that speaks
//! SQL in Lockgate is in this crate.
//!
//! Refuses to know: HTTP connections, Kubernetes' wire formats, policies, tokens. Start at [`proof`], then [`call`].
//!
//! Two seams: [`Backend`] (rows; SQLite here) and [`Recordings`] (byte streams; a directory here). Proofs are minted above
//! them, so no backend can forge one.

mod agents;
mod approvals;
mod backend;
mod breaker;
pub mod call;
mod clock;
mod error;
pub mod limit;
pub mod proof;
mod recording;
mod seal;
mod sessions;
mod sqlite;
mod store;
mod sweep;
mod ticket;

pub use agents::{Agent, FreezeFilter, HumanWord, Removal, Removed};
pub use approvals::{ApprovalFilter, Hold, NewApproval, Word};
pub use backend::{
    AuditFilter, Backend, Change, ChangeOutcome, NewTicket, PolicyRevision, SealedBody, SessionFilter, SessionState,
};
pub use call::CallLog;
pub use clock::SystemClock;
pub use error::{DecideError, Rejection, StoreError};
pub use proof::{CanonicalRequest, Grant, Instead, NotAdmitted, Permit, Receipt, Refused, RequestBody, Ticket, admit};
pub use recording::{
    DirectoryRecordings, RecordedFrame, Recorder, RecordingEnd, RecordingReader, RecordingSink, RecordingSource,
    Recordings,
};
pub use seal::InstanceKey;
pub use sqlite::SqliteBackend;
pub use store::{Store, Topic};
