//! Watches, followed logs, unlimited lists and upgrades each get their own HTTP/1.1 connection, so that a stalled
//! reader never starves another through a shared window. A connection whose answer was read to its end is used again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::dial::BoxStream;
use super::{SendError, UpstreamLimits};

/// An idle connection is dropped after this time: shorter than what API servers and balancers allow.
const IDLE_MAX: Duration = Duration::from_secs(45);

struct Idle {
    sender: SendRequest<Full<Bytes>>,
    permit: OwnedSemaphorePermit,
    since: Instant,
}

/// The connections that are not in use.
#[derive(Clone)]
pub(super) struct Http1Pool {
    idle: Arc<Mutex<Vec<Idle>>>,
    open: Arc<Semaphore>,
    limits: UpstreamLimits,
    tasks: TaskTracker,
}

/// A connection in use. Dropped before the answer's end, it closes; see [`Http1Lease::give_back`].
pub(super) struct Http1Lease {
    sender: SendRequest<Full<Bytes>>,
    permit: OwnedSemaphorePermit,
    pool: Http1Pool,
}

impl Http1Lease {
    /// The answer was read to its end: the connection can serve another request.
    pub(super) fn give_back(self) {
        let Self { sender, permit, pool } = self;
        if sender.is_closed() {
            return;
        }
        let mut idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| !connection.sender.is_closed() && connection.since.elapsed() < IDLE_MAX);
        if idle.len() < pool.limits.http1_idle_max {
            idle.push(Idle { sender, permit, since: Instant::now() });
        }
    }
}

impl Http1Pool {
    pub(super) fn new(limits: UpstreamLimits, tasks: TaskTracker) -> Self {
        let open = Arc::new(Semaphore::new(limits.http1_connections_max));
        Self { idle: Arc::default(), open, limits, tasks }
    }

    /// The most recently used idle connection that is still open.
    fn take_idle(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop())
            .find(|connection| connection.sender.is_ready() && connection.since.elapsed() < IDLE_MAX)
    }

    /// Sends on an idle connection; gives the unsent request back when there is none.
    pub(super) async fn send_idle(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Result<(Response<Incoming>, Http1Lease), SendError>, Request<Full<Bytes>>> {
        while let Some(Idle { mut sender, permit, .. }) = self.take_idle() {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(Ok((response, Http1Lease { sender, permit, pool: self.clone() }))),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Ok(Err(SendError::Broken(failed.into_error()))),
                },
            }
        }
        Err(request)
    }

    /// A place for one more connection, or an error at the limit. Idle connections make room.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, SendError> {
        if let Ok(permit) = Arc::clone(&self.open).try_acquire_owned() {
            return Ok(permit);
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Arc::clone(&self.open)
            .try_acquire_owned()
            .map_err(|_| SendError::TooManyConnections { limit: self.limits.http1_connections_max })
    }

    /// Sends on a fresh connection over `stream`.
    pub(super) async fn send_fresh(
        &self,
        stream: BoxStream,
        permit: OwnedSemaphorePermit,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Http1Lease), SendError> {
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_headers(self.limits.headers_max)
            .max_buf_size(self.limits.http1_buffer_bytes_max)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(SendError::Handshake)?;
        self.tasks.spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "an upstream HTTP/1.1 connection ended");
            }
        });
        let response = sender.send_request(request).await.map_err(SendError::Broken)?;
        Ok((response, Http1Lease { sender, permit, pool: self.clone() }))
    }
}
