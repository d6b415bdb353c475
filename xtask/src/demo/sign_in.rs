//! Signing a demo person in afresh without a browser: the same authorization code flow with PKCE that a browser would go through.

use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use url::Url;

use super::http::Browser;
use super::place::random_word;

/// The native client at the identity provider.
pub(super) const CLIENT_ID: &str = "lockgate-cli";
const REDIRECT_URI: &str = "http://127.0.0.1/callback";
const SCOPE: &str = "openid groups offline_access";
/// Redirects of one sign-in; a healthy one has six.
const STEPS_MAX: usize = 12;

/// What the token endpoint gave.
#[derive(Debug, Deserialize)]
pub(super) struct Tokens {
    pub(super) id_token: String,
    pub(super) refresh_token: Option<String>,
}

#[derive(Deserialize)]
struct Discovery {
    authorization_endpoint: String,
    token_endpoint: String,
}

/// Signs `person` in at `issuer` now; `auth_time` in the ID token is the present.
pub(super) async fn fresh(issuer: &str, ca_file: &Path, person: &str) -> Result<Tokens> {
    let mut browser = Browser::trusting(ca_file)?;
    let discovery = browser.load(&format!("{issuer}/.well-known/openid-configuration")).await?;
    let discovery: Discovery = serde_json::from_str(&discovery.body).context("the issuer's discovery document")?;
    let verifier = random_word()?;
    let state = random_word()?;
    let code =
        authorize(&mut browser, &discovery.authorization_endpoint, person, &challenge(&verifier), &state).await?;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT_ID),
        ("code", &code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", &verifier),
    ];
    let answer = browser.submit(&discovery.token_endpoint, &form).await?;
    if !answer.status.is_success() {
        bail!("the identity provider gave no token ({}): {}", answer.status, answer.body);
    }
    serde_json::from_str(&answer.body).context("the identity provider's token answer")
}

/// Follows the flow to the redirect back to the client and gives the code in it.
async fn authorize(
    browser: &mut Browser,
    endpoint: &str,
    person: &str,
    challenge: &str,
    state: &str,
) -> Result<String> {
    let parameters = [
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("scope", SCOPE),
        ("prompt", "login consent"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
        ("state", state),
    ];
    let mut at = Url::parse_with_params(endpoint, parameters)?;
    for _ in 0..STEPS_MAX {
        if at.as_str().starts_with(REDIRECT_URI) {
            return code_of(&at, state);
        }
        let answer = browser.load(at.as_str()).await?;
        let answer = match (answer.location, answer.status.is_success()) {
            (Some(location), _) => Some(location),
            // The sign-in page: press the person's button.
            (None, true) => browser.submit(&format!("{at}/{person}"), &[]).await?.location,
            (None, false) => bail!("the sign-in stopped at {at} ({})", answer.status),
        };
        let location = answer.with_context(|| format!("the identity provider knows nobody called {person}"))?;
        at = at.join(&location)?;
    }
    bail!("the identity provider sends us round in circles")
}

/// The authorization code of the redirect back, if it answers our request.
fn code_of(redirect: &Url, state: &str) -> Result<String> {
    let parameter =
        |name: &str| redirect.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    if let Some(error) = parameter("error") {
        bail!("the identity provider refused: {error} {}", parameter("error_description").unwrap_or_default());
    }
    if parameter("state").as_deref() != Some(state) {
        bail!("the identity provider answered another request than ours");
    }
    parameter("code").context("the identity provider sent no code")
}

/// RFC 7636, S256.
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        // Appendix B.
        let challenge = challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn only_the_answer_to_our_request_counts() {
        let redirect = |query: &str| Url::parse(&format!("{REDIRECT_URI}?{query}")).unwrap();
        assert_eq!(code_of(&redirect("code=abc&state=s"), "s").unwrap(), "abc");
        assert!(code_of(&redirect("code=abc&state=other"), "s").is_err());
        assert!(code_of(&redirect("state=s"), "s").is_err());
        let refused = code_of(&redirect("error=access_denied&error_description=no&state=s"), "s").unwrap_err();
        assert!(refused.to_string().contains("access_denied no"));
    }
}
