//! How a byte stream to an API server comes to be. The seam where tests put memory instead of TCP.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A two-way byte stream: a socket, a TLS session, or a duplex in memory.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// A boxed [`Stream`].
pub type BoxStream = Box<dyn Stream>;

/// The HTTP version of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// One request at a time; can be upgraded.
    Http1,
    /// Many streams; never upgraded (an upgrade over HTTP/2 breaks exec).
    Http2,
}

/// A connection that is ready for an HTTP handshake.
pub struct Connected {
    /// The bytes.
    pub stream: BoxStream,
    /// What ALPN agreed on.
    pub protocol: Protocol,
}

/// Makes connections to one API server.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    /// Connects, offering HTTP/2 and HTTP/1.1, or only HTTP/1.1.
    async fn dial(&self, best: Protocol) -> Result<Connected, DialError>;
}

/// Why no connection came to be. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// TCP refused, unreachable, or the name does not resolve.
    #[error("cannot connect to {authority}")]
    Connect {
        /// Host and port.
        authority: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The TLS handshake failed: wrong CA, wrong name, refused certificate.
    #[error("the TLS handshake with {authority} failed")]
    Tls {
        /// Host and port.
        authority: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// No answer in time.
    #[error("connecting to {authority} took longer than {limit:?}")]
    Timeout {
        /// Host and port.
        authority: String,
        /// The limit.
        limit: Duration,
    },
}

/// TCP and TLS to a fixed host and port.
pub struct TlsDial {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The name that the certificate must carry.
    pub server_name: ServerName<'static>,
    /// TLS with ALPN `h2, http/1.1`.
    pub tls_http2: Arc<rustls::ClientConfig>,
    /// TLS with ALPN `http/1.1`.
    pub tls_http1: Arc<rustls::ClientConfig>,
    /// For TCP and TLS together.
    pub connect_timeout: Duration,
}

impl TlsDial {
    async fn connect(&self, best: Protocol, authority: &str) -> Result<Connected, DialError> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|source| DialError::Connect { authority: authority.to_owned(), source })?;
        tcp.set_nodelay(true).map_err(|source| DialError::Connect { authority: authority.to_owned(), source })?;
        let config = match best {
            Protocol::Http1 => &self.tls_http1,
            Protocol::Http2 => &self.tls_http2,
        };
        let tls = TlsConnector::from(Arc::clone(config))
            .connect(self.server_name.clone(), tcp)
            .await
            .map_err(|source| DialError::Tls { authority: authority.to_owned(), source })?;
        let protocol = match tls.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok(Connected { stream: Box::new(tls), protocol })
    }
}

#[async_trait]
impl Dial for TlsDial {
    async fn dial(&self, best: Protocol) -> Result<Connected, DialError> {
        let authority = format!("{}:{}", self.host, self.port);
        match tokio::time::timeout(self.connect_timeout, self.connect(best, &authority)).await {
            Ok(connected) => connected,
            Err(_) => Err(DialError::Timeout { authority, limit: self.connect_timeout }),
        }
    }
}
