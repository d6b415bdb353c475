//! The demo's certificate authority and the one certificate that gateway, console and identity provider serve on 127.0.0.1.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use super::place::{Place, write_private};

/// How long a certificate is good for, and after what age a start makes new ones.
const VALID_FOR: Duration = Duration::from_secs(90 * 24 * 3600);
const RENEWED_AFTER: Duration = Duration::from_secs(60 * 24 * 3600);

/// Makes `pki/{ca,server}.{crt,key}` if they are missing or old. A browser that trusts the authority keeps trusting it meanwhile.
pub(super) fn ensure(place: &Place) -> Result<()> {
    let age = |file: &str| fs::metadata(place.join(file)).and_then(|metadata| metadata.modified()).ok()?.elapsed().ok();
    let is_young = |file: &str| age(file).is_some_and(|age| age < RENEWED_AFTER);
    if is_young("pki/server.crt") && is_young("pki/server.key") && place.ca_file().exists() {
        return Ok(());
    }
    let authority_key = KeyPair::generate()?;
    let mut authority = parameters("Lockgate demo authority")?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_certificate = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::from_params(&authority, &authority_key);

    let key = KeyPair::generate()?;
    let mut server = parameters("Lockgate demo")?;
    server.subject_alt_names =
        CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?.subject_alt_names;
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = server.signed_by(&key, &issuer)?.pem();

    // The authority's key is not kept: nothing else will ever be signed with it.
    write_private(&place.ca_file(), authority_certificate.as_bytes())?;
    write_private(&place.join("pki/server.key"), key.serialize_pem().as_bytes())?;
    write_private(&place.join("pki/server.crt"), certificate.as_bytes())
}

fn parameters(name: &str) -> Result<CertificateParams> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let now = std::time::SystemTime::now();
    parameters.not_before = (now - Duration::from_secs(3600)).into();
    parameters.not_after = (now + VALID_FOR).into();
    Ok(parameters)
}
