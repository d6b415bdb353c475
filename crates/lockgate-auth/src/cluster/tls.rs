//! TLS toward API servers: TLS 1.2 and 1.3, aws-lc-rs, the server always verified.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use lockgate_core::Secret;
use rustls::ClientConfig;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::http::{roots, system_roots};

/// Largest certificate or key file, in bytes.
pub(super) const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// A client certificate that may change while connections are made.
#[derive(Default)]
pub(super) struct Certificates(ArcSwapOption<CertifiedKey>);

impl Certificates {
    pub(super) fn replace(&self, key: Option<Arc<CertifiedKey>>) {
        self.0.store(key);
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates(…)")
    }
}

impl ResolvesClientCert for Certificates {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }

    fn has_certs(&self) -> bool {
        self.0.load().is_some()
    }
}

/// The two configurations: ALPN h2 and http/1.1, and http/1.1 alone.
pub(super) fn configs(
    authority: Option<&[u8]>,
    identity: Option<&(Vec<u8>, Secret<Vec<u8>>)>,
    certificates: Option<Arc<Certificates>>,
) -> Result<(Arc<ClientConfig>, Arc<ClientConfig>), String> {
    let provider = provider();
    let roots = Arc::new(match authority {
        Some(pem) => roots(pem).map_err(|reason| format!("certificate-authority: {reason}"))?,
        None => system_roots()?,
    });
    let verifier: Arc<dyn ServerCertVerifier> =
        rustls::client::WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|error| format!("certificate-authority: {error}"))?;
    let certificates = match (certificates, identity) {
        (Some(certificates), _) => certificates,
        (None, identity) => {
            let certificates = Certificates::default();
            certificates.replace(identity.map(|(chain, key)| certified_key(chain, key)).transpose()?);
            Arc::new(certificates)
        }
    };
    let config = |protocols: &[&[u8]]| {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier))
            .with_client_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesClientCert>);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok::<_, String>(Arc::new(config))
    };
    Ok((config(&[b"h2", b"http/1.1"])?, config(&[b"http/1.1"])?))
}

/// A chain and its key, shown to belong together.
pub(super) fn certified_key(chain: &[u8], key: &Secret<Vec<u8>>) -> Result<Arc<CertifiedKey>, String> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("client-certificate: not PEM: {error}"))?;
    if chain.is_empty() {
        return Err("client-certificate: no certificate in it; expected PEM (BEGIN CERTIFICATE)".into());
    }
    let key = PrivateKeyDer::from_pem_slice(key.expose())
        .map_err(|_| "client-key: no private key in it; expected PEM (BEGIN … PRIVATE KEY)".to_owned())?;
    CertifiedKey::from_der(chain, key, &provider())
        .map(Arc::new)
        .map_err(|error| format!("client-certificate and client-key do not fit: {error}"))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
