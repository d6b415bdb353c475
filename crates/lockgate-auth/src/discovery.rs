//! OpenID Connect Discovery 1.0 (<https://openid.net/specs/openid-connect-discovery-1_0.html>).

use serde::Deserialize;
use url::Url;

use crate::config::secure_url;
use crate::http::{HttpClient, HttpError};

/// What an issuer says about itself, as far as we use it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    /// Its identifier; equal to the URL it was found under.
    pub issuer: String,
    /// Its signing keys.
    pub jwks_uri: Url,
    /// Where a person signs in.
    #[serde(default)]
    pub authorization_endpoint: Option<Url>,
    /// Where codes and refresh tokens become tokens.
    #[serde(default)]
    pub token_endpoint: Option<Url>,
    /// Where a device asks for a user code (RFC 8628).
    #[serde(default)]
    pub device_authorization_endpoint: Option<Url>,
    /// Where a sign-out begins.
    #[serde(default)]
    pub end_session_endpoint: Option<Url>,
}

/// Why an issuer could not be discovered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The exchange failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The document is another issuer's.
    #[error("{expected} calls itself {found:?}; the configured URL must be exactly the issuer's own")]
    Issuer {
        /// The configured issuer.
        expected: String,
        /// What the document says.
        found: String,
    },
    /// An endpoint without TLS.
    #[error("{issuer} names an endpoint that is not https")]
    Insecure {
        /// The issuer.
        issuer: String,
    },
}

pub(crate) async fn discover(http: &HttpClient, issuer: &str) -> Result<Metadata, DiscoveryError> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let insecure = || DiscoveryError::Insecure { issuer: issuer.into() };
    let document = format!("{base}/.well-known/openid-configuration");
    let url = secure_url(&document).map_err(|_| insecure())?;
    let metadata: Metadata = http.json(&url).await?;
    if metadata.issuer != issuer {
        let found = metadata.issuer.chars().take(200).collect();
        return Err(DiscoveryError::Issuer { expected: issuer.into(), found });
    }
    let endpoints =
        [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.device_authorization_endpoint];
    let all = endpoints.into_iter().flatten().chain([&metadata.jwks_uri]);
    // A query is legal in an endpoint; plain http to another machine is not.
    for endpoint in all {
        let mut bare = endpoint.clone();
        bare.set_query(None);
        secure_url(bare.as_str()).map_err(|_| insecure())?;
    }
    Ok(metadata)
}
