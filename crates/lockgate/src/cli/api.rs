//! The console's JSON API, as the command line calls it.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use lockgate_console::inert;
use lockgate_console::outbound::Outbound;
use lockgate_core::Secret;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::client_file::Client;
use super::sign_in;

/// How long the console may take to answer; a wait asks for less than this.
const ANSWER_SECONDS_MAX: u64 = 60;
/// A whole answer: a page of records with their payloads.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// One JSON line: a record with the largest payload, or a recorded frame.
const LINE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What the console answered instead of data.
#[derive(Debug, thiserror::Error)]
#[error("{}{}", inert::line(.message), .next.as_deref().map(|next| format!("\n  next: {}", inert::line(next))).unwrap_or_default())]
pub(crate) struct Refused {
    /// Its HTTP status.
    pub(crate) status: StatusCode,
    message: String,
    next: Option<String>,
}

/// A caller of the API.
#[derive(Debug)]
pub(crate) struct Api {
    outbound: Outbound,
    server: Url,
    token: Secret<String>,
}

/// A streaming answer, line by line.
#[derive(Debug)]
pub(crate) struct Lines {
    body: Incoming,
    buffer: BytesMut,
    searched: usize,
}

impl Api {
    /// Signs in as the client file says.
    ///
    /// # Errors
    /// When a person must sign in first.
    pub(crate) async fn connect(client: &Client) -> anyhow::Result<Self> {
        Self::with_token(client, sign_in::bearer(client).await?)
    }

    /// Uses a token that was just got.
    ///
    /// # Errors
    /// When the CA file is not usable.
    pub(crate) fn with_token(client: &Client, token: Secret<String>) -> anyhow::Result<Self> {
        Ok(Self { outbound: client.outbound()?, server: client.server.clone(), token })
    }

    /// GET, one JSON value.
    ///
    /// # Errors
    /// [`Refused`], or no answer.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Value> {
        let response = self.send(Method::GET, path, query, Bytes::new()).await?;
        whole(response).await
    }

    /// POST of a JSON value.
    ///
    /// # Errors
    /// [`Refused`], or no answer.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let response = self.send(Method::POST, path, &[], Bytes::from(body.to_string())).await?;
        whole(response).await
    }

    /// GET of bytes or JSON lines.
    ///
    /// # Errors
    /// [`Refused`], or no answer.
    pub(crate) async fn stream(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Lines> {
        let response = self.send(Method::GET, path, query, Bytes::new()).await?;
        Ok(Lines { body: response.into_body(), buffer: BytesMut::new(), searched: 0 })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Bytes,
    ) -> anyhow::Result<Response<Incoming>> {
        let mut url = self.server.clone();
        url.set_path(&format!("{}{path}", self.server.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.expose()))
            .header(header::USER_AGENT, concat!("lockgate/", env!("CARGO_PKG_VERSION")));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request =
            request.body(Full::new(body)).context("the token or the server's URL is not valid in a request")?;
        let response = self
            .outbound
            .send(request, Duration::from_secs(ANSWER_SECONDS_MAX))
            .await
            .with_context(|| format!("Lockgate's console at {}", self.server))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }
}

impl Lines {
    /// The next bytes as they come; `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn chunk(&mut self) -> anyhow::Result<Option<Bytes>> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame.context("the connection to the console broke off")?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The next non-empty line; `None` at the end. Empty lines are the server's heartbeat.
    ///
    /// # Errors
    /// When the connection breaks, in the middle of a line too, or a line is too long.
    pub(crate) async fn line(&mut self) -> anyhow::Result<Option<Bytes>> {
        loop {
            let fresh = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(self.searched.saturating_add(at).saturating_add(1));
                self.searched = 0;
                line.truncate(line.len().saturating_sub(1));
                if !line.is_empty() {
                    return Ok(Some(line.freeze()));
                }
                continue;
            }
            self.searched = self.buffer.len();
            if self.searched > LINE_BYTES_MAX {
                bail!("the console sent a line of more than {LINE_BYTES_MAX} bytes");
            }
            match self.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => bail!("the console's answer ended in the middle of a line"),
            }
        }
    }
}

async fn whole(response: Response<Incoming>) -> anyhow::Result<Value> {
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| anyhow::anyhow!("the console's answer broke off or is too large: {error}"))?;
    serde_json::from_slice(&body.to_bytes()).context("the console did not answer JSON: is `server` its URL?")
}

async fn refusal(response: Response<Incoming>) -> anyhow::Error {
    #[derive(Deserialize)]
    struct Body {
        error: Problem,
    }
    #[derive(Deserialize)]
    struct Problem {
        message: String,
        next: Option<String>,
    }
    let status = response.status();
    let body = Limited::new(response.into_body(), 64 * 1024).collect().await.map(http_body_util::Collected::to_bytes);
    match body.ok().and_then(|body| serde_json::from_slice::<Body>(&body).ok()) {
        Some(Body { error }) => Refused { status, message: error.message, next: error.next }.into(),
        None => anyhow::anyhow!("the console answered {status}: is `server` in the client file its URL?"),
    }
}
