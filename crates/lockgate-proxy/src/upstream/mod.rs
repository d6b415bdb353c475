//! The way to one API server. [`Upstream::send`] and [`Upstream::upgrade`] take a [`Ticket`] and no other request:
//! what was not admitted and made durable has no way through here.

pub mod dial;
pub mod headers;
mod http1;
mod http2;
mod own;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{Authority, InvalidUri};
use http::{Method, Request, Response, Uri};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use lockgate_auth::Cluster;
use lockgate_core::Clock;
use lockgate_store::{CanonicalRequest, Receipt, Ticket};
use tokio_util::task::TaskTracker;

use self::dial::{BoxStream, Dial, DialError, Protocol, TlsDial};
use self::headers::{Identity, UnwritableIdentity};
use self::http1::{Http1Lease, Http1Pool};
use self::http2::{Http2Pool, NoFreeStream, StreamLease};
pub use self::own::SelfUpstream;

/// Limits on what is open towards one API server.
#[derive(Debug, Clone)]
pub struct UpstreamLimits {
    /// Streams on one HTTP/2 connection; below kube-apiserver's 100.
    pub http2_streams_max: usize,
    /// HTTP/2 connections.
    pub http2_connections_max: usize,
    /// Receive window of one stream: what one stalled reader can pin.
    pub http2_stream_window_bytes: u32,
    /// Time between pings, and until an unanswered ping ends the connection.
    pub http2_keep_alive: Duration,
    /// HTTP/1.1 connections: watches, followed logs, lists, sessions.
    pub http1_connections_max: usize,
    /// Idle HTTP/1.1 connections kept for reuse.
    pub http1_idle_max: usize,
    /// Read buffer of one HTTP/1.1 connection.
    pub http1_buffer_bytes_max: usize,
    /// Headers of one answer.
    pub headers_max: usize,
    /// Header bytes of one answer over HTTP/2; Go allows 1 MiB.
    pub header_list_bytes_max: u32,
    /// For TCP and TLS together.
    pub connect_max: Duration,
    /// Until the head of a bounded answer must have arrived; the API server's own limit is 60 s.
    pub bounded_head_max: Duration,
}

impl UpstreamLimits {
    /// Every stream of a connection can be stalled at once without starving another.
    fn http2_connection_window_bytes(&self) -> u32 {
        u32::try_from(self.http2_streams_max)
            .unwrap_or(u32::MAX)
            .saturating_mul(self.http2_stream_window_bytes)
            .min(i32::MAX as u32)
    }
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            http2_streams_max: 90,
            http2_connections_max: 16,
            http2_stream_window_bytes: 256 * 1024,
            http2_keep_alive: Duration::from_secs(30),
            http1_connections_max: 4_096,
            http1_idle_max: 64,
            http1_buffer_bytes_max: 512 * 1024,
            headers_max: 200,
            header_list_bytes_max: 1024 * 1024,
            connect_max: Duration::from_secs(10),
            bounded_head_max: Duration::from_secs(75),
        }
    }
}

/// Whether an answer has a known end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Small and finite: shares a connection.
    Bounded,
    /// A watch, a followed log, an unlimited list: a connection of its own.
    Unbounded,
}

