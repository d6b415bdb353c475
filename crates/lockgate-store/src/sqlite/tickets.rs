//! Tickets inside the writer's transaction. SQLite has one writer, so what is read here cannot change until the commit.

use std::time::Duration;

use async_trait::async_trait;
use lockgate_core::{Approval, ApprovalId, ApprovalState, Timestamp, Writer};
use sqlx::{Row, SqliteConnection};

use super::writer::Write;
use super::{blob, database, events, freezes, principal};
use crate::approvals::Hold;
use crate::backend::{Change, ChangeOutcome, NewTicket, SealedBody};
use crate::error::StoreError;
use crate::ticket::{Step, apply};

const HOUR: Duration = Duration::from_secs(3600);

/// Joins or inserts a ticket.
pub(super) struct HoldTicket(pub(super) NewTicket);

#[async_trait]
impl Write for HoldTicket {
    /// Too many pending is a refusal, not a fault of the batch.
    type Output = Result<Hold, StoreError>;

    async fn execute(&mut self, connection: &mut SqliteConnection) -> Result<Self::Output, StoreError> {
        let Self(NewTicket { approval, sealed, pending_max, asked_per_hour_max, at }) = self;
        let principal = principal(&approval.subject)?;
        if let Some(open) = open_twin(connection, approval, &principal, *at).await? {
            return Ok(Ok(Hold::Joined(open)));
        }
        let pending: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM approvals WHERE principal = ? AND state = 'pending' AND expires_at > ?",
        )
        .bind(&principal)
        .bind(at.microseconds())
        .fetch_one(&mut *connection)
        .await
        .map_err(database)?;
        if pending >= i64::from(*pending_max) {
            return Ok(Err(StoreError::TooManyPending { pending_max: *pending_max }));
        }
        let asked: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM approvals WHERE principal = ? AND requested_at > ?")
            .bind(&principal)
            .bind(at.minus(HOUR).microseconds())
            .fetch_one(&mut *connection)
            .await
            .map_err(database)?;
        if asked >= i64::from(*asked_per_hour_max) {
            return Ok(Err(StoreError::TooManyAsked { asked_max: *asked_per_hour_max }));
        }
        insert(connection, approval, sealed, &principal).await?;
        Ok(Ok(Hold::New(approval.clone())))
    }
}

async fn open_twin(
    connection: &mut SqliteConnection,
    approval: &Approval,
    principal: &str,
    at: Timestamp,
) -> Result<Option<Approval>, StoreError> {
    let body: Option<String> = sqlx::query_scalar(
        "SELECT body FROM approvals
         WHERE principal = ? AND cluster = ? AND fingerprint = ? AND target_uid IS ?
           AND state IN ('pending', 'approved') AND expires_at > ?
         ORDER BY requested_at DESC, id DESC LIMIT 1",
    )
    .bind(principal)
    .bind(&approval.cluster)
    .bind(&approval.fingerprint)
    .bind(&approval.target_uid)
    .bind(at.microseconds())
    .fetch_optional(connection)
    .await
    .map_err(database)?;
    body.as_deref().map(parse).transpose()
}

async fn insert(
    connection: &mut SqliteConnection,
    approval: &Approval,
    sealed: &SealedBody,
    principal: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO approvals (id, state, requested_at, expires_at, principal, cluster, fingerprint, target_uid, sealed, body)
         VALUES (?,?,?,?,?,?,?,?,?,?)",
    )
    .bind(blob(approval.id.uuid()))
    .bind(approval.state.as_str())
    .bind(approval.requested_at.microseconds())
    .bind(approval.expires_at.microseconds())
    .bind(principal)
    .bind(&approval.cluster)
    .bind(&approval.fingerprint)
    .bind(&approval.target_uid)
    .bind(&sealed.0)
    .bind(json(approval)?)
    .execute(connection)
    .await
    .map_err(database)?;
    Ok(())
}

/// Changes a ticket by the pure rules.
pub(super) struct ChangeTicket {
    pub(super) id: ApprovalId,
    pub(super) change: Change,
    pub(super) at: Timestamp,
    pub(super) writer: Writer,
}

#[async_trait]
impl Write for ChangeTicket {
    type Output = Option<ChangeOutcome>;

    async fn execute(&mut self, connection: &mut SqliteConnection) -> Result<Self::Output, StoreError> {
        let row = sqlx::query("SELECT body, sealed FROM approvals WHERE id = ?")
            .bind(blob(self.id.uuid()))
            .fetch_optional(&mut *connection)
            .await
            .map_err(database)?;
        let Some(row) = row else { return Ok(None) };
        let body: String = row.try_get("body").map_err(database)?;
        let sealed: Option<Vec<u8>> = row.try_get("sealed").map_err(database)?;
        Ok(Some(match apply(parse(&body)?, &self.change, self.at, &self.writer) {
            Err(rejection) => ChangeOutcome::Rejected(rejection),
            Ok(Step::Unchanged(approval)) => ChangeOutcome::Unchanged(approval),
            Ok(Step::Changed(approval, event)) => {
                self.update(connection, &approval).await?;
                let events = events::prepare(vec![*event])?;
                events::insert(connection, &events.iter().collect::<Vec<_>>()).await?;
                if let (Change::Decide { freeze, .. }, ApprovalState::Denied) = (&self.change, approval.state) {
                    freezes::after_denial(connection, &approval, *freeze, self.at, &self.writer).await?;
                }
                let used = matches!(self.change, Change::Consume { .. });
                let sealed = sealed.filter(|_| used).map(SealedBody);
                ChangeOutcome::Changed { approval, sealed }
            }
        }))
    }
}

impl ChangeTicket {
    async fn update(&self, connection: &mut SqliteConnection, approval: &Approval) -> Result<(), StoreError> {
        let dispatch = approval.dispatches.last().map(|dispatch| blob(dispatch.audit_id.uuid()));
        let consumer = (approval.state == ApprovalState::Consumed).then_some(&self.writer.boot);
        sqlx::query(
            "UPDATE approvals
             SET state = ?2, expires_at = ?3, body = ?4, dispatch_audit_id = ?5,
                 dispatch_boot = COALESCE(?6, dispatch_boot), sealed = CASE WHEN ?7 THEN sealed END,
                 decided_at = ?8
             WHERE id = ?1",
        )
        .bind(blob(self.id.uuid()))
        .bind(approval.state.as_str())
        .bind(approval.expires_at.microseconds())
        .bind(json(approval)?)
        .bind(dispatch)
        .bind(consumer)
        .bind(approval.state.is_open())
        .bind(approval.decided_at.map(Timestamp::microseconds))
        .execute(connection)
        .await
        .map_err(database)?;
        Ok(())
    }
}

pub(super) fn parse(body: &str) -> Result<Approval, StoreError> {
    serde_json::from_str(body).map_err(|error| StoreError::damaged("approval", error))
}

fn json(approval: &Approval) -> Result<String, StoreError> {
    serde_json::to_string(approval).map_err(|error| StoreError::damaged("approval", error))
}
