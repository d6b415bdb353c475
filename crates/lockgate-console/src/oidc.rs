//! OpenID Connect as a client: discovery, and the grants that Lockgate's own front doors use (code with PKCE, device,
//! refresh, client credentials). Shared by the web console and `lockgate login`.
//!
//! Refuses to judge a token: whether one is genuine, and whom it speaks for, is `lockgate-auth`'s to say.
//! OpenID Connect Core 1.0, RFC 6749, RFC 7636 (PKCE), RFC 8628 (device).

use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use lockgate_core::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::{Url, form_urlencoded};

use crate::outbound::{ANSWER_SECONDS_MAX, Outbound, OutboundError};

/// Discovery documents and token answers are small.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Why a sign-in step failed.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider could not be asked.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// What it answered is not what the specification says.
    #[error("{url} gave {status} and no usable answer: {reason}")]
    Answer {
        /// Which endpoint.
        url: Box<Url>,
        /// Its HTTP status.
        status: StatusCode,
        /// What is wrong with it.
        reason: String,
    },
    /// The provider's discovery document names another issuer.
    #[error("{asked} says it is issuer {named:?}; the configuration must name the issuer exactly")]
    OtherIssuer {
        /// The issuer as configured.
        asked: Box<Url>,
        /// The issuer as the document names it.
        named: String,
    },
    /// The provider does not offer the grant.
    #[error("the identity provider offers no {0}")]
    NotOffered(&'static str),
    /// The provider said no.
    #[error("the identity provider refused: {error}{}", .description.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Refused {
        /// Its error code, such as `invalid_grant`.
        error: String,
        /// Its own words.
        description: Option<String>,
    },
    /// The system gave no random bytes, or a URL cannot be a request's target.
    #[error("cannot make the request: {0}")]
    Request(&'static str),
}

/// What discovery says (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug, Clone, Deserialize)]
pub struct Provider {
    /// Exactly the `iss` of its tokens.
    pub issuer: String,
    /// Where a browser goes.
    pub authorization_endpoint: Url,
    /// Where codes become tokens.
    pub token_endpoint: Url,
    /// Where a device flow starts.
    pub device_authorization_endpoint: Option<Url>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct ClientId {
    /// The client's id.
    pub id: String,
    /// Its secret; `None` for a public client.
    pub secret: Option<Secret<String>>,
}

/// How long ago the person may have signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// An existing sign-in at the provider will do.
    Any,
    /// The person must sign in now (`prompt=login`).
    Now,
}

/// What one trip through the browser asks for.
#[derive(Debug)]
pub struct Trip {
    /// Ties the answer to this browser.
    pub state: String,
    /// Ties the ID token to this trip.
    pub nonce: String,
    /// The PKCE verifier, kept here until the code is redeemed.
    pub verifier: Secret<String>,
    /// Whether the person must sign in anew.
    pub freshness: Freshness,
}

/// What the token endpoint answered.
#[derive(Debug, Clone, Deserialize)]
pub struct Tokens {
    /// Says who signed in, and when.
    #[serde(default, deserialize_with = "secret")]
    pub id_token: Option<Secret<String>>,
    /// For an API that trusts the provider.
    #[serde(default, deserialize_with = "secret")]
    pub access_token: Option<Secret<String>>,
    /// Gets the next tokens without the person.
    #[serde(default, deserialize_with = "secret")]
    pub refresh_token: Option<Secret<String>>,
}

/// What a device flow starts with (RFC 8628, section 3.2).
#[derive(Debug, Clone, Deserialize)]
pub struct Device {
    device_code: String,
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code filled in.
    pub verification_uri_complete: Option<String>,
    /// Seconds until it lapses.
    pub expires_in: u64,
    #[serde(default = "five")]
    interval: u64,
}

