//! `/api/v1/agents`: who calls, who is frozen, and the human's word on it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use lockgate_core::{Freeze, Timestamp};
use lockgate_store::{Agent, FreezeFilter, HumanWord};
use serde::{Deserialize, Serialize};

use crate::context::App;
use crate::identity::Caller;
use crate::problem::Problem;
use crate::routes::Call;

/// Freezes of one agent that are shown, newest first.
const FREEZES_SHOWN: u32 = 50;

/// One agent, with what was before.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    agent: Agent,
    /// Its freezes, newest first.
    freezes: Vec<Freeze>,
}

/// `GET /api/v1/agents`
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    Ok(Json(call.app.store().agents().await?).into_response())
}

/// `GET /api/v1/agents/{key}`
pub(crate) async fn show(call: Call) -> Result<Response, Problem> {
    let agent = named(&call).await?;
    let freezes = freezes(&call.app, &agent).await?;
    Ok(Json(Shown { agent, freezes }).into_response())
}

/// `POST /api/v1/agents/{key}/freeze` with `{"note": …}`
pub(crate) async fn freeze(call: Call) -> Result<Response, Problem> {
    let agent = named(&call).await?;
    let freeze = stop(&call.app, call.known()?, agent, note(&call)?).await?;
    Ok(Json(freeze).into_response())
}

/// `POST /api/v1/agents/{key}/clear` with `{"note": …}`
pub(crate) async fn clear(call: Call) -> Result<Response, Problem> {
    let agent = named(&call).await?;
    let freeze = let_go_on(&call.app, call.known()?, agent, note(&call)?).await?;
    Ok(Json(freeze).into_response())
}

/// The agent that the path names: by its key, or by its id where only one has it.
pub(crate) async fn named(call: &Call) -> Result<Agent, Problem> {
    let name: String = call.id("key")?;
    let mut found = call.app.store().agents().await?;
    found.retain(|agent| agent.key == name || agent.subject.id == name);
    if found.len() > 1 {
        let keys: Vec<_> = found.iter().map(|agent| agent.key.as_str()).collect();
        let message = format!("{} agents are called {name:?}: {}.", found.len(), keys.join(", "));
        return Err(Problem::new(StatusCode::CONFLICT, "ambiguous", message).next("Name one of these keys instead."));
    }
    found.pop().ok_or_else(|| Problem::not_found("such agent among those seen lately"))
}

/// Its freezes, newest first.
pub(crate) async fn freezes(app: &App, agent: &Agent) -> Result<Vec<Freeze>, Problem> {
    let filter = FreezeFilter { subject: Some(agent.subject.clone()), limit: FREEZES_SHOWN, ..FreezeFilter::default() };
    Ok(app.store().freezes(&filter).await?)
}

/// Stops an agent by hand. Shared with the page; the store checks everything once more.
pub(crate) async fn stop(app: &App, caller: &Caller, agent: Agent, note: String) -> Result<Freeze, Problem> {
    let word = word(app, caller, note)?;
    Ok(app.store().freeze(agent.subject, word).await?)
}

/// Clears an agent's freeze. Shared with the page; the store checks everything once more.
pub(crate) async fn let_go_on(app: &App, caller: &Caller, agent: Agent, note: String) -> Result<Freeze, Problem> {
    let word = word(app, caller, note)?;
    let freeze = agent.freeze.ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, "notFrozen", "This agent is not frozen: nothing is to clear.")
    })?;
    Ok(app.store().clear_freeze(freeze.id, word).await?)
}

fn word(app: &App, caller: &Caller, note: String) -> Result<HumanWord, Problem> {
    Ok(HumanWord { by: caller.subject.clone(), auth_time: signed_in(app, caller)?, note: note.trim().to_owned() })
}

/// When this person signed in; a token that does not say is not fresh.
pub(crate) fn signed_in(app: &App, caller: &Caller) -> Result<Timestamp, Problem> {
    caller.auth_time.ok_or_else(|| Problem::stale_sign_in(app.context.sign_in_age_max.as_secs()))
}

/// The note of a JSON body.
fn note(call: &Call) -> Result<String, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        note: String,
    }
    let body: Body = serde_json::from_slice(&call.body)
        .map_err(|error| Problem::invalid(format!("The body is not {{\"note\": …}}: {error}")).next("Add a note."))?;
    Ok(body.note)
}
