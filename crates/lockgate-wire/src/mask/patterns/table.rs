//! The keywords that announce a secret. Lengths are those that the vendors document or issue.

use super::Detector;
use super::extent::Class;

/// A keyword and what it announces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Keyword {
    /// Its bytes: three at least.
    pub(super) text: &'static [u8],
    /// Whether capitals do not matter.
    pub(super) caseless: bool,
    /// What follows it.
    pub(super) kind: Kind,
}

/// What follows a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A token.
    Token(Token),
    /// A URL's authority.
    Url,
    /// The rest of a JSON Web Token's header.
    Jwt,
    /// The rest of a PEM block's first line.
    Pem,
    /// A token behind `Bearer`.
    Bearer,
    /// Credentials behind `Basic`, in a header that says so.
    Basic,
    /// The value of what the keyword names, whatever it is.
    Password,
    /// The value of what the keyword names, if it looks random.
    Named,
}

/// The body of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) detector: Detector,
    pub(super) class: Class,
    /// Bytes it has at least.
    pub(super) bytes_min: usize,
    /// Bytes it has at most, where a longer one is something else.
    pub(super) bytes_max: usize,
    /// Whether a letter or digit may stand before the keyword.
    pub(super) inside: bool,
}

const fn token(text: &'static [u8], detector: Detector, class: Class, bytes_min: usize) -> Keyword {
    exact(text, detector, class, bytes_min, usize::MAX)
}

const fn exact(text: &'static [u8], detector: Detector, class: Class, bytes_min: usize, bytes_max: usize) -> Keyword {
    let token = Token { detector, class, bytes_min, bytes_max, inside: false };
    Keyword { text, caseless: false, kind: Kind::Token(token) }
}

const fn vendor(text: &'static [u8], class: Class, bytes_min: usize) -> Keyword {
    token(text, Detector::VendorToken, class, bytes_min)
}

/// A token that may begin before its keyword.
const fn inner(text: &'static [u8], detector: Detector, class: Class, bytes_min: usize) -> Keyword {
    let token = Token { detector, class, bytes_min, bytes_max: usize::MAX, inside: true };
    Keyword { text, caseless: false, kind: Kind::Token(token) }
}

const fn caseless(text: &'static [u8], kind: Kind) -> Keyword {
    Keyword { text, caseless: true, kind }
}

const fn cased(text: &'static [u8], kind: Kind) -> Keyword {
    Keyword { text, caseless: false, kind }
}

const SIGNATURE: Kind = Kind::Token(Token {
    detector: Detector::AwsKey,
    class: Class::Hex,
    bytes_min: 40,
    bytes_max: usize::MAX,
    inside: true,
});

use Class::{Alphanumeric, Base64, Capital, Dotted, Hex, Word};
use Detector::{AwsKey, AzureKey, GoogleKey, PrivateKey};

