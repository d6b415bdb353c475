//! The approvals inbox, and the page on which a person decides.

use askama::Template;
use axum::response::Response;
use lockgate_core::{Approval, ApprovalId, ApprovalState};
use lockgate_store::{ApprovalFilter, FreezeFilter};

use super::view::{self, ApprovalView, Fact, May, Time, Who};
use super::{Frame, fragment, page as whole_page, redirect, versioned};
use crate::api::approvals::{ask_again, decide};
use crate::context::App;
use crate::identity::Caller;
use crate::problem::Problem;
use crate::routes::Call;

/// Earlier tickets below the pending ones.
const EARLIER_SHOWN: usize = 30;
/// Earlier decisions like the one on the page.
const ALIKE_SHOWN: usize = 8;
/// How many tickets are looked through for them.
const ALIKE_SEARCHED: u32 = 200;

#[derive(Template)]
#[template(path = "approvals.html")]
struct InboxPage {
    frame: Frame,
    list: String,
}

#[derive(Template)]
#[template(path = "approvals_list.html")]
struct InboxList<'a> {
    version: &'a str,
    pending: &'a [ApprovalView],
    earlier: &'a [ApprovalView],
    /// How many agents are frozen.
    frozen: usize,
}

#[derive(Template)]
#[template(path = "approval.html")]
struct ApprovalPage {
    frame: Frame,
    approval: ApprovalView,
    verb: String,
    resource: String,
    target: String,
    command: Vec<String>,
    who: Vec<Fact>,
    place: Vec<Fact>,
    what: Vec<Fact>,
    provenance: Vec<Fact>,
    payload: Option<String>,
    alike: Vec<ApprovalView>,
    state: String,
}

/// The part that changes while the page is open.
#[derive(Template)]
#[template(path = "approval_state.html")]
struct StatePart<'a> {
    version: &'a str,
    approval: &'a ApprovalView,
    csrf: &'a str,
    may: May,
    terms: &'a str,
    words: &'a [WordView],
    used_by: &'a [(String, Time)],
    reopened: Option<&'a (Who, Time)>,
}

/// One human's word.
struct WordView {
    who: Who,
    approved: bool,
    at: Time,
}

/// `GET /approvals`
pub(crate) async fn inbox(call: Call) -> Result<Response, Problem> {
    let (pending, earlier) = tickets(&call.app).await?;
    let frozen = frozen(&call.app).await?;
    let (_, list) = versioned(|version| InboxList { version, pending: &pending, earlier: &earlier, frozen }.render())?;
    whole_page(&InboxPage { frame: Frame::new("approvals", call.caller.as_ref()), list })
}

/// `GET /approvals/list?seen=`
pub(crate) async fn live(call: Call) -> Result<Response, Problem> {
    let (pending, earlier) = tickets(&call.app).await?;
    let frozen = frozen(&call.app).await?;
    fragment(|version| InboxList { version, pending: &pending, earlier: &earlier, frozen }.render(), call.query("seen"))
}

/// `GET /approvals/{id}`
pub(crate) async fn page(call: Call) -> Result<Response, Problem> {
    let approval = ticket(&call).await?;
    let environments = &call.app.context.environments;
    let action = &approval.action;
    let (_, state) = versioned(|version| state_part(&call.app, call.known().ok(), &approval, version))?;
    let mut what = vec![view::fact("API path", &action.path), view::fact("API version", &group_version(&approval))];
    what.extend(view::options(&approval.options));
    what.extend(approval.target_uid.iter().map(|uid| view::fact("Object's UID", uid)));
    whole_page(&ApprovalPage {
        frame: Frame::new("approvals", call.caller.as_ref()),
        verb: action.verb.to_string(),
        resource: view::resource(action),
        target: view::target(action),
        command: approval.options.exec.as_ref().map(|exec| view::argv(&exec.argv)).unwrap_or_default(),
        who: who_facts(&approval),
        place: place_facts(&approval),
        what,
        provenance: vec![
            view::fact("Rule", approval.rule.as_deref().unwrap_or("")),
            view::fact("Policy revision", &approval.policy_revision),
            view::fact("Fingerprint", &approval.fingerprint),
            view::linked("Held call", &approval.audit_id.to_string(), format!("/requests/{}", approval.audit_id)),
            view::fact("Ticket", &approval.id.to_string()),
        ],
        payload: approval.payload.as_ref().map(view::yaml_html),
        alike: alike(&call.app, &approval).await?,
        approval: view::approval(&approval, environments),
        state,
    })
}

/// `GET /approvals/{id}/state?seen=`
pub(crate) async fn state(call: Call) -> Result<Response, Problem> {
    let approval = ticket(&call).await?;
    fragment(|version| state_part(&call.app, call.known().ok(), &approval, version), call.query("seen"))
}

