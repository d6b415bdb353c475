//! The stand-in's door: takes every request on a loopback address, writes down what it would mean, and answers so that the
//! client goes on.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context as TaskContext, Poll};

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Frame, SizeHint};
use lockgate_core::limit::REQUEST_BODY_BYTES_MAX;
use lockgate_proxy::Reading;
use lockgate_wire::Target;
use lockgate_wire::protobuf::Protobuf;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::world::{Reply, World};

/// Requests that are written down; further ones are refused.
const RECORDED_MAX: usize = 2_000;

/// One request of the command.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub(super) method: String,
    /// Path and query at the cluster.
    pub(super) request_uri: String,
    /// What it means, or why Lockgate would refuse it before any rule is asked.
    pub(super) reading: Result<Reading, String>,
    /// The object as it was before a write, where a live cluster told.
    pub(super) old_object: Option<Value>,
}

/// A running stand-in. Ends when it is dropped.
pub(super) struct Responder {
    shared: Arc<Shared>,
    stop: CancellationToken,
    /// The address for a kubeconfig, with the secret path that keeps other users of the machine out.
    pub(super) url: String,
}

struct Shared {
    secret: String,
    world: World,
    protobuf: Protobuf,
    recorded: Mutex<Vec<Recorded>>,
    /// The first request that lacked the secret path.
    stray: OnceLock<String>,
    requests: watch::Sender<usize>,
    following: AtomicUsize,
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Responder {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn start(world: World, protobuf: Protobuf, secret: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
        let url = format!("http://{}/{secret}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            secret,
            world,
            protobuf,
            recorded: Mutex::default(),
            stray: OnceLock::new(),
            requests: watch::Sender::new(0),
            following: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        // Nothing is waited for at its end: connections in which nothing happens would go on for ever.
        TaskTracker::new().spawn(async move {
            tokio::select! {
                served = axum::serve(listener, router).into_future() => if let Err(error) = served {
                    tracing::warn!(%error, "the stand-in ended");
                },
                () = stopped.cancelled() => {}
            }
        });
        Ok(Self { shared, stop, url })
    }

    /// Told of each request.
    pub(super) fn requests(&self) -> watch::Receiver<usize> {
        self.shared.requests.subscribe()
    }

    /// Whether the command waits for events that will never come.
    pub(super) fn is_followed(&self) -> bool {
        self.shared.following.load(Ordering::Relaxed) > 0
    }

    /// Everything so far, in order.
    pub(super) fn recorded(&self) -> Vec<Recorded> {
        self.shared.recorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Method and path of a request that was sent without the path of the kubeconfig's server, as kubectl's `--raw` does.
    pub(super) fn stray(&self) -> Option<&str> {
        self.shared.stray.get().map(String::as_str)
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map(http::uri::PathAndQuery::as_str).unwrap_or_default();
    let Some(target) = target.strip_prefix('/').and_then(|target| target.strip_prefix(shared.secret.as_str())) else {
        shared.stray.get_or_init(|| format!("{} {target}", head.method));
        return StatusCode::NOT_FOUND.into_response();
    };
    let Ok(body) = Limited::new(body, REQUEST_BODY_BYTES_MAX).collect().await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let reading = read(&shared.protobuf, head.method.as_str(), target, &head.headers, &body.to_bytes());
    let old_object = match &reading {
        Ok(reading) => shared.world.old_object(reading).await,
        Err(_) => None,
    };
    let request_uri = target.splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap_or_default();
    let recorded = Recorded {
        method: head.method.to_string(),
        request_uri,
        reading: reading.clone(),
        old_object: old_object.clone(),
    };
    if !shared.record(recorded) {
        return reply(&shared, Reply::status(503, "ServiceUnavailable", "too many requests to write down"));
    }
    let accept = head.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match reading {
        Ok(reading) => reply(&shared, shared.world.answer(&reading, accept, old_object.as_ref()).await),
        Err(message) => reply(&shared, Reply::status(400, "BadRequest", &message)),
    }
}

pub(in crate::cli::policy) fn read(
    protobuf: &Protobuf,
    method: &str,
    target: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Reading, String> {
    let target = Target::parse(target).map_err(|error| error.to_string())?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Reading::of(method, &target, content_type, body, protobuf).map_err(|error| error.to_string())
}

fn reply(shared: &Arc<Shared>, reply: Reply) -> Response {
    let body = if reply.follows { Body::new(Silence::begin(Arc::clone(shared))) } else { Body::from(reply.body) };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = http::HeaderValue::from_str(&reply.content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

impl Shared {
    fn record(&self, request: Recorded) -> bool {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.len() >= RECORDED_MAX {
            return false;
        }
        recorded.push(request);
        self.requests.send_replace(recorded.len());
        true
    }
}

/// A body in which nothing ever happens; counted while a client listens to it.
struct Silence {
    shared: Arc<Shared>,
}

impl Silence {
    fn begin(shared: Arc<Shared>) -> Self {
        shared.following.fetch_add(1, Ordering::Relaxed);
        Self { shared }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.shared.following.fetch_sub(1, Ordering::Relaxed);
    }
}

impl hyper::body::Body for Silence {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
