//! All trusted issuers, and what becomes of a bearer token.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockgate_core::{Secret, Subject, Timestamp};
use serde_json::Value;
use tokio_util::task::TaskTracker;

use crate::bearer;
use crate::claims::{self, Registered};
use crate::config::{ConfigError, IssuerConfig, Mappings, secure_url};
use crate::error::AuthError;
use crate::http::HttpClient;
use crate::jwk::{Algorithm, KEY_ID_BYTES_MAX, Verdict};
use crate::keys::Keys;

/// Most issuers.
const ISSUERS_MAX: usize = 64;

/// A caller who showed a good token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// Who.
    pub subject: Subject,
    /// From this instant on the token is no longer accepted (`exp` and the leeway for clocks).
    pub expires_at: Timestamp,
    /// When the person last signed in, where the issuer says so.
    pub auth_time: Option<Timestamp>,
    /// The token's audiences.
    pub audiences: Vec<String>,
}

/// The trusted issuers. Cheap to share behind an `Arc`.
pub struct Issuers {
    issuers: Vec<Issuer>,
    tasks: TaskTracker,
}

struct Issuer {
    url: String,
    mappings: Mappings,
    keys: Arc<Keys>,
}

impl Issuers {
    /// Checks the configuration and reads the certificates; talks to nobody yet.
    pub fn new(configs: Vec<IssuerConfig>) -> Result<Self, ConfigError> {
        if configs.len() > ISSUERS_MAX {
            return Err(ConfigError::TooMany { limit: ISSUERS_MAX });
        }
        let tasks = TaskTracker::new();
        let mut issuers: Vec<Issuer> = Vec::with_capacity(configs.len());
        for config in configs {
            if issuers.iter().any(|issuer| issuer.url == config.url) {
                return Err(ConfigError::Twice { url: config.url });
            }
            issuers.push(Issuer::new(config, &tasks)?);
        }
        Ok(Self { issuers, tasks })
    }

    /// Turns the values of *all* `Authorization` headers of a request into a caller. Any doubt is an error; there is no
    /// anonymous caller. Cancel safe.
    pub async fn authenticate(&self, authorization: &[&[u8]], now: Timestamp) -> Result<Authenticated, AuthError> {
        self.authenticate_token(bearer::token(authorization)?, now).await
    }

    /// The same for a token that did not come in a header (a session of the console). Cancel safe.
    pub async fn authenticate_token(&self, token: &str, now: Timestamp) -> Result<Authenticated, AuthError> {
        let jws = Jws::parse(token)?;
        let named = claims::text(jws.claims.expose().value(), "iss").ok_or(AuthError::Issuer)?;
        let issuer = self.issuers.iter().find(|issuer| issuer.url == named).ok_or(AuthError::Issuer)?;
        issuer.authenticate(&jws, now).await
    }

    /// Waits for fetches of keys that are under way; for the end of the process.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.issuers.iter().map(|issuer| &issuer.url)).finish()
    }
}

impl Issuer {
    fn new(config: IssuerConfig, tasks: &TaskTracker) -> Result<Self, ConfigError> {
        secure_url(&config.url).map_err(|reason| ConfigError::Url { url: config.url.clone(), reason })?;
        let mappings = Mappings::compile(&config)?;
        let file = config.certificate_authority.as_ref().map(|reference| reference.file.as_path());
        let http = HttpClient::new(file)
            .map_err(|reason| ConfigError::CertificateAuthority { url: config.url.clone(), reason })?;
        Ok(Self { keys: Keys::new(config.url.clone(), http, tasks.clone()), url: config.url, mappings })
    }

    async fn authenticate(&self, jws: &Jws<'_>, now: Timestamp) -> Result<Authenticated, AuthError> {
        let key_id = jws.key_id.as_deref();
        let verified = self.keys.verify(key_id, jws.algorithm, jws.message.as_bytes(), &jws.signature, now).await;
        match verified.map_err(|_| AuthError::IssuerUnavailable)? {
            Verdict::Good => {}
            Verdict::Bad => return Err(AuthError::Signature),
            Verdict::UnknownKey => return Err(AuthError::UnknownKey),
        }
        let claims = jws.claims.expose().value();
        let registered = Registered::check(claims, now)?;
        let token_id = registered.token_id.clone().unwrap_or_else(|| fingerprint(jws.token));
        let subject = claims::subject(&self.url, &self.mappings, claims, &registered, token_id)?;
        Ok(Authenticated {
            subject,
            expires_at: registered.expires_at,
            auth_time: registered.auth_time,
            audiences: registered.audiences,
        })
    }
}

/// A token taken apart, not yet verified.
pub(crate) struct Jws<'t> {
    pub(crate) token: &'t str,
    pub(crate) algorithm: &'static Algorithm,
    pub(crate) key_id: Option<String>,
    pub(crate) message: &'t str,
    pub(crate) signature: Vec<u8>,
    pub(crate) claims: Secret<Claims>,
}

/// Claims as JSON; wiped only as far as the allocator lets us (the texts are dropped, not shown).
pub(crate) struct Claims(Value);

impl Claims {
    pub(crate) const fn value(&self) -> &Value {
        &self.0
    }
}

impl zeroize::Zeroize for Claims {
    fn zeroize(&mut self) {
        self.0 = Value::Null;
    }
}

impl<'t> Jws<'t> {
    pub(crate) fn parse(token: &'t str) -> Result<Self, AuthError> {
        if token.len() > crate::TOKEN_BYTES_MAX {
            return Err(AuthError::TooLarge { limit_bytes: crate::TOKEN_BYTES_MAX });
        }
        let (message, signature) = token.rsplit_once('.').ok_or(AuthError::MalformedToken)?;
        let (header, payload) = message.split_once('.').ok_or(AuthError::MalformedToken)?;
        let (algorithm, key_id) = check_header(&object(header)?)?;
        let signature = decode(signature)?;
        if payload.contains('.') || signature.is_empty() {
            return Err(AuthError::MalformedToken);
        }
        let claims = Secret::new(Claims(object(payload)?));
        Ok(Self { token, algorithm, key_id, message, signature, claims })
    }
}

/// The protected header (RFC 7515, section 4).
fn check_header(header: &Value) -> Result<(&'static Algorithm, Option<String>), AuthError> {
    let refuse = |reason: &'static str| Err(AuthError::Header { reason });
    let algorithm = match header.get("alg") {
        Some(Value::String(name)) => Algorithm::named(name).ok_or(AuthError::Algorithm)?,
        _ => return Err(AuthError::Algorithm),
    };
    if header.get("crit").is_some() || header.get("b64").is_some() {
        return refuse("it has critical extensions (crit), and none is understood");
    }
    match header.get("typ") {
        None => {}
        Some(Value::String(kind)) => {
            let kind = kind.to_ascii_lowercase();
            let kind = kind.strip_prefix("application/").unwrap_or(&kind);
            if !matches!(kind, "jwt" | "at+jwt") {
                return refuse("its type (typ) is neither JWT nor at+jwt");
            }
        }
        Some(_) => return refuse("its type (typ) is no text"),
    }
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) if (1..=KEY_ID_BYTES_MAX).contains(&id.len()) => Some(id.clone()),
        Some(_) => return refuse("its key id (kid) is empty, too long or no text"),
    };
    Ok((algorithm, key_id))
}

fn object(part: &str) -> Result<Value, AuthError> {
    match serde_json::from_slice(&decode(part)?) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) | Err(_) => Err(AuthError::MalformedToken),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthError::MalformedToken)
}

/// The first 16 bytes of the token's SHA-256, in hex.
fn fingerprint(token: &str) -> String {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
