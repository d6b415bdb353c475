//! A client over sockets of its own. Unlike the clients of the other tests it expects connections to break.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// One request at a time.
    Http1,
    /// Many.
    Http2,
}

/// Who calls which server.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    /// Sent as `Authorization: Bearer …` with every request.
    pub token: String,
    /// Before every path, such as `/clusters/shop`.
    pub prefix: String,
    /// The kernel's buffer for what was received and not read, in bytes; the system's choice where absent.
    pub receive_buffer: Option<u32>,
}

/// An open connection.
pub enum Connection {
    /// Over HTTP/1.1.
    Http1(hyper::client::conn::http1::SendRequest<Full<Bytes>>, Client),
    /// Over HTTP/2.
    Http2(hyper::client::conn::http2::SendRequest<Full<Bytes>>, Client),
}

impl Client {
    /// A client of the server at `address` that trusts this authority (PEM).
    ///
    /// # Panics
    /// If the authority is none.
    pub fn new(address: SocketAddr, authority: &str, token: &str, prefix: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
            roots.add(certificate.expect("a certificate")).expect("an authority");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = builder.expect("TLS versions").with_root_certificates(roots).with_no_client_auth();
        let (token, prefix) = (token.to_owned(), prefix.to_owned());
        Self { address, tls: Arc::new(tls), token, prefix, receive_buffer: None }
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody listens, or it broke.
    pub async fn connect(&self, protocol: Protocol) -> io::Result<Connection> {
        let mut tls = ClientConfig::clone(&self.tls);
        tls.alpn_protocols = vec![match protocol {
            Protocol::Http1 => b"http/1.1".to_vec(),
            Protocol::Http2 => b"h2".to_vec(),
        }];
        let name = ServerName::from(self.address.ip());
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, self.socket().await?).await?;
        let io = TokioIo::new(stream);
        match protocol {
            Protocol::Http1 => {
                let (sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(io::Error::other)?;
                tokio::spawn(async move { connection.await.ok() });
                Ok(Connection::Http1(sender, self.clone()))
            }
            Protocol::Http2 => {
                let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
                let (sender, connection) = builder.handshake(io).await.map_err(io::Error::other)?;
                tokio::spawn(async move { connection.await.ok() });
                Ok(Connection::Http2(sender, self.clone()))
            }
        }
    }

    async fn socket(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        let socket = socket.connect(self.address).await?;
        socket.set_nodelay(true)?;
        Ok(socket)
    }

    /// Connects and sends one GET, and reads the whole answer.
    ///
    /// # Errors
    /// It broke.
    pub async fn get(&self, path: &str) -> io::Result<(StatusCode, Bytes)> {
        self.connect(Protocol::Http1).await?.send("GET", path, b"").await
    }
}

impl Connection {
    /// Sends a request; the answer's body is still to come. Bodies are JSON, of a PATCH a JSON merge patch.
    ///
    /// # Errors
    /// It broke.
    ///
    /// # Panics
    /// If that is no request.
    pub async fn open(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<Response<Incoming>> {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        self.open_with(method, path, &[("content-type", kind)], body).await
    }

    /// As [`Self::open`], with headers of the caller's choice.
    ///
    /// # Errors
    /// It broke.
    ///
    /// # Panics
    /// If that is no request.
    pub async fn open_with(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response<Incoming>> {
        let (Self::Http1(_, client) | Self::Http2(_, client)) = &*self;
        let target = format!("{}{path}", client.prefix);
        let uri = match self {
            Self::Http1(..) => target,
            Self::Http2(..) => format!("https://{}{target}", client.address),
        };
        let request =
            Request::builder().method(method).uri(uri).header("authorization", format!("Bearer {}", client.token));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = match self {
            Self::Http1(..) => request.header("host", client.address.to_string()),
            Self::Http2(..) => request,
        };
        let request = request.body(Full::from(body.to_vec())).expect("a request");
        let answer = match self {
            Self::Http1(sender, _) => {
                sender.ready().await.map_err(io::Error::other)?;
                sender.send_request(request).await
            }
            Self::Http2(sender, _) => {
                sender.ready().await.map_err(io::Error::other)?;
                sender.send_request(request).await
            }
        };
        answer.map_err(io::Error::other)
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// It broke.
    pub async fn send(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<(StatusCode, Bytes)> {
        let (head, body) = self.open(method, path, body).await?.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok((head.status, body))
    }
}
