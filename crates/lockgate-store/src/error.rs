//! What can go wrong, as the callers must tell it apart.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use lockgate_core::{Approval, ApprovalId, FreezeId, SessionId};

/// A fault of the store. Cloneable, because a failed commit fails every write that rode on it. The gateway answers 503.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No space for the database. Calls are refused until there is.
    #[error(
        "the disk (or the database's size limit) is full: free space where the store lives; nothing is forwarded until then"
    )]
    DiskFull,
    /// Another process has the directory.
    #[error("{path} is in use by another lockgate process: stop it, or give this one a directory of its own")]
    InUse {
        /// The store's directory.
        path: PathBuf,
    },
    /// A file or directory could not be used.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// The instance key cannot be trusted.
    #[error("{path}: {reason}")]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: &'static str,
    },
    /// The database refused or broke.
    #[error("the database failed")]
    Database(#[source] Arc<dyn Error + Send + Sync>),
    /// The database was written by a newer Lockgate.
    #[error("the database has schema {found}, this lockgate knows up to {known}: run the newer version")]
    NewerSchema {
        /// The schema in the file.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// A stored row does not read back.
    #[error("a stored {what} does not read back")]
    Damaged {
        /// What kind of row.
        what: &'static str,
        /// Why.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The store has been shut down.
    #[error("the store is shut down")]
    Closed,
    /// The principal has too many tickets pending.
    #[error(
        "{pending_max} requests of this caller already wait for a human: wait for them to be decided, or cancel some"
    )]
    TooManyPending {
        /// The limit.
        pending_max: u32,
    },
    /// The principal has asked humans too often.
    #[error("this caller has asked humans {asked_max} times within the last hour, the limit: ask less, later")]
    TooManyAsked {
        /// The limit per hour.
        asked_max: u32,
    },
    /// A grant was offered for a call other than the one that consumed it.
    #[error("the grant was consumed for another call")]
    ForeignGrant,
    /// What was to be sent instead of a body was made of another one.
    #[error("what was to be sent was not made of the body that was let through")]
    ForeignBody,
    /// The stored body of a ticket does not open under this instance's key.
    #[error("the sealed body of {id} does not open under this instance's key")]
    Sealed {
        /// The ticket.
        id: ApprovalId,
    },
    /// The recording's file failed. The session must end.
    #[error("the recording {id} failed")]
    Recording {
        /// Which.
        id: SessionId,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// The recording reached its limit. The session must end.
    #[error("the recording {id} reached its limit of {bytes_max} bytes")]
    RecordingFull {
        /// Which.
        id: SessionId,
        /// The limit.
        bytes_max: u64,
    },
    /// There is no such recording.
    #[error("there is no recording {id}")]
    NoRecording {
        /// Which.
        id: SessionId,
    },
    /// The file is no recording of that session.
    #[error("the file of {id} is not its recording")]
    NotARecording {
        /// Which.
        id: SessionId,
    },
    /// A text is larger than its limit.
    #[error("the {what} is larger than {bytes_max} bytes")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit.
        bytes_max: usize,
    },
}

/// Why a person's word on a ticket does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Agents never decide.
    #[error("only a human may decide")]
    NotHuman,
    /// The subject is the one that asked.
    #[error("nobody decides on a request of their own")]
    OwnRequest,
    /// The rule wants four eyes and the subject answers for the agent.
    #[error("the rule wants four eyes: the agent's owner may not decide; ask somebody else")]
    Owner,
    /// The subject is in none of the groups that may decide.
    #[error("only members of {} may decide", groups.join(", "))]
    NotInGroup {
        /// The groups.
        groups: Vec<String>,
    },
    /// The sign-in is too old (or from the future).
    #[error("deciding needs a sign-in within the last {max_seconds} s: sign in again")]
    StaleSignIn {
        /// The limit.
        max_seconds: u64,
    },
    /// The note is too long.
    #[error("the note is longer than {bytes_max} bytes")]
    NoteTooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// The word needs a reason.
    #[error("this needs a note that says why")]
    NoteMissing,
    /// Only a denied ticket can be reopened.
    #[error("only a denied request can be asked again; this one is {}", approval.state.as_str())]
    NotDenied {
        /// The ticket, as it stands.
        approval: Box<Approval>,
    },
    /// Withdrawing is for the one that asked, and for those who may decide.
    #[error("only the one that asked or a human who may decide can withdraw a request")]
    MayNotCancel,
    /// The ticket stands elsewhere; that cannot be changed.
    #[error("the request is already {}", approval.state.as_str())]
    AlreadyDecided {
        /// The ticket, as it stands.
        approval: Box<Approval>,
    },
}

/// Why a ticket could not be decided.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DecideError {
    /// There is no such ticket.
    #[error("there is no approval {0}")]
    NotFound(ApprovalId),
    /// There is no such freeze.
    #[error("there is no freeze {0}")]
    NoFreeze(FreezeId),
    /// The word does not count.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StoreError {
    pub(crate) fn damaged(what: &'static str, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Damaged { what, source: Arc::new(source) }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            return Self::DiskFull;
        }
        Self::File { path: path.into(), source: Arc::new(source) }
    }

    pub(crate) fn recording(id: SessionId, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::NoRecording { id },
            io::ErrorKind::StorageFull => Self::DiskFull,
            _ => Self::Recording { id, source: Arc::new(source) },
        }
    }
}
