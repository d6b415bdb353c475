//! The plain writes: policies, sessions, leases.

use async_trait::async_trait;
use lockgate_core::{Session, Timestamp, Writer};
use sqlx::SqliteConnection;

use super::writer::Write;
use super::{blob, database, reads};
use crate::backend::PolicyRevision;
use crate::error::StoreError;

/// Stores a revision unless it is the newest already.
pub(super) struct InsertPolicy(pub(super) PolicyRevision);

#[async_trait]
impl Write for InsertPolicy {
    type Output = PolicyRevision;

    async fn execute(&mut self, connection: &mut SqliteConnection) -> Result<PolicyRevision, StoreError> {
        if let Some(newest) = reads::newest_policy(&mut *connection).await?
            && newest.digest == self.0.digest
        {
            return Ok(newest);
        }
        let inserted = sqlx::query("INSERT INTO policies (digest, text, author, at) VALUES (?,?,?,?)")
            .bind(&self.0.digest)
            .bind(&self.0.text)
            .bind(&self.0.author)
            .bind(self.0.at.microseconds())
            .execute(connection)
            .await
            .map_err(database)?;
        let revision = u64::try_from(inserted.last_insert_rowid()).unwrap_or(0);
        Ok(PolicyRevision { revision, ..self.0.clone() })
    }
}

/// Inserts a session or replaces a live one.
pub(super) struct PutSession {
    pub(super) session: Session,
    pub(super) writer: Writer,
}

#[async_trait]
impl Write for PutSession {
    type Output = ();

    async fn execute(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let body = serde_json::to_string(&self.session).map_err(|error| StoreError::damaged("session", error))?;
        sqlx::query(
            "INSERT INTO sessions (id, started_at, ended_at, boot, subject_id, cluster, body) VALUES (?,?,?,?,?,?,?)
             ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, body = excluded.body
             WHERE sessions.ended_at IS NULL",
        )
        .bind(blob(self.session.id.uuid()))
        .bind(self.session.started_at.microseconds())
        .bind(self.session.ended_at.map(Timestamp::microseconds))
        .bind(&self.writer.boot)
        .bind(&self.session.subject.id)
        .bind(&self.session.cluster)
        .bind(body)
        .execute(connection)
        .await
        .map_err(database)?;
        Ok(())
    }
}

/// Renews a lease.
pub(super) struct Heartbeat {
    pub(super) writer: Writer,
    pub(super) now: Timestamp,
}

#[async_trait]
impl Write for Heartbeat {
    type Output = ();

    async fn execute(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO writers (boot, replica, started_at, heartbeat_at) VALUES (?1,?2,?3,?3)
             ON CONFLICT (boot) DO UPDATE SET heartbeat_at = excluded.heartbeat_at, ended_at = NULL",
        )
        .bind(&self.writer.boot)
        .bind(&self.writer.replica)
        .bind(self.now.microseconds())
        .execute(connection)
        .await
        .map_err(database)?;
        Ok(())
    }
}

/// Ends the lease of one writer, or of all.
pub(super) struct Retire {
    pub(super) boot: Option<String>,
    pub(super) now: Timestamp,
}

#[async_trait]
impl Write for Retire {
    type Output = ();

    async fn execute(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query("UPDATE writers SET ended_at = ?2 WHERE ended_at IS NULL AND (?1 IS NULL OR boot = ?1)")
            .bind(&self.boot)
            .bind(self.now.microseconds())
            .execute(connection)
            .await
            .map_err(database)?;
        Ok(())
    }
}
