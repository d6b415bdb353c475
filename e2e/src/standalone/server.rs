//! A TLS server whose answers a test writes: HTTP/1.1 and HTTP/2 by ALPN, bodies made as they are read.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::Certificate;

/// What a test answers with.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// As the real one: 1 MiB of headers. The gateway sends one header for each group.
const HEADER_LIST_BYTES_MAX: u32 = 1024 * 1024;
const HEADERS_MAX: usize = 4_096;
/// As the real one.
const STREAMS_MAX: u32 = 100;

/// A whole body.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body of these chunks; each is asked for when there is room for it.
pub fn chunks(stream: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    BodyExt::boxed_unsync(StreamBody::new(stream.map(|bytes| Ok(Frame::data(bytes)))))
}

type Script = dyn Fn(Parts, Bytes) -> Response<Body> + Send + Sync;

/// A running server; it ends when dropped.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(
        certificate: &Certificate,
        script: impl Fn(Parts, Bytes) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let acceptor = TlsAcceptor::from(Arc::new(tls(certificate)));
        let connections = Arc::new(AtomicU64::new(0));
        let (script, opened): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((socket, _peer)) = listener.accept().await {
                opened.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(socket, acceptor.clone(), Arc::clone(&script)));
            }
        });
        Self { address, connections, task }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Connections ever made.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: TcpStream, acceptor: TlsAcceptor, script: Arc<Script>) {
    // A gateway that is killed breaks handshakes and connections: that is not the server's matter.
    let Ok(()) = socket.set_nodelay(true) else { return };
    let Ok(stream) = acceptor.accept(socket).await else { return };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| answer(Arc::clone(&script), request));
    let io = TokioIo::new(stream);
    if http2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.max_header_list_size(HEADER_LIST_BYTES_MAX).max_concurrent_streams(STREAMS_MAX);
        drop(builder.serve_connection(io, service).await);
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.max_headers(HEADERS_MAX).max_buf_size(HEADER_LIST_BYTES_MAX as usize);
        drop(builder.serve_connection(io, service).await);
    }
}

async fn answer(script: Arc<Script>, request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(script(head, body))
}

fn tls(certificate: &Certificate) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(certificate.certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("TLS versions").with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).expect("a certificate and its key");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}
