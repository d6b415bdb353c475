//! Placeholders that come back in a write: what is put back, what is left out, what is refused.
//!
//! Owns: whether a body holds a placeholder ([`holds`]), the body that is sent in its place ([`restore`]), and which
//! questions about masked fields are asked by a JSON Patch or a selector ([`Masking::selects`]). What is masked is not
//! said here: the live object is masked as it was for the agent ([`Live`]), and where the body says at the same path
//! exactly what the masker says there, the live value is meant. A value never moves: neither to another path nor to
//! another object. All bytes but the placeholders stay as they were sent.
//!
//! Refuses to know: HTTP, who may read the live object, what is done with a body that is refused.
//!
//! # How
//! - Where a field that is not named is deleted (PUT, server-side apply, lists in patches), the live value takes the
//!   placeholder's place. Where it stays (members of a merge or strategic patch), the member is left out.
//! - What is put back is pinned to the object that it was read from, by `resourceVersion` and `uid`: if the object
//!   changes in between, the API server answers 409.
//! - Elements of lists are told apart by their `name`, else by all of their value; where that leaves a doubt, the write is
//!   refused.
//! - In `last-applied-configuration`, which copies the object that is applied, the object's own values are put back.
//!   Helm's releases are unpacked, and packed again.

mod json_patch;
mod masking;
mod path;
mod pin;
mod release;
mod tree;
mod walk;

use serde_json::Value;
use thiserror::Error;

pub use self::json_patch::asks;
pub use self::masking::{Live, Masking};
pub use self::release::{Revision, restore_revision};

use self::path::Path;
use self::tree::{Content, Tree};
use self::walk::{Absence, Place, Verdict, Walk};
use super::{helm, holds_placeholder};

/// Most fields of which a refusal speaks.
pub const FIELDS_MAX: usize = 16;

/// What a field that a write does not name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// It is deleted: PUT, server-side apply.
    Whole,
    /// It stays: a JSON merge patch.
    Merge,
    /// It stays, in named elements of lists too: a strategic merge patch.
    Strategic,
    /// It stays: a JSON Patch, which is a list of operations.
    Json,
}

/// Whether the values that are given for masked fields are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// They are.
    AsGiven,
    /// What stands there now is taken instead: a dry run must not tell whether a guess is right.
    AsTheyStand,
}

/// The body to send instead. No content in `Debug`: it holds values that nobody masked.
pub struct Restored {
    /// The bytes, as JSON.
    pub body: Vec<u8>,
    /// The same before it was pinned: what the write comes to.
    pub unpinned: Vec<u8>,
    /// The values that were put back, one behind the other: to tell whether they are others later.
    pub values: Vec<u8>,
    /// How many values were put back.
    pub restored: u64,
    /// How many were left out, since they change nothing.
    pub dropped: u64,
}

impl std::fmt::Debug for Restored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { restored, dropped, .. } = self;
        f.debug_struct("Restored").field("restored", restored).field("dropped", dropped).finish_non_exhaustive()
    }
}

/// Why a write cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unrestorable {
    /// It holds placeholders for which there is no value.
    #[error("{} of its fields hold a placeholder that cannot be replaced", .0.len())]
    Fields(Vec<Field>),
    /// It asks about a masked field, or copies it.
    #[error("{} a masked field: {}", .0.operation, .0.path)]
    Asks(Asked),
    /// The object changed after it was shown.
    #[error("the object has been modified")]
    Modified,
    /// Another object has that name now.
    #[error("another object has this name now")]
    AnotherObject,
    /// Its metadata is no object.
    #[error("its metadata cannot be pinned")]
    Metadata,
    /// The body or the live object is not JSON that can be read.
    #[error("it cannot be read")]
    Unreadable,
}

/// A field with a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As Kubernetes writes it: `data[password]`.
    pub path: String,
    /// Why its value cannot be put back.
    pub why: Why,
}

