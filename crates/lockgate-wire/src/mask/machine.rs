//! The push machine: tokens of a JSON text, one open bracket per frame, and what is copied, replaced or withheld.

mod managed_fields;
mod piece;
mod strings;
mod suspects;
mod tracks;
mod value;

use std::sync::Arc;

use self::managed_fields::FieldName;
use self::piece::Piece;
use self::strings::{Place, Use};
use self::suspects::Suspects;
use self::tracks::Tracks;
use super::counts::MaskCounts;
use super::fields::FieldRules;
use super::member_name::{NAME_LITERAL_BYTES_MAX, Name};
use super::path::{Frame, Next};
use super::plan::{Framing, MaskPlan};
use super::reason::Reason;
use super::skip::Skip;
use super::{FindSecrets, MaskError, MaskLimits, MaskSummary, text};

/// Rewrites one answer. Feed it the body's bytes in pieces of any size with [`push`](Self::push), then
/// [`finish`](Self::finish). All of an event is out when its last byte is in.
#[derive(Debug)]
pub struct Masker {
    plan: MaskPlan,
    context: Context,
    frames: Vec<Frame>,
    state: State,
    /// The literal being read, as far as earlier pieces held it.
    literal: Vec<u8>,
    /// The literal's last byte so far is a backslash that escapes the next one.
    escaped: bool,
    /// The name of the member at hand, or of the pair or flag, under which its value is counted.
    key: Vec<u8>,
    /// In a subtree whose strings are searched: the last one that may have been a member's name.
    spelled: Vec<u8>,
    suspects: Suspects,
    tracks: Tracks,
    offset: u64,
    objects: u64,
    counts: MaskCounts,
    failure: Option<MaskError>,
}

/// What goes for the texts inside of an answer's strings too.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) limits: MaskLimits,
    /// How many strings this text is inside of.
    pub(super) nesting: u8,
    pub(super) finder: Option<Arc<dyn FindSecrets>>,
    pub(super) fields: Option<Arc<FieldRules>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the root object, or behind it.
    Outside,
    /// Behind `{`.
    FirstName,
    /// Behind a comma in an object.
    NextName,
    /// In a member's name.
    Name,
    /// Behind a member's name.
    Colon(Next),
    /// Behind `[`.
    FirstElement(Next),
    /// Before a value.
    Value(Next),
    /// In a string value.
    Text(Use),
    /// In a number, `true`, `false` or `null`.
    Scalar(Fate),
    /// In an object or array that is not looked into.
    Subtree(Skip, Fate),
    /// In a string of one whose strings are searched; withheld.
    SubtreeText(Skip, Place),
    /// In a Secret's `managedFields`, this many brackets deep, outside of strings.
    FieldSet(u32),
    /// The same, in a string.
    FieldName(u32, FieldName),
    /// Behind a value.
    Behind,
}

/// What becomes of a value's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pass,
    /// They pass, but for what is found in strings.
    Search,
    Drop,
}

impl Masker {
    /// A masker for one answer.
    pub fn new(plan: MaskPlan, limits: MaskLimits) -> Self {
        Self::within(plan, Context { limits, nesting: 0, finder: None, fields: None })
    }

    /// Gives every string that would pass, and every member's name, to `finder`.
    #[must_use]
    pub fn searched_by(mut self, finder: Arc<dyn FindSecrets>) -> Self {
        self.context.finder = Some(finder);
        self
    }

    /// Masks these fields too.
    #[must_use]
    pub fn with_fields(mut self, rules: Arc<FieldRules>) -> Self {
        self.context.fields = Some(rules).filter(|rules| !rules.is_empty());
        self
    }

    pub(super) fn within(plan: MaskPlan, context: Context) -> Self {
        Self {
            plan,
            context,
            frames: Vec::new(),
            state: State::Outside,
            literal: Vec::new(),
            escaped: false,
            key: Vec::new(),
            spelled: Vec::new(),
            suspects: Suspects::default(),
            tracks: Tracks::default(),
            offset: 0,
            objects: 0,
            counts: MaskCounts::default(),
            failure: None,
        }
    }

