//! A small HTTPS client that trusts the demo's own authority and nobody else: readiness and the scripted sign-in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use hyper::{Request, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const ANSWER_BYTES_MAX: usize = 1024 * 1024;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A client with a jar of cookies for one host. Redirects are the caller's business.
pub(super) struct Browser {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    cookies: Vec<(String, String)>,
}

/// An answer, read whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    pub(super) body: String,
}

impl Browser {
    /// Trusts the certificates in `ca_file` only.
    pub(super) fn trusting(ca_file: &Path) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in
            CertificateDer::pem_file_iter(ca_file).with_context(|| format!("cannot read {}", ca_file.display()))?
        {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), cookies: Vec::new() })
    }

    pub(super) async fn load(&mut self, url: &str) -> Result<Answer> {
        self.send(url, Request::get(url).body(Full::default())?).await
    }

    pub(super) async fn submit(&mut self, url: &str, form: &[(&str, &str)]) -> Result<Answer> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(url, request.body(Full::from(body))?).await
    }

    async fn send(&mut self, url: &str, mut request: Request<Full<Bytes>>) -> Result<Answer> {
        let jar: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !jar.is_empty() {
            request.headers_mut().insert(COOKIE, jar.join("; ").parse()?);
        }
        request.headers_mut().insert(ACCEPT, "application/json, text/html".parse()?);
        let exchange = async {
            let answer = self.client.request(request).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(anyhow::Error::from_boxed)?;
            Ok::<_, anyhow::Error>((head, body.to_bytes()))
        };
        let Ok(answered) = tokio::time::timeout(ANSWER_WITHIN, exchange).await else {
            bail!("{url} did not answer within {} s", ANSWER_WITHIN.as_secs());
        };
        let (head, body) = answered.with_context(|| format!("cannot reach {url}"))?;
        for cookie in head.headers.get_all(SET_COOKIE) {
            self.keep(cookie.to_str().unwrap_or_default());
        }
        Ok(Answer {
            status: head.status,
            location: head.headers.get(LOCATION).and_then(|location| location.to_str().ok()).map(str::to_owned),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// Paths and lifetimes do not matter for the one conversation that this jar is for, but a cookie that is taken away does.
    fn keep(&mut self, set_cookie: &str) {
        let Some((name, value)) = set_cookie.split(';').next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        self.cookies.retain(|(kept, _)| kept != name);
        if !value.is_empty() {
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_replaced_and_taken_away() {
        let ca = std::env::temp_dir().join(format!("lockgate-demo-ca-{}", std::process::id()));
        let authority = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(&ca, authority.cert.pem()).unwrap();
        let mut browser = Browser::trusting(&ca).unwrap();
        browser.keep("_session=one; path=/; secure");
        browser.keep("_session=two; path=/");
        browser.keep("_interaction=x; path=/sign-in");
        browser.keep("_interaction=; path=/sign-in; expires=Thu, 01 Jan 1970 00:00:00 GMT");
        browser.keep("nonsense");
        assert_eq!(browser.cookies, [("_session".to_owned(), "two".to_owned())]);
        std::fs::remove_file(ca).unwrap();
    }
}
