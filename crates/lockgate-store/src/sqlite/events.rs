//! Writing events and, in the same transaction, the index of calls.

use lockgate_core::{AuditId, Event, EventBody, Outcome};
use sqlx::SqliteConnection;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use super::{blob, database, principal};
use crate::error::StoreError;

/// One call's events of one append, ready to be bound, with what they change in the index. Made by the caller's task, so that
/// the writer only writes.
pub(super) struct CallEvents {
    events: Vec<EventRow>,
    audit_id: AuditId,
    arrived: Option<Arrived>,
    change: CallChange,
}

struct EventRow {
    audit_id: AuditId,
    at: i64,
    replica: String,
    boot: String,
    kind: &'static str,
    body: String,
}

struct Arrived {
    started_at: i64,
    boot: String,
    subject_id: Option<String>,
    cluster: String,
    verb: Option<&'static str>,
    resource: Option<String>,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    principal: Option<String>,
}

/// What later events add to a call's row. As in the fold, the first end stands.
#[derive(Default)]
struct CallChange {
    effect: Option<&'static str>,
    /// With the effect: whether a candidate would have decided otherwise.
    shadow_differs: Option<bool>,
    outcome: Option<&'static str>,
    approval_id: Option<Vec<u8>>,
    session_id: Option<Vec<u8>>,
}

impl CallEvents {
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }
}

/// Groups the events by call and turns them into rows.
pub(super) fn prepare(events: Vec<Event>) -> Result<Vec<CallEvents>, StoreError> {
    let mut calls: Vec<CallEvents> = Vec::new();
    for event in events {
        if calls.last().is_none_or(|call| call.audit_id != event.audit_id) {
            let change = CallChange::default();
            calls.push(CallEvents { events: Vec::new(), audit_id: event.audit_id, arrived: None, change });
        }
        let Some(call) = calls.last_mut() else { continue };
        match event.body {
            EventBody::Arrived(_) if call.arrived.is_none() => call.arrived = Some(arrived(&event)?),
            _ => call.change.add(&event.body),
        }
        call.events.push(row(event)?);
    }
    Ok(calls)
}

fn row(event: Event) -> Result<EventRow, StoreError> {
    let Event { audit_id, at, writer, body } = event;
    let kind = body.kind();
    let body = serde_json::to_string(&body).map_err(|error| StoreError::damaged("event", error))?;
    Ok(EventRow { audit_id, at: at.microseconds(), replica: writer.replica, boot: writer.boot, kind, body })
}

fn arrived(event: &Event) -> Result<Arrived, StoreError> {
    let mut row = Arrived {
        started_at: event.at.microseconds(),
        boot: event.writer.boot.clone(),
        subject_id: None,
        cluster: String::new(),
        verb: None,
        resource: None,
        subresource: None,
        namespace: None,
        name: None,
        principal: None,
    };
    if let EventBody::Arrived(arrival) = &event.body {
        row.subject_id = arrival.subject.as_ref().map(|subject| subject.id.clone());
        row.principal = arrival.subject.as_ref().map(principal).transpose()?;
        row.cluster.clone_from(&arrival.cluster);
        if let Some(action) = &arrival.action {
            row.verb = Some(action.verb.as_str());
            row.resource = Some(action.resource.clone());
            row.subresource.clone_from(&action.subresource);
            row.namespace.clone_from(&action.namespace);
            row.name.clone_from(&action.name);
        }
    }
    Ok(row)
}

impl CallChange {
    fn add(&mut self, body: &EventBody) {
        if self.outcome.is_some() {
            return;
        }
        match body {
            EventBody::Arrived(_) | EventBody::Approval { .. } | EventBody::Freeze { .. } => {}
            EventBody::Decided { decision, shadow, .. } => {
                self.effect = Some(decision.effect.as_str());
                self.shadow_differs = Some(shadow.is_some());
            }
            EventBody::Held { approval_id } => self.approval_id = Some(blob(approval_id.uuid())),
            EventBody::Dispatched { approval_id: Some(id), .. } => self.approval_id = Some(blob(id.uuid())),
            EventBody::Dispatched { approval_id: None, .. } => {}
            EventBody::Upgraded { session_id } => self.session_id = Some(blob(session_id.uuid())),
            EventBody::Closed { .. } => self.outcome = Some(Outcome::Completed.as_str()),
            EventBody::Refused { approval_id, .. } => {
                if let Some(id) = approval_id {
                    self.approval_id = Some(blob(id.uuid()));
                }
                self.outcome = Some(Outcome::Refused.as_str());
            }
            EventBody::Aborted { outcome, .. } => self.outcome = Some(outcome.as_str()),
        }
    }

