//! Streaming masks for the JSON answers of the API server: bytes in, the same bytes out without the secret values.
//!
//! Owns: where secret values stand in an answer ([`MaskPlan`] from the request, [`object`] from what an object says
//! about itself), and the rewriting ([`Masker`]). Untouched bytes pass as they are: numbers, key order, white space.
//! Memory is the nesting depth plus one withheld string, whatever the answer's size.
//!
//! Refuses to know: HTTP, encodings other than JSON, how secrets are found in free text. The caller makes sure that upstream
//! answers JSON, and aborts the stream on the first [`MaskError`].
//!
//! # What is masked
//! How much is, the [`Profile`] says. *Object positions* are the root, `items[]`, `rows[].object` and a watch event's
//! `object`, nested in any way.
//! - **Secrets.** For `secrets` every object there is a Secret, whatever it says. For built-in resources it is one only
//!   if it says so. For everything else (custom resources, aggregated APIs, mixed lists) it is one unless it has said
//!   otherwise *before* its data. Every value in `data` and `stringData`, of any JSON type, becomes
//!   [`crate::PLACEHOLDER`]; keys stay. The values of set members in `managedFields` (`v:…`) go too.
//! - **ConfigMaps**, by request and by kind in the same way.
//! - In custom resources and ControllerRevisions every embedded object that says `kind: Secret` is one too. Kubernetes
//!   writes untyped objects with sorted keys (`apiVersion`, `data`, `kind`), so an object of the core group whose kind
//!   is not known when its `data` arrives is masked as if it were a Secret. An object that turns out to be a Secret after
//!   its data has passed breaks the stream ([`MaskError::SecretAfterData`]); the API server writes no such order.
//! - **Pod templates**, wherever they stand in a resource that can hold one: the values of every `env` and
//!   `httpHeaders`, the words of every `command` and `args` (the `words` module says which).
//! - **Credentials that are issued**: the token of a TokenRequest or TokenReview, the certificate of a
//!   CertificateSigningRequest.
//! - **Copies** in annotations. `kubectl.kubernetes.io/last-applied-configuration` of every kind is read as JSON and
//!   masked inside by these same rules; if it is not JSON, or is larger than the limit, it is masked whole. Other
//!   annotations: the `annotation` module.
//! - **Helm's releases** ([`helm`]), and the fields of custom resources that are named ([`FieldRules`]).
//! - **Messages** of a `Status` in answer to a request for one of these (the `status` module).
//! - Every other string, and every member's name, is given to a [`FindSecrets`], if there is one ([`Scan`] is one).
//!
//! # What is checked
//! Structure: brackets, strings, the order of tokens, one object per answer (several in a watch). Subtrees that cannot
//! hold anything to mask are passed by counting brackets only; characters inside strings and numbers are for the
//! client's decoder to judge. Start at [`Masker`].

mod annotation;
mod copies;
mod counts;
mod fields;
pub mod helm;
mod machine;
mod manifest;
mod member_name;
mod names;
mod object;
mod path;
mod patterns;
mod plan;
mod profile;
mod reason;
pub mod restore;
mod rewrite;
mod scan;
pub(crate) mod skip;
mod status;
mod stream;
pub(crate) mod text;
mod values;
mod words;
mod yaml;

pub use counts::{MaskCount, MaskCounts};
pub use fields::{FIELD_RULES_MAX, FieldRule, FieldRuleError, FieldRules};
pub use machine::Masker;
pub use manifest::mask_manifests;
pub use patterns::Detector;
pub use plan::MaskPlan;
pub use profile::Profile;
pub use reason::{Reason, holds_placeholder};
pub use scan::{Hit, HitReason, Scan};
pub use stream::{TextLimits, TextMasker, TextSummary};
pub use values::{KnownValues, KnownValuesBuilder, LeftOut, ValueId, ValueLabel, ValueLimits, Why};

use thiserror::Error;

/// Finds secrets in texts: values that are known, and what looks like one.
pub trait FindSecrets: std::fmt::Debug + Send + Sync {
    /// Appends what of `text` is secret, in any order; overlaps are allowed. `name` is what the text is called where it
    /// stands, as its literal spells it; empty if nothing.
    fn find(&self, name: &[u8], text: &[u8], found: &mut Vec<Found>);

    /// A quick look through a piece of JSON: appends places in it, such that `find` finds nothing in a string without
    /// escapes that holds none of them, unless [`Self::heeds`] its name. `false` if every string has to be searched.
    fn suspect(&self, _json: &[u8], _places: &mut Vec<usize>) -> bool {
        false
    }

    /// Whether `find` may find something on account of the name alone.
    fn heeds(&self, _name: &[u8]) -> bool {
        true
    }
}

/// What was found in a text: its bytes from `start` on, up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Of its first byte.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
    /// What it is.
    pub reason: Reason,
}

/// What a masker may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskLimits {
    /// Deepest nesting of brackets; a deeper answer is refused.
    pub depth_max: u32,
    /// Largest string that is withheld until it is read whole, escapes counted: an annotation, a `Status` message. A
    /// larger one is masked whole.
    pub annotation_bytes_max: usize,
}

impl Default for MaskLimits {
    /// Depth 512 (custom resources may not nest deeper than the API server's own decoder goes, in practice 100);
    /// annotations of 1.5 MiB (the API server allows 256 KiB for all annotations of an object, and JSON can spend six
    /// bytes on one).
    fn default() -> Self {
        Self { depth_max: 512, annotation_bytes_max: 1536 * 1024 }
    }
}

/// What was done, when an answer is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MaskSummary {
    /// How many values were masked.
    pub masked: u64,
    /// How many whole JSON objects passed: one, or a watch's events.
    pub objects: u64,
}

/// Why an answer cannot be masked. The stream must be broken off: what has passed so far is masked, what follows is
/// unknown. Offsets are bytes of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MaskError {
    /// The answer is not a JSON object.
    #[error("the answer is not a JSON object (byte {offset})")]
    NotAnObject {
        /// Where.
        offset: u64,
    },
    /// The answer is not JSON.
    #[error("the answer is not valid JSON (byte {offset})")]
    Syntax {
        /// Where.
        offset: u64,
    },
    /// Something follows the one object of an answer that is no watch.
    #[error("the answer goes on after its JSON object (byte {offset})")]
    TrailingData {
        /// Where.
        offset: u64,
    },
    /// Too many open brackets.
    #[error("the answer nests deeper than {depth_max} levels")]
    TooDeep {
        /// The limit.
        depth_max: u32,
    },
    /// The answer ended in the middle of an object, or before one.
    #[error("the answer ended before its JSON object did")]
    Truncated,
    /// An object said that it is a Secret after its data had passed.
    #[error("an object in the answer says after its data that it is a Secret (byte {offset})")]
    SecretAfterData {
        /// Where.
        offset: u64,
    },
}
