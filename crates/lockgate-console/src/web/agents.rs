//! Who calls, who is frozen, and the page on which a person stops an agent or lets it go on.

use askama::Template;
use axum::response::Response;
use lockgate_core::{Freeze, FreezeCause};
use lockgate_store::Agent;

use super::view::{self, ApprovalView, Fact, May, Time, Who};
use super::{Frame, fragment, page as whole_page, redirect, versioned};
use crate::api::agents::{freezes, let_go_on, named, stop};
use crate::context::App;
use crate::identity::Caller;
use crate::inert::line;
use crate::problem::Problem;
use crate::routes::Call;

#[derive(Template)]
#[template(path = "agents.html")]
struct ListPage {
    frame: Frame,
    list: String,
}

#[derive(Template)]
#[template(path = "agents_list.html")]
struct List<'a> {
    version: &'a str,
    frozen: &'a [AgentView],
    others: &'a [AgentView],
}

#[derive(Template)]
#[template(path = "agent.html")]
struct AgentPage {
    frame: Frame,
    agent: AgentView,
    facts: Vec<Fact>,
    requests: String,
    /// The denied requests that froze it.
    denied: Vec<ApprovalView>,
    state: String,
}

/// The part that changes while the page is open.
#[derive(Template)]
#[template(path = "agent_state.html")]
struct StatePart<'a> {
    version: &'a str,
    agent: &'a AgentView,
    csrf: &'a str,
    may: May,
    terms: &'a str,
    earlier: &'a [FreezeView],
}

/// One agent.
struct AgentView {
    key: String,
    who: Who,
    seen: Option<Time>,
    freeze: Option<FreezeView>,
}

/// One freeze.
struct FreezeView {
    id: String,
    since: Time,
    why: String,
    /// The human's words, where a human froze it.
    note: Option<String>,
    cleared: Option<(String, Time, String)>,
}

/// `GET /agents`
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    let (frozen, others) = agents(&call.app).await?;
    let (_, list) = versioned(|version| List { version, frozen: &frozen, others: &others }.render())?;
    whole_page(&ListPage { frame: Frame::new("agents", call.caller.as_ref()), list })
}

/// `GET /agents/list?seen=`
pub(crate) async fn live(call: Call) -> Result<Response, Problem> {
    let (frozen, others) = agents(&call.app).await?;
    fragment(|version| List { version, frozen: &frozen, others: &others }.render(), call.query("seen"))
}

/// `GET /agents/{key}`
pub(crate) async fn page(call: Call) -> Result<Response, Problem> {
    let agent = named(&call).await?;
    let freezes = freezes(&call.app, &agent).await?;
    let (_, state) = versioned(|version| state_part(&call.app, call.known().ok(), &agent, &freezes, version))?;
    let subject = &agent.subject;
    let facts = vec![
        view::said("Owner", subject.owner.as_deref().unwrap_or("nobody named")),
        view::fact("Token's issuer", &subject.issuer),
        view::fact("Key", &agent.key),
    ];
    let frame = Frame::new("agents", call.caller.as_ref());
    let denied = denied(&call.app, agent.freeze.as_ref()).await?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let requests = format!("/requests?{}", query.append_pair("subject", &subject.id).finish());
    whole_page(&AgentPage { frame, agent: agent_view(&agent), facts, requests, denied, state })
}

/// `GET /agents/{key}/state?seen=`
pub(crate) async fn state(call: Call) -> Result<Response, Problem> {
    let agent = named(&call).await?;
    let freezes = freezes(&call.app, &agent).await?;
    let render = |version: &str| state_part(&call.app, call.known().ok(), &agent, &freezes, version);
    fragment(render, call.query("seen"))
}

/// `POST /agents/{key}/freeze`
pub(crate) async fn freeze(call: Call) -> Result<Response, Problem> {
    let agent = named(&call).await?;
    let to = format!("/agents/{}", agent.key);
    stop(&call.app, call.known()?, agent, call.form("note").unwrap_or_default()).await?;
    Ok(redirect(&to))
}

/// `POST /agents/{key}/clear`
pub(crate) async fn clear(call: Call) -> Result<Response, Problem> {
    let agent = named(&call).await?;
    let to = format!("/agents/{}", agent.key);
    let_go_on(&call.app, call.known()?, agent, call.form("note").unwrap_or_default()).await?;
    Ok(redirect(&to))
}

async fn agents(app: &App) -> Result<(Vec<AgentView>, Vec<AgentView>), Problem> {
    let agents = app.store().agents().await?;
    Ok(agents.iter().map(agent_view).partition(|agent| agent.freeze.is_some()))
}

async fn denied(app: &App, freeze: Option<&Freeze>) -> Result<Vec<ApprovalView>, Problem> {
    let Some(FreezeCause::Denials { approvals }) = freeze.map(|freeze| &freeze.cause) else { return Ok(Vec::new()) };
    let mut denied = Vec::new();
    for id in approvals {
        let ticket = app.store().approval(*id).await?;
        denied.extend(ticket.map(|ticket| view::approval(&ticket, &app.context.environments)));
    }
    Ok(denied)
}

fn agent_view(agent: &Agent) -> AgentView {
    AgentView {
        key: agent.key.clone(),
        who: view::who(&agent.subject),
        seen: agent.last_seen_at.map(view::time),
        freeze: agent.freeze.as_ref().map(freeze_view),
    }
}

fn freeze_view(freeze: &Freeze) -> FreezeView {
    let (why, note) = match &freeze.cause {
        FreezeCause::Denials { approvals } => (format!("{} requests in a row were denied", approvals.len()), None),
        FreezeCause::Human { by, note, .. } => (format!("stopped by {}", line(&by.id)), Some(note.clone())),
    };
    FreezeView {
        id: freeze.id.to_string(),
        since: view::time(freeze.at),
        why,
        note,
        cleared: freeze
            .cleared
            .as_ref()
            .map(|word| (line(&word.by.id).into_owned(), view::time(word.at), word.note.clone())),
    }
}

fn state_part(
    app: &App,
    caller: Option<&Caller>,
    agent: &Agent,
    freezes: &[Freeze],
    version: &str,
) -> Result<String, askama::Error> {
    let earlier: Vec<_> = freezes.iter().filter(|freeze| !freeze.is_active()).map(freeze_view).collect();
    StatePart {
        version,
        agent: &agent_view(agent),
        csrf: caller.and_then(|caller| caller.csrf.as_deref()).unwrap_or_default(),
        may: view::may(app, caller),
        terms: &agent.freeze.as_ref().map(|freeze| view::terms("Clears", &freeze.terms)).unwrap_or_default(),
        earlier: &earlier,
    }
    .render()
}
