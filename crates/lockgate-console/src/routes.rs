//! Every route, in one table: method, path, door, who may use it, and its handler. The router is built from the table
//! and from nothing else, so a handler cannot be reached without its access check.

use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use url::form_urlencoded;

use crate::access::Access;
use crate::api;
use crate::context::App;
use crate::identity::{Caller, Role};
use crate::problem::Problem;
use crate::web;

/// A decision's note, or a form with one: far below this.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How a caller shows who they are, and how they are told what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Bearer token in, JSON out. Cookies count for nothing here, so nothing can be forged through a browser.
    Api,
    /// A browser's session in, a page out.
    Page,
}

/// One route.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) door: Door,
    pub(crate) access: Access,
    handler: Handler,
}

/// A handler: gets an authorised call, gives an answer.
pub(crate) type Handler = fn(Call) -> Answer;
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// One authorised call.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) caller: Option<Caller>,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    path: Vec<(String, String)>,
}

macro_rules! routes {
    ($($method:ident $path:literal $door:ident $access:ident $handler:path;)*) => {
        vec![$(Route {
            method: Method::$method,
            path: $path,
            door: Door::$door,
            access: Access::$access,
            handler: |call| Box::pin($handler(call)),
        }),*]
    };
}

/// The table.
pub(crate) fn table() -> Vec<Route> {
    routes! {
        GET  "/api/v1/whoami"                       Api  Known     api::whoami;
        GET  "/api/v1/approvals"                    Api  Approvals api::approvals::list;
        GET  "/api/v1/approvals/watch"              Api  Approvals api::approvals::watch;
        GET  "/api/v1/approvals/{id}"               Api  Approvals api::approvals::show;
        POST "/api/v1/approvals/{id}/approve"       Api  Decide    api::approvals::approve;
        POST "/api/v1/approvals/{id}/deny"          Api  Decide    api::approvals::deny;
        POST "/api/v1/approvals/{id}/reopen"        Api  Decide    api::approvals::reopen;
        GET  "/api/v1/agents"                       Api  Evidence  api::agents::list;
        GET  "/api/v1/agents/{key}"                 Api  Evidence  api::agents::show;
        POST "/api/v1/agents/{key}/freeze"          Api  Decide    api::agents::freeze;
        POST "/api/v1/agents/{key}/clear"           Api  Decide    api::agents::clear;
        GET  "/api/v1/audit"                        Api  Evidence  api::audit::list;
        GET  "/api/v1/audit/tail"                   Api  Evidence  api::audit::tail;
        GET  "/api/v1/audit/{id}"                   Api  Evidence  api::audit::show;
        GET  "/api/v1/sessions"                     Api  Evidence  api::sessions::list;
        GET  "/api/v1/sessions/{id}"                Api  Evidence  api::sessions::show;
        GET  "/api/v1/sessions/{id}/recording"      Api  Evidence  api::sessions::recording;

        GET  "/"                                    Page Known     web::home;
        GET  "/sign-in"                             Page Public    web::sign_in_page;
        GET  "/sign-in/start"                       Page Public    web::sign_in_start;
        GET  "/sign-in/callback"                    Page Public    web::sign_in_callback;
        POST "/sign-out"                            Page Known     web::sign_out;
        GET  "/assets/{name}"                       Page Public    web::asset;
        GET  "/approvals"                           Page Evidence  web::approvals::inbox;
        GET  "/approvals/list"                      Page Evidence  web::approvals::live;
        GET  "/approvals/{id}"                      Page Evidence  web::approvals::page;
        GET  "/approvals/{id}/state"                Page Evidence  web::approvals::state;
        POST "/approvals/{id}/approve"              Page Decide    web::approvals::approve;
        POST "/approvals/{id}/deny"                 Page Decide    web::approvals::deny;
        POST "/approvals/{id}/reopen"               Page Decide    web::approvals::reopen;
        GET  "/agents"                              Page Evidence  web::agents::list;
        GET  "/agents/list"                         Page Evidence  web::agents::live;
        GET  "/agents/{key}"                        Page Evidence  web::agents::page;
        GET  "/agents/{key}/state"                  Page Evidence  web::agents::state;
        POST "/agents/{key}/freeze"                 Page Decide    web::agents::freeze;
        POST "/agents/{key}/clear"                  Page Decide    web::agents::clear;
        GET  "/requests"                            Page Evidence  web::requests::list;
        GET  "/requests/list"                       Page Evidence  web::requests::live;
        GET  "/requests/{id}"                       Page Evidence  web::requests::page;
        GET  "/requests/{id}/row"                   Page Evidence  web::requests::row_of;
        GET  "/sessions"                            Page Evidence  web::sessions::list;
        GET  "/sessions/list"                       Page Evidence  web::sessions::live;
        GET  "/sessions/{id}"                       Page Evidence  web::sessions::page;
        GET  "/sessions/{id}/cast"                  Page Evidence  web::sessions::cast;
        GET  "/sessions/{id}/raw/{channel}"         Page Evidence  web::sessions::raw;
    }
}

