//! Public keys as issuers publish them (RFC 7517), each pinned to one algorithm, and signatures checked with them.
//!
//! The `alg` of a token's header only ever *selects among* what the key allows; it never chooses how a key is used. That
//! is what makes `alg: none` and an HMAC keyed with a public key impossible: neither has a row in [`ALGORITHMS`].

use std::fmt;

use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Most keys of one issuer that are kept.
pub(crate) const KEYS_MAX: usize = 64;
/// Longest key id, in bytes.
pub(crate) const KEY_ID_BYTES_MAX: usize = 512;

/// How a key verifies.
enum Scheme {
    Rsa(&'static RsaParameters),
    Ecdsa { curve: &'static str, coordinate_bytes: usize, algorithm: &'static EcdsaVerificationAlgorithm },
    EdDsa,
}

/// An accepted algorithm (RFC 7518, RFC 8037).
pub(crate) struct Algorithm {
    name: &'static str,
    scheme: Scheme,
}

static ALGORITHMS: [Algorithm; 10] = [
    Algorithm { name: "RS256", scheme: Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256) },
    Algorithm { name: "RS384", scheme: Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384) },
    Algorithm { name: "RS512", scheme: Scheme::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512) },
    Algorithm { name: "PS256", scheme: Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA256) },
    Algorithm { name: "PS384", scheme: Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA384) },
    Algorithm { name: "PS512", scheme: Scheme::Rsa(&signature::RSA_PSS_2048_8192_SHA512) },
    Algorithm {
        name: "ES256",
        scheme: Scheme::Ecdsa { curve: "P-256", coordinate_bytes: 32, algorithm: &signature::ECDSA_P256_SHA256_FIXED },
    },
    Algorithm {
        name: "ES384",
        scheme: Scheme::Ecdsa { curve: "P-384", coordinate_bytes: 48, algorithm: &signature::ECDSA_P384_SHA384_FIXED },
    },
    Algorithm {
        name: "ES512",
        scheme: Scheme::Ecdsa { curve: "P-521", coordinate_bytes: 66, algorithm: &signature::ECDSA_P521_SHA512_FIXED },
    },
    Algorithm { name: "EdDSA", scheme: Scheme::EdDsa },
];

impl Algorithm {
    /// The accepted algorithm of that name, if any.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        ALGORITHMS.iter().find(|algorithm| algorithm.name == name)
    }
}

/// A key as published. What is not named here is not read.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    key_ops: Option<Vec<String>>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

/// A key set as published; keys that cannot be used are skipped, one by one (RFC 7517, section 5).
#[derive(Deserialize)]
pub(crate) struct PublishedKeys {
    keys: Vec<serde_json::Value>,
}

/// One usable key.
struct Key {
    id: Option<String>,
    algorithm: &'static str,
    public: ParsedPublicKey,
}

/// The usable keys of an issuer.
#[derive(Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

/// What a key set says to a signature.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Made by one of the keys.
    Good,
    /// The key is here and did not make it.
    Bad,
    /// No such key, or it is not for that algorithm.
    UnknownKey,
}

impl KeySet {
    pub(crate) fn from_published(published: PublishedKeys) -> Self {
        let keys = published.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        Self { keys: keys.filter_map(|jwk| Key::from_jwk(&jwk)).take(KEYS_MAX).collect() }
    }

    pub(crate) const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Checks `signature` over `message`. A token without `kid` is tried against every key of its algorithm.
    pub(crate) fn verify(
        &self,
        key_id: Option<&str>,
        algorithm: &Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Verdict {
        let fits = |key: &&Key| {
            key.algorithm == algorithm.name && key_id.is_none_or(|wanted| key.id.as_deref() == Some(wanted))
        };
        let mut verdict = Verdict::UnknownKey;
        for key in self.keys.iter().filter(fits) {
            if key.public.verify_sig(message, signature).is_ok() {
                return Verdict::Good;
            }
            verdict = Verdict::Bad;
        }
        verdict
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| (&key.id, key.algorithm))).finish()
    }
}

impl Key {
    /// `None` for a key that is not for signatures, or of a kind or algorithm that is not accepted.
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let for_signatures = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.as_deref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        let sane_id = jwk.kid.as_deref().is_none_or(|id| id.len() <= KEY_ID_BYTES_MAX);
        if !for_signatures || !sane_id {
            return None;
        }
        let algorithm = Algorithm::named(jwk.alg.as_deref().or_else(|| default_algorithm(jwk))?)?;
        let public = match &algorithm.scheme {
            Scheme::Rsa(parameters) => rsa(jwk, parameters)?,
            Scheme::Ecdsa { curve, coordinate_bytes, algorithm } => ecdsa(jwk, curve, *coordinate_bytes, algorithm)?,
            Scheme::EdDsa => ed25519(jwk)?,
        };
        Some(Self { id: jwk.kid.clone(), algorithm: algorithm.name, public })
    }
}

/// The algorithm of a key that names none: RS256 as OpenID Connect has it, else what the curve says.
fn default_algorithm(jwk: &Jwk) -> Option<&'static str> {
    match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", None) => Some("RS256"),
        ("EC", Some("P-256")) => Some("ES256"),
        ("EC", Some("P-384")) => Some("ES384"),
        ("EC", Some("P-521")) => Some("ES512"),
        ("OKP", Some("Ed25519")) => Some("EdDSA"),
        _ => None,
    }
}

fn rsa(jwk: &Jwk, parameters: &'static RsaParameters) -> Option<ParsedPublicKey> {
    if jwk.kty != "RSA" {
        return None;
    }
    // Some issuers pad the modulus with a zero byte; the number is the same.
    let number = |text: Option<&str>| {
        decode(text).map(|bytes| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>())
    };
    let components = RsaPublicKeyComponents { n: number(jwk.n.as_deref())?, e: number(jwk.e.as_deref())? };
    // The bounds of the parameters (2048 to 8192 bits) are checked at every verification.
    components.to_parsed_public_key(parameters).ok()
}

fn ecdsa(
    jwk: &Jwk,
    curve: &str,
    coordinate_bytes: usize,
    algorithm: &'static EcdsaVerificationAlgorithm,
) -> Option<ParsedPublicKey> {
    if jwk.kty != "EC" || jwk.crv.as_deref() != Some(curve) {
        return None;
    }
    let (x, y) = (decode(jwk.x.as_deref())?, decode(jwk.y.as_deref())?);
    if x.len() != coordinate_bytes || y.len() != coordinate_bytes {
        return None;
    }
    let point: Vec<u8> = [&[4_u8][..], &x, &y].concat();
    ParsedPublicKey::new(algorithm, &point).ok()
}

fn ed25519(jwk: &Jwk) -> Option<ParsedPublicKey> {
    if jwk.kty != "OKP" || jwk.crv.as_deref() != Some("Ed25519") {
        return None;
    }
    ParsedPublicKey::new(&signature::ED25519, &decode(jwk.x.as_deref())?).ok()
}

fn decode(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}