/// Why a value cannot be put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The live object has nothing there.
    NotThere,
    /// What the live object has there was not shown like this.
    Other,
    /// The placeholder is in a name.
    InName,
    /// It is in a Helm release that is too large.
    TooLarge,
    /// The object is new.
    New,
    /// It is of a Helm release that goes back to a revision with another value there.
    NotRolledBack,
}

impl Why {
    /// As the end of a sentence about the field.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::NotThere => "holds the placeholder of a masked value, and the live object has no such field",
            Self::Other => {
                "holds the placeholder of a masked value, and the live object's value there is not masked like this"
            }
            Self::InName => "has the placeholder of a masked value in its name",
            Self::TooLarge => "is a Helm release that is too large to be looked through for placeholders",
            Self::NotRolledBack => {
                "has masked values that are others in the revision to go back to: helm would not see it, and leave the newer ones"
            }
            Self::New => "holds the placeholder of a masked value, and a new object has none to put back",
        }
    }
}

/// What asks about a masked field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `test`, `copy` or `move`.
    pub operation: &'static str,
    /// The JSON pointer, as sent.
    pub path: String,
}

/// Whether a body holds a placeholder, wherever in it.
pub fn holds(body: &Value) -> bool {
    match body {
        Value::String(text) => holds_placeholder(text) || is_marked_release(text),
        Value::Array(elements) => elements.iter().any(holds),
        Value::Object(members) => members.iter().any(|(name, value)| holds_placeholder(name) || holds(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A release that cannot be read holds nothing that the masker wrote.
fn is_marked_release(text: &str) -> bool {
    let json = helm::stored_as(text).and_then(|stored| helm::unpack(text, stored).ok());
    json.is_some_and(|json| holds_placeholder(&String::from_utf8_lossy(&json)))
}

/// The fields of a new object that hold a placeholder.
pub fn fields_of_new(body: &[u8]) -> Vec<Field> {
    let Some(body) = Tree::read(body.to_vec()) else { return Vec::new() };
    let mut walk = Walk::new(&body, Write::Whole, Values::AsGiven, &[]);
    walk.value(body.root().node, &[], &Path::ROOT, Absence::Deletes);
    walk.refused.truncate(FIELDS_MAX);
    walk.refused.into_iter().map(|field| Field { why: Why::New, ..field }).collect()
}

/// The body of a write with what it holds placeholders for. `body` is JSON. `None`: it can be sent as it is.
///
/// # Errors
/// When it must not be sent.
pub fn restore(
    body: &[u8],
    write: Write,
    values: Values,
    live: &Live,
    masking: &Masking,
) -> Result<Option<Restored>, Unrestorable> {
    let tree = Tree::read(body.to_vec()).ok_or(Unrestorable::Unreadable)?;
    let is_whole = match &tree.root().node.content {
        Content::Object(_) => write != Write::Json,
        Content::Array(_) => write == Write::Json,
        Content::Text | Content::Scalar | Content::Null => false,
    };
    if !is_whole {
        return Err(Unrestorable::Unreadable);
    }
    let whole: Vec<Place<'_>> = live.places().collect();
    let mut walk = Walk::new(&tree, write, values, &whole);
    let operations = match write {
        Write::Json => Some(json_patch::operations(&tree, &whole, (masking, &live.meta), &mut walk)?),
        Write::Whole | Write::Merge | Write::Strategic => {
            let absence = walk.absence();
            let verdict = walk.value(tree.root().node, &whole, &Path::ROOT, absence);
            debug_assert_eq!(verdict, Verdict::Keep, "the object itself is no masked value");
            None
        }
    };
    let Walk { edits, mut refused, taken: values, restored, dropped, .. } = walk;
    if !refused.is_empty() {
        refused.truncate(FIELDS_MAX);
        return Err(Unrestorable::Fields(refused));
    }
    if restored + dropped == 0 {
        return Ok(None);
    }
    let unpinned = tree.edited(edits);
    let body = match operations {
        _ if restored == 0 => unpinned.clone(),
        Some(operations) => pin::operations(&unpinned, operations, live),
        None => pin::object(&unpinned, live)?,
    };
    Ok(Some(Restored { body, unpinned, values, restored, dropped }))
}