impl Trip {
    /// Fresh random values.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn new(freshness: Freshness) -> Result<Self, OidcError> {
        Ok(Self { state: random()?, nonce: random()?, verifier: Secret::new(random()?), freshness })
    }

    /// Where the browser goes.
    pub fn url(&self, provider: &Provider, client: &ClientId, redirect: &Url, scopes: &[String]) -> Url {
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.verifier.expose().as_bytes()));
        let mut url = provider.authorization_endpoint.clone();
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", redirect.as_str())
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &self.state)
            .append_pair("nonce", &self.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        match self.freshness {
            // `max_age` makes the provider put `auth_time` into the ID token (Core, section 2).
            Freshness::Any => query.append_pair("max_age", "86400"),
            Freshness::Now => query.append_pair("max_age", "300").append_pair("prompt", "login"),
        };
        drop(query);
        url
    }
}

/// 32 random bytes as text.
///
/// # Errors
/// When the system has none.
pub fn random() -> Result<String, OidcError> {
    let mut bytes = [0_u8; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| OidcError::Request("the system gave no random bytes"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// One claim of a token that somebody else has already verified.
pub fn claim(token: &str, name: &str) -> Option<serde_json::Value> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<serde_json::Map<_, _>>(&payload).ok()?.remove(name)
}

/// A client of one provider.
#[derive(Debug, Clone)]
pub struct Oidc {
    /// The HTTP client.
    pub outbound: Outbound,
    /// The provider.
    pub provider: Provider,
    /// Who asks.
    pub client: ClientId,
}

impl Oidc {
    /// Reads the provider's discovery document.
    ///
    /// # Errors
    /// Every [`OidcError`] of asking, and [`OidcError::OtherIssuer`].
    pub async fn discover(outbound: Outbound, issuer: &Url, client: ClientId) -> Result<Self, OidcError> {
        let mut url = issuer.clone();
        url.set_path(&format!("{}/.well-known/openid-configuration", issuer.path().trim_end_matches('/')));
        let request = Request::get(url.as_str()).header(header::ACCEPT, "application/json").body(Full::default());
        let provider: Provider = ask(&outbound, &url, request).await?;
        if provider.issuer.trim_end_matches('/') != issuer.as_str().trim_end_matches('/') {
            return Err(OidcError::OtherIssuer { asked: Box::new(issuer.clone()), named: provider.issuer });
        }
        Ok(Self { outbound, provider, client })
    }

    /// Redeems a browser's code.
    ///
    /// # Errors
    /// Every [`OidcError`] of asking.
    pub async fn redeem(&self, code: &str, redirect: &Url, trip: &Trip) -> Result<Tokens, OidcError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect.as_str()),
            ("code_verifier", trip.verifier.expose()),
        ];
        self.post(&self.provider.token_endpoint, &form).await
    }

    /// Gets new tokens from a refresh token.
    ///
    /// # Errors
    /// Every [`OidcError`] of asking.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, OidcError> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        self.post(&self.provider.token_endpoint, &form).await
    }

    /// Gets a token for the client itself. `resource` is RFC 8707's.
    ///
    /// # Errors
    /// Every [`OidcError`] of asking.
    pub async fn client_credentials(&self, scopes: &[String], resource: Option<&str>) -> Result<Tokens, OidcError> {
        let scope = scopes.join(" ");
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend((!scope.is_empty()).then_some(("scope", scope.as_str())));
        form.extend(resource.map(|resource| ("resource", resource)));
        self.post(&self.provider.token_endpoint, &form).await
    }

    /// Starts a device flow.
    ///
    /// # Errors
    /// Every [`OidcError`] of asking, and [`OidcError::NotOffered`].
    pub async fn device(&self, scopes: &[String], freshness: Freshness) -> Result<Device, OidcError> {
        let url = self.provider.device_authorization_endpoint.as_ref();
        let url = url.ok_or(OidcError::NotOffered("device flow"))?;
        let scope = scopes.join(" ");
        let mut form = vec![("scope", scope.as_str())];
        match freshness {
            Freshness::Any => form.push(("max_age", "86400")),
            Freshness::Now => form.extend([("max_age", "300"), ("prompt", "login")]),
        }
        self.post(url, &form).await
    }

    /// Waits until the person has finished a device flow, at the pace that the provider asks for.
    ///
    /// # Errors
    /// Every [`OidcError`] of asking; a lapsed or declined flow is [`OidcError::Refused`].
    pub async fn device_tokens(&self, device: &Device) -> Result<Tokens, OidcError> {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device.device_code.as_str()),
        ];
        let mut pace = device.interval.clamp(1, 60);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(device.expires_in.min(3600));
        loop {
            tokio::time::sleep(Duration::from_secs(pace)).await;
            match self.post(&self.provider.token_endpoint, &form).await {
                Err(OidcError::Refused { error, .. }) if error == "slow_down" => pace = pace.saturating_add(5),
                Err(OidcError::Refused { error, .. })
                    if error == "authorization_pending" && tokio::time::Instant::now() < deadline => {}
                done => return done,
            }
        }
    }

    async fn post<T: DeserializeOwned>(&self, url: &Url, form: &[(&str, &str)]) -> Result<T, OidcError> {
        ask(&self.outbound, url, self.request(url, form)).await
    }

    /// A form as this client: with a secret by `client_secret_basic` (RFC 6749, section 2.3.1), and always with its id,
    /// which RFC 8628 wants and others ignore.
    fn request(&self, url: &Url, form: &[(&str, &str)]) -> http::Result<Request<Full<Bytes>>> {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form).append_pair("client_id", &self.client.id);
        let mut request = Request::post(url.as_str())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        if let Some(secret) = &self.client.secret {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encode(&self.client.id), encode(secret.expose()));
            request = request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
        }
        request.body(Full::new(Bytes::from(body.finish())))
    }
}

