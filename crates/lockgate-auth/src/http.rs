//! A small HTTPS client for identity providers: one host's certificates, whole bounded answers, no redirects, a deadline.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use lockgate_core::Secret;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::de::DeserializeOwned;
use url::Url;

/// Longest wait for an identity provider's whole answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer of an identity provider, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Largest certificate file, in bytes.
const CERTIFICATES_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why an identity provider gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// No connection, TLS refused, broken off.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// Where, without its query.
        url: String,
        /// The chain of causes.
        reason: String,
    },
    /// Slower than five seconds.
    #[error("{url} did not answer within {} seconds", ANSWER_TIMEOUT.as_secs())]
    Slow {
        /// Where.
        url: String,
    },
    /// Another status than the wanted one.
    #[error("{url} answered with status {status}")]
    Status {
        /// Where.
        url: String,
        /// What.
        status: StatusCode,
    },
    /// Over a megabyte, or broken off in the body.
    #[error("{url}: the answer is longer than {ANSWER_BYTES_MAX} bytes or broke off")]
    Body {
        /// Where.
        url: String,
    },
    /// Not the JSON that was asked for.
    #[error("{url}: the answer is not the expected JSON")]
    Json {
        /// Where.
        url: String,
    },
}

/// An answer, whole. Its body may hold tokens.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Secret<Vec<u8>>,
}

/// The client. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpClient {
    /// Trusts the certificates in `certificate_authority`, or the system's.
    pub(crate) fn new(certificate_authority: Option<&Path>) -> Result<Self, String> {
        let roots = match certificate_authority {
            Some(file) => roots_of_file(file)?,
            None => system_roots()?,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(2)
            .retry_canceled_requests(false)
            .build(connector);
        Ok(Self { client })
    }

    /// GET, 200, JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, url: &Url) -> Result<T, HttpError> {
        let answer = self.send(url, Method::GET, None, Bytes::new()).await?;
        if answer.status != StatusCode::OK {
            return Err(status(url, answer.status));
        }
        serde_json::from_slice(answer.body.expose()).map_err(|_| not_json(url))
    }

    async fn send(
        &self,
        url: &Url,
        method: Method,
        authorization: Option<HeaderValue>,
        body: Bytes,
    ) -> Result<Answer, HttpError> {
        let unreachable = |reason: String| HttpError::Unreachable { url: shown(url), reason };
        let form = method == Method::POST;
        let mut request = Request::builder().method(method).uri(url.as_str()).header(ACCEPT, "application/json");
        if form {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body)).map_err(|error| unreachable(error.to_string()))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| unreachable(chain(&error)))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|_| HttpError::Body { url: shown(url) })?.to_bytes();
            Ok(Answer { status: head.status, body: Secret::new(body.to_vec()) })
        };
        tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(HttpError::Slow { url: shown(url) }))
    }
}

pub(crate) fn status(url: &Url, status: StatusCode) -> HttpError {
    HttpError::Status { url: shown(url), status }
}

pub(crate) fn not_json(url: &Url) -> HttpError {
    HttpError::Json { url: shown(url) }
}

/// A URL for messages: query and fragment may hold secrets.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The certificates of a PEM text; at least one.
pub(crate) fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("not PEM: {error}"))?;
        store.add(certificate).map_err(|error| format!("not a certificate: {error}"))?;
    }
    if store.is_empty() { Err("no certificate in it; expected PEM (BEGIN CERTIFICATE)".into()) } else { Ok(store) }
}

pub(crate) fn roots_of_file(file: &Path) -> Result<RootCertStore, String> {
    let pem = read_bounded(file, CERTIFICATES_BYTES_MAX)?;
    roots(&pem).map_err(|reason| format!("{}: {reason}", file.display()))
}

/// Reads a whole file that must not be larger than `bytes_max`.
pub(crate) fn read_bounded(file: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    use std::io::Read as _;

    let fault = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut bytes = Vec::new();
    std::fs::File::open(file).map_err(fault)?.take(bytes_max + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("{}: longer than {bytes_max} bytes", file.display()));
    }
    Ok(bytes)
}

pub(crate) fn system_roots() -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (_added, _ignored) = store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        return Err(
            "the system has no root certificates; install ca-certificates or name a certificateAuthority".into()
        );
    }
    Ok(store)
}
