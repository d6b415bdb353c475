//! Where one object ends in a stream of JSON: strings and brackets are followed, nothing else is looked at. Whoever reads
//! the pieces finds out whether they are JSON.

use std::fmt;

use zeroize::{Zeroize as _, Zeroizing};

use super::{ENVELOPE_BYTES_MAX, OBJECT_BYTES_MAX, Unreadable};

/// What the stream is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One object with an array of objects in it.
    List,
    /// One object after another.
    Watch,
}

/// Cuts a stream.
pub(super) struct Splitter {
    form: Form,
    depth: usize,
    string: Text,
    /// The root's array has begun, and not ended.
    in_items: bool,
    /// Depth outside of the object at hand; `None` between objects.
    outside: Option<usize>,
    object: Cleared,
    /// What stands around the items.
    envelope: Cleared,
    ended: bool,
}

/// What a byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The list itself.
    Around,
    /// Nothing: it separates objects.
    Between,
    /// An object.
    Object,
}

/// Whether a byte stands in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    None,
    Inside,
    /// Behind a backslash.
    Escaped,
}

impl Splitter {
    pub(super) fn new(form: Form) -> Self {
        Self {
            form,
            depth: 0,
            string: Text::None,
            in_items: false,
            outside: None,
            object: Cleared::new(OBJECT_BYTES_MAX),
            envelope: Cleared::new(ENVELOPE_BYTES_MAX),
            ended: false,
        }
    }

    /// Takes the next bytes; `object` gets each object that they complete.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        object: &mut impl FnMut(&[u8]) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let place = self.place(first);
            let length = self.run(place, rest)?;
            let (run, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = behind;
            match place {
                Place::Around => self.envelope.extend(run)?,
                Place::Between => {
                    let is_separator =
                        |byte: &u8| byte.is_ascii_whitespace() || *byte == b',' && self.form == Form::List;
                    if !run.iter().all(is_separator) {
                        return Err(self.malformed());
                    }
                }
                Place::Object => {
                    self.object.extend(run)?;
                    if self.outside == Some(self.depth) {
                        object(&self.object.bytes)?;
                        self.object.clear();
                        self.outside = None;
                    }
                }
            }
        }
        Ok(())
    }

    /// What stands around the items of a list that has ended.
    pub(super) fn finish(&self) -> Result<&[u8], Unreadable> {
        if self.ended { Ok(&self.envelope.bytes) } else { Err(Unreadable::Cut) }
    }

    /// How many bytes stand in one place: up to where an object begins, or to where it ends.
    fn run(&mut self, place: Place, bytes: &[u8]) -> Result<usize, Unreadable> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.string {
                Text::Escaped => self.string = Text::Inside,
                Text::Inside => match memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
                    None => return Ok(bytes.len()),
                    Some(length) => {
                        at += length;
                        self.string = if bytes.get(at) == Some(&b'"') { Text::None } else { Text::Escaped };
                    }
                },
                Text::None if self.place(byte) != place => return Ok(at),
                Text::None => {
                    self.step(byte)?;
                    if place == Place::Object && self.outside == Some(self.depth) {
                        return Ok(at + 1);
                    }
                }
            }
            at += 1;
        }
        Ok(at)
    }

    /// One byte outside of strings.
    fn step(&mut self, byte: u8) -> Result<(), Unreadable> {
        match byte {
            b'"' => self.string = Text::Inside,
            b'{' | b'[' => {
                if self.place(byte) == Place::Object && self.outside.is_none() {
                    self.outside = Some(self.depth);
                }
                self.in_items |= byte == b'[' && self.depth == 1 && self.form == Form::List;
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth = self.depth.checked_sub(1).ok_or(self.malformed())?;
                self.in_items &= self.depth != 1;
                self.ended |= self.depth == 0 && self.form == Form::List;
            }
            _ => {}
        }
        Ok(())
    }

    /// Where a byte outside of strings stands.
    const fn place(&self, byte: u8) -> Place {
        let is_outside = match self.form {
            Form::List => self.in_items && self.depth == 2,
            Form::Watch => self.depth == 0,
        };
        match byte {
            _ if self.outside.is_some() => Place::Object,
            _ if !is_outside => Place::Around,
            b'{' => Place::Object,
            b']' if matches!(self.form, Form::List) => Place::Around,
            _ => Place::Between,
        }
    }

    const fn malformed(&self) -> Unreadable {
        match self.form {
            Form::List => Unreadable::Malformed("list"),
            Form::Watch => Unreadable::Malformed("watch"),
        }
    }
}

impl fmt::Debug for Splitter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Splitter").field("form", &self.form).field("depth", &self.depth).finish_non_exhaustive()
    }
}

/// Bytes that are cleared when they go, and when they move: growing leaves no copy behind.
struct Cleared {
    bytes: Zeroizing<Vec<u8>>,
    bytes_max: usize,
}

impl Cleared {
    fn new(bytes_max: usize) -> Self {
        Self { bytes: Zeroizing::default(), bytes_max }
    }

    fn extend(&mut self, more: &[u8]) -> Result<(), Unreadable> {
        let length = self.bytes.len() + more.len();
        if length > self.bytes_max {
            return Err(Unreadable::TooLarge { bytes_max: self.bytes_max });
        }
        if length > self.bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    fn clear(&mut self) {
        self.bytes.as_mut_slice().zeroize();
        self.bytes.clear();
    }
}
