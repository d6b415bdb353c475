//! Tokens: the agent's own, and tokens that the identity provider's key signed with other claims than it would give.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::environment::{Environment, read};
use crate::person::{Who, lockgate, text};

/// The agent's token, as kubectl gets it.
pub async fn agent() -> String {
    let credential = lockgate(Who::Agent, &["token"]).await.ok().json();
    text(&credential, "/status/token").to_owned()
}

/// The approver's ID token of the last sign-in.
pub fn approver() -> String {
    let file = Environment::get().demo.approver_client.with_file_name("tokens.json");
    let tokens: Value = serde_json::from_str(&read(&file)).expect("tokens.json");
    text(&tokens, "/idToken").to_owned()
}

/// The claims of a token.
///
/// # Panics
/// If it is none.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("claims")
}

/// A token with these claims that the demo's identity provider signed, as far as anybody can tell: with its own key.
///
/// # Panics
/// If the demo keeps its key elsewhere.
pub fn signed(claims: &Value, kind: &str) -> String {
    let keys: Value =
        serde_json::from_str(&read(&Environment::get().demo.state_dir.join("idp/keys.json"))).expect("keys.json");
    let key = keys.pointer("/jwks/keys/0").expect("the provider's key");
    let part = |name: &str| URL_SAFE_NO_PAD.decode(text(key, &format!("/{name}"))).expect("base64url");
    let public = [vec![4], part("x"), part("y")].concat();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &part("d"), &public)
        .expect("a P-256 key");
    let header = json!({"alg": "ES256", "typ": kind, "kid": text(key, "/kid")});
    let signed = [header, claims.clone()].map(|json| URL_SAFE_NO_PAD.encode(json.to_string())).join(".");
    let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}
