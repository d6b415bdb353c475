//! The SQLite backend: one writer task with group commit, a few reading connections, one file (with its WAL).
//!
//! Start at [`writer`]: what makes a write durable. [`events`], [`tickets`] and [`rows`] say what is written, [`reads`]
//! what is asked.

mod events;
mod freezes;
mod reads;
mod rows;
mod tickets;
mod writer;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use lockgate_core::{
    Approval, ApprovalId, AuditId, Clearing, Event, Freeze, FreezeId, Session, SessionId, Subject, Timestamp, Writer,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::agents::{FreezeFilter, Removal, Removed};
use crate::approvals::{ApprovalFilter, Hold};
use crate::backend::{AuditFilter, Backend, Change, ChangeOutcome, NewTicket, PolicyRevision, SessionFilter};
use crate::error::{Rejection, StoreError};
use crate::limit::{LOCK_WAIT, READ_CONNECTIONS_MAX};
use writer::WriterHandle;

/// Migrations, oldest first. `PRAGMA user_version` counts how many have run.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_events.sql"),
    include_str!("../../migrations/0002_shadow.sql"),
    include_str!("../../migrations/0003_agents.sql"),
];

/// The store's rows in one SQLite file: WAL, `synchronous=FULL`, so that a committed write survives power loss.
pub struct SqliteBackend {
    writer: WriterHandle,
    readers: SqlitePool,
}

impl SqliteBackend {
    /// Opens (or makes, mode 0600) the database and brings its schema up to date. The lock, if there is one, is held until
    /// the writer has let go of the file.
    pub async fn open(path: &Path, lock: Option<File>) -> Result<Self, StoreError> {
        // SQLite gives its WAL the mode of the database, so making that first keeps both private.
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        drop(made.map_err(|error| StoreError::file(path, error))?);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(LOCK_WAIT)
            .pragma("secure_delete", "ON")
            .pragma("trusted_schema", "OFF")
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(database)?;
        migrate(&mut connection).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READ_CONNECTIONS_MAX)
            .connect_lazy_with(options.clone().read_only(true).pragma("query_only", "ON"));
        let writer = WriterHandle::start(options, connection, lock);
        Ok(Self { writer, readers })
    }

    /// Sets how large the database file may grow. Above it writes fail with [`StoreError::DiskFull`] until there is room or
    /// the limit is raised. SQLite never shrinks below what is in use.
    pub async fn limit_bytes(&self, bytes_max: u64) -> Result<(), StoreError> {
        self.writer.limit_bytes(bytes_max).await
    }

    /// Says farewell for every writer so far. Only for the one process that has the directory to itself.
    pub(crate) async fn retire_all(&self, now: Timestamp) -> Result<(), StoreError> {
        self.writer.write(rows::Retire { boot: None, now }).await
    }
}

impl std::fmt::Debug for SqliteBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteBackend").finish_non_exhaustive()
    }
}

