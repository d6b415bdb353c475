//! Bounded answers share HTTP/2 connections; a new one is made before the peer's stream limit is reached
//! (kube-apiserver: 100 streams; at the limit requests would queue behind one another without a word).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio_util::task::TaskTracker;

use super::dial::BoxStream;
use super::{SendError, UpstreamLimits};

/// One shared connection and how many answers are under way on it.
#[derive(Clone)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    streams: Arc<AtomicUsize>,
}

/// Holds one of a connection's streams; given back when the answer's body is dropped.
pub(super) struct StreamLease(Arc<AtomicUsize>);

impl Drop for StreamLease {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The shared connections to one API server.
pub(super) struct Http2Pool {
    connections: Mutex<Vec<Connection>>,
    limits: UpstreamLimits,
    tasks: TaskTracker,
}

/// A request that could not be sent because no open connection has a free stream. It never left.
pub(super) struct NoFreeStream(pub(super) Request<Full<Bytes>>);

impl Http2Pool {
    pub(super) fn new(limits: UpstreamLimits, tasks: TaskTracker) -> Self {
        Self { connections: Mutex::new(Vec::new()), limits, tasks }
    }

    /// How many connections are open.
    pub(super) fn len(&self) -> usize {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn lease(&self) -> Option<(SendRequest<Full<Bytes>>, StreamLease)> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|connection| !connection.sender.is_closed());
        connections.iter().find_map(|connection| {
            let limit = self.limits.http2_streams_max;
            let taken = connection.streams.fetch_update(Ordering::AcqRel, Ordering::Acquire, |streams| {
                (streams < limit).then(|| streams.saturating_add(1))
            });
            taken.ok().map(|_| (connection.sender.clone(), StreamLease(Arc::clone(&connection.streams))))
        })
    }

    /// Sends on a connection with a free stream.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Result<(Response<Incoming>, StreamLease), SendError>, NoFreeStream> {
        // A connection can close between the lease and the send: hyper then gives the unsent request back.
        while let Some((mut sender, lease)) = self.lease() {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(Ok((response, lease))),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Ok(Err(SendError::Broken(failed.into_error()))),
                },
            }
        }
        Err(NoFreeStream(request))
    }

    /// Adds a connection over `stream`.
    pub(super) async fn add(&self, stream: BoxStream) -> Result<(), SendError> {
        if self.len() >= self.limits.http2_connections_max {
            return Err(SendError::TooManyConnections { limit: self.limits.http2_connections_max });
        }
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(self.limits.header_list_bytes_max)
            .initial_stream_window_size(self.limits.http2_stream_window_bytes)
            .initial_connection_window_size(self.limits.http2_connection_window_bytes())
            .keep_alive_interval(self.limits.http2_keep_alive)
            .keep_alive_timeout(self.limits.http2_keep_alive)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(SendError::Handshake)?;
        self.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an upstream HTTP/2 connection ended");
            }
        });
        let connection = Connection { sender, streams: Arc::new(AtomicUsize::new(0)) };
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(())
    }
}
