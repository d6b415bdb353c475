//! The HTTPS client behind sign-in and the command line: hyper with rustls, aws-lc-rs named explicitly.
//!
//! Refuses plain HTTP except to this machine, never follows a redirect, and bounds every answer and wait.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls_pki_types::{CertificateDer, pem::PemObject};

/// How long a peer may take to answer with a head.
pub const ANSWER_SECONDS_MAX: u64 = 20;

/// Which certificate authorities a client trusts.
#[derive(Debug, Clone)]
pub enum Roots {
    /// Those of the operating system.
    System,
    /// Those of the operating system and these (PEM).
    SystemAnd(Vec<u8>),
}

/// Why a request did not get an answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The given PEM holds no certificate that can be used.
    #[error("the CA file holds no usable PEM certificate")]
    Certificates(#[source] Option<rustls_pki_types::pem::Error>),
    /// rustls refused the certificate authorities or its own configuration.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// Plain HTTP to another machine.
    #[error("{0} is plain http: use https (http is accepted for this machine only)")]
    PlainHttp(Box<Uri>),
    /// No answer: not reachable, or TLS failed.
    #[error("cannot reach {uri}")]
    Unreachable {
        /// Where.
        uri: Box<Uri>,
        /// Why.
        #[source]
        source: Box<hyper_util::client::legacy::Error>,
    },
    /// No answer in time.
    #[error("{uri} did not answer within {seconds} s")]
    Slow {
        /// Where.
        uri: Box<Uri>,
        /// How long.
        seconds: u64,
    },
    /// The answer broke off.
    #[error("the answer broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is larger than expected.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
}

/// A client; cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbound {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Outbound {
    /// A client that trusts `roots`.
    ///
    /// # Errors
    /// [`OutboundError::Certificates`] and [`OutboundError::Tls`].
    pub fn new(roots: &Roots) -> Result<Self, OutboundError> {
        let mut store = rustls::RootCertStore::empty();
        // Broken system certificates are skipped, as every client does; what is missing shows as an unknown issuer.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Roots::SystemAnd(pem) = roots {
            let mut found = false;
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| OutboundError::Certificates(Some(error)))?;
                store.add(certificate).map_err(OutboundError::Tls)?;
                found = true;
            }
            if !found {
                return Err(OutboundError::Certificates(None));
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(OutboundError::Tls)?
            .with_root_certificates(store)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_secs(ANSWER_SECONDS_MAX)));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build(connector);
        Ok(Self { client })
    }

    /// Sends a request and returns the answer's head; its body streams. `wait` bounds the time until the head.
    ///
    /// # Errors
    /// [`OutboundError::PlainHttp`], [`OutboundError::Unreachable`], [`OutboundError::Slow`].
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        wait: Duration,
    ) -> Result<Response<Incoming>, OutboundError> {
        let uri = Box::new(request.uri().clone());
        if uri.scheme_str() != Some("https") && !is_this_machine(uri.host()) {
            return Err(OutboundError::PlainHttp(uri));
        }
        match tokio::time::timeout(wait, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(source)) => Err(OutboundError::Unreachable { uri, source: Box::new(source) }),
            Err(_) => Err(OutboundError::Slow { uri, seconds: wait.as_secs() }),
        }
    }

    /// Sends a request and reads the whole answer, up to `bytes_max`.
    ///
    /// # Errors
    /// Those of [`Outbound::send`], and [`OutboundError::TooLarge`], [`OutboundError::Broken`].
    pub async fn whole(
        &self,
        request: Request<Full<Bytes>>,
        wait: Duration,
        bytes_max: usize,
    ) -> Result<(StatusCode, Bytes), OutboundError> {
        let uri = Box::new(request.uri().clone());
        let response = self.send(request, wait).await?;
        let status = response.status();
        let body = tokio::time::timeout(wait, Limited::new(response.into_body(), bytes_max).collect())
            .await
            .map_err(|_| OutboundError::Slow { uri, seconds: wait.as_secs() })?
            .map_err(|error| match error.downcast::<LengthLimitError>() {
                Ok(_) => OutboundError::TooLarge { bytes_max },
                Err(error) => OutboundError::Broken(error),
            })?;
        Ok((status, body.to_bytes()))
    }
}

fn is_this_machine(host: Option<&str>) -> bool {
    matches!(host, Some("localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_without_a_certificate_is_refused() {
        let refused = Outbound::new(&Roots::SystemAnd(b"not pem".to_vec()));
        assert!(matches!(refused, Err(OutboundError::Certificates(None))), "{refused:?}");
    }

    #[tokio::test]
    async fn plain_http_to_another_machine_is_refused() {
        let outbound = Outbound::new(&Roots::System).unwrap();
        let request = Request::get("http://idp.example.com/").body(Full::default()).unwrap();
        let refused = outbound.send(request, Duration::from_secs(1)).await;
        assert!(matches!(refused, Err(OutboundError::PlainHttp(_))), "{refused:?}");
    }
}
