//! What a masker may use, what it did, and why it could not.

use thiserror::Error;

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
