//! The door: TCP, TLS, HTTP/1.1 and HTTP/2 by ALPN, with a limit on everything; each request becomes an
//! [`Arrived`] and runs the pipeline in a task of its own.
//!
//! What is no request, or could be two, is refused here with a `Status` and a record without identity: over HTTP/1.1
//! before the library reads it (`inspected`), over HTTP/2 after the library has refused what RFC 9113 calls malformed.

mod inspected;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use lockgate_core::Origin;
use lockgate_wire::WireError;
use lockgate_wire::http1::HeadLimits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::inspected::{Door, Inspected};
use crate::answer::AnswerBody;
use crate::gateway::Gateway;
use crate::pipeline::{self, Arrived, ClientUpgrade, Conn};
use crate::upstream::dial::{BoxStream, Protocol};

pub(crate) use self::inspected::Malformed;

/// What a header takes of HTTP/2's header list beside name and value (RFC 9113, section 6.5.2).
const LISTED_HEADER_BYTES: usize = 32;

/// Room in the HTTP library's buffer beside the largest head, so that its own limit is never the one that counts.
const BUFFER_REST_BYTES: usize = 64 * 1024;

/// Limits on client connections.
#[derive(Debug, Clone)]
pub struct ListenerLimits {
    /// Open connections; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Until the TLS handshake must be done.
    pub handshake_max: Duration,
    /// Until a request's head must have arrived.
    pub head_max: Duration,
    /// Headers of one request.
    pub headers_max: usize,
    /// Head bytes of one request over HTTP/1.1.
    pub head_bytes_max: usize,
    /// Header list bytes of one request over HTTP/2; kubectl exec puts its arguments in the URL, tokens grow with groups.
    /// Up to twice of it is read, so that the refusal can be told; above, the library answers a bare 431.
    pub header_list_bytes_max: u32,
    /// Concurrent requests on one HTTP/2 connection.
    pub streams_max: u32,
    /// Pings on HTTP/2 connections, and until an unanswered one ends the connection.
    pub keep_alive: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            handshake_max: Duration::from_secs(10),
            head_max: Duration::from_secs(30),
            headers_max: 200,
            head_bytes_max: 512 * 1024,
            header_list_bytes_max: 512 * 1024,
            streams_max: 1_000,
            keep_alive: Duration::from_secs(30),
        }
    }
}

/// Accepts until the gateway drains; returns when it does. Connections finish their requests by themselves.
///
/// # Errors
/// None: an accept error (no file descriptors, say) is logged and retried after a pause.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener, tls: TlsAcceptor, limits: ListenerLimits) {
    let open = Arc::new(Semaphore::new(limits.connections_max));
    let limits = Arc::new(limits);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &open) => accepted,
            () = gateway.draining.cancelled() => return,
        };
        match accepted {
            Ok((socket, peer, permit)) => {
                let connection =
                    connection(Arc::clone(&gateway), socket, peer, tls.clone(), Arc::clone(&limits), permit);
                gateway.tasks.spawn(connection);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    open: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(open).acquire_owned().await.map_err(io::Error::other)?;
    let (socket, peer) = listener.accept().await?;
    Ok((socket, peer, permit))
}

async fn connection(
    gateway: Arc<Gateway>,
    socket: TcpStream,
    peer: SocketAddr,
    tls: TlsAcceptor,
    limits: Arc<ListenerLimits>,
    permit: OwnedSemaphorePermit,
) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot turn off Nagle's algorithm");
    }
    let stream = match tokio::time::timeout(limits.handshake_max, tls.accept(socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "a TLS handshake failed"),
        Err(_) => return tracing::debug!(%peer, "a TLS handshake took too long"),
    };
    let protocol = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    };
    gateway.metrics.connection_opened();
    serve_stream(Arc::clone(&gateway), Box::new(stream), peer, protocol, &limits).await;
    gateway.metrics.connection_closed();
    drop(permit);
}

/// Serves one connection over any byte stream, to its end or until the gateway drains.
pub async fn serve_stream(
    gateway: Arc<Gateway>,
    stream: BoxStream,
    peer: SocketAddr,
    protocol: Protocol,
    limits: &ListenerLimits,
) {
    let draining = gateway.draining.clone();
    let conn = Arc::new(Conn { peer });
    let served = match protocol {
        Protocol::Http1 => serve_http1(gateway, conn, stream, limits, &draining).await,
        Protocol::Http2 => serve_http2(gateway, conn, stream, limits, &draining).await,
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a client connection ended");
    }
}

