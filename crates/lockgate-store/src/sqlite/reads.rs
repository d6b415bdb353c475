//! What is asked of the database, on the reading connections.

use std::collections::HashMap;

use lockgate_core::{
    Approval, ApprovalId, ApprovalState, AuditId, Event, EventBody, Session, SessionId, Subject, Timestamp, Writer,
};
use sqlx::sqlite::{Sqlite, SqlitePool, SqliteRow};
use sqlx::{Executor, QueryBuilder, Row};
use uuid::Uuid;

use super::{blob, database, principal, tickets};
use crate::approvals::ApprovalFilter;
use crate::backend::{AuditFilter, PolicyRevision, SessionFilter, SessionState};
use crate::error::StoreError;
use crate::limit::{CALL_EVENTS_MAX, LIST_BYTES_MAX, LIST_ROWS_MAX};

/// Calls whose events are read at once.
const CALLS_AT_ONCE: usize = 50;

pub(super) async fn calls(pool: &SqlitePool, filter: &AuditFilter) -> Result<Vec<Vec<Event>>, StoreError> {
    let ids = call_ids(pool, filter).await?;
    let mut calls = Vec::with_capacity(ids.len());
    let mut bytes = 0;
    for some in ids.chunks(CALLS_AT_ONCE) {
        let mut query =
            QueryBuilder::<Sqlite>::new("SELECT audit_id, at, replica, boot, body FROM events WHERE audit_id IN (");
        let mut list = query.separated(", ");
        for id in some {
            list.push_bind(id.clone());
        }
        query.push(") ORDER BY seq");
        let rows = query.build().fetch_all(pool).await.map_err(database)?;
        let mut found: HashMap<Vec<u8>, Vec<Event>> = HashMap::new();
        for row in rows {
            let id: Vec<u8> = row.try_get("audit_id").map_err(database)?;
            bytes += row.try_get::<&str, _>("body").map_err(database)?.len();
            found.entry(id).or_default().push(event(&row)?);
        }
        calls.extend(some.iter().filter_map(|id| found.remove(id)));
        if bytes > LIST_BYTES_MAX {
            break;
        }
    }
    Ok(calls)
}

async fn call_ids(pool: &SqlitePool, filter: &AuditFilter) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT audit_id FROM calls WHERE TRUE");
    if let Some(since) = filter.since {
        query.push(" AND started_at >= ").push_bind(since.microseconds());
    }
    if let Some(until) = filter.until {
        query.push(" AND started_at < ").push_bind(until.microseconds());
    }
    let (resource, subresource) = match filter.resource.as_deref().map(|text| text.split_once('/').ok_or(text)) {
        Some(Ok((resource, subresource))) => (Some(resource), Some(subresource)),
        Some(Err(resource)) => (Some(resource), None),
        None => (None, None),
    };
    let words = [
        (" AND subject_id = ", filter.subject.as_deref()),
        (" AND cluster = ", filter.cluster.as_deref()),
        (" AND verb = ", filter.verb.map(|verb| verb.as_str())),
        (" AND resource = ", resource),
        (" AND subresource = ", subresource),
        (" AND namespace = ", filter.namespace.as_deref()),
        (" AND name = ", filter.name.as_deref()),
        (" AND effect = ", filter.effect.map(|effect| effect.as_str())),
        (" AND outcome = ", filter.outcome.map(|outcome| outcome.as_str())),
    ];
    for (condition, word) in words {
        if let Some(word) = word {
            query.push(condition).push_bind(word.to_owned());
        }
    }
    if let Some(id) = filter.approval_id {
        query.push(" AND approval_id = ").push_bind(blob(id.uuid()));
    }
    if let Some(id) = filter.session_id {
        query.push(" AND session_id = ").push_bind(blob(id.uuid()));
    }
    if filter.shadow_differs {
        query.push(" AND shadow_differs = 1");
    }
    if let Some(id) = filter.before {
        query.push(" AND (started_at, audit_id) < (SELECT started_at, audit_id FROM calls WHERE audit_id = ");
        query.push_bind(blob(id.uuid())).push(")");
    }
    query.push(" ORDER BY started_at DESC, audit_id DESC LIMIT ").push_bind(rows(filter.limit));
    query.build_query_scalar().fetch_all(pool).await.map_err(database)
}

pub(super) async fn events(pool: &SqlitePool, id: AuditId) -> Result<Vec<Event>, StoreError> {
    let rows =
        sqlx::query("SELECT audit_id, at, replica, boot, body FROM events WHERE audit_id = ? ORDER BY seq LIMIT ?")
            .bind(blob(id.uuid()))
            .bind(CALL_EVENTS_MAX)
            .fetch_all(pool)
            .await
            .map_err(database)?;
    rows.iter().map(event).collect()
}

