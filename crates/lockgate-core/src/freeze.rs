//! An agent whose writes are stopped, and the human's word that lets it go on.

use serde::{Deserialize, Serialize};

use crate::approval::Terms;
use crate::id::{ApprovalId, AuditId, FreezeId};
use crate::subject::Subject;
use crate::time::Timestamp;

/// Why an agent was frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum FreezeCause {
    /// Humans denied several of its invocations in a row.
    Denials {
        /// The first denied ticket of each invocation, oldest first.
        approvals: Vec<ApprovalId>,
    },
    /// A human stopped it by hand.
    Human {
        /// Who.
        by: Subject,
        /// When they signed in for this.
        auth_time: Timestamp,
        /// Why.
        note: String,
    },
}

/// The human's word that ends a freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clearing {
    /// Who.
    pub by: Subject,
    /// When.
    pub at: Timestamp,
    /// When they signed in for this.
    pub auth_time: Timestamp,
    /// Why it may go on.
    pub note: String,
}

/// One freeze: from `at` until it is cleared, this principal may read and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    /// The freeze's id.
    pub id: FreezeId,
    /// Who is frozen, as [`Subject::same_principal`] compares.
    pub subject: Subject,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub cause: FreezeCause,
    /// Who may clear it: whoever may decide under these terms. One person is enough.
    pub terms: Terms,
    /// The call under which its events are filed: that of the last denied ticket, or a fresh id.
    pub audit_id: AuditId,
    /// The word that ended it; `None` while it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Clearing>,
}

impl Freeze {
    /// Whether it is in force.
    pub const fn is_active(&self) -> bool {
        self.cleared.is_none()
    }
}