async fn serve_http1(
    gateway: Arc<Gateway>,
    conn: Arc<Conn>,
    stream: BoxStream,
    limits: &ListenerLimits,
    draining: &CancellationToken,
) -> hyper::Result<()> {
    let door = Arc::new(Door::default());
    let head = HeadLimits { head_bytes_max: limits.head_bytes_max, headers_max: limits.headers_max };
    let io = TokioIo::new(Inspected::new(stream, head, Arc::clone(&door)));
    let service = service_fn(move |request| {
        let (gateway, conn, door) = (Arc::clone(&gateway), Arc::clone(&conn), Arc::clone(&door));
        async move {
            let malformed = door.refused(&request);
            let asks_to_switch = request.headers().contains_key(header::UPGRADE);
            let mut response = respond(gateway, conn, request, malformed).await;
            if asks_to_switch && response.status() == StatusCode::SWITCHING_PROTOCOLS {
                door.switch();
            } else if asks_to_switch {
                // What the client sends next may not be HTTP (bypass 15).
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_max)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.head_bytes_max.saturating_add(BUFFER_REST_BYTES))
        .serve_connection(io, service)
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        served = connection.as_mut() => served,
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

async fn serve_http2(
    gateway: Arc<Gateway>,
    conn: Arc<Conn>,
    stream: BoxStream,
    limits: &ListenerLimits,
    draining: &CancellationToken,
) -> hyper::Result<()> {
    let (headers_max, list_bytes_max) = (limits.headers_max, limits.header_list_bytes_max);
    let service = service_fn(move |request: Request<Incoming>| {
        let (gateway, conn) = (Arc::clone(&gateway), Arc::clone(&conn));
        async move {
            let fault = http2_fault(&request, headers_max, list_bytes_max);
            let malformed = fault.map(|error| Malformed::of_request(error, &request));
            Ok::<_, Infallible>(respond(gateway, conn, request, malformed).await)
        }
    });
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(list_bytes_max.saturating_mul(2))
        .max_concurrent_streams(limits.streams_max)
        .keep_alive_interval(limits.keep_alive)
        .keep_alive_timeout(limits.keep_alive)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        served = connection.as_mut() => served,
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// What is wrong with the head of an HTTP/2 request that the library let through.
fn http2_fault<B>(request: &Request<B>, headers_max: usize, list_bytes_max: u32) -> Option<WireError> {
    let (uri, headers) = (request.uri(), request.headers());
    let limit_bytes = usize::try_from(list_bytes_max).unwrap_or(usize::MAX);
    let listed = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + LISTED_HEADER_BYTES);
    if request.method() == Method::CONNECT {
        return Some(WireError::Method { method: "CONNECT".into() });
    }
    if headers.len() > headers_max {
        return Some(WireError::TooManyHeaders { limit: headers_max });
    }
    if listed.sum::<usize>() > limit_bytes {
        return Some(WireError::HeadTooLarge { limit_bytes });
    }
    if headers.get_all(header::CONTENT_LENGTH).iter().count() > 1 {
        return Some(WireError::Head("more than one Content-Length"));
    }
    if uri.scheme_str() != Some("https") {
        return Some(WireError::Head("a :scheme that is not https"));
    }
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    if authority.contains('@') {
        return Some(WireError::Head("an :authority with a user"));
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => Some(WireError::Head("more than one Host header")),
        (Some(host), None) if !authority.is_empty() && !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) => {
            Some(WireError::Head("a Host header that is not the :authority"))
        }
        _ => None,
    }
}

/// Runs the pipeline in a task that outlives a client that goes away.
async fn respond(
    gateway: Arc<Gateway>,
    conn: Arc<Conn>,
    request: Request<Incoming>,
    malformed: Option<Malformed>,
) -> Response<AnswerBody> {
    let gone = CancellationToken::new();
    let leaving = gone.clone().drop_guard();
    let (give, answer) = oneshot::channel();
    let context = Arc::clone(&gateway);
    gateway.tasks.spawn(async move {
        let response = match malformed {
            Some(malformed) => pipeline::refuse_malformed(&context, &conn, malformed).await,
            None => pipeline::serve(&context, arrived(conn, request, gone)).await,
        };
        // A client that is gone drops the answer; its body then tells so, and the end is recorded.
        drop(give.send(response));
    });
    let answer = answer.await;
    leaving.disarm();
    answer.unwrap_or_else(|_| pipeline::crashed())
}

fn arrived(conn: Arc<Conn>, mut request: Request<Incoming>, gone: CancellationToken) -> Arrived {
    let upgrade = hyper::upgrade::on(&mut request);
    let upgrade: ClientUpgrade = Box::pin(async move {
        match upgrade.await {
            Ok(upgraded) => Ok(Box::new(TokioIo::new(upgraded)) as BoxStream),
            Err(error) => Err(io::Error::other(error)),
        }
    });
    let (head, body) = request.into_parts();
    let request_target = match head.uri.path_and_query() {
        // HTTP/2 always names an authority; over HTTP/1.1 it means the absolute form, which the parser refuses.
        Some(target) if head.version == http::Version::HTTP_2 || head.uri.authority().is_none() => target.to_string(),
        _ => head.uri.to_string(),
    };
    Arrived {
        origin: Origin::Http,
        conn,
        method: head.method,
        request_target,
        headers: head.headers,
        body: body.map_err(io::Error::other).boxed_unsync(),
        upgrade: Some(upgrade),
        gone,
    }
}
