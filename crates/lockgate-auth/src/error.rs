//! Why a caller is not known.

/// A failed authentication. No variant carries the token or any claim but names that the operator chose.
///
/// All are answered with 401 but [`AuthError::IssuerUnavailable`] (see [`AuthError::blame`]).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No `Authorization` header.
    #[error("no bearer token; send `Authorization: Bearer TOKEN`")]
    Missing,
    /// More than one `Authorization` header.
    #[error("more than one Authorization header")]
    Duplicate,
    /// Not `Bearer TOKEN`.
    #[error("the Authorization header is not of the form `Bearer TOKEN`")]
    MalformedHeader,
    /// Over [`TOKEN_BYTES_MAX`](crate::TOKEN_BYTES_MAX).
    #[error("the token is longer than {limit_bytes} bytes; ask the identity provider for fewer claims (groups, say)")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// Not a compact JWS with JSON inside.
    #[error("the token is not a signed JWT")]
    MalformedToken,
    /// A header that changes what the signature means, or a type that is no access or ID token.
    #[error("the token's header is not accepted: {reason}")]
    Header {
        /// Which part, in words.
        reason: &'static str,
    },
    /// `alg` is none, symmetric or unknown.
    #[error("the token's algorithm is not accepted; RS256, PS256, ES256, EdDSA and their longer forms are")]
    Algorithm,
    /// `iss` is missing or none of ours.
    #[error("the token's issuer is not trusted here")]
    Issuer,
    /// No key of the issuer has the token's `kid` (and algorithm).
    #[error("the token's signing key is not among its issuer's keys")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the token's signature is wrong")]
    Signature,
    /// A registered claim is missing, empty or of the wrong type.
    #[error("the token's claim `{claim}` is missing, empty or of the wrong type")]
    Claim {
        /// The claim.
        claim: &'static str,
    },
    /// `exp` has passed.
    #[error("the token has expired; get a new one")]
    Expired,
    /// `nbf` or `iat` has not come yet.
    #[error("the token is not valid yet; check the clocks")]
    NotYetValid,
    /// `aud` names nobody here.
    #[error("the token is for another audience; Lockgate accepts {accepted}")]
    Audience {
        /// The configured audiences, for people.
        accepted: String,
    },
    /// `aud` names agents and humans alike, or a program's own token claims to be a human's.
    #[error("the token does not say whether it speaks for an agent or a human: {reason}")]
    Ambiguous {
        /// Why, in words.
        reason: &'static str,
    },
    /// The mapping's `when:` is not fulfilled.
    #[error("the token does not fulfil the condition for {kind}")]
    Condition {
        /// `agents` or `humans`.
        kind: &'static str,
    },
    /// The claims could not be mapped.
    #[error("the token's claims give no {what}: {reason}")]
    Mapping {
        /// `id`, `owner`, `groups`, …
        what: &'static str,
        /// Why; names claims and types, never values.
        reason: String,
    },
    /// The mapped name is reserved or unfit.
    #[error("the token's {what} is refused: {reason}")]
    Name {
        /// `id`, `owner`, `group`, …
        what: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The issuer's keys could not be had, and no kept ones are young enough.
    #[error("the keys of the token's issuer cannot be fetched at the moment; try again")]
    IssuerUnavailable,
}

/// Whose fault a failed authentication is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The caller's: 401.
    Caller,
    /// The identity provider's, or the network's: 503.
    Issuer,
}

impl AuthError {
    /// Whose fault it is. The status follows: 401 for the caller, 503 for the issuer.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::IssuerUnavailable => Blame::Issuer,
            Self::Missing
            | Self::Duplicate
            | Self::MalformedHeader
            | Self::TooLarge { .. }
            | Self::MalformedToken
            | Self::Header { .. }
            | Self::Algorithm
            | Self::Issuer
            | Self::UnknownKey
            | Self::Signature
            | Self::Claim { .. }
            | Self::Expired
            | Self::NotYetValid
            | Self::Audience { .. }
            | Self::Ambiguous { .. }
            | Self::Condition { .. }
            | Self::Mapping { .. }
            | Self::Name { .. } => Blame::Caller,
        }
    }
}
