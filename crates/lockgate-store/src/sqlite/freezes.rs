//! Freezes, the denials that cause them, and removals: writes inside the writer's transaction, and reads.

use async_trait::async_trait;
use lockgate_core::{
    Approval, Clearing, Event, EventBody, Freeze, FreezeCause, FreezeId, Subject, SubjectKind, Terms, Timestamp, Writer,
};
use sqlx::sqlite::{Sqlite, SqlitePool};
use sqlx::{Executor, QueryBuilder, Row, SqliteConnection};

use super::writer::Write;
use super::{blob, database, events, principal, tickets};
use crate::agents::{FreezeFilter, Removal, Removed, may_clear};
use crate::breaker::denied_in_a_row;
use crate::error::{Rejection, StoreError};
use crate::limit::{
    AGENTS_CALLS_MAX, AGENTS_MAX, DECIDED_TICKETS_MAX, DENIALS_COUNT_FOR, DENIALS_IN_FORCE_MAX, DENIED_INVOCATIONS_MAX,
    LIST_ROWS_MAX, REMOVALS_KEPT,
};

/// After a denial, in its transaction: freezes the principal when that was one too many.
pub(super) async fn after_denial(
    connection: &mut SqliteConnection,
    ticket: &Approval,
    id: FreezeId,
    at: Timestamp,
    writer: &Writer,
) -> Result<(), StoreError> {
    let principal = principal(&ticket.subject)?;
    let cleared_at: Option<i64> = sqlx::query_scalar("SELECT MAX(cleared_at) FROM freezes WHERE principal = ?")
        .bind(&principal)
        .fetch_one(&mut *connection)
        .await
        .map_err(database)?;
    let since = at.minus(DENIALS_COUNT_FOR).microseconds().max(cleared_at.unwrap_or(i64::MIN));
    let decided: Vec<String> = sqlx::query_scalar(
        "SELECT body FROM approvals WHERE principal = ? AND decided_at > ? ORDER BY decided_at DESC, id DESC LIMIT ?",
    )
    .bind(&principal)
    .bind(since)
    .bind(DECIDED_TICKETS_MAX)
    .fetch_all(&mut *connection)
    .await
    .map_err(database)?;
    let decided: Vec<Approval> = decided.iter().map(|body| tickets::parse(body)).collect::<Result<_, _>>()?;
    let approvals = denied_in_a_row(&decided);
    if approvals.len() < DENIED_INVOCATIONS_MAX {
        return Ok(());
    }
    let freeze = Freeze {
        id,
        subject: ticket.subject.clone(),
        at,
        cause: FreezeCause::Denials { approvals },
        terms: Terms { count: 1, ..ticket.terms.clone() },
        audit_id: ticket.audit_id,
        cleared: None,
    };
    insert(connection, freeze, writer).await.map(drop)
}

/// Inserts a freeze unless one is in force, and its event. The one in force afterwards.
async fn insert(connection: &mut SqliteConnection, freeze: Freeze, writer: &Writer) -> Result<Freeze, StoreError> {
    let principal = principal(&freeze.subject)?;
    if let Some(active) = active(&mut *connection, &principal).await? {
        return Ok(active);
    }
    sqlx::query("INSERT INTO freezes (id, principal, at, body) VALUES (?,?,?,?)")
        .bind(blob(freeze.id.uuid()))
        .bind(principal)
        .bind(freeze.at.microseconds())
        .bind(json(&freeze)?)
        .execute(&mut *connection)
        .await
        .map_err(database)?;
    append(connection, &freeze, freeze.at, writer).await?;
    Ok(freeze)
}

async fn append(
    connection: &mut SqliteConnection,
    freeze: &Freeze,
    at: Timestamp,
    writer: &Writer,
) -> Result<(), StoreError> {
    let body = EventBody::Freeze { freeze: Box::new(freeze.clone()) };
    let event = Event { audit_id: freeze.audit_id, at, writer: writer.clone(), body };
    let events = events::prepare(vec![event])?;
    events::insert(connection, &events.iter().collect::<Vec<_>>()).await
}

/// A human's freeze.
pub(super) struct InsertFreeze {
    pub(super) freeze: Freeze,
    pub(super) writer: Writer,
}

#[async_trait]
impl Write for InsertFreeze {
    type Output = Freeze;

    async fn execute(&mut self, connection: &mut SqliteConnection) -> Result<Freeze, StoreError> {
        insert(connection, self.freeze.clone(), &self.writer).await
    }
}

/// Ends a freeze.
pub(super) struct ClearFreeze {
    pub(super) id: FreezeId,
    pub(super) clearing: Clearing,
    pub(super) writer: Writer,
}

#[async_trait]
impl Write for ClearFreeze {
    type Output = Option<Result<Freeze, Rejection>>;

    async fn execute(&mut self, connection: &mut SqliteConnection) -> Result<Self::Output, StoreError> {
        let id = blob(self.id.uuid());
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM freezes WHERE id = ?")
            .bind(&id)
            .fetch_optional(&mut *connection)
            .await
            .map_err(database)?;
        let Some(mut freeze) = body.as_deref().map(parse).transpose()? else { return Ok(None) };
        if let Err(rejection) = may_clear(&freeze, &self.clearing) {
            return Ok(Some(Err(rejection)));
        }
        if !freeze.is_active() {
            return Ok(Some(Ok(freeze)));
        }
        freeze.cleared = Some(self.clearing.clone());
        sqlx::query("UPDATE freezes SET cleared_at = ?2, body = ?3 WHERE id = ?1")
            .bind(&id)
            .bind(self.clearing.at.microseconds())
            .bind(json(&freeze)?)
            .execute(&mut *connection)
            .await
            .map_err(database)?;
        append(connection, &freeze, self.clearing.at, &self.writer).await?;
        Ok(Some(Ok(freeze)))
    }
}