fn event(row: &SqliteRow) -> Result<Event, StoreError> {
    let id: &[u8] = row.try_get("audit_id").map_err(database)?;
    let body: &str = row.try_get("body").map_err(database)?;
    let body: EventBody = serde_json::from_str(body).map_err(|error| StoreError::damaged("event", error))?;
    Ok(Event {
        audit_id: AuditId::new(uuid(id)?),
        at: Timestamp::from_microseconds(row.try_get("at").map_err(database)?),
        writer: Writer {
            replica: row.try_get("replica").map_err(database)?,
            boot: row.try_get("boot").map_err(database)?,
        },
        body,
    })
}

pub(super) async fn approval(pool: &SqlitePool, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM approvals WHERE id = ?")
        .bind(blob(id.uuid()))
        .fetch_optional(pool)
        .await
        .map_err(database)?;
    body.as_deref().map(tickets::parse).transpose()
}

pub(super) async fn approvals(
    pool: &SqlitePool,
    filter: &ApprovalFilter,
    now: Timestamp,
) -> Result<Vec<Approval>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT body FROM approvals WHERE TRUE");
    match filter.state {
        Some(state) if state.is_open() => {
            query.push(" AND state = ").push_bind(state.as_str());
            query.push(" AND expires_at > ").push_bind(now.microseconds());
        }
        Some(ApprovalState::Expired) => {
            query.push(" AND (state = 'expired' OR state IN ('pending', 'approved') AND expires_at <= ");
            query.push_bind(now.microseconds()).push(")");
        }
        Some(state) => {
            query.push(" AND state = ").push_bind(state.as_str());
        }
        None => {}
    }
    if let Some(subject) = &filter.subject {
        query.push(" AND principal = ").push_bind(principal(subject)?);
    }
    if let Some(id) = filter.before {
        query.push(" AND (requested_at, id) < (SELECT requested_at, id FROM approvals WHERE id = ");
        query.push_bind(blob(id.uuid())).push(")");
    }
    query.push(" ORDER BY requested_at DESC, id DESC LIMIT ").push_bind(rows(filter.limit));
    let bodies: Vec<String> = query.build_query_scalar().fetch_all(pool).await.map_err(database)?;
    bodies.iter().map(|body| tickets::parse(body)).collect()
}

pub(super) async fn usable(
    pool: &SqlitePool,
    subject: &Subject,
    cluster: &str,
    fingerprint: &str,
    now: Timestamp,
) -> Result<Option<Approval>, StoreError> {
    let body: Option<String> = sqlx::query_scalar(
        "SELECT body FROM approvals
         WHERE principal = ? AND cluster = ? AND fingerprint = ?
           AND state IN ('pending', 'approved', 'denied') AND expires_at > ?
         ORDER BY requested_at DESC, id DESC LIMIT 1",
    )
    .bind(principal(subject)?)
    .bind(cluster)
    .bind(fingerprint)
    .bind(now.microseconds())
    .fetch_optional(pool)
    .await
    .map_err(database)?;
    body.as_deref().map(tickets::parse).transpose()
}

pub(super) async fn newest_policy<'c>(
    executor: impl Executor<'c, Database = Sqlite>,
) -> Result<Option<PolicyRevision>, StoreError> {
    let row = sqlx::query("SELECT revision, digest, text, author, at FROM policies ORDER BY revision DESC LIMIT 1")
        .fetch_optional(executor)
        .await
        .map_err(database)?;
    let revision = |row: SqliteRow| {
        Ok(PolicyRevision {
            revision: u64::try_from(row.try_get::<i64, _>("revision")?).unwrap_or(0),
            digest: row.try_get("digest")?,
            text: row.try_get("text")?,
            author: row.try_get("author")?,
            at: Timestamp::from_microseconds(row.try_get("at")?),
        })
    };
    row.map(revision).transpose().map_err(database)
}

pub(super) async fn sessions(pool: &SqlitePool, filter: &SessionFilter) -> Result<Vec<Session>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT body FROM sessions WHERE TRUE");
    match filter.state {
        Some(SessionState::Live) => {
            query.push(" AND ended_at IS NULL");
        }
        Some(SessionState::Ended) => {
            query.push(" AND ended_at IS NOT NULL");
        }
        None => {}
    }
    if let Some(since) = filter.since {
        query.push(" AND started_at >= ").push_bind(since.microseconds());
    }
    if let Some(subject) = &filter.subject {
        query.push(" AND subject_id = ").push_bind(subject.clone());
    }
    if let Some(cluster) = &filter.cluster {
        query.push(" AND cluster = ").push_bind(cluster.clone());
    }
    if let Some(id) = filter.before {
        query.push(" AND (started_at, id) < (SELECT started_at, id FROM sessions WHERE id = ");
        query.push_bind(blob(id.uuid())).push(")");
    }
    query.push(" ORDER BY started_at DESC, id DESC LIMIT ").push_bind(rows(filter.limit));
    let bodies: Vec<String> = query.build_query_scalar().fetch_all(pool).await.map_err(database)?;
    bodies.iter().map(|body| parse_session(body)).collect()
}

