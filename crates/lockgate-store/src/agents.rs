//! Agents, as the gateway and the console see them: who calls, who is frozen, and what was let remove.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use lockgate_core::{AuditId, Clearing, Freeze, FreezeCause, FreezeId, Subject, Terms, Timestamp};
use serde::Serialize;

use crate::error::{DecideError, StoreError};
use crate::limit::{AGENTS_MAX, LIST_ROWS_DEFAULT, LIST_ROWS_MAX};
use crate::store::{Store, Topic};
use crate::ticket::{is_fresh, may_decide, note_says_why, owns};

/// One principal that calls, or is frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Names the principal in paths and on the command line: `agt_` and 16 hexadecimal digits of its digest.
    pub key: String,
    /// Who; without groups and token, which change.
    pub subject: Subject,
    /// Its newest call; `None` when it is not among the newest calls of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
    /// Its freeze, if one is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
}

impl Agent {
    /// The key of a principal.
    pub fn key_of(subject: &Subject) -> String {
        let text = format!("{:?}", (&subject.issuer, &subject.id, subject.kind, &subject.owner));
        let digest = digest(&SHA256, text.as_bytes());
        digest.as_ref().iter().take(8).fold("agt_".to_owned(), |key, byte| format!("{key}{byte:02x}"))
    }

    fn new(subject: Subject, last_seen_at: Option<Timestamp>, freeze: Option<Freeze>) -> Self {
        let subject = Subject { groups: Vec::new(), token_id: None, on_behalf_of: None, ..subject };
        Self { key: Self::key_of(&subject), subject, last_seen_at, freeze }
    }
}

/// Which freezes to list.
#[derive(Debug, Clone)]
pub struct FreezeFilter {
    /// Only those in force.
    pub active: bool,
    /// Whose, as [`Subject::same_principal`] says.
    pub subject: Option<Subject>,
    /// At most so many; capped at [`LIST_ROWS_MAX`].
    pub limit: u32,
}

impl Default for FreezeFilter {
    fn default() -> Self {
        Self { active: false, subject: None, limit: LIST_ROWS_DEFAULT }
    }
}

/// A human's word about an agent.
#[derive(Debug, Clone)]
pub struct HumanWord {
    /// Who.
    pub by: Subject,
    /// When they signed in for this.
    pub auth_time: Timestamp,
    /// Why.
    pub note: String,
}

/// Something that is about to be removed under a limit.
#[derive(Debug, Clone)]
pub struct Removal {
    /// By whom.
    pub subject: Subject,
    /// Where.
    pub cluster: String,
    /// Under which rule.
    pub rule: String,
    /// By which call.
    pub audit_id: AuditId,
    /// How many objects.
    pub count: u32,
    /// How many the rule lets go in one window.
    pub count_max: u32,
    /// The window, at most [`crate::limit::REMOVALS_KEPT`].
    pub window: Duration,
    /// Now.
    pub at: Timestamp,
}

/// Whether a removal fits its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It does, and is counted.
    Fits,
    /// It does not, and is not counted.
    Exceeds {
        /// How many were removed within the window.
        removed: u32,
    },
}

impl Store {
    /// The principal's freeze, if one is in force.
    pub async fn active_freeze(&self, subject: &Subject) -> Result<Option<Freeze>, StoreError> {
        self.backend().active_freeze(subject).await
    }

    /// Freezes, newest first.
    pub async fn freezes(&self, filter: &FreezeFilter) -> Result<Vec<Freeze>, StoreError> {
        self.backend().freezes(filter).await
    }

    /// A human stops this principal's writes by hand. One that is frozen stays as it is. Refused for agents, old sign-ins and
    /// without a note. Durable on return, as a row and as an event.
    pub async fn freeze(&self, subject: Subject, word: HumanWord) -> Result<Freeze, DecideError> {
        let (HumanWord { by, auth_time, note }, at) = (word, self.clock().now());
        // Whoever stops their own agent may let it go on; nobody undoes another's stop of their agent.
        let terms = Terms { approver_groups: Vec::new(), count: 1, four_eyes: !owns(&by, &subject), ttl_seconds: 0 };
        may_decide(&subject, &Terms { four_eyes: false, ..terms.clone() }, &by)?;
        is_fresh(at, auth_time)?;
        note_says_why(Some(&note))?;
        let freeze = Freeze {
            id: FreezeId::new(self.fresh_uuid()),
            subject,
            at,
            cause: FreezeCause::Human { by, auth_time, note },
            terms,
            audit_id: self.new_audit_id(),
            cleared: None,
        };
        let freeze = self.backend().freeze(freeze, self.writer().clone()).await?;
        self.agents_changed();
        Ok(freeze)
    }

    /// A human lets a frozen principal go on. Refused for agents, for the frozen one, for its owner where the denied rule (or
    /// the freezing human) wants four eyes, for people outside the rule's groups, for old sign-ins and without a note.
    /// Clearing again changes nothing. Durable on return, as a row and as an event.
    pub async fn clear_freeze(&self, id: FreezeId, word: HumanWord) -> Result<Freeze, DecideError> {
        let HumanWord { by, auth_time, note } = word;
        let clearing = Clearing { by, at: self.clock().now(), auth_time, note };
        let cleared = self.backend().clear_freeze(id, clearing, self.writer().clone()).await?;
        let freeze = cleared.ok_or(DecideError::NoFreeze(id))??;
        self.agents_changed();
        Ok(freeze)
    }

    /// Who calls, and who is frozen: frozen ones first, then by their newest call. At most [`AGENTS_MAX`], found among the
    /// newest [`crate::limit::AGENTS_CALLS_MAX`] calls.
    pub async fn agents(&self) -> Result<Vec<Agent>, StoreError> {
        let active = FreezeFilter { active: true, limit: LIST_ROWS_MAX, ..FreezeFilter::default() };
        let mut freezes = self.freezes(&active).await?;
        let mut agents = Vec::new();
        for (subject, at) in self.backend().principals().await? {
            let frozen = freezes.iter().position(|freeze| freeze.subject.same_principal(&subject));
            let freeze = frozen.map(|index| freezes.swap_remove(index));
            agents.push(Agent::new(subject, Some(at), freeze));
        }
        agents.extend(freezes.into_iter().map(|freeze| Agent::new(freeze.subject.clone(), None, Some(freeze))));
        agents.sort_by_key(|agent| (agent.freeze.is_none(), std::cmp::Reverse(agent.last_seen_at)));
        agents.truncate(usize::try_from(AGENTS_MAX).unwrap_or(usize::MAX));
        Ok(agents)
    }

    /// Counts a removal against its limit. Durable on return, so that no restart forgets it; a call that is refused after this
    /// still counts. Cancelled: it may count.
    pub async fn remove(&self, removal: Removal) -> Result<Removed, StoreError> {
        self.backend().remove(removal).await
    }

    /// How many objects the principal removed there after `since`, by the rule that let them go. Counts nothing.
    pub async fn removed(
        &self,
        subject: &Subject,
        cluster: &str,
        since: Timestamp,
    ) -> Result<Vec<(String, u32)>, StoreError> {
        self.backend().removed(subject, cluster, since).await
    }

    fn agents_changed(&self) {
        self.changed(Topic::Agents);
        self.changed(Topic::Audit);
    }
}

/// Whether this word may end that freeze.
pub(crate) fn may_clear(freeze: &Freeze, clearing: &Clearing) -> Result<(), crate::error::Rejection> {
    may_decide(&freeze.subject, &freeze.terms, &clearing.by)?;
    is_fresh(clearing.at, clearing.auth_time)?;
    note_says_why(Some(&clearing.note))
}
