//! A console over a real store, with people and agents whose tokens say who they are, and an identity provider that
//! gives such tokens for codes of the same form.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Form, Query};
use axum::response::{Json, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Request, StatusCode, header};
use lockgate_auth::{AuthError, Authenticated};
use lockgate_console::oidc::ClientId;
use lockgate_console::outbound::{Outbound, Roots};
use lockgate_console::{Authenticator, Console, ConsoleContext, Groups, SignIn};
use lockgate_core::{Clock, Secret, Subject, SubjectKind, Timestamp};
use lockgate_store::Store;
use serde_json::{Value, json};
use testkit::clock::PausedClock;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use url::Url;

pub const PUBLIC_URL: &str = "https://gate.example.com:8444/";

/// A console, its store and its clock.
pub struct World {
    pub router: Router,
    pub store: Store,
    pub clock: PausedClock,
    pub shutdown: CancellationToken,
    pub issuer: Url,
    directory: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// 2026-11-25T01:00:00Z
pub const START: i64 = 1_795_568_400;

impl World {
    pub async fn new() -> Self {
        Self::at(PausedClock::at(Timestamp::from_seconds(START)), PUBLIC_URL).await
    }

    pub async fn at(clock: PausedClock, public_url: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("lockgate-console-{}", uuid::Uuid::now_v7()));
        let store = Store::open_directory(&directory, Arc::new(clock.clone()), "test".into()).await.unwrap();
        store.heartbeat().await.unwrap();
        let issuer = provider().await;
        let shutdown = CancellationToken::new();
        let context = ConsoleContext {
            store: store.clone(),
            authenticator: Arc::new(Tokens { issuer: issuer.to_string() }),
            sign_in: SignIn {
                issuer: issuer.clone(),
                client: ClientId { id: "lockgate-console".into(), secret: Some(Secret::new("s".into())) },
                scopes: vec!["openid".into()],
                public_url: public_url.parse().unwrap(),
                outbound: Outbound::new(&Roots::System).unwrap(),
            },
            approvers: Groups(vec!["sre".into()]),
            auditors: Groups(vec!["audit".into()]),
            sign_in_age_max: Duration::from_secs(300),
            environments: BTreeMap::from([
                ("shop".into(), "production".into()),
                ("shop-staging".into(), "staging".into()),
                ("sandbox".into(), "development".into()),
            ]),
            shutdown: shutdown.clone(),
        };
        Self { router: Console::router(context), store, clock, shutdown, issuer, directory }
    }

    /// The token of this name: `agent`, `other-agent`, `stranger`, `auditor`, `approver`, `approver2`, `owner`; signed in
    /// so many seconds ago.
    pub fn token(&self, name: &str, signed_in_ago: i64) -> String {
        token(name, self.clock.now().seconds() - signed_in_ago, None)
    }