async fn ask<T: DeserializeOwned>(
    outbound: &Outbound,
    url: &Url,
    request: http::Result<Request<Full<Bytes>>>,
) -> Result<T, OidcError> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    let request = request.map_err(|_| OidcError::Request("the endpoint's URL cannot be a request's target"))?;
    let (status, body) = outbound.whole(request, Duration::from_secs(ANSWER_SECONDS_MAX), ANSWER_BYTES_MAX).await?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|error| OidcError::Answer {
            url: Box::new(url.clone()),
            status,
            reason: error.to_string(),
        });
    }
    match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => Err(OidcError::Refused { error: refusal.error, description: refusal.error_description }),
        Err(_) => Err(OidcError::Answer { url: Box::new(url.clone()), status, reason: "no error code".to_owned() }),
    }
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

const fn five() -> u64 {
    5
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> Provider {
        serde_json::from_value(serde_json::json!({
            "issuer": "https://idp.example.com",
            "authorization_endpoint": "https://idp.example.com/auth?tenant=1",
            "token_endpoint": "https://idp.example.com/token",
        }))
        .unwrap()
    }

    #[test]
    fn a_fresh_trip_asks_for_a_new_sign_in_and_keeps_its_verifier() {
        let trip = Trip::new(Freshness::Now).unwrap();
        let client = ClientId { id: "lockgate".into(), secret: None };
        let redirect = Url::parse("https://gate.example.com/sign-in/callback").unwrap();
        let url = trip.url(&provider(), &client, &redirect, &["openid".into(), "groups".into()]);
        let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(query["tenant"], "1");
        assert_eq!(query["prompt"], "login");
        assert_eq!(query["max_age"], "300");
        assert_eq!(query["scope"], "openid groups");
        assert_eq!(query["state"], trip.state);
        assert_eq!(query["nonce"], trip.nonce);
        assert_eq!(query["code_challenge"].len(), 43);
        assert!(!url.as_str().contains(trip.verifier.expose().as_str()));
    }

    #[test]
    fn two_trips_share_nothing() {
        let (one, two) = (Trip::new(Freshness::Any).unwrap(), Trip::new(Freshness::Any).unwrap());
        assert_ne!(one.state, two.state);
        assert_ne!(one.nonce, two.nonce);
        assert_ne!(one.verifier.expose(), two.verifier.expose());
    }

    #[test]
    fn a_claim_is_read_from_the_payload() {
        let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(r#"{"nonce":"n","auth_time":7}"#));
        assert_eq!(claim(&token, "nonce"), Some("n".into()));
        assert_eq!(claim(&token, "missing"), None);
        assert_eq!(claim("nonsense", "nonce"), None);
    }
}
