//! The push machine: tokens of a JSON text, one open bracket per frame, and what is copied, replaced or withheld.

mod managed_fields;
mod piece;

use crate::PLACEHOLDER;

use self::managed_fields::FieldName;
use self::piece::Piece;
use super::last_applied::{self, Rewrite};
use super::path::{Frame, Members, NAME_LITERAL_BYTES_MAX, Name, Next, Owner};
use super::plan::{Framing, MaskPlan};
use super::skip::Skip;
use super::{MaskError, MaskLimits, MaskSummary, status, text};

/// Rewrites one answer. Feed it the body's bytes in pieces of any size with [`push`](Self::push), then
/// [`finish`](Self::finish). All of an event is out when its last byte is in.
#[derive(Debug)]
pub struct Masker {
    plan: MaskPlan,
    limits: MaskLimits,
    /// How many annotations this text is inside of.
    nesting: u8,
    frames: Vec<Frame>,
    state: State,
    /// The literal being read, as far as earlier pieces held it.
    literal: Vec<u8>,
    /// The literal's last byte so far is a backslash that escapes the next one.
    escaped: bool,
    offset: u64,
    summary: MaskSummary,
    failure: Option<MaskError>,
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
    Drop,
}

/// What a string value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Pass,
    Drop,
    /// It passes, and is the object's kind.
    Kind,
    /// It passes, and is the object's apiVersion.
    ApiVersion,
    /// It is withheld until it is whole.
    LastApplied(Owner),
    /// Likewise.
    Message,
}

impl Masker {
    /// A masker for one answer.
    pub fn new(plan: MaskPlan, limits: MaskLimits) -> Self {
        Self::nested(plan, limits, 0)
    }

