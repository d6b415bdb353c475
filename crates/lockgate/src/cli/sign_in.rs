//! `login`, `token`, `kubeconfig`, and the bearer token of every other command.

use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use lockgate_console::inert;
use lockgate_console::oidc::{self, ClientId, Freshness, Oidc, Tokens, Trip};
use lockgate_core::Secret;
use serde_json::json;
use tokio::net::TcpListener;
use url::Url;

use super::client_file::{Client, Flow, Login, Origin, Send};
use super::output::{self, Output};
use super::{Exit, api, tokens};

/// How long `login` waits for the person.
const BROWSER_SECONDS_MAX: u64 = 300;

/// Arguments of `login`.
#[derive(Debug, clap::Args)]
pub(crate) struct LoginArgs {
    /// Sign in on another device: shows a link and a code
    #[arg(long)]
    device: bool,
    /// Sign in anew even if the identity provider remembers you; deciding needs this
    #[arg(long)]
    fresh: bool,
    /// Only print the link
    #[arg(long)]
    no_browser: bool,
}

/// The token that this client file's caller sends: from the cache, renewed, or got anew where no person is needed.
///
/// # Errors
/// When a person must sign in first.
pub(crate) async fn bearer(client: &Client) -> anyhow::Result<Secret<String>> {
    let (login, cache) = match &client.origin {
        Origin::TokenFile(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("tokenFile: {}", path.display()))?;
            return Ok(Secret::new(text.trim().to_owned()));
        }
        Origin::Login { login, cache } => (login, cache),
    };
    let cached = tokens::load(cache)?;
    if let Some(token) = cached.as_ref().and_then(|cached| tokens::usable(cached, login.send(), Timestamp::now())) {
        return Ok(token.clone());
    }
    let renewal = cached.and_then(|cached| cached.refresh_token);
    let renewed = match (renewal, login.flow) {
        (_, Flow::ClientCredentials) => {
            provider(client, login).await?.client_credentials(&login.scopes(), login.resource.as_deref()).await?
        }
        (Some(refresh), Flow::Code | Flow::Device) => {
            let mut renewed = provider(client, login).await?.refresh(refresh.expose()).await.with_context(|| {
                format!("the sign-in cannot be renewed: run `lockgate login --client {}`", client.file.display())
            })?;
            renewed.refresh_token.get_or_insert(refresh);
            renewed
        }
        (None, Flow::Code | Flow::Device) => {
            bail!("not signed in, or the sign-in has ended: run `lockgate login --client {}`", client.file.display())
        }
    };
    tokens::save(cache, &renewed)?;
    sent(&renewed, login.send()).cloned()
}

/// `lockgate login`
pub(crate) async fn login(client: &Client, args: &LoginArgs) -> anyhow::Result<Exit> {
    let Origin::Login { login, cache } = &client.origin else {
        bail!("{} names a tokenFile: whatever writes that file signs in", client.file.display());
    };
    let oidc = provider(client, login).await?;
    let freshness = if args.fresh { Freshness::Now } else { Freshness::Any };
    let started = Timestamp::now();
    let got = match (login.flow, args.device) {
        (Flow::ClientCredentials, _) => oidc.client_credentials(&login.scopes(), login.resource.as_deref()).await?,
        (Flow::Device, _) | (Flow::Code, true) => device(&oidc, login, freshness).await?,
        (Flow::Code, false) => browser(&oidc, login, freshness, !args.no_browser).await?,
    };
    let token = sent(&got, login.send())?.clone();
    if args.fresh && login.flow != Flow::ClientCredentials {
        let signed_in = oidc::claim(token.expose(), "auth_time").and_then(|at| at.as_i64());
        // A minute for clocks that differ.
        if signed_in.is_none_or(|at| at.saturating_add(60) < started.as_second()) {
            bail!("the identity provider did not ask you to sign in anew (its token has no recent auth_time)");
        }
    }
    tokens::save(cache, &got)?;
    match api::Api::with_token(client, token)?.get("/api/v1/whoami", &[]).await {
        Ok(whoami) => {
            let name = whoami.pointer("/subject/id").and_then(serde_json::Value::as_str).unwrap_or("?");
            output::note(&format!("Signed in as {}.", inert::line(name)))?;
            Ok(Exit::Done)
        }
        Err(error) => Err(error.context("signed in, but Lockgate does not accept it")),
    }
}

