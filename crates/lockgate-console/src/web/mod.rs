//! The pages: rendered on the server, brought up to date by htmx, and nothing inline (the content security policy
//! allows no inline script or style). Whatever a page says has gone through [`crate::inert`].

pub(crate) mod agents;
pub(crate) mod approvals;
mod desk;
pub(crate) mod requests;
pub(crate) mod sessions;
mod view;

use askama::Template;
use aws_lc_rs::digest;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use lockgate_core::SubjectKind;
use subtle::ConstantTimeEq;
use url::form_urlencoded;

pub(crate) use desk::SignInDesk;

use crate::assets;
use crate::identity::Caller;
use crate::inert;
use crate::oidc::{self, Freshness};
use crate::problem::Problem;
use crate::routes::Call;
use desk::{SESSION_COOKIE, TRIP_COOKIE, TRIP_LIFETIME};

/// For every page; the recording's page may also run the player's WebAssembly.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const CSP_PLAYER: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every page shows around its own content.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) tab: &'static str,
    pub(crate) person: Option<Person>,
}

/// Who is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) role: &'static str,
    pub(crate) csrf: String,
}

impl Frame {
    pub(crate) fn new(tab: &'static str, caller: Option<&Caller>) -> Self {
        let person = caller.map(|caller| Person {
            name: caller.subject.id.clone(),
            role: caller.role.as_str(),
            csrf: caller.csrf.clone().unwrap_or_default(),
        });
        Self { tab, person }
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    link: String,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    title: &'static str,
    message: String,
    next: Option<String>,
    link: Option<String>,
}

/// `GET /`
pub(crate) async fn home(call: Call) -> Result<Response, Problem> {
    call.known()?;
    Ok(redirect("/approvals"))
}

/// `GET /sign-in`
pub(crate) async fn sign_in_page(call: Call) -> Result<Response, Problem> {
    let next = local(call.query("next"));
    let link = format!(
        "/sign-in/start?{}",
        form_urlencoded::Serializer::new(String::new()).append_pair("next", &next).finish()
    );
    page(&SignInPage { frame: Frame::new("", None), link })
}

/// `GET /sign-in/start?next=&fresh=1`: straight to the identity provider.
pub(crate) async fn sign_in_start(call: Call) -> Result<Response, Problem> {
    let freshness = if call.query("fresh").is_some() { Freshness::Now } else { Freshness::Any };
    let next = local(call.query("next"));
    let (state, url) = call.app.desk.begin(freshness, next, call.app.now()).await.map_err(provider_problem)?;
    let mut response = redirect(url.as_str());
    set_cookie(&mut response, TRIP_COOKIE, &state, TRIP_LIFETIME.as_secs());
    Ok(response)
}

/// `GET /sign-in/callback`: back from the identity provider.
pub(crate) async fn sign_in_callback(call: Call) -> Result<Response, Problem> {
    let refused = |message: &str| {
        Problem::new(StatusCode::FORBIDDEN, "signInFailed", message).next("Start the sign-in again from this browser.")
    };
    let (desk, now) = (&call.app.desk, call.app.now());
    let state = call.query("state").unwrap_or_default();
    let under_way = desk
        .end(&call.headers, &state, now)
        .ok_or_else(|| refused("This sign-in was not begun in this browser, took too long, or is already done."))?;
    if let Some(error) = call.query("error") {
        let words = call.query("error_description").unwrap_or_default();
        return Err(refused(&format!("The identity provider refused the sign-in: {error} {words}")));
    }
    let code = call.query("code").ok_or_else(|| refused("The identity provider sent no code."))?;
    let oidc = desk.oidc().await.map_err(provider_problem)?;
    let tokens = oidc.redeem(&code, &desk.redirect(), &under_way.trip).await.map_err(provider_problem)?;
    let token = tokens.id_token.ok_or_else(|| refused("The identity provider sent no ID token."))?;
    let who = call.app.context.authenticator.authenticate_token(token.expose(), now).await?;
    if oidc::claim(token.expose(), "nonce") != Some(under_way.trip.nonce.as_str().into()) {
        return Err(refused("The identity provider's answer is not for this sign-in."));
    }
    if who.subject.kind != SubjectKind::Human {
        return Err(refused("Only people sign in here; this identity is an agent's."));
    }
    let age_max = call.app.context.sign_in_age_max;
    let fresh = who.auth_time.is_some_and(|at| now.since(at) <= age_max);
    if under_way.trip.freshness == Freshness::Now && !fresh {
        return Err(refused("The identity provider did not ask you to sign in again, so you cannot decide."));
    }
    let value = desk.sign_in(&call.headers, who, now).map_err(provider_problem)?;
    let mut response = redirect(&under_way.next);
    set_cookie(&mut response, SESSION_COOKIE, &value, 8 * 3600);
    set_cookie(&mut response, TRIP_COOKIE, "", 0);
    Ok(response)
}

/// `POST /sign-out`
pub(crate) async fn sign_out(call: Call) -> Result<Response, Problem> {
    call.app.desk.sign_out(&call.headers);
    let mut response = redirect("/sign-in");
    set_cookie(&mut response, SESSION_COOKIE, "", 0);
    Ok(response)
}

/// `GET /assets/{name}`
pub(crate) async fn asset(call: Call) -> Result<Response, Problem> {
    assets::serve(&call.id::<String>("name")?, &call.headers)
}

fn provider_problem(error: oidc::OidcError) -> Problem {
    tracing::warn!(%error, "a browser's sign-in failed");
    Problem::new(StatusCode::BAD_GATEWAY, "signInFailed", "The identity provider did not complete the sign-in.")
        .next("Try again. If it stays so, Lockgate's log says why.")
}

/// What a browser gets instead of the page: the way to sign in, or the problem in words.
pub(crate) fn refuse(problem: &Problem, caller: Option<&Caller>, here: &Uri, htmx: bool, getting: bool) -> Response {
    let back = if getting { here.path_and_query().map_or("/", |path| path.as_str()) } else { "/approvals" };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", back).finish();
    if problem.status == StatusCode::UNAUTHORIZED && caller.is_none() {
        let link = if htmx { "/sign-in".to_owned() } else { format!("/sign-in?{query}") };
        let mut response = redirect(&link);
        if htmx {
            // A fragment cannot be a sign-in page: htmx takes the whole window there.
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            if let Ok(link) = HeaderValue::from_str(&link) {
                response.headers_mut().insert("hx-redirect", link);
            }
        }
        return response;
    }
    problem_page_with(problem, caller, here)
}

/// A problem that is not about a signed-in person's own request.
pub(crate) fn problem_page(problem: &Problem, caller: Option<&Caller>) -> Response {
    problem_page_with(problem, caller, &Uri::from_static("/"))
}

fn problem_page_with(problem: &Problem, caller: Option<&Caller>, here: &Uri) -> Response {
    let stale = problem.code == "freshSignInRequired";
    // `/approvals/apr_…/deny` → `/approvals/apr_…`
    let decided = here.path().rsplit_once('/').map_or("/approvals", |(page, _)| page);
    let fresh_link = || {
        let mut query = form_urlencoded::Serializer::new(String::new());
        format!("/sign-in/start?{}", query.append_pair("fresh", "1").append_pair("next", decided).finish())
    };
    let page = ProblemPage {
        frame: Frame::new("", caller),
        title: match problem.status {
            StatusCode::NOT_FOUND => "Not here",
            StatusCode::FORBIDDEN if stale => "Sign in again to decide",
            StatusCode::FORBIDDEN => "Not for you",
            StatusCode::CONFLICT => "Already decided",
            StatusCode::BAD_REQUEST => "That does not work",
            _ => "Something went wrong",
        },
        message: problem.message.clone(),
        next: problem.next.clone().filter(|_| !stale),
        link: stale.then(fresh_link),
    };
    let mut response = match html(&page, CSP) {
        Ok(response) => response,
        Err(problem) => return problem.json(),
    };
    *response.status_mut() = problem.status;
    response
}

/// Whether a post came from a page of ours: its anti-forgery token is this session's, and the browser names no other
/// origin.
pub(crate) fn our_own_form(
    caller: Option<&Caller>,
    desk: &SignInDesk,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(), Problem> {
    let foreign =
        || Problem::new(StatusCode::FORBIDDEN, "foreignForm", "This form was not sent from a page of this console.");
    let own = caller.and_then(|caller| caller.csrf.as_deref()).ok_or_else(foreign)?;
    let sent = form_field(body, "csrf").ok_or_else(foreign)?;
    let same: bool = own.as_bytes().ct_eq(sent.as_bytes()).into();
    let origin = headers.get(header::ORIGIN);
    let at_home = origin.is_none_or(|origin| origin.as_bytes() == desk.origin().ascii_serialization().as_bytes());
    if same && at_home { Ok(()) } else { Err(foreign()) }
}

/// A field of a posted form.
pub(crate) fn form_field(body: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A whole page.
pub(crate) fn page(template: &impl Template) -> Result<Response, Problem> {
    html(template, CSP)
}

/// A whole page with the player in it.
pub(crate) fn player_page(template: &impl Template) -> Result<Response, Problem> {
    html(template, CSP_PLAYER)
}

/// A part of a page that htmx asks for again and again: 204 (which changes nothing in the page, and leaves the focus
/// alone) while it is what the browser has already seen.
pub(crate) fn fragment(
    render: impl FnOnce(&str) -> Result<String, askama::Error>,
    seen: Option<String>,
) -> Result<Response, Problem> {
    // The version is over the content with an empty version in it.
    let (version, text) = versioned(render)?;
    if seen.as_deref() == Some(version.as_str()) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return Ok(response);
    }
    Ok(answer(text, CSP))
}

/// A fragment's text with its version written into it.
pub(crate) fn versioned(
    render: impl FnOnce(&str) -> Result<String, askama::Error>,
) -> Result<(String, String), Problem> {
    const MARK: &str = "@version@";
    let text = render(MARK).map_err(|error| Problem::internal(&error))?;
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let version: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let text = text.replace(MARK, &version);
    Ok((version, text))
}

fn html(template: &impl Template, csp: &'static str) -> Result<Response, Problem> {
    let text = template.render().map_err(|error| Problem::internal(&error))?;
    Ok(answer(text, csp))
}

/// The one way in which HTML leaves: whatever hazard a template let through is made visible here.
fn answer(text: String, csp: &'static str) -> Response {
    let mut response = Response::new(Body::from(inert::lines(&text)));
    let fixed = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, csp),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response
}

/// 303: after a form, and to the identity provider.
pub(crate) fn redirect(to: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, to);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn set_cookie(response: &mut Response, name: &str, value: &str, seconds: u64) {
    // Lax, not Strict: the way back from the identity provider is a cross-site navigation. Posts are guarded by the
    // anti-forgery token besides.
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// A path of this console, and nothing that a browser could take for another host.
fn local(next: Option<String>) -> String {
    next.filter(|next| {
        let second = next.chars().nth(1);
        next.starts_with('/')
            && !matches!(second, Some('/' | '\\'))
            && next.len() <= 2_000
            && next.chars().all(|c| c.is_ascii_graphic())
    })
    .unwrap_or_else(|| "/approvals".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_paths_are_next() {
        let to = |next: &str| local(Some(next.to_owned()));
        assert_eq!(to("/requests?verb=delete"), "/requests?verb=delete");
        for foreign in ["https://evil.example", "//evil.example", "/\\evil.example", "", "x", "/a\r\nb", "/a b"] {
            assert_eq!(to(foreign), "/approvals", "{foreign:?}");
        }
    }

    #[test]
    fn html_that_leaves_is_inert() {
        let response = answer("<p>a\u{202e}b\u{1b}[2J</p>\n".to_owned(), CSP);
        let body =
            futures_util::FutureExt::now_or_never(axum::body::to_bytes(response.into_body(), 100)).unwrap().unwrap();
        assert_eq!(body, "<p>a\\u{202e}b\\x1b[2J</p>\n");
    }
}