    /// Takes the next bytes of the answer and appends what may go to the client.
    ///
    /// # Errors
    /// When the answer cannot be masked; from then on every call fails alike. What was appended before is safe to
    /// send, and useless: break the stream off.
    pub fn push(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), MaskError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if let Some(finder) = &self.context.finder {
            self.suspects.look(finder.as_ref(), input);
        }
        let mut piece = Piece { input, at: 0, kept: self.passes().then_some(0), output };
        while let Some(byte) = piece.peek() {
            if let Err(failure) = self.step(byte, &mut piece) {
                self.failure = Some(failure);
                return Err(failure);
            }
        }
        piece.withhold();
        self.offset += input.len() as u64;
        Ok(())
    }

    /// Ends the answer. Nothing is appended today: whatever may go out has gone out with the bytes that decided it.
    ///
    /// # Errors
    /// When the answer broke off, or held no object though it is no watch.
    pub fn finish(&mut self, _output: &mut Vec<u8>) -> Result<MaskSummary, MaskError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let whole = self.frames.is_empty() && self.state == State::Outside;
        let enough = self.plan.framing == Framing::Events || self.objects == 1;
        let summary = MaskSummary { masked: self.counts.masked(), objects: self.objects };
        if whole && enough { Ok(summary) } else { Err(MaskError::Truncated) }
    }

    /// How many values have been masked so far.
    pub const fn masked(&self) -> u64 {
        self.counts.masked()
    }

    /// What has been masked so far, by reason and key.
    pub const fn counts(&self) -> &MaskCounts {
        &self.counts
    }

    pub(super) fn into_counts(self) -> MaskCounts {
        self.counts
    }

    /// Whether the bytes at hand go to the client.
    const fn passes(&self) -> bool {
        match self.state {
            State::Name => self.context.finder.is_none(),
            State::Text(Use::Drop | Use::Held(_))
            | State::Scalar(Fate::Drop)
            | State::Subtree(_, Fate::Drop)
            | State::SubtreeText(..)
            | State::FieldName(_, FieldName::Undecided | FieldName::Value) => false,
            _ => true,
        }
    }

    /// One token, or as much of it as the piece holds. Takes at least one byte, or changes the state.
    fn step(&mut self, byte: u8, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        match self.state {
            State::Name => self.name(piece),
            State::Text(purpose) => return self.text(purpose, piece),
            State::Scalar(fate) => self.scalar(fate, piece),
            State::Subtree(skip, fate) => return self.subtree(skip, fate, piece),
            State::SubtreeText(skip, place) => self.subtree_text(skip, place, piece),
            State::FieldSet(depth) => return self.field_set(depth, piece),
            State::FieldName(depth, name) => self.field_name(depth, name, piece),
            _ if is_whitespace(byte) => piece.skip_whitespace(),
            State::Value(next) => return self.value(next, byte, piece),
            State::Behind => return self.behind(byte, piece),
            State::Colon(next) => {
                self.expect(byte == b':', piece)?;
                self.state = State::Value(next);
            }
            State::FirstName if byte == b'}' => self.leave(piece),
            State::FirstName | State::NextName => {
                self.expect(byte == b'"', piece)?;
                self.state = State::Name;
                self.name(piece);
            }
            State::FirstElement(_) if byte == b']' => self.leave(piece),
            State::FirstElement(next) => return self.value(next, byte, piece),
            State::Outside => return self.root(byte, piece),
        }
        Ok(())
    }

    fn root(&mut self, byte: u8, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        let offset = self.offset + piece.at as u64;
        if self.plan.framing == Framing::One && self.objects > 0 {
            return Err(MaskError::TrailingData { offset });
        }
        if byte != b'{' {
            return Err(MaskError::NotAnObject { offset });
        }
        self.value(self.plan.root_value(), byte, piece)
    }

    /// A member's name, or a piece of it.
    fn name(&mut self, piece: &mut Piece<'_, '_>) {
        let (start, searched) = (piece.at, self.context.finder.is_some());
        let keep = if searched { self.context.limits.annotation_bytes_max } else { NAME_LITERAL_BYTES_MAX };
        let Some(part) = self.literal_part(piece, keep + 1) else {
            if searched {
                piece.withhold_from(start);
            }
            return;
        };
        let begun = std::mem::take(&mut self.literal);
        let literal = if begun.is_empty() { part } else { &begun };
        let found = searched && self.search_name(literal, start, piece);
        let mut next = Next::Mask(Reason::Secret);
        let mut spelled = Vec::new();
        if let Some(Frame::Members(members)) = self.frames.last_mut() {
            Name::of(literal, |name, key| {
                next = members.value(name, key, &self.plan);
                if self.context.fields.is_some() {
                    spelled.extend_from_slice(key);
                }
            });
        }
        let counted = matches!(next, Next::Mask(_) | Next::Mapped(_) | Next::Release(_) | Next::Given(_));
        if found {
            // What was found in it is not told where it is counted either.
            self.key.clear();
        } else if (counted || searched || self.context.fields.is_some()) && !self.is_pair() {
            self.key.clear();
            self.key.extend_from_slice(literal.get(..NAME_LITERAL_BYTES_MAX).unwrap_or(literal));
        }
        self.literal = begun;
        self.literal.clear();
        if self.context.fields.is_some() {
            next = self.ruled(&spelled, next);
        }
        self.state = State::Colon(next);
    }

    /// Reads on in a literal. When its end is here, returns the part before the closing quote, with all of the literal
    /// in `self.literal` if it began in an earlier piece; else keeps at least `keep` bytes of it for then.
    fn literal_part<'i>(&mut self, piece: &mut Piece<'i, '_>, keep: usize) -> Option<&'i [u8]> {
        let rest = piece.rest();
        let close = text::close(&mut self.escaped, rest);
        let part = rest.get(..close.unwrap_or(rest.len())).unwrap_or_default();
        piece.at += part.len() + usize::from(close.is_some());
        if close.is_none() || !self.literal.is_empty() {
            let room = keep.saturating_sub(self.literal.len()).min(part.len());
            self.literal.extend_from_slice(part.get(..room).unwrap_or_default());
        }
        close.map(|_| part)
    }

    /// A placeholder instead of the value that begins here.
    fn mask(&mut self, reason: Reason, piece: &mut Piece<'_, '_>) {
        piece.withhold();
        self.place(reason, piece);
    }

    fn place(&mut self, reason: Reason, piece: &mut Piece<'_, '_>) {
        piece.output.push(b'"');
        piece.output.extend_from_slice(reason.placeholder().as_bytes());
        piece.output.push(b'"');
        self.count(reason);
    }

    fn count(&mut self, reason: Reason) {
        let key: &[u8] = match reason {
            Reason::Annotation | Reason::Message => b"",
            _ => &self.key,
        };
        self.counts.add(reason, key);
    }

    fn expect(&self, found: bool, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        if !found {
            return Err(self.syntax(piece));
        }
        piece.at += 1;
        Ok(())
    }

    fn syntax(&self, piece: &Piece<'_, '_>) -> MaskError {
        MaskError::Syntax { offset: self.offset + piece.at as u64 }
    }
}

/// JSON's four (RFC 8259, section 2).
const fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
