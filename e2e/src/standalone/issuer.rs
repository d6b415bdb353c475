//! An identity provider that only publishes its key; tokens are signed beside it, with whatever claims a test wants.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Certificate, Server, whole};

const KEY_ID: &str = "test";
const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// A running issuer.
pub struct Issuer {
    /// Its server.
    pub server: Server,
    key: EcdsaKeyPair,
}

impl Issuer {
    /// Starts one.
    ///
    /// # Panics
    /// If no key can be made.
    pub async fn start(certificate: &Certificate) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        // An uncompressed point: 4, x, y.
        let point = key.public_key().as_ref();
        let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(point.get(from..from + 32).expect("a coordinate"));
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID,
            "x": coordinate(1), "y": coordinate(33),
        });
        let keys = json!({ "keys": [jwk] }).to_string();
        let server = Server::start(certificate, move |head, _body| {
            let host = head.headers.get("host").and_then(|host| host.to_str().ok()).map(str::to_owned);
            let host = host.or_else(|| head.uri.authority().map(ToString::to_string)).unwrap_or_default();
            let body = match head.uri.path() {
                "/.well-known/openid-configuration" => {
                    json!({"issuer": format!("https://{host}"), "jwks_uri": format!("https://{host}/keys")}).to_string()
                }
                "/keys" => keys.clone(),
                _ => {
                    let mut missing = Response::new(whole(""));
                    *missing.status_mut() = StatusCode::NOT_FOUND;
                    return missing;
                }
            };
            Response::builder().header("content-type", "application/json").body(whole(body)).expect("a valid head")
        })
        .await;
        Self { server, key }
    }

    /// A token of an agent with these groups.
    pub fn agent(&self, groups: &[String]) -> String {
        let id = "load-agent";
        self.sign(&json!({"aud": "lockgate", "sub": id, "owner": "owner@example.com", "groups": groups}))
    }

    /// A token of a person who may read the log.
    pub fn auditor(&self) -> String {
        self.sign(&json!({"aud": "lockgate-console", "sub": "audrey", "groups": ["audit"], "client_id": "console"}))
    }

    /// A token with these claims, and the registered ones where they are absent.
    ///
    /// # Panics
    /// If it cannot be signed.
    pub fn sign(&self, claims: &Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
        let mut whole = json!({"iss": self.server.url(), "iat": now, "exp": now + TOKEN_LIFE.as_secs()});
        for (name, value) in claims.as_object().expect("claims") {
            whole[name] = value.clone();
        }
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": KEY_ID});
        let signed = [header, whole].map(|json| URL_SAFE_NO_PAD.encode(json.to_string())).join(".");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}
