//! The flows themselves.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderValue, StatusCode};
use lockgate_core::Secret;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Client, LoginError, Provider, SignIn, Tokens, random_text};
use crate::http::Answer;

/// Longest text of the issuer's that is repeated, in characters.
const DESCRIPTION_CHARACTERS_MAX: usize = 200;
/// How often a device asks when the issuer does not say (RFC 8628, section 3.2).
const DEVICE_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);

/// A sign-in that was begun: where to send the person, and what to keep until they come back.
#[derive(Debug)]
pub struct Authorization {
    /// Open this in the person's browser.
    pub url: Url,
    /// Keep this, on our side only.
    pub pending: Pending,
}

/// What must be kept between the two halves of a sign-in. Serializable, to be sealed into a cookie or kept in memory:
/// whoever has it can finish this one sign-in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    pub(super) state: String,
    pub(super) nonce: String,
    verifier: String,
    redirect_uri: String,
}

/// A device's code: show [`DeviceCode::user_code`] and the URI, then poll.
#[derive(Debug, Clone)]
pub struct DeviceCode {
    device_code: Secret<String>,
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it, where the issuer has such.
    pub verification_uri_complete: Option<String>,
    /// How long the code lives.
    pub expires_in: Duration,
    /// How long to wait between polls; five seconds longer after each [`LoginError::SlowDown`].
    pub interval: Duration,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    token_type: String,
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct DeviceAnswer {
    device_code: String,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    expires_in: u64,
    #[serde(default)]
    interval: Option<u64>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Pending {
    /// The `state` by which the returning person is recognised.
    pub fn state(&self) -> &str {
        &self.state
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending(…)")
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.verifier.zeroize();
    }
}

impl Provider {
    /// Begins a sign-in in a browser: authorization code with PKCE (RFC 7636, S256), state and nonce.
    pub fn begin(&self, client: &Client, redirect_uri: &str, sign_in: SignIn) -> Result<Authorization, LoginError> {
        let endpoint = Self::endpoint(self.metadata.authorization_endpoint.as_ref(), "authorization_endpoint")?;
        let pending = Pending {
            state: random_text()?,
            nonce: random_text()?,
            verifier: random_text()?,
            redirect_uri: redirect_uri.into(),
        };
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, pending.verifier.as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode(digest.as_ref());
        let mut url = endpoint.clone();
        let mut query = url.query_pairs_mut();
        query.append_pair("response_type", "code").append_pair("client_id", &client.id);
        query.append_pair("redirect_uri", redirect_uri).append_pair("scope", &scope(client, Person::SignsIn));
        query.append_pair("state", &pending.state).append_pair("nonce", &pending.nonce);
        query.append_pair("code_challenge", &challenge).append_pair("code_challenge_method", "S256");
        if let SignIn::Fresh { age_max } = sign_in {
            query.append_pair("prompt", "login").append_pair("max_age", &age_max.as_secs().to_string());
        }
        if let Some(resource) = &client.resource {
            query.append_pair("resource", resource);
        }
        drop(query);
        Ok(Authorization { url, pending })
    }

    /// Ends it: `query` is that of the redirect the person came back with.
    pub async fn finish(&self, client: &Client, pending: &Pending, query: &str) -> Result<Tokens, LoginError> {
        let field = |name: &str| {
            let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
            values.next().map(|(_, value)| value.into_owned())
        };
        let state = field("state").unwrap_or_default();
        if aws_lc_rs::constant_time::verify_slices_are_equal(state.as_bytes(), pending.state.as_bytes()).is_err() {
            return Err(LoginError::State);
        }
        // RFC 9207: an answer that says whose it is must be this issuer's.
        if field("iss").is_some_and(|issuer| issuer != self.metadata.issuer) {
            return Err(LoginError::State);
        }
        if let Some(code) = field("error") {
            return Err(refused(code, &field("error_description").unwrap_or_default()));
        }
        let code = Zeroizing::new(field("code").ok_or(LoginError::NoCode)?);
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", pending.redirect_uri.as_str()),
            ("code_verifier", pending.verifier.as_str()),
        ];
        form.extend(resource(client));
        self.tokens(client, form).await
    }

    /// New tokens for a refresh token. The answer's refresh token, if any, replaces the old one.
    pub async fn refresh(&self, client: &Client, refresh_token: &Secret<String>) -> Result<Tokens, LoginError> {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose().as_str())];
        form.extend(resource(client));
        self.tokens(client, form).await
    }

    /// Tokens for a program itself.
    pub async fn client_credentials(&self, client: &Client) -> Result<Tokens, LoginError> {
        let scope = scope(client, Person::IsAbsent);
        let mut form = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            form.push(("scope", scope.as_str()));
        }
        form.extend(resource(client));
        self.tokens(client, form).await
    }

    /// Begins a sign-in on another device (RFC 8628).
    pub async fn begin_device(&self, client: &Client, sign_in: SignIn) -> Result<DeviceCode, LoginError> {
        let endpoint = self.metadata.device_authorization_endpoint.as_ref();
        let endpoint = Self::endpoint(endpoint, "device_authorization_endpoint")?;
        let scope = scope(client, Person::SignsIn);
        let age;
        let mut form = vec![("scope", scope.as_str())];
        if let SignIn::Fresh { age_max } = sign_in {
            age = age_max.as_secs().to_string();
            form.extend([("prompt", "login"), ("max_age", age.as_str())]);
        }
        form.extend(resource(client));
        let answer = self.post(endpoint, client, form).await?;
        let answer: DeviceAnswer = parse(endpoint, &answer)?;
        Ok(DeviceCode {
            device_code: Secret::new(answer.device_code),
            user_code: answer.user_code,
            verification_uri: answer.verification_uri,
            verification_uri_complete: answer.verification_uri_complete,
            expires_in: Duration::from_secs(answer.expires_in),
            interval: answer.interval.map_or(DEVICE_INTERVAL_DEFAULT, Duration::from_secs),
        })
    }

    /// Asks once whether the person has finished; [`LoginError::AuthorizationPending`] and [`LoginError::SlowDown`]
    /// mean: wait, then ask again.
    pub async fn poll_device(&self, client: &Client, code: &DeviceCode) -> Result<Tokens, LoginError> {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let mut form = vec![("grant_type", grant), ("device_code", code.device_code.expose().as_str())];
        form.extend(resource(client));
        self.tokens(client, form).await
    }

    async fn tokens(&self, client: &Client, form: Vec<(&str, &str)>) -> Result<Tokens, LoginError> {
        let endpoint = Self::endpoint(self.metadata.token_endpoint.as_ref(), "token_endpoint")?;
        let answer = self.post(endpoint, client, form).await?;
        let answer: TokenAnswer = parse(endpoint, &answer)?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            return Err(refused("token_type".into(), "the token is no bearer token"));
        }
        Ok(Tokens {
            access_token: Secret::new(answer.access_token),
            id_token: answer.id_token.map(Secret::new),
            refresh_token: answer.refresh_token.map(Secret::new),
            expires_in: answer.expires_in.map(Duration::from_secs),
        })
    }

    /// A confidential client shows itself with HTTP Basic (every issuer takes it), a public one names itself.
    async fn post<'f>(
        &'f self,
        endpoint: &Url,
        client: &'f Client,
        mut form: Vec<(&'f str, &'f str)>,
    ) -> Result<Answer, LoginError> {
        let basic = match &client.secret {
            Some(secret) => Some(basic(&client.id, secret)?),
            None => {
                form.push(("client_id", client.id.as_str()));
                None
            }
        };
        let answer = self.http.form(endpoint, &form, basic).await?;
        if answer.status == StatusCode::OK {
            return Ok(answer);
        }
        match serde_json::from_slice::<ErrorAnswer>(answer.body.expose()) {
            Ok(error) => Err(refused(error.error, &error.error_description)),
            Err(_) => Err(LoginError::Http(crate::http::status(endpoint, answer.status))),
        }
    }
}