/// `lockgate token`: an `ExecCredential` for kubectl
/// (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>).
pub(crate) async fn token(client: &Client) -> anyhow::Result<Exit> {
    let token = bearer(client).await?;
    let mut status = json!({"token": token.expose()});
    if let (Some(ends), Some(fields)) = (tokens::expiry(token.expose()), status.as_object_mut()) {
        // kubectl asks again once this has passed: a minute early, so that no call carries a token in its last second.
        let early = ends.checked_sub(Duration::from_secs(60)).context("the token's exp is out of range")?;
        fields.insert("expirationTimestamp".to_owned(), early.to_string().into());
    }
    let credential =
        json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status});
    output::data(&format!("{credential}\n"))?;
    Ok(Exit::Done)
}

/// `lockgate kubeconfig`
pub(crate) fn kubeconfig(client: &Client, out: &Output, cluster: &str, namespace: &str) -> anyhow::Result<Exit> {
    let gateway = client.gateway.as_ref().with_context(|| format!("{}: gateway is missing", client.file.display()))?;
    let server = format!("{}/clusters/{cluster}", gateway.as_str().trim_end_matches('/'));
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let mut place = json!({"server": server});
    if let (Some(ca), Some(fields)) = (&client.ca, place.as_object_mut()) {
        let encoded = base64::engine::general_purpose::STANDARD.encode(ca);
        fields.insert("certificate-authority-data".to_owned(), encoded.into());
    }
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": program,
        "args": ["token", "--client", client.file],
        "interactiveMode": "Never",
        "provideClusterInfo": false,
    });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": place}],
        "users": [{"name": "lockgate", "user": {"exec": exec}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": "lockgate", "namespace": namespace}}],
        "current-context": cluster,
    });
    out.document(&config)?;
    Ok(Exit::Done)
}

async fn provider(client: &Client, login: &Login) -> anyhow::Result<Oidc> {
    let secret = login.client_secret.as_ref().map(super::client_file::Reference::read).transpose()?;
    let id = ClientId { id: login.client_id.clone(), secret };
    Oidc::discover(client.outbound()?, &login.issuer, id)
        .await
        .with_context(|| format!("the identity provider {}", login.issuer))
}

fn sent(tokens: &Tokens, send: Send) -> anyhow::Result<&Secret<String>> {
    match send {
        Send::IdToken => tokens.id_token.as_ref().context("the identity provider gave no ID token (scope openid?)"),
        Send::AccessToken => tokens.access_token.as_ref().context("the identity provider gave no access token"),
    }
}

async fn device(oidc: &Oidc, login: &Login, freshness: Freshness) -> anyhow::Result<Tokens> {
    let device = oidc.device(&login.scopes(), freshness).await?;
    let link = device.verification_uri_complete.as_ref().unwrap_or(&device.verification_uri);
    output::note(&format!("Open {} and confirm the code {}", inert::line(link), inert::line(&device.user_code)))?;
    Ok(oidc.device_tokens(&device).await?)
}

async fn browser(oidc: &Oidc, login: &Login, freshness: Freshness, open: bool) -> anyhow::Result<Tokens> {
    let listener = TcpListener::bind(("127.0.0.1", login.redirect_port))
        .await
        .with_context(|| format!("cannot listen on 127.0.0.1:{} for the browser", login.redirect_port))?;
    let redirect = Url::parse(&format!("http://127.0.0.1:{}/callback", listener.local_addr()?.port()))?;
    let trip = Trip::new(freshness)?;
    let url = trip.url(&oidc.provider, &oidc.client, &redirect, &login.scopes());
    output::note(&format!("Sign in here: {url}"))?;
    if open && std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        // Opening is a convenience: the link above is what counts.
        if let Err(error) = tokio::process::Command::new("xdg-open")
            .arg(url.as_str())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
        {
            output::note(&format!("(no browser could be opened: {error})"))?;
        }
    }
    let wait = Duration::from_secs(BROWSER_SECONDS_MAX);
    let code = tokio::time::timeout(wait, callback(&listener, &trip.state))
        .await
        .map_err(|_| anyhow::anyhow!("nobody signed in within {BROWSER_SECONDS_MAX} s"))??;
    let tokens = oidc.redeem(&code, &redirect, &trip).await?;
    let nonce = tokens.id_token.as_ref().and_then(|token| oidc::claim(token.expose(), "nonce"));
    if nonce != Some(trip.nonce.as_str().into()) {
        bail!("the identity provider's ID token is not for this sign-in (nonce)");
    }
    Ok(tokens)
}