/// Why an admitted request got no answer. All are the upstream's side but [`SendError::TooManyConnections`] and
/// [`SendError::Identity`].
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection. Nothing was sent.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The connection speaks no HTTP. Nothing was sent.
    #[error("the upstream did not complete the HTTP handshake")]
    Handshake(#[source] hyper::Error),
    /// The connection broke after the request was sent: whether it took effect is unknown.
    #[error("the upstream connection broke before an answer")]
    Broken(#[source] hyper::Error),
    /// No head in time.
    #[error("the upstream sent no answer within {limit:?}")]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// Our own limit. Nothing was sent.
    #[error("{limit} connections to this cluster are open, the configured limit")]
    TooManyConnections {
        /// The limit.
        limit: usize,
    },
    /// The upstream credential could not be had. Nothing was sent.
    #[error(transparent)]
    Credential(lockgate_auth::CredentialError),
    /// The identity cannot be written. Nothing was sent.
    #[error(transparent)]
    Identity(#[from] UnwritableIdentity),
    /// The target is no URI. Nothing was sent.
    #[error("the request target cannot be sent")]
    Target(#[source] http::Error),
}

impl SendError {
    /// Whether the request may have taken effect.
    pub const fn may_have_taken_effect(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Timeout { .. })
    }
}

/// An answer under way, and the duty to record its end.
pub struct Exchange {
    /// Head and body.
    pub response: Response<UpstreamBody>,
    /// The duty.
    pub receipt: Receipt,
}

/// What came of a request to switch protocols.
pub enum Upgraded {
    /// 101: the stream, the head, the duty.
    Switched {
        /// The head; its subprotocol is the agreed one.
        head: Response<()>,
        /// The bytes after the head.
        stream: BoxStream,
        /// The duty.
        receipt: Receipt,
    },
    /// Anything else is an ordinary answer, and its connection is never used again.
    Answered(Exchange),
}

/// Who speaks to the cluster.
#[derive(Clone, Copy)]
enum Speaker<'s> {
    /// An agent or a person: this user is impersonated, with what else is said about it.
    Agent(&'s str, &'s Identity),
    /// Lockgate itself, as its credential says.
    Lockgate,
}

/// One API server.
pub struct Upstream {
    cluster: Arc<Cluster>,
    authority: Authority,
    host: HeaderValue,
    dial: Arc<dyn Dial>,
    http1: Http1Pool,
    http2: Http2Pool,
    /// One dial at a time for shared connections, so that a burst does not open one each.
    dialing: tokio::sync::Mutex<()>,
    http1_only: AtomicBool,
    limits: UpstreamLimits,
    clock: Arc<dyn Clock>,
}

impl Upstream {
    /// The way to `cluster`, its connections made by `dial`, its connection tasks tracked by `tasks`.
    ///
    /// # Errors
    /// When the server's host can stand in no HTTP request.
    pub fn new(
        cluster: Arc<Cluster>,
        dial: Arc<dyn Dial>,
        limits: UpstreamLimits,
        clock: Arc<dyn Clock>,
        tasks: &TaskTracker,
    ) -> Result<Self, SendError> {
        let authority: Authority =
            cluster.server.authority().parse().map_err(|error: InvalidUri| SendError::Target(error.into()))?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| SendError::Target(error.into()))?;
        Ok(Self {
            cluster,
            authority,
            host,
            dial,
            http1: Http1Pool::new(limits.clone(), tasks.clone()),
            http2: Http2Pool::new(limits.clone(), tasks.clone()),
            dialing: tokio::sync::Mutex::new(()),
            http1_only: AtomicBool::new(false),
            limits,
            clock,
        })
    }

    /// The way to `cluster` over TCP and TLS.
    ///
    /// # Errors
    /// When the server's host can stand in no HTTP request.
    pub fn over_tls(
        cluster: Arc<Cluster>,
        limits: UpstreamLimits,
        clock: Arc<dyn Clock>,
        tasks: &TaskTracker,
    ) -> Result<Self, SendError> {
        let host = cluster.server.host_str().unwrap_or_default();
        let dial = TlsDial {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: cluster.server.port_or_known_default().unwrap_or(443),
            server_name: cluster.server_name.clone(),
            tls_http2: Arc::clone(&cluster.tls),
            tls_http1: Arc::clone(&cluster.tls_http1),
            connect_timeout: limits.connect_max,
        };
        Self::new(cluster, Arc::new(dial), limits, clock, tasks)
    }

    /// The cluster that this leads to.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Sends an admitted request. Cancelled, the request may or may not have been sent, and the call stays open in
    /// the log until the sweeper closes it; so the pipeline runs in a task that a leaving client does not cancel.
    ///
    /// # Errors
    /// The receipt comes back with the error: the end must be recorded in any case.
    pub async fn send(
        &self,
        ticket: Ticket,
        identity: &Identity,
        flow: Flow,
    ) -> Result<Exchange, (Receipt, SendError)> {
        let user = ticket.user().to_owned();
        let (request, receipt) = ticket.into_parts();
        let sent = async {
            let request = self.request(request, &receipt, Speaker::Agent(&user, identity)).await?;
            match flow {
                Flow::Unbounded => self.send_alone(request).await,
                Flow::Bounded => {
                    let limit = self.limits.bounded_head_max;
                    match tokio::time::timeout(limit, self.send_shared(request)).await {
                        Ok(sent) => sent,
                        Err(_) => Err(SendError::Timeout { limit }),
                    }
                }
            }
        };
        match sent.await {
            Ok(response) => Ok(Exchange { response, receipt }),
            Err(error) => Err((receipt, error)),
        }
    }

    /// Sends an admitted request to switch protocols, always over a fresh HTTP/1.1 connection.
    ///
    /// # Errors
    /// The receipt comes back with the error.
    pub async fn upgrade(
        &self,
        ticket: Ticket,
        identity: &Identity,
        upgrade: &HeaderMap,
    ) -> Result<Upgraded, (Receipt, SendError)> {
        let user = ticket.user().to_owned();
        let (request, receipt) = ticket.into_parts();
        let sent = async {
            let mut request = self.request(request, &receipt, Speaker::Agent(&user, identity)).await?;
            request.headers_mut().extend(upgrade.clone());
            request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            let permit = self.http1.place()?;
            let connected = self.dial.dial(Protocol::Http1).await?;
            self.http1.send_fresh(connected.stream, permit, request).await
        };
        let (mut response, lease) = match sent.await {
            Ok(sent) => sent,
            Err(error) => return Err((receipt, error)),
        };
        if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
            // Never reused, whatever it says: CVE-2018-1002105 was a tunnel left open behind a failed upgrade.
            let response = response.map(|body| UpstreamBody { body, lease: Lease::Single(lease) });
            return Ok(Upgraded::Answered(Exchange { response, receipt }));
        }
        match hyper::upgrade::on(&mut response).await {
            Ok(upgraded) => Ok(Upgraded::Switched {
                head: response.map(|_| ()),
                stream: Box::new(Tunnel { io: TokioIo::new(upgraded), _lease: lease }),
                receipt,
            }),
            Err(error) => Err((receipt, SendError::Broken(error))),
        }
    }

    async fn request(
        &self,
        request: CanonicalRequest,
        receipt: &Receipt,
        speaker: Speaker<'_>,
    ) -> Result<Request<Full<Bytes>>, SendError> {
        let target = format!("{}{}", self.cluster.server.path().trim_end_matches('/'), request.target);
        let uri: Uri = target.parse().map_err(|error: InvalidUri| SendError::Target(error.into()))?;
        let body = request.body.into_bytes();
        let bodiless = body.is_empty() && matches!(request.method, Method::GET | Method::HEAD | Method::DELETE);
        let length = body.len();
        let mut sent = Request::new(Full::new(body));
        *sent.method_mut() = request.method;
        *sent.uri_mut() = uri;
        *sent.headers_mut() = request.headers;
        let headers = sent.headers_mut();
        if !bodiless {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        match speaker {
            Speaker::Agent(user, identity) => headers::set_identity(headers, receipt.audit_id(), user, identity)?,
            Speaker::Lockgate => headers::set_own(headers, receipt.audit_id())?,
        }
        let authorization = self.cluster.authorization(self.clock.now()).await;
        if let Some(value) = authorization.map_err(SendError::Credential)? {
            headers.insert(header::AUTHORIZATION, value);
        }
        headers.insert(header::HOST, self.host.clone());
        Ok(sent)
    }

    /// Over a connection of its own.
    async fn send_alone(&self, request: Request<Full<Bytes>>) -> Result<Response<UpstreamBody>, SendError> {
        let sent = match self.http1.send_idle(request).await {
            Ok(sent) => sent?,
            Err(request) => {
                let permit = self.http1.place()?;
                let connected = self.dial.dial(Protocol::Http1).await?;
                self.http1.send_fresh(connected.stream, permit, request).await?
            }
        };
        Ok(reusable(sent))
    }

    /// Over a shared connection, made when none has a free stream. A server that speaks no HTTP/2 is remembered.
    async fn send_shared(&self, request: Request<Full<Bytes>>) -> Result<Response<UpstreamBody>, SendError> {
        if self.http1_only.load(Ordering::Relaxed) {
            return self.send_alone(request).await;
        }
        let origin = request.uri().clone();
        let request = with_authority(request, &self.authority)?;
        let request = match self.try_shared(request).await {
            Ok(sent) => return sent,
            Err(NoFreeStream(request)) => request,
        };
        let _one_at_a_time = self.dialing.lock().await;
        let mut request = match self.try_shared(request).await {
            Ok(sent) => return sent,
            Err(NoFreeStream(request)) => request,
        };
        let connected = self.dial.dial(Protocol::Http2).await?;
        match connected.protocol {
            Protocol::Http2 => {
                self.http2.add(connected.stream).await?;
                let full = SendError::TooManyConnections { limit: self.limits.http2_connections_max };
                self.try_shared(request).await.unwrap_or(Err(full))
            }
            Protocol::Http1 => {
                self.http1_only.store(true, Ordering::Relaxed);
                *request.uri_mut() = origin;
                let sent = self.http1.send_fresh(connected.stream, self.http1.place()?, request).await?;
                Ok(reusable(sent))
            }
        }
    }

    async fn try_shared(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Result<Response<UpstreamBody>, SendError>, NoFreeStream> {
        let sent = self.http2.send(request).await?;
        Ok(sent.map(|(response, lease)| response.map(|body| UpstreamBody { body, lease: Lease::Shared(lease) })))
    }
}

fn with_authority(mut request: Request<Full<Bytes>>, authority: &Authority) -> Result<Request<Full<Bytes>>, SendError> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTPS);
    parts.authority = Some(authority.clone());
    *request.uri_mut() = Uri::from_parts(parts).map_err(|error| SendError::Target(error.into()))?;
    Ok(request)
}

