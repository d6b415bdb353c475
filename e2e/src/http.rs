//! Raw HTTPS requests: straight to the API server and through the gateway, over HTTP/1.1 and HTTP/2.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use crate::environment::{Environment, impersonation, read};
use crate::program::Way;
use crate::{token, within};

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// A client of one server that speaks one protocol, with the agent's credential.
#[derive(Clone)]
pub struct Door {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    /// Sent with every request.
    pub credential: Vec<(String, String)>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// One header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// An answer whose body is read as it comes.
pub struct Stream {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
    buffer: Vec<u8>,
}

impl Stream {
    /// The next line, without its end.
    ///
    /// # Panics
    /// If none comes in time.
    pub async fn line(&mut self) -> Vec<u8> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.truncate(end);
                return line;
            }
            let frame =
                within("more of the answer", self.body.frame()).await.expect("more before the end").expect("a frame");
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }

    /// What is left of it.
    ///
    /// # Panics
    /// If it does not end in time.
    pub async fn rest(self) -> Vec<u8> {
        let rest = within("the answer's body", self.body.collect()).await.expect("the answer's body").to_bytes();
        [self.buffer, rest.to_vec()].concat()
    }

    /// The next event of a watch.
    ///
    /// # Panics
    /// If none comes in time.
    pub async fn event(&mut self) -> Value {
        serde_json::from_slice(&self.line().await).expect("an event")
    }
}

impl Door {
    /// A door to the cluster, with the agent's identity.
    pub async fn agent(way: Way, protocol: Protocol) -> Self {
        let environment = Environment::get();
        match way {
            Way::Through => {
                let credential = vec![("authorization".to_owned(), format!("Bearer {}", token::agent().await))];
                Self::new(environment.cluster_url(), credential, protocol, None)
            }
            Way::Direct => {
                let credential = impersonation().map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
                Self::new(environment.admin.server.clone(), credential, protocol, Some(()))
            }
        }
    }

    /// A door to the console's API with any bearer token.
    pub fn console(token: &str) -> Self {
        let credential = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        Self::new(Environment::get().demo.console_url.clone(), credential, Protocol::Http1, None)
    }

    /// A door to any URL under the demo's authority.
    pub fn to(base: &str, token: &str, protocol: Protocol) -> Self {
        let credential = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        Self::new(base.to_owned(), credential, protocol, None)
    }

    fn new(base: String, credential: Vec<(String, String)>, protocol: Protocol, administrator: Option<()>) -> Self {
        let tls = tls(administrator.is_some());
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_only();
        let (connector, http2_only) = match protocol {
            Protocol::Http1 => (builder.enable_http1().build(), false),
            Protocol::Http2 => (builder.enable_http2().build(), true),
        };
        let client = Client::builder(TokioExecutor::new()).http2_only(http2_only).build(connector);
        Self { client, base, credential }
    }

    /// Sends a request and gives the answer's head and its body to come.
    ///
    /// # Panics
    /// If no answer comes in time.
    pub async fn stream(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Stream {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).expect("a method"));
        request = request.uri(format!("{}{path}", self.base));
        let own = self.credential.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(headers.iter().copied()) {
            request = request.header(name, value);
        }
        let request = request.body(Full::from(body.to_vec())).expect("a request");
        let answer = within("an answer", self.client.request(request)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{method} {}{path}: {error:?}", self.base));
        let (head, body) = answer.into_parts();
        Stream { status: head.status, headers: head.headers, body, buffer: Vec::new() }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    /// If it does not come in time.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let stream = self.stream(method, path, headers, body).await;
        let body = within("the answer's body", stream.body.collect()).await.expect("the answer's body").to_bytes();
        Answer { status: stream.status, headers: stream.headers, body }
    }

    /// A GET.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, b"").await
    }
}

/// Trusts the demo's authority, or, as the administrator, the cluster's.
///
/// # Panics
/// If the certificates cannot be read.
pub fn tls(administrator: bool) -> ClientConfig {
    let environment = Environment::get();
    let authority =
        if administrator { environment.admin.authority.clone() } else { read(&environment.demo.ca_file).into_bytes() };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&authority) {
        roots.add(certificate.expect("a certificate")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS versions");
    let builder = builder.with_root_certificates(roots);
    if !administrator {
        return builder.with_no_client_auth();
    }
    let chain = CertificateDer::pem_slice_iter(&environment.admin.certificate).map(|one| one.expect("a certificate"));
    let key = PrivateKeyDer::from_pem_slice(&environment.admin.key).expect("a key");
    builder.with_client_auth_cert(chain.collect(), key).expect("the administrator's certificate")
}