enum Person {
    SignsIn,
    IsAbsent,
}

fn scope(client: &Client, person: Person) -> String {
    let mut scopes: Vec<&str> = client.scopes.iter().map(String::as_str).collect();
    if matches!(person, Person::SignsIn) && !scopes.contains(&"openid") {
        scopes.insert(0, "openid");
    }
    scopes.join(" ")
}

fn resource(client: &Client) -> Option<(&str, &str)> {
    client.resource.as_deref().map(|resource| ("resource", resource))
}

/// RFC 6749, section 2.3.1: both parts form-encoded first.
fn basic(id: &str, secret: &Secret<String>) -> Result<HeaderValue, LoginError> {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encode(id), encode(secret.expose())));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut header = HeaderValue::from_str(&text).map_err(|_| refused("client".into(), "its id or secret is unfit"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn parse<T: serde::de::DeserializeOwned>(endpoint: &Url, answer: &Answer) -> Result<T, LoginError> {
    serde_json::from_slice(answer.body.expose()).map_err(|_| LoginError::Http(crate::http::not_json(endpoint)))
}

fn refused(code: String, description: &str) -> LoginError {
    let printable = |text: &str| -> String {
        text.chars().filter(|character| !character.is_control()).take(DESCRIPTION_CHARACTERS_MAX).collect()
    };
    match code.as_str() {
        "authorization_pending" => LoginError::AuthorizationPending,
        "slow_down" => LoginError::SlowDown,
        _ => LoginError::Refused { code: printable(&code), description: printable(description) },
    }
}
