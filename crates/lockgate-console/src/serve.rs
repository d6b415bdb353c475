//! The listener: TLS, HTTP/1.1 and HTTP/2, a bounded number of connections, and a graceful end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at a time; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 512;
/// A peer that does not finish its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A peer that does not finish its request's head.
const HEAD: Duration = Duration::from_secs(15);
/// Answers that are under way when the process is to end.
const DRAIN: Duration = Duration::from_secs(5);
/// After a failing accept (no file descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the console cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener has no address any more.
    #[error("the console's listener is not usable")]
    Listener(#[source] io::Error),
}

/// Serves `router` until `shutdown`; returns when all connections have ended or the drain is over. `tls` should offer
/// `h2` and `http/1.1`; without it the console speaks plain HTTP (a proxy in front, or tests).
///
/// # Errors
/// [`ServeError::Listener`]
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Listener)?;
    tracing::info!(%address, tls = tls.is_some(), "the console listens");
    let acceptor = tls.map(TlsAcceptor::from);
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let tracker = TaskTracker::new();
    loop {
        let next = async {
            let permit = permits.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (socket, permit) = tokio::select! {
            () = shutdown.cancelled() => break,
            next = next => match next {
                (Ok((socket, _)), Ok(permit)) => (socket, permit),
                (Err(error), _) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
                // The semaphore is never closed.
                (Ok(_), Err(_)) => break,
            },
        };
        tracker.spawn(connection(socket, acceptor.clone(), router.clone(), shutdown.clone(), permit));
    }
    tracker.close();
    if tokio::time::timeout(DRAIN, tracker.wait()).await.is_err() {
        tracing::warn!(open = tracker.len(), "console connections were cut at the drain's end");
    }
    Ok(())
}

async fn connection(
    socket: TcpStream,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    shutdown: CancellationToken,
    _permit: OwnedSemaphorePermit,
) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a console connection is gone");
        return;
    }
    match acceptor {
        None => http(socket, router, shutdown).await,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
            Ok(Ok(stream)) => http(stream, router, shutdown).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake with the console failed"),
            Err(_) => tracing::debug!("a TLS handshake with the console took too long"),
        },
    }
}

async fn http<S>(stream: S, router: Router, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(Duration::from_secs(30)));
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a console connection broke off");
    }
}
