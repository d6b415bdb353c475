//! The live list of calls, and one call's whole record.

use askama::Template;
use axum::response::Response;
use lockgate_core::AuditRecord;
use lockgate_store::AuditFilter;
use url::form_urlencoded;

use super::view::{self, Fact, Place, Time, Who};
use super::{Frame, fragment, page as whole_page, versioned};
use crate::api::audit;
use crate::context::App;
use crate::problem::Problem;
use crate::routes::Call;

/// Rows on a page.
const ROWS: u32 = 60;

/// The fields by which the page filters, in the form's order; names as in the API.
const FILTERS: &[&str] = &[
    "subject",
    "cluster",
    "namespace",
    "verb",
    "resource",
    "name",
    "effect",
    "outcome",
    "approvalId",
    "sessionId",
    "shadowDiffers",
];

#[derive(Template)]
#[template(path = "requests.html")]
struct RequestsPage {
    frame: Frame,
    fields: Vec<Field>,
    filtered: bool,
    list: String,
}

/// A field of the filter form.
struct Field {
    name: &'static str,
    label: &'static str,
    value: String,
    choices: &'static [&'static str],
}

#[derive(Template)]
#[template(path = "requests_list.html")]
struct RequestsList<'a> {
    version: &'a str,
    query: &'a str,
    first: bool,
    rows: &'a [Row],
    older: Option<&'a str>,
}

struct Row {
    id: String,
    at: Time,
    who: Option<Who>,
    place: Place,
    verb: String,
    rest: String,
    effect: &'static str,
    outcome: &'static str,
    status: String,
    recorded: bool,
}

#[derive(Template)]
#[template(path = "request.html")]
struct RequestPage {
    frame: Frame,
    row: Row,
    record: String,
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPart {
    id: String,
    command: Vec<String>,
    groups: Vec<(&'static str, Vec<Fact>)>,
    reasons: Vec<String>,
    message: Option<String>,
    payload: Option<String>,
}

/// `GET /requests`
pub(crate) async fn list(call: Call) -> Result<Response, Problem> {
    let (_, text) = versioned_list(&call).await?;
    let fields: Vec<_> = FILTERS.iter().map(|name| field(name, call.query(name))).collect();
    whole_page(&RequestsPage {
        frame: Frame::new("requests", call.caller.as_ref()),
        filtered: fields.iter().any(|field| !field.value.is_empty()),
        fields,
        list: text,
    })
}

/// `GET /requests/list?seen=` with the filters of the page
pub(crate) async fn live(call: Call) -> Result<Response, Problem> {
    let (rows, query, older) = rows(&call).await?;
    let first = call.query("before").is_none();
    fragment(
        |version| RequestsList { version, query: &query, first, rows: &rows, older: older.as_deref() }.render(),
        call.query("seen"),
    )
}

/// `GET /requests/{id}`
pub(crate) async fn page(call: Call) -> Result<Response, Problem> {
    let record = record(&call).await?;
    whole_page(&RequestPage {
        frame: Frame::new("requests", call.caller.as_ref()),
        row: row(&call.app, &record),
        record: part(&record).render().map_err(|error| Problem::internal(&error))?,
    })
}

/// `GET /requests/{id}/row`: the whole record, to stand below its row.
pub(crate) async fn row_of(call: Call) -> Result<Response, Problem> {
    whole_page(&part(&record(&call).await?))
}

async fn record(call: &Call) -> Result<AuditRecord, Problem> {
    call.app.store().audit_record(call.id("id")?).await?.ok_or_else(|| Problem::not_found("such call"))
}

async fn versioned_list(call: &Call) -> Result<(String, String), Problem> {
    let (rows, query, older) = rows(call).await?;
    let first = call.query("before").is_none();
    versioned(|version| RequestsList { version, query: &query, first, rows: &rows, older: older.as_deref() }.render())
}

/// The rows, the filters as a query, and the query of the page after.
async fn rows(call: &Call) -> Result<(Vec<Row>, String, Option<String>), Problem> {
    let filter = AuditFilter { limit: ROWS, ..audit::filter(call)? };
    let records = call.app.store().audit_records(&filter).await?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in FILTERS {
        if let Some(value) = call.query(name) {
            query.append_pair(name, &value);
        }
    }
    let query = query.finish();
    let full = u32::try_from(records.len()).is_ok_and(|found| found >= ROWS);
    let older = records.last().filter(|_| full).map(|last| format!("{query}&before={}", last.id));
    Ok((records.iter().map(|record| row(&call.app, record)).collect(), query, older))
}

fn row(app: &App, record: &AuditRecord) -> Row {
    let (verb, rest) = view::headline(record);
    Row {
        id: record.id.to_string(),
        at: view::time(record.started_at),
        who: record.subject.as_ref().map(view::who),
        place: view::place(&record.cluster, &app.context.environments),
        verb,
        rest,
        effect: match record.decision.as_ref().map(|decision| decision.effect) {
            Some(lockgate_core::Effect::Allow) => "allow",
            Some(lockgate_core::Effect::Deny) => "deny",
            Some(lockgate_core::Effect::Ask) => "ask",
            None => "",
        },
        outcome: view::outcome(record),
        status: record.response.as_ref().map(|response| response.status.to_string()).unwrap_or_default(),
        recorded: record.session_id.is_some(),
    }
}

fn part(record: &AuditRecord) -> RecordPart {
    RecordPart {
        id: record.id.to_string(),
        command: record.options.exec.as_ref().map(|exec| view::argv(&exec.argv)).unwrap_or_default(),
        groups: vec![
            ("Who", who(record)),
            ("What", what(record)),
            ("Decision", decision(record)),
            ("Outcome", outcome(record)),
        ],
        reasons: record
            .decision
            .iter()
            .flat_map(|decision| &decision.reasons)
            .map(|reason| crate::inert::line(reason).into_owned())
            .collect(),
        message: record.message.clone().filter(|message| !message.is_empty()),
        payload: record.request.payload.as_ref().map(view::yaml_html),
    }
}

fn who(record: &AuditRecord) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(subject) = &record.subject {
        facts.push(view::said("Subject", &subject.name()));
        facts.extend(subject.owner.iter().map(|owner| view::said("Owner", owner)));
        facts.extend(subject.on_behalf_of.iter().map(|person| view::said("On behalf of", person)));
        facts.push(view::said("Groups", &subject.groups.join(", ")));
        facts.push(view::fact("Token's issuer", &subject.issuer));
        facts.extend(subject.token_id.iter().map(|token| view::fact("Token", token)));
    } else {
        facts.push(view::said("Subject", "not authenticated"));
    }
    facts.push(view::fact("Address", &record.source.ip.to_string()));
    facts.push(view::fact("User agent", &record.source.user_agent));
    facts
}

fn what(record: &AuditRecord) -> Vec<Fact> {
    let mut facts = vec![
        view::said("Cluster", &record.cluster),
        view::fact("Request", &format!("{} {}", record.method, record.request_uri)),
    ];
    if let Some(action) = &record.action {
        facts.push(view::fact("Resource", &view::resource(action)));
        facts.extend(action.namespace.iter().map(|namespace| view::fact("Namespace", namespace)));
        facts.extend(action.name.iter().map(|name| view::fact("Name", name)));
        facts.push(view::said("Risk", view::risk(action.risk).1));
    }
    facts.extend(view::options(&record.options));
    facts.push(view::said("Body", &view::bytes(record.request.bytes)));
    facts.extend(record.request.content_type.iter().map(|kind| view::fact("Content type", kind)));
    if record.request.bytes > 0 {
        facts.push(view::fact("Body's SHA-256", &record.request.sha256));
    }
    facts
}

fn decision(record: &AuditRecord) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(decision) = &record.decision {
        facts.push(view::said("Effect", &format!("{:?}", decision.effect).to_lowercase()));
        facts.extend(decision.policy_effect.map(|effect| view::said("Policy said", effect.as_str())));
        facts.push(view::fact("Rule", decision.rule.as_deref().unwrap_or("none matched")));
        match &decision.policy {
            Some(policy) => {
                facts.push(view::said("Policy revision", &policy.revision.to_string()));
                facts.push(view::said("Policy by", &policy.author));
                facts.push(view::fact("Policy's SHA-256", &policy.digest));
            }
            None => facts.push(view::fact("Policy revision", &decision.policy_revision)),
        }
        if let Some(shadow) = &decision.shadow {
            let rule = shadow.rule.as_deref().map(|rule| format!(" by rule {rule}")).unwrap_or_default();
            facts.push(view::said("Candidate would", &format!("{}{rule}", shadow.effect.as_str())));
            facts.push(view::fact("Candidate's SHA-256", &shadow.policy_revision));
        }
    } else {
        facts.push(view::said("Effect", "refused before a decision"));
    }
    facts.extend(record.approval_id.map(|id| view::linked("Approval", &id.to_string(), format!("/approvals/{id}"))));
    facts
}