fn reusable((response, lease): (Response<Incoming>, Http1Lease)) -> Response<UpstreamBody> {
    response.map(|body| UpstreamBody { body, lease: Lease::Reusable(Some(lease)) })
}

enum Lease {
    /// A stream of a shared connection.
    Shared(#[expect(dead_code, reason = "held for its drop")] StreamLease),
    /// A connection of its own; reused once the answer was read to its end.
    Reusable(Option<Http1Lease>),
    /// A connection of its own that closes with the answer.
    Single(#[expect(dead_code, reason = "held for its drop")] Http1Lease),
}

/// An answer's body, and the connection that it comes over.
pub struct UpstreamBody {
    body: Incoming,
    lease: Lease,
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let (Poll::Ready(None), Lease::Reusable(lease)) = (&frame, &mut self.lease)
            && let Some(lease) = lease.take()
        {
            lease.give_back();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl Drop for UpstreamBody {
    /// An empty answer is never polled: its connection is reusable all the same.
    fn drop(&mut self) {
        if let Lease::Reusable(lease) = &mut self.lease
            && let Some(lease) = lease.take()
            && self.body.is_end_stream()
        {
            lease.give_back();
        }
    }
}

/// An upgraded connection, counted among the open ones while it lives.
struct Tunnel {
    io: TokioIo<hyper::upgrade::Upgraded>,
    _lease: Http1Lease,
}

impl tokio::io::AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl tokio::io::AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