/// Serves the loopback redirect until the answer of this very trip arrives.
async fn callback(listener: &TcpListener, state: &str) -> anyhow::Result<String> {
    loop {
        let (socket, _) = listener.accept().await?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let sender = std::sync::Mutex::new(Some(sender));
        let service = hyper::service::service_fn(|request: Request<Incoming>| {
            let answer = answer(&request, state);
            let (status, text) = match &answer {
                Some(Ok(_)) => (StatusCode::OK, "Signed in. You can close this window."),
                Some(Err(_)) => (StatusCode::FORBIDDEN, "The sign-in failed; the terminal says why."),
                None => (StatusCode::NOT_FOUND, "Nothing here."),
            };
            let taken = sender.lock().ok().and_then(|mut sender| sender.take());
            if let (Some(answer), Some(sender)) = (answer, taken) {
                // The receiver lives until this connection has ended.
                drop(sender.send(answer));
            }
            let page = Response::builder()
                .status(status)
                .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
                .header(header::CONNECTION, "close")
                .body(Full::new(Bytes::from(text)));
            std::future::ready(page)
        });
        let served = hyper::server::conn::http1::Builder::new()
            .timer(hyper_util::rt::TokioTimer::new())
            .header_read_timeout(Duration::from_secs(10))
            .keep_alive(false)
            .serve_connection(TokioIo::new(socket), service)
            .await;
        // A connection that broke (a port scan, a prefetch) is not the answer: wait for the next.
        drop(served);
        if let Ok(answer) = receiver.await {
            return answer;
        }
    }
}

/// What the redirect says; `None` when the request is something else or for another trip.
fn answer<B>(request: &Request<B>, state: &str) -> Option<anyhow::Result<String>> {
    if request.uri().path() != "/callback" {
        return None;
    }
    let query = request.uri().query().unwrap_or_default();
    let value = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    if value("state").as_deref() != Some(state) {
        return None;
    }
    if let Some(error) = value("error") {
        let words = value("error_description").unwrap_or_default();
        return Some(Err(anyhow::anyhow!(
            "the identity provider refused: {} {}",
            inert::line(&error),
            inert::line(&words)
        )));
    }
    Some(value("code").context("the identity provider sent no code"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(target: &str) -> Option<anyhow::Result<String>> {
        answer(&Request::get(target).body(()).unwrap(), "s1")
    }

    #[test]
    fn only_the_answer_of_this_trip_counts() {
        assert_eq!(redirect("/callback?state=s1&code=c%2F1").unwrap().unwrap(), "c/1");
        assert!(redirect("/callback?state=other&code=c").is_none());
        assert!(redirect("/favicon.ico").is_none());
        let refused = redirect("/callback?state=s1&error=access_denied").unwrap().unwrap_err();
        assert!(refused.to_string().contains("access_denied"));
    }

    #[tokio::test]
    async fn the_loopback_listener_waits_for_the_right_answer() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let visitor = async {
            for target in ["/callback?state=wrong&code=evil", "/callback?state=s1&code=good"] {
                let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
                socket.write_all(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
                let mut text = String::new();
                socket.read_to_string(&mut text).await.unwrap();
            }
        };
        let (code, ()) = tokio::join!(callback(&listener, "s1"), visitor);
        assert_eq!(code.unwrap(), "good");
    }
}