pub(crate) fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for route in table() {
        router = router.route(route.path, method(route));
    }
    router.fallback(unknown).with_state(app)
}

async fn unknown(uri: Uri) -> Response {
    let problem = Problem::not_found("such page");
    if uri.path().starts_with("/api/") { problem.json() } else { web::problem_page(&problem, None) }
}

fn method(route: Route) -> MethodRouter<Arc<App>> {
    let Route { method, door, access, handler, .. } = route;
    let filter = if method == Method::POST { MethodFilter::POST } else { MethodFilter::GET };
    on(filter, move |State(app): State<Arc<App>>, params: RawPathParams, request: Request| async move {
        let path = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let here = request.uri().clone();
        let htmx = request.headers().contains_key("hx-request");
        let getting = *request.method() == Method::GET;
        match authorised(app.clone(), door, access, path, request).await {
            Ok(call) => {
                let caller = call.caller.clone();
                match handler(call).await {
                    Ok(response) => response,
                    Err(problem) if door == Door::Api => problem.json(),
                    Err(problem) => web::refuse(&problem, caller.as_ref(), &here, htmx, getting),
                }
            }
            Err((problem, _)) if door == Door::Api => problem.json(),
            Err((problem, caller)) => web::refuse(&problem, caller.as_ref(), &here, htmx, getting),
        }
    })
}

/// Authenticates, checks the route's access, reads the body, and (for a browser's post) checks that our own page sent it.
async fn authorised(
    app: Arc<App>,
    door: Door,
    access: Access,
    path: Vec<(String, String)>,
    request: Request,
) -> Result<Call, (Problem, Option<Caller>)> {
    let (parts, body) = request.into_parts();
    let now = app.now();
    let caller = match door {
        Door::Api if access == Access::Public => None,
        Door::Api => Some(bearer(&app, &parts.headers).await.map_err(|problem| (problem, None))?),
        Door::Page => app.desk.caller(&parts.headers, &app.context, now),
    };
    let allowed = access.check(caller.as_ref(), now, app.context.sign_in_age_max);
    allowed.map_err(|problem| (problem, caller.clone()))?;
    let body = body_of(body).await.map_err(|problem| (problem, caller.clone()))?;
    if door == Door::Page && parts.method == Method::POST {
        let ours = web::our_own_form(caller.as_ref(), &app.desk, &parts.headers, &body);
        ours.map_err(|problem| (problem, caller.clone()))?;
    }
    Ok(Call { app, caller, uri: parts.uri, headers: parts.headers, body, path })
}

async fn bearer(app: &App, headers: &HeaderMap) -> Result<Caller, Problem> {
    let values: Vec<&[u8]> = headers.get_all(header::AUTHORIZATION).iter().map(http::HeaderValue::as_bytes).collect();
    let known = app.context.authenticator.authenticate(&values, app.now()).await?;
    let role = Role::of(&known.subject, &app.context);
    Ok(Caller { subject: known.subject, auth_time: known.auth_time, expires_at: known.expires_at, role, csrf: None })
}

async fn body_of(body: Body) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| {
        let message = format!("The request's body is larger than {BODY_BYTES_MAX} bytes or broke off.");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "tooLarge", message)
    })
}

impl Call {
    /// The caller; every access but `Public` has one.
    pub(crate) fn known(&self) -> Result<&Caller, Problem> {
        self.caller.as_ref().ok_or_else(Problem::not_signed_in)
    }

    /// A parameter of the path, parsed. What does not parse names nothing.
    pub(crate) fn id<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        let text = self.path.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
        text.parse().map_err(|_| Problem::not_found("such thing"))
    }

    /// A parameter of the query, if it is there and not empty.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let query = self.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.into_owned())
    }

    /// The same, parsed.
    pub(crate) fn parsed<T>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let parse = |text: String| text.parse().map_err(|error| Problem::invalid(format!("{name}: {error}")));
        self.query(name).map(parse).transpose()
    }

    /// The same for a word of one of core's enums.
    pub(crate) fn word<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parse = |text: String| {
            serde_json::from_value(text.clone().into())
                .map_err(|_| Problem::invalid(format!("{name}: {text:?} is none of its words")))
        };
        self.query(name).map(parse).transpose()
    }

    /// A field of a posted form.
    pub(crate) fn form(&self, name: &str) -> Option<String> {
        web::form_field(&self.body, name)
    }
}
