//! A recorded interactive session.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::id::{AuditId, SessionId};
use crate::subject::Subject;
use crate::time::Timestamp;

/// A channel of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Client to process.
    Stdin,
    /// Process to client.
    Stdout,
    /// Process to client.
    Stderr,
    /// The final `Status`.
    Error,
    /// Terminal sizes, client to process.
    Resize,
}

impl Channel {
    /// The word that JSON uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Error => "error",
            Self::Resize => "resize",
        }
    }
}

/// What went over one channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelDigest {
    /// Payload bytes.
    pub bytes: u64,
    /// Hex SHA-256 of the payload bytes in order.
    pub sha256: String,
}

/// One session, as listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The session's id.
    pub id: SessionId,
    /// The call that opened it.
    pub audit_id: AuditId,
    /// Who.
    pub subject: Subject,
    /// Where.
    pub cluster: String,
    /// What.
    pub action: Action,
    /// The container, if named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The command; empty for attach and port-forward.
    #[serde(default)]
    pub argv: Vec<String>,
    /// Whether a terminal is allocated.
    pub tty: bool,
    /// Whether stdin is open.
    pub stdin: bool,
    /// The negotiated subprotocol, such as `v5.channel.k8s.io`.
    pub protocol: String,
    /// When upstream accepted.
    pub started_at: Timestamp,
    /// When it ended; `None` while it is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it ended, such as `completed`, `client closed`, `upstream lost`, `gateway shutdown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<String>,
    /// The process's exit code, where the error channel told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What went over each channel.
    #[serde(default)]
    pub channels: BTreeMap<Channel, ChannelDigest>,
}
