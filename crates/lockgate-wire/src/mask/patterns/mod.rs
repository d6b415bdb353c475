//! Detectors: what is a secret by its looks, wherever it stands.
//!
//! Owns: the keywords that announce a secret (`keyword` finds them, `table` lists them), what must follow one (`check`),
//! and how far the secret goes (`extent`). A keyword itself is public and passes; what follows is judged on a bounded
//! piece of text, so that a stream and a whole text give the same answer.
//!
//! Refuses to know: Kubernetes' objects, values known from elsewhere. All of it is best effort: a secret without a
//! telling name or form is not seen.

mod assignment;
mod check;
mod extent;
mod keyword;
mod table;

use std::fmt;

pub(super) use self::check::{Verdict, check};
pub(super) use self::extent::Extent;
use self::extent::Until;
pub(super) use self::keyword::{KEYWORD_BYTES_MAX, Occurrence, keywords};

/// Bytes before a keyword that a check may look at: the rest of its name, whether a line begins there.
pub(super) const CONTEXT_BYTES: usize = 64;

/// What was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Detector {
    /// An AWS access key id.
    AwsKey,
    /// A Google API key, OAuth token or client secret.
    GoogleKey,
    /// An Azure account key, client secret or shared-access signature.
    AzureKey,
    /// A JSON Web Token: its payload and signature.
    Jwt,
    /// A private key: what follows the BEGIN line.
    PrivateKey,
    /// A token that its vendor gives a prefix (GitHub, Slack, Stripe, Vault and others).
    VendorToken,
    /// The password in a URL.
    UrlPassword,
    /// Credentials in an `Authorization` header.
    Authorization,
    /// The value of a password, by its name.
    Password,
    /// The value of a key, token or secret, by its name and its looks.
    NamedSecret,
}

impl Detector {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::AwsKey,
        Self::GoogleKey,
        Self::AzureKey,
        Self::Jwt,
        Self::PrivateKey,
        Self::VendorToken,
        Self::UrlPassword,
        Self::Authorization,
        Self::Password,
        Self::NamedSecret,
    ];

    /// Its word in audit records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwsKey => "aws-key",
            Self::GoogleKey => "google-key",
            Self::AzureKey => "azure-key",
            Self::Jwt => "jwt",
            Self::PrivateKey => "private-key",
            Self::VendorToken => "vendor-token",
            Self::UrlPassword => "url-password",
            Self::Authorization => "authorization",
            Self::Password => "password",
            Self::NamedSecret => "named-secret",
        }
    }

    /// What stands in JSON in place of what it recognised.
    pub(super) const fn placeholder(self) -> &'static str {
        match self {
            Self::AwsKey => "**masked by lockgate: aws-key**",
            Self::GoogleKey => "**masked by lockgate: google-key**",
            Self::AzureKey => "**masked by lockgate: azure-key**",
            Self::Jwt => "**masked by lockgate: jwt**",
            Self::PrivateKey => "**masked by lockgate: private-key**",
            Self::VendorToken => "**masked by lockgate: vendor-token**",
            Self::UrlPassword => "**masked by lockgate: url-password**",
            Self::Authorization => "**masked by lockgate: authorization**",
            Self::Password => "**masked by lockgate: password**",
            Self::NamedSecret => "**masked by lockgate: named-secret**",
        }
    }
}

impl fmt::Display for Detector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Whether a name may say what it names.
pub(super) fn tells(name: &[u8]) -> bool {
    assignment::tells(name)
}

/// What a whole text is by the name that it has, as the literal of a JSON string spells it.
pub(super) fn named(name: &[u8], text: &[u8]) -> Option<Detector> {
    assignment::named(name, text)
}

/// Every secret in a whole text, but for those that lie in another one.
pub(super) fn find(text: &[u8], found: &mut impl FnMut(usize, usize, Detector)) {
    let mut read = Read::default();
    keywords().find(text, 0, 0, &mut |occurrence| {
        let Verdict::Found { start, mut extent, detector } = check(occurrence, text, true) else { return };
        if read.covers(&extent, start) {
            return;
        }
        let end = extent.advance(text, start, true).end;
        read.add(&extent, start, end);
        if end > start {
            found(start, end, detector);
        }
    });
}

/// How far secrets of each kind have been read: what begins within one and would end as it does is part of it. Without
/// this, `password=password=…` would be read over and over.
#[derive(Debug, Default)]
pub(super) struct Read {
    spans: Vec<(Until, usize, usize)>,
}

impl Read {
    pub(super) fn covers(&self, extent: &Extent, at: usize) -> bool {
        self.spans.iter().any(|(until, start, end)| *until == extent.until() && (*start..*end).contains(&at))
    }

    /// From `start` to `end` one was read.
    pub(super) fn add(&mut self, extent: &Extent, start: usize, end: usize) {
        let new = (extent.until(), start, end);
        match self.spans.iter_mut().find(|(until, ..)| *until == extent.until()) {
            Some(known) if start <= known.2 && end >= known.1 => *known = (new.0, start.min(known.1), end.max(known.2)),
            Some(known) => *known = new,
            None if !matches!(new.0, Until::Bytes(_)) => self.spans.push(new),
            None => {}
        }
    }

    pub(super) fn clear(&mut self) {
        self.spans.clear();
    }
}