    const fn is_empty(&self) -> bool {
        self.effect.is_none() && self.outcome.is_none() && self.approval_id.is_none() && self.session_id.is_none()
    }
}

const EVENT_ROWS_MANY: usize = 8;

macro_rules! insert_events {
    ($rows:expr) => {
        concat!("INSERT INTO events (audit_id, at, replica, boot, kind, body) VALUES ", $rows)
    };
}

const INSERT_ONE_EVENT: &str = insert_events!("(?,?,?,?,?,?)");
const INSERT_MANY_EVENTS: &str = insert_events!(
    "(?,?,?,?,?,?),(?,?,?,?,?,?),(?,?,?,?,?,?),(?,?,?,?,?,?),(?,?,?,?,?,?),(?,?,?,?,?,?),(?,?,?,?,?,?),(?,?,?,?,?,?)"
);

const INSERT_CALL: &str = "
    INSERT INTO calls (audit_id, started_at, boot, subject_id, cluster, verb, resource, subresource, namespace, name,
                       effect, outcome, approval_id, session_id, shadow_differs, principal)
    VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
    ON CONFLICT (audit_id) DO NOTHING";

const UPDATE_CALL: &str = "
    UPDATE calls
    SET effect = COALESCE(?2, effect), outcome = ?3, approval_id = COALESCE(?4, approval_id),
        session_id = COALESCE(?5, session_id), shadow_differs = COALESCE(?6, shadow_differs)
    WHERE audit_id = ?1 AND outcome IS NULL";

/// Inserts events, in order, and updates the index.
pub(super) async fn insert(connection: &mut SqliteConnection, calls: &[&CallEvents]) -> Result<(), StoreError> {
    let rows: Vec<&EventRow> = calls.iter().flat_map(|call| &call.events).collect();
    let (many, few) = rows.as_chunks::<EVENT_ROWS_MANY>();
    for rows in many {
        let query = rows.iter().fold(sqlx::query(INSERT_MANY_EVENTS), |query, row| bind_event(query, row));
        query.execute(&mut *connection).await.map_err(database)?;
    }
    for row in few {
        bind_event(sqlx::query(INSERT_ONE_EVENT), row).execute(&mut *connection).await.map_err(database)?;
    }
    for call in calls {
        match &call.arrived {
            Some(arrived) => insert_call(connection, call.audit_id, arrived, &call.change).await?,
            None if call.change.is_empty() => {}
            None => update_call(connection, call.audit_id, &call.change).await?,
        }
    }
    Ok(())
}

type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

fn bind_event<'q>(query: Bound<'q>, row: &'q EventRow) -> Bound<'q> {
    query.bind(blob(row.audit_id.uuid())).bind(row.at).bind(&row.replica).bind(&row.boot).bind(row.kind).bind(&row.body)
}

async fn insert_call(
    connection: &mut SqliteConnection,
    id: AuditId,
    arrived: &Arrived,
    change: &CallChange,
) -> Result<(), StoreError> {
    sqlx::query(INSERT_CALL)
        .bind(blob(id.uuid()))
        .bind(arrived.started_at)
        .bind(&arrived.boot)
        .bind(&arrived.subject_id)
        .bind(&arrived.cluster)
        .bind(arrived.verb)
        .bind(&arrived.resource)
        .bind(&arrived.subresource)
        .bind(&arrived.namespace)
        .bind(&arrived.name)
        .bind(change.effect)
        .bind(change.outcome)
        .bind(&change.approval_id)
        .bind(&change.session_id)
        .bind(change.shadow_differs)
        .bind(&arrived.principal)
        .execute(connection)
        .await
        .map_err(database)?;
    Ok(())
}

async fn update_call(connection: &mut SqliteConnection, id: AuditId, change: &CallChange) -> Result<(), StoreError> {
    sqlx::query(UPDATE_CALL)
        .bind(blob(id.uuid()))
        .bind(change.effect)
        .bind(change.outcome)
        .bind(&change.approval_id)
        .bind(&change.session_id)
        .bind(change.shadow_differs)
        .execute(connection)
        .await
        .map_err(database)?;
    Ok(())
}