fn outcome(record: &AuditRecord) -> Vec<Fact> {
    let mut facts =
        vec![view::said("Outcome", view::outcome(record)), view::said("Started", &record.started_at.to_string())];
    if let Some(at) = record.finished_at {
        let took = at.since(record.started_at).as_micros();
        facts.push(view::said("Finished", &format!("{at} (after {}.{:03} ms)", took / 1_000, took % 1_000)));
    }
    if let Some(upstream) = &record.upstream {
        facts.push(view::fact("Upstream user", &upstream.user));
        facts.extend(upstream.status.map(|status| view::fact("Upstream status", &status.to_string())));
    }
    if record.request.restored > 0 {
        facts.push(view::said("Masked values kept", &record.request.restored.to_string()));
    }
    if let Some(response) = &record.response {
        facts.push(view::fact("Status", &response.status.to_string()));
        facts.push(view::said("Answer", &view::bytes(response.bytes)));
        facts.push(view::said("Values masked", &response.masked.to_string()));
        if response.hidden > 0 {
            facts.push(view::said("Objects hidden", &response.hidden.to_string()));
        }
    }
    facts.extend(record.session_id.map(|id| view::linked("Recording", &id.to_string(), format!("/sessions/{id}"))));
    facts
}

fn field(name: &'static str, value: Option<String>) -> Field {
    let (label, choices): (_, &'static [&'static str]) = match name {
        "subject" => ("Who", &[]),
        "cluster" => ("Cluster", &[]),
        "namespace" => ("Namespace", &[]),
        "verb" => ("Verb", &["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]),
        "resource" => ("Resource", &[]),
        "name" => ("Name", &[]),
        "effect" => ("Decision", &["allow", "deny", "ask"]),
        "outcome" => ("Outcome", &["completed", "refused", "failed", "aborted", "unknown"]),
        "approvalId" => ("Approval", &[]),
        "shadowDiffers" => ("Candidate differs", &["true"]),
        _ => ("Recording", &[]),
    };
    Field { name, label, value: value.unwrap_or_default(), choices }
}
