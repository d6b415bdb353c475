//! A scripted API server over memory sockets: what it answers is a function of the request, down to the byte and the
//! moment; what it was sent is kept.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lockgate_proxy::upstream::dial::{Connected, Dial, DialError, Protocol};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

/// Bytes in flight between the gateway and the scripted server.
const PIPE_BYTES: usize = 64 * 1024;

/// What the server was sent.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// What runs at the far end of an upgraded connection.
pub type Process =
    Box<dyn FnOnce(TokioIo<hyper::upgrade::Upgraded>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// What the server answers.
pub enum Reply {
    /// A whole answer.
    Whole(Response<Bytes>),
    /// A head, then chunks as they are sent; dropping the sender ends the body, an error resets the connection.
    Chunks(Response<()>, mpsc::Receiver<Result<Bytes, std::io::Error>>),
    /// 101 with these headers, then the duplex goes to the function.
    Upgrade(HeaderMap, Process),
    /// Never answers.
    Stall,
}

impl Reply {
    /// `200 application/json`.
    pub fn json(body: &str) -> Self {
        Self::status(200, "application/json", body)
    }

    /// Any status and content type.
    pub fn status(code: u16, content_type: &str, body: &str) -> Self {
        let response = Response::builder().status(code).header("content-type", content_type);
        Self::Whole(response.body(Bytes::copy_from_slice(body.as_bytes())).expect("a valid head"))
    }
}

type Script = dyn Fn(Seen) -> Reply + Send + Sync;

/// The server. Clones are the same server.
#[derive(Clone)]
pub struct ApiServer {
    script: Arc<Script>,
    protocol: Protocol,
    seen: Arc<Mutex<Vec<Seen>>>,
    bytes: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

impl ApiServer {
    /// Speaks HTTP/2 where it is offered, or only HTTP/1.1.
    pub fn new(protocol: Protocol, script: impl Fn(Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            script: Arc::new(script),
            protocol,
            seen: Arc::default(),
            bytes: Arc::default(),
            connections: Arc::default(),
        }
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Bytes that arrived over all connections, handshakes included.
    pub fn bytes_received(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    /// Connections ever made.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<UnsyncBoxBody<Bytes, std::io::Error>>, std::io::Error> {
        let (mut head, body) = request.into_parts();
        let upgrade = head.extensions.remove::<hyper::upgrade::OnUpgrade>();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let seen = Seen { method: head.method, target, headers: head.headers, body };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
        match (self.script)(seen) {
            Reply::Whole(response) => {
                Ok(response.map(|bytes| Full::new(bytes).map_err(|never| match never {}).boxed_unsync()))
            }
            Reply::Chunks(head, chunks) => {
                let frames = futures_util::stream::unfold(chunks, |mut chunks| async move {
                    chunks.recv().await.map(|chunk| (chunk.map(Frame::data), chunks))
                });
                Ok(head.map(|()| BodyExt::boxed_unsync(StreamBody::new(frames))))
            }
            Reply::Upgrade(headers, run) => {
                let mut response =
                    Response::new(Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync());
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                *response.headers_mut() = headers;
                tokio::spawn(async move {
                    let upgraded = upgrade.expect("an upgrade request").await.expect("the upgrade");
                    run(TokioIo::new(upgraded)).await;
                });
                Ok(response)
            }
            Reply::Stall => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Dial for ApiServer {
    async fn dial(&self, best: Protocol) -> Result<Connected, DialError> {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let protocol = if best == Protocol::Http2 { self.protocol } else { Protocol::Http1 };
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        let io = TokioIo::new(Counted { io: server, bytes: Arc::clone(&self.bytes) });
        let server = self.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| server.clone().answer(request));
            // The gateway closes connections as it likes; a test looks at what was seen, not at how it ended.
            match protocol {
                Protocol::Http1 => {
                    let connection = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
                    drop(connection.with_upgrades().await);
                }
                Protocol::Http2 => {
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection(io, service).await);
                }
            }
        });
        Ok(Connected { stream: Box::new(client), protocol })
    }
}

/// Counts what is read.
struct Counted {
    io: DuplexStream,
    bytes: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        self.bytes.fetch_add((buffer.filled().len() - before) as u64, Ordering::SeqCst);
        read
    }
}

impl AsyncWrite for Counted {
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
