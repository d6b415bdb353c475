//! The append-only events of one call. What people call a record is a fold over them ([`crate::record`]).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::action::{Action, Options};
use crate::approval::{ApprovalState, Decider};
use crate::decision::{Decision, Effect, PolicyFacts, ShadowFacts};
use crate::freeze::Freeze;
use crate::id::{ApprovalId, AuditId, SessionId};
use crate::record::Outcome;
use crate::subject::Subject;
use crate::time::Timestamp;

/// Who wrote an event: a replica, in one life of its process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Writer {
    /// The replica's name.
    pub replica: String,
    /// A fresh id for each start of the process.
    pub boot: String,
}

/// Where a call came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The socket's peer.
    pub ip: IpAddr,
    /// The client's word about itself; empty when it said nothing.
    #[serde(default)]
    pub user_agent: String,
}

/// Which door a call came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// An HTTP client on the gateway's listener.
    Http,
    /// An MCP tool call.
    Mcp,
    /// A preview computed for an approver.
    Preview,
    /// A recorded request replayed as a dry-run.
    Replay,
    /// Lockgate's own read.
    SelfRead,
}

/// The request's body, as the log keeps it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestFacts {
    /// Body bytes as received.
    pub bytes: u64,
    /// Hex SHA-256 of those bytes.
    pub sha256: String,
    /// The body's content type, as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The body decoded to JSON, secret values masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
    /// For how many masked values in it the live ones were sent, or left as they are. Not in the payload: it is what the
    /// client sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restored: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The answer, as the client got it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponseFacts {
    /// HTTP status sent to the client.
    pub status: u16,
    /// Body bytes sent to the client.
    pub bytes: u64,
    /// How many values were masked.
    pub masked: u64,
    /// The same by reason and key, as far as keys are told apart; text has none. Never a value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masked_keys: Vec<MaskedKey>,
    /// How many objects (of a watch: events) were left out because the caller may not see them. The caller is never told.
    #[serde(default)]
    pub hidden: u64,
}

/// How many values of an answer were masked for one reason under one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaskedKey {
    /// Why: `secret`, `environment`, `found` and the like.
    pub reason: String,
    /// The key in a map, the name of a variable or flag; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// How many.
    pub values: u64,
}

/// A request, as far as it was understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arrival {
    /// Which door.
    pub origin: Origin,
    /// The call on whose behalf this one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<AuditId>,
    /// Who; `None` when authentication failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// From where.
    pub source: Source,
    /// The cluster named in the path; empty when none was.
    #[serde(default)]
    pub cluster: String,
    /// The HTTP method.
    pub method: String,
    /// Path and query as received, credentials removed.
    pub request_uri: String,
    /// `None` when classification failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The options in effect.
    #[serde(default)]
    pub options: Options,
    /// The body.
    #[serde(default)]
    pub request: RequestFacts,
}

/// One thing that happened to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The call.
    pub audit_id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who wrote it.
    pub writer: Writer,
    /// What.
    #[serde(flatten)]
    pub body: EventBody,
}

/// The kinds of event, in the order in which a call can see them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum EventBody {
    /// The request, as far as it was understood.
    Arrived(Box<Arrival>),
    /// The policy's verdict.
    Decided {
        /// The verdict.
        decision: Box<Decision>,
        /// The policy that decided; absent in records of versions before this was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<Box<PolicyFacts>>,
        /// What a candidate would have decided, where it differs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shadow: Option<Box<ShadowFacts>>,
        /// How the cluster was marked; a policy may look at it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        environment: String,
        /// What the policy said of the request, where something else overruled it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy_effect: Option<Effect>,
    },
    /// The request waits for a human.
    Held {
        /// The ticket.
        approval_id: ApprovalId,
    },
    /// The request is about to go upstream. Durable before its first byte does.
    Dispatched {
        /// The user impersonated upstream.
        user: String,
        /// The grant that was consumed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval_id: Option<ApprovalId>,
    },
    /// An interactive session began.
    Upgraded {
        /// The recording.
        session_id: SessionId,
    },
    /// The answer was given by upstream and delivered.
    Closed {
        /// The upstream's HTTP status.
        upstream_status: u16,
        /// What the client got.
        response: ResponseFacts,
    },
    /// Lockgate answered by itself; nothing went upstream.
    Refused {
        /// The `Status` sent.
        status: u16,
        /// Its machine-readable reason.
        reason: String,
        /// Its message.
        message: String,
        /// The ticket the answer names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval_id: Option<ApprovalId>,
    },
    /// It went upstream and did not end well: failed, aborted or unknown.
    Aborted {
        /// `failed`, `aborted` or `unknown`.
        outcome: Outcome,
        /// Why.
        reason: String,
        /// What the client got, if anything.
        #[serde(default)]
        response: ResponseFacts,
    },
    /// A ticket changed: a human spoke, or it was used, withdrawn or ran out. Filed under the call that was held first;
    /// it may follow that call's end and changes nothing in that call's record.
    Approval {
        /// The ticket.
        approval_id: ApprovalId,
        /// Where it stands now; still `pending` after the first of several needed words.
        state: ApprovalState,
        /// The human who spoke.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decider: Option<Box<Decider>>,
        /// Who withdrew it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cancelled_by: Option<Box<Subject>>,
        /// The human's note to the agent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// The call that used the grant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        used_by: Option<AuditId>,
        /// The human who lets a denied request be asked again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reopened_by: Option<Box<Decider>>,
    },
    /// An agent was frozen, or a human cleared it. Filed under the call of the last denied ticket, or under an id of its
    /// own; it changes nothing in a call's record.
    Freeze {
        /// The freeze as it stands now.
        freeze: Box<Freeze>,
    },
}

impl EventBody {
    /// Whether nothing more can happen to the call. Only [`EventBody::Approval`], which is about a ticket,
    /// and [`EventBody::Freeze`], which is about an agent, may follow.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Closed { .. } | Self::Refused { .. } | Self::Aborted { .. })
    }

    /// The word that JSON and SQL use for this kind of event.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Arrived(_) => "arrived",
            Self::Decided { .. } => "decided",
            Self::Held { .. } => "held",
            Self::Dispatched { .. } => "dispatched",
            Self::Upgraded { .. } => "upgraded",
            Self::Closed { .. } => "closed",
            Self::Refused { .. } => "refused",
            Self::Aborted { .. } => "aborted",
            Self::Approval { .. } => "approval",
            Self::Freeze { .. } => "freeze",
        }
    }
}
