//! How people and programs get tokens: OAuth 2.0 with OpenID Connect on top.
//!
//! Authorization code with PKCE for people at a browser, the device flow for people at a terminal elsewhere, refresh,
//! and client credentials for programs. Deciding an approval needs a *fresh* sign-in: [`SignIn::Fresh`] asks the issuer
//! for one, and [`IdToken::signed_in_within`] checks that it was one, since an issuer may ignore what it is asked.
//!
//! Refuses to know: browsers, terminals, where tokens are kept.

mod flows;
mod id_token;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lockgate_core::Secret;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::config::{FileReference, secure_url};
use crate::discovery::{DiscoveryError, Metadata, discover};
use crate::error::AuthError;
use crate::http::{HttpClient, HttpError};
use crate::keys::Keys;

pub use flows::{Authorization, DeviceCode, Pending};
pub use id_token::IdToken;

/// An issuer, seen by a client of it.
#[derive(Clone)]
pub struct Provider {
    metadata: Metadata,
    http: HttpClient,
    keys: Arc<Keys>,
}

/// Who asks for tokens.
#[derive(Debug, Clone)]
pub struct Client {
    /// The client's id at the issuer.
    pub id: String,
    /// Its secret; `None` for a public client (a CLI).
    pub secret: Option<Secret<String>>,
    /// The scopes that it asks for; `openid` is added where a person signs in.
    pub scopes: Vec<String>,
    /// The resource that access tokens are for (RFC 8707), where the issuer wants to be told.
    pub resource: Option<String>,
}

/// What kind of sign-in is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignIn {
    /// A session at the issuer is good enough.
    Any,
    /// The person must show themselves again (`prompt=login`, `max_age`).
    Fresh {
        /// The oldest sign-in that will do.
        age_max: Duration,
    },
}

/// What an issuer gave.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// For resource servers.
    pub access_token: Secret<String>,
    /// Who signed in; with the scope `openid`.
    pub id_token: Option<Secret<String>>,
    /// For the next access token; with the scope `offline_access` at most issuers.
    pub refresh_token: Option<Secret<String>>,
    /// How long the access token lives, where the issuer says so.
    pub expires_in: Option<Duration>,
}

/// Why there are no tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The issuer's URL is not usable.
    #[error("issuer {url:?}: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What to write.
        reason: &'static str,
    },
    /// The CA file is not usable.
    #[error("the issuer's certificate authority: {0}")]
    CertificateAuthority(String),
    /// Discovery failed.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The exchange failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The issuer offers no such flow.
    #[error("the issuer has no {endpoint}; choose another way to sign in")]
    NotOffered {
        /// Such as `device_authorization_endpoint`.
        endpoint: &'static str,
    },
    /// The issuer said no (RFC 6749, section 5.2).
    #[error("the issuer refused: {code}{}{description}", if description.is_empty() { "" } else { ": " })]
    Refused {
        /// Its error code, such as `invalid_grant`.
        code: String,
        /// Its words, if any; shortened, printable.
        description: String,
    },
    /// The device flow waits for the person.
    #[error("the person has not finished signing in")]
    AuthorizationPending,
    /// As before, and asked too often.
    #[error("the person has not finished signing in; ask more slowly")]
    SlowDown,
    /// The answer came to another question (`state`).
    #[error("the sign-in's answer does not belong to this sign-in; start it again")]
    State,
    /// The redirect has neither code nor error.
    #[error("the sign-in's answer has no code; start it again")]
    NoCode,
    /// The ID token is not acceptable.
    #[error("the issuer's ID token is refused: {0}")]
    IdToken(#[from] AuthError),
    /// The ID token answers another sign-in (`nonce`).
    #[error("the issuer's ID token answers another sign-in (nonce); start it again")]
    Nonce,
    /// There is no ID token.
    #[error("the issuer gave no ID token; is the scope openid allowed for this client?")]
    NoIdToken,
    /// The system gave no randomness.
    #[error("no randomness from the system")]
    Randomness,
}

impl Provider {
    /// Finds out what the issuer offers.
    pub async fn discover(issuer: &str, certificate_authority: Option<&FileReference>) -> Result<Self, LoginError> {
        secure_url(issuer).map_err(|reason| LoginError::Url { url: issuer.into(), reason })?;
        let http = HttpClient::new(certificate_authority.map(|reference| reference.file.as_path()))
            .map_err(LoginError::CertificateAuthority)?;
        let metadata = discover(&http, issuer).await?;
        let keys = Keys::new(issuer.into(), http.clone(), TaskTracker::new());
        Ok(Self { metadata, http, keys })
    }

    /// What the issuer says about itself.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn endpoint<'p>(endpoint: Option<&'p Url>, name: &'static str) -> Result<&'p Url, LoginError> {
        endpoint.ok_or(LoginError::NotOffered { endpoint: name })
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.metadata.issuer)
    }
}

/// 32 random bytes as text: a state, a nonce, a code verifier.
fn random_text() -> Result<String, LoginError> {
    use base64::Engine as _;

    let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(|_| LoginError::Randomness)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(*bytes))
}