/// All keywords.
pub(super) static KEYWORDS: &[Keyword] = &[
    // Clouds
    exact(b"AKIA", AwsKey, Capital, 16, 16),
    exact(b"ASIA", AwsKey, Capital, 16, 16),
    caseless(b"signature=", SIGNATURE),
    token(b"AIza", GoogleKey, Word, 35),
    token(b"ya29.", GoogleKey, Dotted, 20),
    token(b"GOCSPX-", GoogleKey, Word, 28),
    inner(b"8Q~", AzureKey, Class::Token, 31),
    inner(b"7Q~", AzureKey, Class::Token, 31),
    inner(b"?sig=", AzureKey, Base64, 40),
    inner(b"&sig=", AzureKey, Base64, 40),
    token(b"SharedAccessSignature sr=", AzureKey, Class::Token, 40),
    // Source forges and package registries
    vendor(b"ghp_", Alphanumeric, 36),
    vendor(b"gho_", Alphanumeric, 36),
    vendor(b"ghu_", Alphanumeric, 36),
    vendor(b"ghs_", Alphanumeric, 36),
    vendor(b"ghr_", Alphanumeric, 36),
    vendor(b"github_pat_", Word, 60),
    vendor(b"glpat-", Dotted, 20),
    vendor(b"gldt-", Dotted, 20),
    vendor(b"glrt-", Dotted, 20),
    vendor(b"glcbt-", Dotted, 20),
    vendor(b"glptt-", Dotted, 20),
    vendor(b"glft-", Dotted, 20),
    vendor(b"glsoat-", Dotted, 20),
    vendor(b"glagent-", Dotted, 20),
    vendor(b"npm_", Alphanumeric, 36),
    vendor(b"pypi-AgE", Word, 50),
    vendor(b"rubygems_", Hex, 48),
    vendor(b"dckr_pat_", Word, 27),
    vendor(b"dckr_oat_", Word, 27),
    vendor(b"ATATT3xFfGF0", Class::Token, 40),
    vendor(b"ATCTT3xFfGN0", Class::Token, 40),
    vendor(b"ATBB", Alphanumeric, 32),
    vendor(b"AKCp", Alphanumeric, 69),
    vendor(b"cmVmdGtu", Alphanumeric, 56),
    // Messaging and payment
    vendor(b"xoxb-", Word, 20),
    vendor(b"xoxp-", Word, 20),
    vendor(b"xoxa-", Word, 20),
    vendor(b"xoxr-", Word, 20),
    vendor(b"xoxs-", Word, 20),
    vendor(b"xoxe.", Dotted, 20),
    vendor(b"xapp-", Word, 20),
    vendor(b"hooks.slack.com/services/", Class::Token, 30),
    vendor(b"discord.com/api/webhooks/", Class::Token, 60),
    vendor(b"sk_live_", Alphanumeric, 16),
    vendor(b"rk_live_", Alphanumeric, 16),
    vendor(b"sk_test_", Alphanumeric, 16),
    vendor(b"rk_test_", Alphanumeric, 16),
    vendor(b"whsec_", Base64, 24),
    vendor(b"sq0atp-", Word, 22),
    vendor(b"sq0csp-", Word, 43),
    vendor(b"shpat_", Hex, 32),
    vendor(b"shpca_", Hex, 32),
    vendor(b"shppa_", Hex, 32),
    vendor(b"shpss_", Hex, 32),
    vendor(b"SG.", Dotted, 60),
    vendor(b"key-", Hex, 32),
    // Models
    vendor(b"sk-proj-", Word, 20),
    vendor(b"sk-svcacct-", Word, 20),
    vendor(b"sk-admin-", Word, 20),
    vendor(b"sk-ant-", Word, 20),
    vendor(b"sk-or-v1-", Hex, 40),
    vendor(b"sk-", Alphanumeric, 40),
    vendor(b"hf_", Alphanumeric, 34),
    vendor(b"gsk_", Alphanumeric, 40),
    vendor(b"r8_", Alphanumeric, 37),
    // Infrastructure
    vendor(b"hvs.", Word, 24),
    vendor(b"hvb.", Word, 24),
    vendor(b"hvr.", Word, 24),
    inner(b".atlasv1.", Detector::VendorToken, Class::Token, 60),
    vendor(b"dop_v1_", Hex, 64),
    vendor(b"doo_v1_", Hex, 64),
    vendor(b"dor_v1_", Hex, 64),
    exact(b"dapi", Detector::VendorToken, Hex, 32, 32),
    vendor(b"dp.pt.", Alphanumeric, 40),
    vendor(b"dp.st.", Dotted, 40),
    vendor(b"dp.ct.", Alphanumeric, 40),
    vendor(b"pul-", Hex, 40),
    vendor(b"pscale_tkn_", Dotted, 32),
    vendor(b"pscale_pw_", Dotted, 32),
    vendor(b"sbp_", Hex, 40),
    vendor(b"sb_secret_", Word, 20),
    vendor(b"glsa_", Word, 32),
    vendor(b"glc_eyJ", Base64, 32),
    vendor(b"NRAK-", Alphanumeric, 27),
    vendor(b"sntrys_", Base64, 40),
    vendor(b"sntryu_", Hex, 64),
    vendor(b"ddpat_", Alphanumeric, 32),
    vendor(b"lin_api_", Alphanumeric, 40),
    vendor(b"PMAK-", Word, 59),
    vendor(b"tskey-", Word, 20),
    vendor(b"HRKU-", Word, 36),
    vendor(b"nfp_", Alphanumeric, 36),
    vendor(b"ops_eyJ", Base64, 100),
    vendor(b"AGE-SECRET-KEY-1", Capital, 58),
    // Private keys, as they are and in base64
    cased(b"PRIVATE KEY", Kind::Pem),
    inner(b"LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRV", PrivateKey, Base64, 40),
    inner(b"LS0tLS1CRUdJTiBQUklWQVRFIEtFW", PrivateKey, Base64, 40),
    inner(b"LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFW", PrivateKey, Base64, 40),
    inner(b"LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZ", PrivateKey, Base64, 40),
    inner(b"LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFURSBLRV", PrivateKey, Base64, 40),
    // Headers of JSON Web Tokens: `{"alg":`, `{"typ":`, `{"kid":`, `{"enc":`, `{"cty":`, `{"jku":`, `{"zip":`, `{"x5`
    cased(b"eyJhbGciOi", Kind::Jwt),
    cased(b"eyJ0eXAiOi", Kind::Jwt),
    cased(b"eyJraWQiOi", Kind::Jwt),
    cased(b"eyJlbmMiOi", Kind::Jwt),
    cased(b"eyJjdHkiOi", Kind::Jwt),
    cased(b"eyJqa3UiOi", Kind::Jwt),
    cased(b"eyJ6aXAiOi", Kind::Jwt),
    cased(b"eyJ4NX", Kind::Jwt),
    cased(b"eyAiYWxnIj", Kind::Jwt),
    cased(b"eyAidHlwIj", Kind::Jwt),
    // Credentials in URLs and headers
    cased(b"://", Kind::Url),
    caseless(b"bearer", Kind::Bearer),
    caseless(b"basic ", Kind::Basic),
    // Names
    caseless(b"password", Kind::Password),
    caseless(b"passwd", Kind::Password),
    caseless(b"passphrase", Kind::Password),
    caseless(b"_pass", Kind::Password),
    caseless(b"_pwd", Kind::Password),
    caseless(b";pwd", Kind::Password),
    caseless(b"secret", Kind::Named),
    caseless(b"token", Kind::Named),
    caseless(b"api_key", Kind::Named),
    caseless(b"api-key", Kind::Named),
    caseless(b"apikey", Kind::Named),
    caseless(b"access_key", Kind::Named),
    caseless(b"access-key", Kind::Named),
    caseless(b"accesskey", Kind::Named),
    caseless(b"secret_key", Kind::Named),
    caseless(b"secret-key", Kind::Named),
    caseless(b"secretkey", Kind::Named),
    caseless(b"secret_access_key", Kind::Named),
    caseless(b"private_key", Kind::Named),
    caseless(b"signing_key", Kind::Named),
    caseless(b"encryption_key", Kind::Named),
    caseless(b"master_key", Kind::Named),
    caseless(b"accountkey", Kind::Named),
    caseless(b"app_key", Kind::Named),
    caseless(b"application_key", Kind::Named),
    caseless(b"key_base", Kind::Named),
    caseless(b"credential", Kind::Named),
    caseless(b"\"auth", Kind::Named),
    caseless(b"_auth", Kind::Named),
];