/// Counts a removal and inserts it if it fits.
pub(super) struct InsertRemoval(pub(super) Removal);

#[async_trait]
impl Write for InsertRemoval {
    type Output = Removed;

    async fn execute(&mut self, connection: &mut SqliteConnection) -> Result<Removed, StoreError> {
        let Self(removal) = self;
        sqlx::query("DELETE FROM removals WHERE at < ?")
            .bind(removal.at.minus(REMOVALS_KEPT).microseconds())
            .execute(&mut *connection)
            .await
            .map_err(database)?;
        let principal = principal(&removal.subject)?;
        let removed: i64 = sqlx::query_scalar(
            "SELECT COALESCE(SUM(count), 0) FROM removals WHERE principal = ? AND cluster = ? AND rule = ? AND at > ?",
        )
        .bind(&principal)
        .bind(&removal.cluster)
        .bind(&removal.rule)
        .bind(removal.at.minus(removal.window).microseconds())
        .fetch_one(&mut *connection)
        .await
        .map_err(database)?;
        let removed = u32::try_from(removed).unwrap_or(u32::MAX);
        if removed.saturating_add(removal.count) > removal.count_max {
            return Ok(Removed::Exceeds { removed });
        }
        sqlx::query("INSERT INTO removals (principal, cluster, rule, at, audit_id, count) VALUES (?,?,?,?,?,?)")
            .bind(principal)
            .bind(&removal.cluster)
            .bind(&removal.rule)
            .bind(removal.at.microseconds())
            .bind(blob(removal.audit_id.uuid()))
            .bind(removal.count)
            .execute(connection)
            .await
            .map_err(database)?;
        Ok(Removed::Fits)
    }
}

pub(super) async fn removed(
    pool: &SqlitePool,
    principal: &str,
    cluster: &str,
    since: Timestamp,
) -> Result<Vec<(String, u32)>, StoreError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT rule, SUM(count) FROM removals WHERE principal = ? AND cluster = ? AND at > ? GROUP BY rule",
    )
    .bind(principal)
    .bind(cluster)
    .bind(since.microseconds())
    .fetch_all(pool)
    .await
    .map_err(database)?;
    Ok(rows.into_iter().map(|(rule, count)| (rule, u32::try_from(count).unwrap_or(u32::MAX))).collect())
}

pub(super) async fn active<'c>(
    executor: impl Executor<'c, Database = Sqlite>,
    principal: &str,
) -> Result<Option<Freeze>, StoreError> {
    let body: Option<String> =
        sqlx::query_scalar("SELECT body FROM freezes WHERE principal = ? AND cleared_at IS NULL")
            .bind(principal)
            .fetch_optional(executor)
            .await
            .map_err(database)?;
    body.as_deref().map(parse).transpose()
}

pub(super) async fn list(pool: &SqlitePool, filter: &FreezeFilter) -> Result<Vec<Freeze>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT body FROM freezes WHERE TRUE");
    if filter.active {
        query.push(" AND cleared_at IS NULL");
    }
    if let Some(subject) = &filter.subject {
        query.push(" AND principal = ").push_bind(principal(subject)?);
    }
    query.push(" ORDER BY at DESC, id DESC LIMIT ").push_bind(filter.limit.min(LIST_ROWS_MAX));
    let bodies: Vec<String> = query.build_query_scalar().fetch_all(pool).await.map_err(database)?;
    bodies.iter().map(|body| parse(body)).collect()
}

pub(super) async fn denials(
    pool: &SqlitePool,
    subject: &Subject,
    cluster: &str,
    now: Timestamp,
) -> Result<Vec<Approval>, StoreError> {
    let bodies: Vec<String> = sqlx::query_scalar(
        "SELECT body FROM approvals WHERE principal = ? AND cluster = ? AND state = 'denied' AND expires_at > ?
         ORDER BY expires_at DESC LIMIT ?",
    )
    .bind(principal(subject)?)
    .bind(cluster)
    .bind(now.microseconds())
    .bind(DENIALS_IN_FORCE_MAX)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    bodies.iter().map(|body| tickets::parse(body)).collect()
}

pub(super) async fn principals(pool: &SqlitePool) -> Result<Vec<(Subject, Timestamp)>, StoreError> {
    let rows = sqlx::query(
        "SELECT principal, MAX(started_at) AS at
         FROM (SELECT principal, started_at FROM calls WHERE principal IS NOT NULL ORDER BY started_at DESC LIMIT ?)
         GROUP BY principal ORDER BY at DESC LIMIT ?",
    )
    .bind(AGENTS_CALLS_MAX)
    .bind(AGENTS_MAX)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    let one = |row: &sqlx::sqlite::SqliteRow| {
        let text: &str = row.try_get("principal").map_err(database)?;
        let at = Timestamp::from_microseconds(row.try_get("at").map_err(database)?);
        let (issuer, id, kind, owner): (String, String, SubjectKind, Option<String>) =
            serde_json::from_str(text).map_err(|error| StoreError::damaged("principal", error))?;
        let subject = Subject { issuer, id, kind, owner, on_behalf_of: None, groups: Vec::new(), token_id: None };
        Ok((subject, at))
    };
    rows.iter().map(one).collect()
}

fn parse(body: &str) -> Result<Freeze, StoreError> {
    serde_json::from_str(body).map_err(|error| StoreError::damaged("freeze", error))
}

fn json(freeze: &Freeze) -> Result<String, StoreError> {
    serde_json::to_string(freeze).map_err(|error| StoreError::damaged("freeze", error))
}
