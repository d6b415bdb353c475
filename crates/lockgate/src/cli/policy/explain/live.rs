//! Reads from a live cluster, for an explanation that knows its objects and custom resources. `kubectl proxy` on a private
//! socket does the talking: it knows every way to sign in, and is told to pass no write.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::world::Reply;

/// Until `kubectl proxy` must listen: it does not sign in before the first request.
const START_MAX: Duration = Duration::from_secs(10);
/// Until the cluster must have answered one read.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Largest answer that is passed on.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A cluster, for reading.
pub(super) struct Live {
    socket: PathBuf,
    /// Killed when this is dropped.
    _proxy: Child,
}

impl Live {
    /// Starts the proxy.
    ///
    /// # Errors
    /// When kubectl cannot be started or does not listen.
    pub(super) async fn start(
        kubectl: &Path,
        kubeconfig: &Path,
        context: Option<&str>,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let socket = directory.join("live.sock");
        let mut command = Command::new(kubectl);
        command.arg("--kubeconfig").arg(kubeconfig);
        if let Some(context) = context {
            command.args(["--context", context]);
        }
        command.args([
            "proxy",
            "--append-server-path",
            "--accept-paths=^.*",
            "--reject-methods=^(POST|PUT|PATCH|DELETE)$",
            "--unix-socket",
        ]);
        command.arg(&socket).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let mut proxy = command.spawn().with_context(|| format!("cannot start {}", kubectl.display()))?;
        let deadline = tokio::time::Instant::now() + START_MAX;
        while UnixStream::connect(&socket).await.is_err() {
            if let Some(status) = proxy.try_wait()? {
                bail!("kubectl proxy ended ({status}): is {} a kubeconfig?", kubeconfig.display());
            }
            if tokio::time::Instant::now() >= deadline {
                bail!("kubectl proxy does not listen after {} seconds", START_MAX.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { socket, _proxy: proxy })
    }

    /// The cluster's answer to a GET; a gateway error when there is none.
    pub(super) async fn fetch(&self, path: &str, query: &str, accept: &str) -> Reply {
        match tokio::time::timeout(ANSWER_MAX, self.get(path, query, accept)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => Reply::status(502, "BadGateway", &format!("the live cluster: {error:#}")),
            Err(_) => Reply::status(504, "Timeout", "the live cluster did not answer"),
        }
    }

    async fn get(&self, path: &str, query: &str, accept: &str) -> anyhow::Result<Reply> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        let request = Request::get(format!("{path}{query}"))
            .header(header::HOST, "localhost")
            .header(header::ACCEPT, accept)
            .body(Empty::<Bytes>::new())?;
        let exchange = async move {
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let content_type = content_type.unwrap_or("application/json").to_owned();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("the answer broke off or is too large: {error}"))?;
            Ok::<_, anyhow::Error>((status, content_type, body.to_bytes()))
        };
        // Once the exchange is over and its sender gone, the connection ends; what ails it the exchange has told.
        let (exchanged, connected) = tokio::join!(exchange, connection);
        let (status, content_type, body) = exchanged?;
        if let Err(error) = connected {
            tracing::debug!(%error, "the connection to kubectl proxy");
        }
        Ok(Reply { status, content_type, body, follows: false })
    }
}