/// `POST /approvals/{id}/approve`
pub(crate) async fn approve(call: Call) -> Result<Response, Problem> {
    decided(call, true).await
}

/// `POST /approvals/{id}/deny`
pub(crate) async fn deny(call: Call) -> Result<Response, Problem> {
    decided(call, false).await
}

/// `POST /approvals/{id}/reopen`
pub(crate) async fn reopen(call: Call) -> Result<Response, Problem> {
    let id: ApprovalId = call.id("id")?;
    ask_again(&call.app, call.known()?, id, call.form("note")).await?;
    Ok(redirect(&format!("/approvals/{id}")))
}

async fn decided(call: Call, approve: bool) -> Result<Response, Problem> {
    let id: ApprovalId = call.id("id")?;
    decide(&call.app, call.known()?, id, approve, call.form("note")).await?;
    Ok(redirect(&format!("/approvals/{id}")))
}

async fn frozen(app: &App) -> Result<usize, Problem> {
    let active = FreezeFilter { active: true, ..FreezeFilter::default() };
    Ok(app.store().freezes(&active).await?.len())
}

async fn ticket(call: &Call) -> Result<Approval, Problem> {
    call.app.store().approval(call.id("id")?).await?.ok_or_else(|| Problem::not_found("such approval"))
}

async fn tickets(app: &App) -> Result<(Vec<ApprovalView>, Vec<ApprovalView>), Problem> {
    let environments = &app.context.environments;
    let pending = ApprovalFilter { state: Some(ApprovalState::Pending), limit: 200, ..ApprovalFilter::default() };
    let pending = app.store().approvals(&pending).await?;
    let newest = app.store().approvals(&ApprovalFilter::default()).await?;
    let earlier = newest.iter().filter(|ticket| ticket.state != ApprovalState::Pending).take(EARLIER_SHOWN);
    Ok((
        pending.iter().map(|ticket| view::approval(ticket, environments)).collect(),
        earlier.map(|ticket| view::approval(ticket, environments)).collect(),
    ))
}

/// Earlier decisions on the same kind of request by the same agent.
async fn alike(app: &App, approval: &Approval) -> Result<Vec<ApprovalView>, Problem> {
    let filter = ApprovalFilter {
        subject: Some(approval.subject.clone()),
        before: Some(approval.id),
        limit: ALIKE_SEARCHED,
        ..ApprovalFilter::default()
    };
    let same = |other: &&Approval| {
        !other.decided_by.is_empty()
            && other.cluster == approval.cluster
            && other.action.verb == approval.action.verb
            && other.action.resource_path() == approval.action.resource_path()
    };
    let found = app.store().approvals(&filter).await?;
    let shown = found.iter().filter(same).take(ALIKE_SHOWN);
    Ok(shown.map(|ticket| view::approval(ticket, &app.context.environments)).collect())
}

fn state_part(app: &App, caller: Option<&Caller>, approval: &Approval, version: &str) -> Result<String, askama::Error> {
    let words: Vec<_> = approval
        .decided_by
        .iter()
        .map(|word| WordView { who: view::who(&word.subject), approved: word.approved, at: view::time(word.at) })
        .collect();
    let reopened = approval.reopened_by.as_ref().map(|word| (view::who(&word.subject), view::time(word.at)));
    let used_by: Vec<_> =
        approval.dispatches.iter().map(|used| (used.audit_id.to_string(), view::time(used.at))).collect();
    StatePart {
        version,
        approval: &view::approval(approval, &app.context.environments),
        csrf: caller.and_then(|caller| caller.csrf.as_deref()).unwrap_or_default(),
        may: view::may(app, caller),
        terms: &view::terms("Decides", &approval.terms),
        reopened: reopened.as_ref(),
        words: &words,
        used_by: &used_by,
    }
    .render()
}

fn who_facts(approval: &Approval) -> Vec<Fact> {
    let subject = &approval.subject;
    vec![
        view::said("Agent", &subject.id),
        view::said("Owner", subject.owner.as_deref().unwrap_or("nobody named")),
        view::said("On behalf of", subject.on_behalf_of.as_deref().unwrap_or("")),
        view::said("Groups", &subject.groups.join(", ")),
        view::fact("Token's issuer", &subject.issuer),
    ]
}

fn place_facts(approval: &Approval) -> Vec<Fact> {
    vec![
        view::said("Cluster", &approval.cluster),
        view::said("Namespace", approval.action.namespace.as_deref().unwrap_or("none: cluster-wide")),
    ]
}

fn group_version(approval: &Approval) -> String {
    let action = &approval.action;
    if action.api_group.is_empty() {
        action.api_version.clone()
    } else {
        format!("{}/{}", action.api_group, action.api_version)
    }
}
