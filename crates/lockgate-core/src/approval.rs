//! A held request and the human's word on it.

use serde::{Deserialize, Serialize};

use crate::action::{Action, Options};
use crate::id::{ApprovalId, AuditId};
use crate::subject::Subject;
use crate::time::Timestamp;

/// Where a ticket stands. All but `pending`, `approved` and `consumed` are terminal; `consumed` may still turn
/// `indeterminate` when the outcome upstream is never learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// Nobody has decided.
    Pending,
    /// Agreed; the next identical request goes through, once.
    Approved,
    /// Refused by a human.
    Denied,
    /// Nobody decided, or nobody used the grant, in time.
    Expired,
    /// Withdrawn.
    Cancelled,
    /// The grant was used.
    Consumed,
    /// The grant was used and the outcome upstream is unknown.
    Indeterminate,
}

impl ApprovalState {
    /// Whether the ticket can still lead to a dispatch.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Approved)
    }

    /// The word that JSON and SQL use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Consumed => "consumed",
            Self::Indeterminate => "indeterminate",
        }
    }
}

/// Who may decide a ticket, and within which bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// Groups whose members may decide; empty: any human.
    pub approver_groups: Vec<String>,
    /// How many distinct people must agree; at least 1.
    pub count: u32,
    /// The agent's owner may not decide.
    pub four_eyes: bool,
    /// Seconds a ticket stays pending, and, after approval, the grant stays usable.
    pub ttl_seconds: u64,
}

/// One human's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decider {
    /// Who.
    pub subject: Subject,
    /// When.
    pub at: Timestamp,
    /// Whether they agreed.
    pub approved: bool,
    /// When they signed in for this.
    pub auth_time: Timestamp,
}

/// One use of the grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dispatch {
    /// When the grant was consumed.
    pub at: Timestamp,
    /// The call that went through.
    pub audit_id: AuditId,
}

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// The ticket's id.
    pub id: ApprovalId,
    /// Where it stands.
    pub state: ApprovalState,
    /// When the request was first held.
    pub requested_at: Timestamp,
    /// Pending: when asking ends. Approved: when the unused grant ends. Denied: until when the same request stays denied.
    pub expires_at: Timestamp,
    /// Who asked.
    pub subject: Subject,
    /// Where.
    pub cluster: String,
    /// What.
    pub action: Action,
    /// The options in effect.
    pub options: Options,
    /// One line in words, such as `delete namespace shop`.
    pub summary: String,
    /// Why, as written by the agent; shown as the agent's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Hex SHA-256 over what "the same request" means.
    pub fingerprint: String,
    /// The rule that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Who may decide.
    pub terms: Terms,
    /// The revision of the policy that asked.
    pub policy_revision: String,
    /// The reviewed object's UID, where the target exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_uid: Option<String>,
    /// The request's body as reviewed: decoded to JSON, secret values masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
    /// The humans who spoke, in order.
    #[serde(default)]
    pub decided_by: Vec<Decider>,
    /// When the last needed word was spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// The last human's note to the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The call that was held first.
    pub audit_id: AuditId,
    /// Uses of the grant; at most one.
    #[serde(default)]
    pub dispatches: Vec<Dispatch>,
    /// What the request would bring about, whatever it looks like; `None` when only the same request is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// The client's own word on which of its invocations this belongs to. A hint for grouping, never for a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation: Option<String>,
    /// The human who let a denied request be asked again before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopened_by: Option<Decider>,
}
