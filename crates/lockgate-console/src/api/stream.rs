//! Answers that go on: JSON lines through a bounded channel, with a heartbeat, until the client leaves, the source ends
//! or the process is to end.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::Stream;
use http::header;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;

/// Lines that wait for a slow client; the source waits when it is full.
const WAITING_LINES_MAX: usize = 64;
/// A notification can be missed (another replica wrote): look again at least this often.
const POLL: Duration = Duration::from_secs(2);
/// An empty line after this long, so that a client and what lies between see a live connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Where a source puts its lines.
pub(crate) struct Lines {
    sender: mpsc::Sender<Bytes>,
    shutdown: CancellationToken,
    last: tokio::time::Instant,
}

/// The other side is gone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone;

impl Lines {
    /// Sends one value as a line.
    ///
    /// # Errors
    /// [`Gone`]; a value that is no JSON ends the stream as well.
    pub(crate) async fn send(&mut self, value: &impl serde::Serialize) -> Result<(), Gone> {
        let mut line = serde_json::to_vec(value).map_err(|error| {
            tracing::error!(%error, "a value does not serialise");
            Gone
        })?;
        line.push(b'\n');
        self.bytes(Bytes::from(line)).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// [`Gone`]
    pub(crate) async fn bytes(&mut self, bytes: Bytes) -> Result<(), Gone> {
        self.last = tokio::time::Instant::now();
        tokio::select! {
            sent = self.sender.send(bytes) => sent.map_err(|_| Gone),
            () = self.shutdown.cancelled() => Err(Gone),
        }
    }

    /// Waits until something may have changed: a notification or the poll.
    ///
    /// # Errors
    /// [`Gone`]
    pub(crate) async fn changed(&mut self, changes: &mut watch::Receiver<u64>) -> Result<(), Gone> {
        if self.last.elapsed() >= HEARTBEAT {
            self.bytes(Bytes::from_static(b"\n")).await?;
        }
        tokio::select! {
            () = self.sender.closed() => Err(Gone),
            () = self.shutdown.cancelled() => Err(Gone),
            () = next_change(changes) => Ok(()),
        }
    }
}

/// A notification, or the poll when none comes (or none can come any more).
pub(crate) async fn next_change(changes: &mut watch::Receiver<u64>) {
    match tokio::time::timeout(POLL, changes.changed()).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(_)) => tokio::time::sleep(POLL).await,
    }
}

/// An answer whose body `source` writes. The source is polled by the connection itself: it ends with it, no task is left
/// behind. An error of the source breaks the body off, so that a client never takes a part for the whole.
pub(crate) fn answer<S, F>(content_type: &'static str, shutdown: CancellationToken, source: S) -> Response
where
    S: FnOnce(Lines) -> F,
    F: Future<Output = Result<(), Problem>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(WAITING_LINES_MAX);
    let lines = Lines { sender, shutdown, last: tokio::time::Instant::now() };
    let body = Body::from_stream(pump(receiver, source(lines)));
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

/// Drives the source and hands out what it wrote.
fn pump<F>(receiver: mpsc::Receiver<Bytes>, source: F) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send
where
    F: Future<Output = Result<(), Problem>> + Send + 'static,
{
    futures_util::stream::unfold((receiver, Some(Box::pin(source))), |(mut receiver, mut source)| async move {
        loop {
            let Some(running) = source.as_mut() else {
                // The source is done; what it wrote before may still wait here.
                return receiver.recv().await.map(|bytes| (Ok(bytes), (receiver, None)));
            };
            tokio::select! {
                biased;
                Some(bytes) = receiver.recv() => return Some((Ok(bytes), (receiver, source))),
                done = running => match done {
                    Ok(()) => source = None,
                    Err(problem) => {
                        receiver.close();
                        return Some((Err(std::io::Error::other(problem.message)), (receiver, None)));
                    }
                },
            }
        }
    })
}