    pub async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn api(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
        let response = self.send(request.body(body).unwrap()).await;
        let status = response.status();
        let text = text(response).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Signs a browser in as this person, through the provider.
    pub async fn browser(&self, name: &str, signed_in_ago: i64) -> Browser {
        let at = self.clock.now().seconds() - signed_in_ago;
        let (response, _) = self.trip(name, at, "/sign-in/start?next=/approvals", None).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{}", text(response).await);
        let cookie = cookie_of(&response, "__Host-lockgate=").unwrap();
        let mut browser = Browser { cookie, csrf: String::new() };
        let (_, page) = self.page(&browser, "/approvals").await;
        let form = page.split_once("name=\"csrf\" value=\"").map(|(_, rest)| rest.split('"').next().unwrap());
        // A stranger's page is a refusal; it has the form too.
        browser.csrf = form.unwrap_or_default().to_owned();
        browser
    }

    /// Goes to the provider and comes back with a code for this person. `cookie` replaces the trip's own.
    pub async fn trip(&self, name: &str, auth_time: i64, start: &str, cookie: Option<&str>) -> (Response, String) {
        let response = self.send(Request::get(start).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let location: Url = response.headers()[header::LOCATION].to_str().unwrap().parse().unwrap();
        let query: BTreeMap<_, _> = location.query_pairs().into_owned().collect();
        let own = cookie_of(&response, "__Host-lockgate-sign-in=").unwrap();
        let code = token(name, auth_time, Some(&query["nonce"]));
        let back = format!("/sign-in/callback?code={code}&state={}", query["state"]);
        let request = Request::get(&back).header(header::COOKIE, cookie.unwrap_or(&own)).body(Body::empty()).unwrap();
        (self.send(request).await, location.to_string())
    }

    pub async fn page(&self, browser: &Browser, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).header(header::COOKIE, &browser.cookie).body(Body::empty()).unwrap();
        let response = self.send(request).await;
        (response.status(), text(response).await)
    }

    pub async fn post(&self, browser: &Browser, path: &str, form: &[(&str, &str)]) -> Response {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(path)
            .header(header::COOKIE, &browser.cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap();
        self.send(request).await
    }
}

/// A browser that is signed in.
pub struct Browser {
    pub cookie: String,
    pub csrf: String,
}

pub async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 16 * 1024 * 1024).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn cookie_of(response: &Response, start: &str) -> Option<String> {
    let cookies = response.headers().get_all(header::SET_COOKIE);
    let found = cookies.iter().filter_map(|value| value.to_str().ok()).find(|value| value.starts_with(start))?;
    assert!(found.contains("; Secure; HttpOnly; SameSite=Lax"), "{found}");
    Some(found.split(';').next()?.to_owned())
}

fn token(name: &str, auth_time: i64, nonce: Option<&str>) -> String {
    let claims = json!({"name": name, "auth_time": auth_time, "nonce": nonce});
    format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

pub fn subject(issuer: &str, name: &str) -> Option<Subject> {
    let (kind, groups): (_, &[&str]) = match name {
        "agent" | "other-agent" => (SubjectKind::Agent, &["deployers", "sre"]),
        "stranger" => (SubjectKind::Human, &["people"]),
        "auditor" => (SubjectKind::Human, &["audit"]),
        "approver" | "approver2" | "owner" => (SubjectKind::Human, &["people", "sre"]),
        _ => return None,
    };
    Some(Subject {
        issuer: issuer.trim_end_matches('/').to_owned(),
        id: name.to_owned(),
        kind,
        owner: (kind == SubjectKind::Agent).then(|| "owner".to_owned()),
        on_behalf_of: None,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        token_id: None,
    })
}

/// Tokens that say who they are.
struct Tokens {
    issuer: String,
}

#[async_trait::async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, authorization: &[&[u8]], now: Timestamp) -> Result<Authenticated, AuthError> {
        let [value] = authorization else { return Err(AuthError::Missing) };
        let text = std::str::from_utf8(value).unwrap();
        self.authenticate_token(text.strip_prefix("Bearer ").ok_or(AuthError::MalformedHeader)?, now).await
    }

    async fn authenticate_token(&self, token: &str, now: Timestamp) -> Result<Authenticated, AuthError> {
        let claim = |name| lockgate_console::oidc::claim(token, name);
        let name = claim("name").ok_or(AuthError::MalformedToken)?;
        Ok(Authenticated {
            subject: subject(&self.issuer, name.as_str().unwrap()).ok_or(AuthError::Signature)?,
            expires_at: now.plus(Duration::from_secs(3600)),
            auth_time: claim("auth_time").and_then(|at| at.as_i64()).map(Timestamp::from_seconds),
            audiences: vec![],
        })
    }
}

/// An identity provider on loopback: a code is the ID token itself. Its authorization endpoint signs everybody in at once
/// as whoever the preview wants.
async fn provider() -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let base = issuer.as_str().trim_end_matches('/').to_owned();
    let discovery = json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
    });
    let router = Router::new()
        .route("/.well-known/openid-configuration", axum::routing::get(move || async move { Json(discovery) }))
        .route("/authorize", axum::routing::get(authorize))
        .route("/token", axum::routing::post(redeem));
    tokio::spawn(async move { axum::serve(listener, router).await });
    issuer
}

async fn authorize(Query(query): Query<BTreeMap<String, String>>) -> Redirect {
    let now = jiff::Timestamp::now().as_second();
    let name = std::env::var("PREVIEW_AS").unwrap_or_else(|_| "approver".into());
    let code = token(&name, now, query.get("nonce").map(String::as_str));
    Redirect::to(&format!("{}?code={code}&state={}", query["redirect_uri"], query["state"]))
}

async fn redeem(Form(form): Form<BTreeMap<String, String>>) -> Json<Value> {
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["code_verifier"].len(), 43);
    Json(json!({"id_token": form["code"], "access_token": "opaque", "token_type": "Bearer"}))
}
