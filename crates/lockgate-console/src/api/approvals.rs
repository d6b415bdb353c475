//! `/api/v1/approvals`

use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use lockgate_core::{Approval, ApprovalId, ApprovalState, Subject};
use lockgate_store::{ApprovalFilter, Topic, Word};
use serde::Deserialize;

use super::agents::signed_in;
use super::stream;
use crate::context::App;
use crate::identity::Caller;
use crate::problem::Problem;
use crate::routes::Call;

/// A long poll answers after at most this, decided or not.
const WAIT_SECONDS_MAX: u64 = 45;
/// How many of the newest tickets a watch looks at each time; more than can be pending at once.
const WATCHED_MAX: u32 = 1_000;

/// `GET /api/v1/approvals?state=&limit=&before=`
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    let filter = ApprovalFilter {
        state: call.word("state")?,
        subject: own(call.known()?),
        before: call.parsed("before")?,
        limit: call.parsed("limit")?.unwrap_or(ApprovalFilter::default().limit),
    };
    Ok(Json(call.app.store().approvals(&filter).await?).into_response())
}

/// `GET /api/v1/approvals/{id}?waitSeconds=`: with a wait, answers when it is decided or the wait is over.
pub(crate) async fn show(call: Call) -> Result<Response, Problem> {
    let id = call.id("id")?;
    let wait = call.parsed::<u64>("waitSeconds")?.unwrap_or(0).min(WAIT_SECONDS_MAX);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(wait);
    let mut changes = call.app.store().changes(Topic::Approvals);
    loop {
        let approval = visible(&call.app, call.known()?, id).await?;
        if approval.state != ApprovalState::Pending || tokio::time::Instant::now() >= deadline {
            return Ok(Json(approval).into_response());
        }
        tokio::select! {
            () = stream::next_change(&mut changes) => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = call.app.context.shutdown.cancelled() => return Ok(Json(approval).into_response()),
        }
    }
}

/// `GET /api/v1/approvals/watch`: JSON lines, the pending tickets first, then every change.
pub(crate) async fn watch(call: Call) -> Result<Response, Problem> {
    let filter = ApprovalFilter { subject: own(call.known()?), limit: WATCHED_MAX, ..ApprovalFilter::default() };
    let app = call.app.clone();
    Ok(stream::answer("application/jsonl", app.context.shutdown.clone(), move |mut lines| async move {
        let mut changes = app.store().changes(Topic::Approvals);
        let mut seen: Option<HashMap<ApprovalId, Seen>> = None;
        loop {
            let newest = app.store().approvals(&filter).await?;
            let mut now = HashMap::with_capacity(newest.len());
            for approval in newest.iter().rev() {
                let state = (approval.state, approval.decided_by.len(), approval.reopened_by.is_some());
                now.insert(approval.id, state);
                let known = match &seen {
                    Some(seen) => seen.get(&approval.id) == Some(&state),
                    None => approval.state != ApprovalState::Pending,
                };
                if !known && lines.send(approval).await.is_err() {
                    return Ok(());
                }
            }
            seen = Some(now);
            if lines.changed(&mut changes).await.is_err() {
                return Ok(());
            }
        }
    }))
}

/// What makes a ticket worth showing again.
type Seen = (ApprovalState, usize, bool);

/// `POST /api/v1/approvals/{id}/approve` with `{"note": …}`
pub(crate) async fn approve(call: Call) -> Result<Response, Problem> {
    decided(call, true).await
}

/// `POST /api/v1/approvals/{id}/deny` with `{"note": …}`
pub(crate) async fn deny(call: Call) -> Result<Response, Problem> {
    decided(call, false).await
}

/// `POST /api/v1/approvals/{id}/reopen` with `{"note": …}`
pub(crate) async fn reopen(call: Call) -> Result<Response, Problem> {
    let note = note(&call)?;
    Ok(Json(ask_again(&call.app, call.known()?, call.id("id")?, note).await?).into_response())
}

async fn decided(call: Call, approve: bool) -> Result<Response, Problem> {
    let note = note(&call)?;
    let approval = decide(&call.app, call.known()?, call.id("id")?, approve, note).await?;
    Ok(Json(approval).into_response())
}

/// The note of a JSON body; no body, no note.
fn note(call: &Call) -> Result<Option<String>, Problem> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Body {
        #[serde(default)]
        note: Option<String>,
    }
    if call.body.is_empty() {
        return Ok(None);
    }
    let body: Body = serde_json::from_slice(&call.body)
        .map_err(|error| Problem::invalid(format!("The body is not {{\"note\": …}}: {error}")))?;
    Ok(body.note)
}

/// Lets a denied request be asked again. Shared with the web page; the store checks everything once more.
pub(crate) async fn ask_again(
    app: &App,
    caller: &Caller,
    id: ApprovalId,
    note: Option<String>,
) -> Result<Approval, Problem> {
    let note = note.map(|note| note.trim().to_owned());
    let word = Word { by: caller.subject.clone(), auth_time: signed_in(app, caller)?, approve: true, note };
    Ok(app.store().reopen(id, word).await?)
}

/// Speaks for this person. Shared with the web page; the store checks everything once more.
pub(crate) async fn decide(
    app: &App,
    caller: &Caller,
    id: ApprovalId,
    approve: bool,
    note: Option<String>,
) -> Result<Approval, Problem> {
    let note = note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
    if !approve && note.is_none() {
        return Err(Problem::invalid("A denial needs a note: it is what the agent is told.").next("Add a note."));
    }
    let word = Word { by: caller.subject.clone(), auth_time: signed_in(app, caller)?, approve, note };
    Ok(app.store().decide(id, word).await?)
}

/// Whose tickets a caller sees: its own only, or everybody's.
fn own(caller: &Caller) -> Option<Subject> {
    (!caller.role.sees_everything()).then(|| caller.subject.clone())
}

/// The ticket, if it is this caller's to see. Somebody else's is answered like one that does not exist.
async fn visible(app: &App, caller: &Caller, id: ApprovalId) -> Result<Approval, Problem> {
    let approval = app.store().approval(id).await?;
    approval
        .filter(|approval| caller.role.sees_everything() || approval.subject.same_principal(&caller.subject))
        .ok_or_else(|| Problem::not_found("such approval"))
}