    pub(super) fn nested(plan: MaskPlan, limits: MaskLimits, nesting: u8) -> Self {
        Self {
            plan,
            limits,
            nesting,
            frames: Vec::new(),
            state: State::Outside,
            literal: Vec::new(),
            escaped: false,
            offset: 0,
            summary: MaskSummary::default(),
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
        let enough = self.plan.framing == Framing::Events || self.summary.objects == 1;
        if whole && enough { Ok(self.summary) } else { Err(MaskError::Truncated) }
    }

    /// How many values have been masked so far.
    pub const fn masked(&self) -> u64 {
        self.summary.masked
    }

    /// Whether the bytes at hand go to the client.
    const fn passes(&self) -> bool {
        !matches!(
            self.state,
            State::Text(Use::Drop | Use::LastApplied(_) | Use::Message)
                | State::Scalar(Fate::Drop)
                | State::Subtree(_, Fate::Drop)
                | State::FieldName(_, FieldName::Undecided | FieldName::Value)
        )
    }

    /// One token, or as much of it as the piece holds. Takes at least one byte, or changes the state.
    fn step(&mut self, byte: u8, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        match self.state {
            State::Name => self.name(piece),
            State::Text(purpose) => return self.text(purpose, piece),
            State::Scalar(fate) => self.scalar(fate, piece),
            State::Subtree(skip, fate) => return self.subtree(skip, fate, piece),
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
        if self.plan.framing == Framing::One && self.summary.objects > 0 {
            return Err(MaskError::TrailingData { offset });
        }
        if byte != b'{' {
            return Err(MaskError::NotAnObject { offset });
        }
        self.value(Next::Object(self.plan.root), byte, piece)
    }

    /// A member's name, or a piece of it.
    fn name(&mut self, piece: &mut Piece<'_, '_>) {
        let Some(part) = self.literal_part(piece, NAME_LITERAL_BYTES_MAX + 1) else { return };
        let name = if self.literal.is_empty() { Name::of(part) } else { Name::of(&self.literal) };
        self.literal.clear();
        let next = match self.frames.last_mut() {
            Some(Frame::Members(members)) => members.value(name, &self.plan),
            // A name is read in an object only.
            Some(Frame::Elements(_)) | None => Next::Mask,
        };
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

    fn value(&mut self, next: Next, byte: u8, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        match byte {
            b'"' => {
                let purpose = match next {
                    Next::Mask | Next::MaskMembers => Use::Drop,
                    Next::Kind => Use::Kind,
                    Next::ApiVersion => Use::ApiVersion,
                    Next::LastApplied(owner) => Use::LastApplied(owner),
                    Next::Message => Use::Message,
                    _ => Use::Pass,
                };
                match purpose {
                    Use::Drop => self.mask(piece),
                    Use::LastApplied(_) | Use::Message => piece.withhold(),
                    Use::Pass | Use::Kind | Use::ApiVersion => {}
                }
                piece.at += 1;
                self.state = State::Text(purpose);
            }
            b'{' | b'[' => return self.enter(next, byte, piece),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                let keeps_null = byte == b'n' && next != Next::Mask;
                let fate = if next.is_masked_whole() && !keeps_null { Fate::Drop } else { Fate::Pass };
                if fate == Fate::Drop {
                    self.mask(piece);
                }
                self.state = State::Scalar(fate);
            }
            _ => return Err(self.syntax(piece)),
        }
        Ok(())
    }

    /// An opening bracket.
    fn enter(&mut self, next: Next, byte: u8, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        let depth = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
        let Some(room) = self.limits.depth_max.checked_sub(depth).filter(|room| *room > 0) else {
            return Err(MaskError::TooDeep { depth_max: self.limits.depth_max });
        };
        let members = if byte == b'{' { next.members() } else { None };
        if let Some(members) = members {
            piece.at += 1;
            self.frames.push(Frame::Members(members));
            self.state = State::FirstName;
        } else if next.is_masked_whole() {
            self.mask(piece);
            piece.at += 1;
            self.state = State::Subtree(Skip::new(room), Fate::Drop);
        } else if next == Next::Pass {
            piece.at += 1;
            self.state = State::Subtree(Skip::new(room), Fate::Pass);
        } else if next == Next::ManagedFields {
            piece.at += 1;
            self.state = State::FieldSet(1);
        } else {
            piece.at += 1;
            self.frames.push(Frame::Elements(next));
            self.state = State::FirstElement(next);
        }
        Ok(())
    }

    /// A closing bracket.
    fn leave(&mut self, piece: &mut Piece<'_, '_>) {
        piece.at += 1;
        self.frames.pop();
        if self.frames.is_empty() {
            self.summary.objects += 1;
            self.state = State::Outside;
        } else {
            self.state = State::Behind;
        }
    }

    fn behind(&mut self, byte: u8, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        match (self.frames.last(), byte) {
            (Some(Frame::Members(_)), b',') => {
                piece.at += 1;
                self.state = State::NextName;
            }
            (Some(Frame::Elements(next)), b',') => {
                piece.at += 1;
                self.state = State::Value(*next);
            }
            (Some(Frame::Members(_)), b'}') | (Some(Frame::Elements(_)), b']') => self.leave(piece),
            _ => return Err(self.syntax(piece)),
        }
        Ok(())
    }

    /// A string value, or a piece of it.
    fn text(&mut self, purpose: Use, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        let keep = match purpose {
            Use::Pass | Use::Drop => 0,
            Use::Kind | Use::ApiVersion => NAME_LITERAL_BYTES_MAX,
            Use::LastApplied(_) | Use::Message => self.limits.annotation_bytes_max + 1,
        };
        let part = self.literal_part(piece, keep);
        if self.literal.len().max(part.map_or(0, <[u8]>::len)) > self.limits.annotation_bytes_max
            && matches!(purpose, Use::LastApplied(_) | Use::Message)
        {
            self.literal = Vec::new();
            self.place(piece, 1);
            self.state = if part.is_some() { self.end_text(piece) } else { State::Text(Use::Drop) };
            return Ok(());
        }
        let Some(part) = part else { return Ok(()) };
        let literal = std::mem::take(&mut self.literal);
        let literal_bytes = if literal.is_empty() { part } else { &literal };
        match purpose {
            Use::Pass | Use::Drop => {}
            Use::Kind | Use::ApiVersion => self.say(purpose, literal_bytes, piece)?,
            Use::LastApplied(owner) => {
                let rewrite = last_applied::rewrite(literal_bytes, owner == Owner::Secret, self.limits, self.nesting);
                self.replace(rewrite, literal_bytes, piece);
            }
            Use::Message => self.replace(status::rewrite(literal_bytes), literal_bytes, piece),
        }
        self.literal = literal;
        self.literal.clear();
        self.state = self.end_text(piece);
        Ok(())
    }

    /// Behind a string value: what follows passes again.
    fn end_text(&self, piece: &mut Piece<'_, '_>) -> State {
        piece.pass();
        State::Behind
    }

    fn replace(&mut self, rewrite: Rewrite, literal: &[u8], piece: &mut Piece<'_, '_>) {
        match rewrite {
            Rewrite::Keep => {
                piece.output.push(b'"');
                piece.output.extend_from_slice(literal);
                piece.output.push(b'"');
            }
            Rewrite::Replace(instead, masked) => {
                piece.output.extend_from_slice(&instead);
                self.summary.masked += masked;
            }
            Rewrite::Mask => self.place(piece, 1),
        }
    }

    /// The object at hand says what it is.
    fn say(&mut self, what: Use, literal: &[u8], piece: &Piece<'_, '_>) -> Result<(), MaskError> {
        let Some(Frame::Members(Members::Object(object) | Members::Embedded(object))) = self.frames.last_mut() else {
            return Ok(());
        };
        let decoded = if literal.contains(&b'\\') { text::decode(literal) } else { None };
        let word = decoded.as_ref().map_or(literal, |text| text.as_bytes());
        if what == Use::Kind {
            object.say_kind(word);
        } else {
            object.say_api_version(word);
        }
        if object.is_exposed() {
            return Err(MaskError::SecretAfterData { offset: self.offset + piece.at as u64 });
        }
        Ok(())
    }

    fn scalar(&mut self, fate: Fate, piece: &mut Piece<'_, '_>) {
        let rest = piece.rest();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        match rest.iter().position(|byte| !is_part(byte)) {
            None => piece.at += rest.len(),
            Some(end) => {
                piece.at += end;
                if fate == Fate::Drop {
                    piece.pass();
                }
                self.state = State::Behind;
            }
        }
    }

    fn subtree(&mut self, mut skip: Skip, fate: Fate, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        let end = skip.end(piece.rest()).map_err(|_| MaskError::TooDeep { depth_max: self.limits.depth_max })?;
        match end {
            Some(end) => {
                piece.at += end;
                if fate == Fate::Drop {
                    piece.pass();
                }
                self.state = State::Behind;
            }
            None => {
                piece.at = piece.input.len();
                self.state = State::Subtree(skip, fate);
            }
        }
        Ok(())
    }

    /// The placeholder instead of the value that begins here.
    fn mask(&mut self, piece: &mut Piece<'_, '_>) {
        piece.withhold();
        self.place(piece, 1);
    }

    fn place(&mut self, piece: &mut Piece<'_, '_>, masked: u64) {
        piece.output.push(b'"');
        piece.output.extend_from_slice(PLACEHOLDER.as_bytes());
        piece.output.push(b'"');
        self.summary.masked += masked;
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
