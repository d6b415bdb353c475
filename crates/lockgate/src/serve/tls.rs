//! The certificate of gateway and console.

use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Loaded;

/// TLS 1.2 and 1.3 with the configured certificate; ALPN is set by who listens.
pub(super) fn server(loaded: &Loaded) -> anyhow::Result<ServerConfig> {
    let tls = &loaded.config.tls;
    let chain = loaded.resolve("tls.certificate", &tls.certificate)?;
    let key = loaded.resolve("tls.key", &tls.key)?;
    let chain = CertificateDer::pem_slice_iter(chain.expose().as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .context("tls.certificate: not a PEM certificate chain")?;
    if chain.is_empty() {
        bail!("tls.certificate: no certificate in it; it wants PEM, the server's own first");
    }
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).context("tls.key: not a PEM private key")?;
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .context("tls")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("tls: certificate and key do not belong together")
}

/// For agents: HTTP/2 and HTTP/1.1.
pub(super) fn with_http2(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}
