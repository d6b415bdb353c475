//! Streaming filters for the JSON answers of the API server: bytes in, the same bytes out without the objects that the
//! caller may not see.
//!
//! Owns: where the objects of an answer stand ([`Form`]), what of one must be known before it may pass ([`Reads`]), and
//! leaving it out with commas, brackets and headers right ([`Filter`]). Who may see what is the caller's word, given for
//! one [`Item`] at a time. Refuses to know: HTTP, policy, encodings other than JSON.
//!
//! # What is left out
//! - Of a **list** (any kind of list, metadata-only ones, Tables): elements of `items[]`, and of `rows[]` by the `object`
//!   they carry. `remainingItemCount` in the list's metadata goes too, since it counts what is not shown.
//! - Of a **watch**: whole events, with the line break behind them. `BOOKMARK` and `ERROR` pass. Of Table events only the
//!   first has column definitions; if that one is left out, the next that passes gets them.
//! - Of **one object** (a get): everything, or nothing.
//!
//! An object that says neither name nor metadata is left out, and so is one whose head is larger than the limit: nobody
//! could tell whose it is.
//!
//! # What it costs
//! An object is held until its `metadata` is read ([`Reads::Head`]) or until it ends ([`Reads::Object`]); then it streams,
//! or is dropped while it streams. Memory is one object's head, whatever the answer's size. Bytes that pass are untouched.
//!
//! # What is refused
//! Whatever could make the client's parser see another object than the one that was judged: a second `metadata` in an
//! object, a second `name`, an event whose type comes after its object, a list with members that lists do not have. The
//! caller breaks the stream off on the first [`FilterError`]. Start at [`Filter`].

mod machine;
mod unit;

pub use machine::Filter;
pub use unit::Item;

use thiserror::Error;

/// What an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One list, or Table, of objects.
    List,
    /// A sequence of watch events.
    Events,
    /// One object, or a Table with it.
    One,
}

/// What of an object must be read before it can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Its metadata: name, namespace, labels.
    Head,
    /// All of it; [`Item::object`] is then there.
    Object,
}

/// The word about one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Show,
    /// It is left out.
    Hide,
}

/// What a filter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterLimits {
    /// Deepest nesting of brackets; a deeper answer is refused.
    pub depth_max: u32,
    /// Most bytes of an object that are held until its metadata is read; a larger head leaves the object out.
    pub head_bytes_max: usize,
    /// Most bytes of an object that is judged whole; a larger one is left out.
    pub object_bytes_max: usize,
}

impl Default for FilterLimits {
    /// Depth 512, as the masker. Heads of 4 MiB: etcd keeps no object above 1.5 MiB, and JSON can spend more bytes on
    /// it. Objects of 2 MiB, where a condition looks into them.
    fn default() -> Self {
        Self { depth_max: 512, head_bytes_max: 4 * 1024 * 1024, object_bytes_max: 2 * 1024 * 1024 }
    }
}

/// What was done, when an answer is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilterSummary {
    /// Objects (in a watch: events) that passed.
    pub shown: u64,
    /// Objects (in a watch: events) that were left out. For the record only: the client must not learn it.
    pub hidden: u64,
}

/// Why an answer cannot be filtered. The stream must be broken off. Offsets are bytes of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FilterError {
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
    /// White space without end, or a member name without end.
    #[error("the answer holds more than {bytes_max} bytes between two objects")]
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// The answer ended in the middle of an object, or before one.
    #[error("the answer ended before its JSON object did")]
    Truncated,
    /// The answer says twice, or in an order that makes it unclear, which object this is.
    #[error("it is not clear which object the answer speaks of (byte {offset})")]
    Ambiguous {
        /// Where.
        offset: u64,
    },
    /// A member, a type of event or a value that such an answer does not have.
    #[error("the answer holds something that is neither a list nor a watch event (byte {offset})")]
    Unexpected {
        /// Where.
        offset: u64,
    },
}
