//! ID tokens, as the client that asked for them checks them (OpenID Connect Core 1.0, section 3.1.3.7).

use std::time::Duration;

use lockgate_core::Timestamp;

use super::{Client, LoginError, Pending, Provider, Tokens};
use crate::claims::{CLOCK_LEEWAY, Registered, text};
use crate::error::AuthError;
use crate::issuer::Jws;
use crate::jwk::Verdict;

/// Who signed in.
#[derive(Debug, Clone, PartialEq)]
pub struct IdToken {
    /// The person's id at the issuer.
    pub subject: String,
    /// When they last showed themselves, where the issuer says so.
    pub auth_time: Option<Timestamp>,
    /// When the token ends.
    pub expires_at: Timestamp,
    /// All claims, for display names. Personal data: not for logs.
    pub claims: serde_json::Value,
}

impl IdToken {
    /// Whether the person showed themselves within `age_max` before `now`. An issuer that does not say is no.
    pub fn signed_in_within(&self, age_max: Duration, now: Timestamp) -> bool {
        self.auth_time.is_some_and(|at| at <= now.plus(CLOCK_LEEWAY) && now.since(at) <= age_max)
    }
}

impl Provider {
    /// Checks the ID token of `tokens`: signature, issuer, audience (the client), times, and the nonce of the sign-in it
    /// answers (`None` for the device flow and refreshes, which have none).
    pub async fn id_token(
        &self,
        client: &Client,
        tokens: &Tokens,
        pending: Option<&Pending>,
        now: Timestamp,
    ) -> Result<IdToken, LoginError> {
        let token = tokens.id_token.as_ref().ok_or(LoginError::NoIdToken)?;
        let jws = Jws::parse(token.expose())?;
        let claims = jws.claims.expose().value();
        if text(claims, "iss") != Some(self.metadata.issuer.as_str()) {
            return Err(AuthError::Issuer.into());
        }
        let message = jws.message.as_bytes();
        match self.keys.verify(jws.key_id.as_deref(), jws.algorithm, message, &jws.signature, now).await {
            Ok(Verdict::Good) => {}
            Ok(Verdict::Bad) => return Err(AuthError::Signature.into()),
            Ok(Verdict::UnknownKey) => return Err(AuthError::UnknownKey.into()),
            Err(_) => return Err(AuthError::IssuerUnavailable.into()),
        }
        let registered = Registered::check(claims, now)?;
        let another = registered.audiences.len() > 1 || claims.get("azp").is_some();
        let authorized = !another || text(claims, "azp") == Some(client.id.as_str());
        if !registered.audiences.contains(&client.id) || !authorized {
            return Err(AuthError::Audience { accepted: client.id.clone() }.into());
        }
        if let Some(pending) = pending {
            let nonce = text(claims, "nonce").unwrap_or_default();
            aws_lc_rs::constant_time::verify_slices_are_equal(nonce.as_bytes(), pending.nonce.as_bytes())
                .map_err(|_| LoginError::Nonce)?;
        }
        Ok(IdToken {
            subject: text(claims, "sub").unwrap_or_default().into(),
            auth_time: registered.auth_time,
            expires_at: registered.expires_at,
            claims: claims.clone(),
        })
    }
}
