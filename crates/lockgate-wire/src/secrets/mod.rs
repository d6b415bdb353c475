//! What the API server says about Secrets, read as it streams: lists page by page, and watches.
//!
//! Owns: where one object ends in the stream, and what of it matters (place, name, decoded values). One object at a time is
//! held, in memory that is cleared behind it; a page of any size takes no more than its largest Secret.
//!
//! Refuses to know: how the bytes came, and what values are for. Start at [`ListReader`] and [`WatchReader`].

mod object;
mod splitter;

use lockgate_core::Secret;

use self::splitter::{Form, Splitter};

/// Largest Secret or event, in bytes of JSON: the API server takes 1 MiB of values (in base64 and, by `kubectl apply`, a
/// second time in an annotation) and requests of 3 MiB.
pub const OBJECT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What stands around a list's items, in bytes.
pub const ENVELOPE_BYTES_MAX: usize = 64 * 1024;

/// A Secret, as far as its values matter.
#[derive(Debug)]
pub struct SecretObject {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its values, decoded.
    pub values: Vec<(String, Secret<Vec<u8>>)>,
}

/// How a page of a list ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEnd {
    /// The version that a watch goes on from; that of the first page, on every page.
    pub resource_version: String,
    /// What asks for the next page; `None` behind the last one.
    pub continue_token: Option<String>,
}

/// What a watch says.
#[derive(Debug)]
pub enum WatchEvent {
    /// It is there, new or changed.
    Set(SecretObject, Version),
    /// It is gone, or no longer of those that are watched.
    Gone {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Where the watch stands.
        version: Version,
    },
    /// Nothing happened up to here.
    Bookmark(Version),
    /// The watch has ended: 410, say, when it began too far back.
    Failed {
        /// The HTTP status it stands for.
        code: u16,
        /// The machine-readable word, as `Expired`.
        reason: String,
    },
}

/// A resource version: what a watch can go on from.
pub type Version = String;

/// Why an answer about Secrets cannot be read. Says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not JSON, or not of this kind.
    #[error("the answer is no {0} of Secrets")]
    Malformed(&'static str),
    /// One object is larger than any that the API server takes.
    #[error("an object in the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// It ends in the middle.
    #[error("the answer ends in the middle")]
    Cut,
}

/// Reads one page of a list.
#[derive(Debug)]
pub struct ListReader {
    splitter: Splitter,
}

impl ListReader {
    /// For the next page.
    #[expect(clippy::new_without_default, reason = "one reader for each answer, as with the watch's")]
    pub fn new() -> Self {
        Self { splitter: Splitter::new(Form::List) }
    }

    /// Takes the next bytes of the body and gives the Secrets that are whole.
    ///
    /// # Errors
    /// When it is no list of Secrets; nothing may be made of the page then.
    pub fn push(&mut self, bytes: &[u8], secrets: &mut impl FnMut(SecretObject)) -> Result<(), Unreadable> {
        self.splitter.push(bytes, &mut |item| {
            secrets(object::secret(item)?);
            Ok(())
        })
    }

    /// The page has ended.
    ///
    /// # Errors
    /// When it ends in the middle, or says no version.
    pub fn finish(self) -> Result<ListEnd, Unreadable> {
        object::list_end(self.splitter.finish()?)
    }
}

/// Reads a watch.
#[derive(Debug)]
pub struct WatchReader {
    splitter: Splitter,
}

impl WatchReader {
    /// For a new watch.
    #[expect(clippy::new_without_default, reason = "one reader for each answer, as with the list's")]
    pub fn new() -> Self {
        Self { splitter: Splitter::new(Form::Watch) }
    }

    /// Takes the next bytes of the body and gives the events that are whole.
    ///
    /// # Errors
    /// When it is no watch of Secrets; the events before that stand.
    pub fn push(&mut self, bytes: &[u8], events: &mut impl FnMut(WatchEvent)) -> Result<(), Unreadable> {
        self.splitter.push(bytes, &mut |event| {
            events(object::event(event)?);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