pub(super) async fn session(pool: &SqlitePool, id: SessionId) -> Result<Option<Session>, StoreError> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM sessions WHERE id = ?")
        .bind(blob(id.uuid()))
        .fetch_optional(pool)
        .await
        .map_err(database)?;
    body.as_deref().map(parse_session).transpose()
}

pub(super) async fn live_sessions(
    pool: &SqlitePool,
    writer: &Writer,
    rows_max: u32,
) -> Result<Vec<Session>, StoreError> {
    let bodies: Vec<String> =
        sqlx::query_scalar("SELECT body FROM sessions WHERE boot = ? AND ended_at IS NULL LIMIT ?")
            .bind(&writer.boot)
            .bind(rows_max)
            .fetch_all(pool)
            .await
            .map_err(database)?;
    bodies.iter().map(|body| parse_session(body)).collect()
}

pub(super) async fn lapsed_writers(
    pool: &SqlitePool,
    own: &Writer,
    heard_before: Timestamp,
) -> Result<Vec<Writer>, StoreError> {
    let rows = sqlx::query(
        "SELECT replica, boot FROM writers
         WHERE boot <> ? AND (ended_at IS NOT NULL OR heartbeat_at < ?)
           AND (EXISTS (SELECT 1 FROM calls WHERE calls.boot = writers.boot AND calls.outcome IS NULL)
                OR EXISTS (SELECT 1 FROM sessions WHERE sessions.boot = writers.boot AND sessions.ended_at IS NULL))",
    )
    .bind(&own.boot)
    .bind(heard_before.microseconds())
    .fetch_all(pool)
    .await
    .map_err(database)?;
    let writer = |row: &SqliteRow| Ok(Writer { replica: row.try_get("replica")?, boot: row.try_get("boot")? });
    rows.iter().map(writer).collect::<Result<_, _>>().map_err(database)
}

pub(super) async fn open_calls(pool: &SqlitePool, writer: &Writer, rows_max: u32) -> Result<Vec<AuditId>, StoreError> {
    let ids: Vec<Vec<u8>> = sqlx::query_scalar("SELECT audit_id FROM calls WHERE boot = ? AND outcome IS NULL LIMIT ?")
        .bind(&writer.boot)
        .bind(rows_max)
        .fetch_all(pool)
        .await
        .map_err(database)?;
    ids.iter().map(|id| uuid(id).map(AuditId::new)).collect()
}

pub(super) async fn unsettled(
    pool: &SqlitePool,
    own: &Writer,
    heard_before: Timestamp,
    rows_max: u32,
) -> Result<Vec<ApprovalId>, StoreError> {
    let ids: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT approvals.id FROM approvals
         LEFT JOIN calls ON calls.audit_id = approvals.dispatch_audit_id
         LEFT JOIN writers ON writers.boot = approvals.dispatch_boot
         WHERE approvals.state = 'consumed'
           AND (calls.outcome = 'unknown'
                OR calls.outcome IS NULL AND approvals.dispatch_boot <> ?
                   AND (writers.boot IS NULL OR writers.ended_at IS NOT NULL OR writers.heartbeat_at < ?))
         LIMIT ?",
    )
    .bind(&own.boot)
    .bind(heard_before.microseconds())
    .bind(rows_max)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    ids.iter().map(|id| uuid(id).map(ApprovalId::new)).collect()
}

pub(super) async fn overdue(pool: &SqlitePool, now: Timestamp, rows_max: u32) -> Result<Vec<ApprovalId>, StoreError> {
    let ids: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT id FROM approvals WHERE state IN ('pending', 'approved') AND expires_at <= ? LIMIT ?",
    )
    .bind(now.microseconds())
    .bind(rows_max)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    ids.iter().map(|id| uuid(id).map(ApprovalId::new)).collect()
}

fn rows(limit: u32) -> u32 {
    limit.min(LIST_ROWS_MAX)
}

fn uuid(bytes: &[u8]) -> Result<Uuid, StoreError> {
    Uuid::from_slice(bytes).map_err(|error| StoreError::damaged("id", error))
}

fn parse_session(body: &str) -> Result<Session, StoreError> {
    serde_json::from_str(body).map_err(|error| StoreError::damaged("session", error))
}