#[async_trait]
impl Backend for SqliteBackend {
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        self.writer.append(events::prepare(events)?).await
    }

    async fn calls(&self, filter: &AuditFilter) -> Result<Vec<Vec<Event>>, StoreError> {
        reads::calls(&self.readers, filter).await
    }

    async fn events(&self, id: AuditId) -> Result<Vec<Event>, StoreError> {
        reads::events(&self.readers, id).await
    }

    async fn hold(&self, ticket: NewTicket) -> Result<Hold, StoreError> {
        self.writer.write(tickets::HoldTicket(ticket)).await?
    }

    async fn change(
        &self,
        id: ApprovalId,
        change: Change,
        at: Timestamp,
        writer: Writer,
    ) -> Result<Option<ChangeOutcome>, StoreError> {
        self.writer.write(tickets::ChangeTicket { id, change, at, writer }).await
    }

    async fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        reads::approval(&self.readers, id).await
    }

    async fn approvals(&self, filter: &ApprovalFilter, now: Timestamp) -> Result<Vec<Approval>, StoreError> {
        reads::approvals(&self.readers, filter, now).await
    }

    async fn usable(
        &self,
        subject: &Subject,
        cluster: &str,
        fingerprint: &str,
        now: Timestamp,
    ) -> Result<Option<Approval>, StoreError> {
        reads::usable(&self.readers, subject, cluster, fingerprint, now).await
    }

    async fn denials(&self, subject: &Subject, cluster: &str, now: Timestamp) -> Result<Vec<Approval>, StoreError> {
        freezes::denials(&self.readers, subject, cluster, now).await
    }

    async fn freeze(&self, freeze: Freeze, writer: Writer) -> Result<Freeze, StoreError> {
        self.writer.write(freezes::InsertFreeze { freeze, writer }).await
    }

    async fn clear_freeze(
        &self,
        id: FreezeId,
        clearing: Clearing,
        writer: Writer,
    ) -> Result<Option<Result<Freeze, Rejection>>, StoreError> {
        self.writer.write(freezes::ClearFreeze { id, clearing, writer }).await
    }

    async fn active_freeze(&self, subject: &Subject) -> Result<Option<Freeze>, StoreError> {
        freezes::active(&self.readers, &principal(subject)?).await
    }

    async fn freezes(&self, filter: &FreezeFilter) -> Result<Vec<Freeze>, StoreError> {
        freezes::list(&self.readers, filter).await
    }

    async fn principals(&self) -> Result<Vec<(Subject, Timestamp)>, StoreError> {
        freezes::principals(&self.readers).await
    }

    async fn remove(&self, removal: Removal) -> Result<Removed, StoreError> {
        self.writer.write(freezes::InsertRemoval(removal)).await
    }

    async fn removed(
        &self,
        subject: &Subject,
        cluster: &str,
        since: Timestamp,
    ) -> Result<Vec<(String, u32)>, StoreError> {
        freezes::removed(&self.readers, &principal(subject)?, cluster, since).await
    }

    async fn insert_policy(&self, revision: PolicyRevision) -> Result<PolicyRevision, StoreError> {
        self.writer.write(rows::InsertPolicy(revision)).await
    }

    async fn newest_policy(&self) -> Result<Option<PolicyRevision>, StoreError> {
        reads::newest_policy(&self.readers).await
    }

    async fn put_session(&self, session: Session, writer: Writer) -> Result<(), StoreError> {
        self.writer.write(rows::PutSession { session, writer }).await
    }

    async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<Session>, StoreError> {
        reads::sessions(&self.readers, filter).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        reads::session(&self.readers, id).await
    }

    async fn heartbeat(&self, writer: Writer, now: Timestamp) -> Result<(), StoreError> {
        self.writer.write(rows::Heartbeat { writer, now }).await
    }

    async fn lapsed_writers(&self, own: &Writer, heard_before: Timestamp) -> Result<Vec<Writer>, StoreError> {
        reads::lapsed_writers(&self.readers, own, heard_before).await
    }

    async fn retire(&self, writer: Writer, now: Timestamp) -> Result<(), StoreError> {
        self.writer.write(rows::Retire { boot: Some(writer.boot), now }).await
    }

    async fn open_calls(&self, writer: &Writer, rows_max: u32) -> Result<Vec<AuditId>, StoreError> {
        reads::open_calls(&self.readers, writer, rows_max).await
    }

    async fn live_sessions(&self, writer: &Writer, rows_max: u32) -> Result<Vec<Session>, StoreError> {
        reads::live_sessions(&self.readers, writer, rows_max).await
    }

    async fn unsettled(
        &self,
        own: &Writer,
        heard_before: Timestamp,
        rows_max: u32,
    ) -> Result<Vec<ApprovalId>, StoreError> {
        reads::unsettled(&self.readers, own, heard_before, rows_max).await
    }

    async fn overdue(&self, now: Timestamp, rows_max: u32) -> Result<Vec<ApprovalId>, StoreError> {
        reads::overdue(&self.readers, now, rows_max).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        self.writer.close().await
    }
}

/// Runs the migrations that this file has not seen, each in its own transaction.
async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await.map_err(database)?;
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(database)?;
        sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(database)?;
        // A pragma takes no parameters; this is a number that we counted.
        let version = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {}", index + 1));
        sqlx::raw_sql(version).execute(&mut *transaction).await.map_err(database)?;
        transaction.commit().await.map_err(database)?;
    }
    Ok(())
}

/// `SQLITE_FULL` (<https://www.sqlite.org/rescode.html#full>).
const SQLITE_FULL: &str = "13";

fn database(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(cause) if cause.code().as_deref() == Some(SQLITE_FULL) => StoreError::DiskFull,
        _ => StoreError::Database(Arc::new(error)),
    }
}

/// The columns' form of a UUID.
fn blob(id: uuid::Uuid) -> Vec<u8> {
    id.into_bytes().to_vec()
}

/// What names a principal in a column: issuer, id, kind and owner, as [`Subject::same_principal`] compares them.
fn principal(subject: &Subject) -> Result<String, StoreError> {
    serde_json::to_string(&(&subject.issuer, &subject.id, subject.kind, &subject.owner))
        .map_err(|error| StoreError::damaged("subject", error))
}
