//! The push machine: tokens of a JSON text, one open bracket per frame, and where the bytes at hand go.

mod hold;
mod members;
mod values;

use crate::mask::skip::Skip;

use self::hold::Piece;
use self::values::decoded;
use super::unit::{Item, Shape, Unit};
use super::{FilterError, FilterLimits, FilterSummary, Form, Reads, Verdict};

/// The longest member name that means something here is `columnDefinitions`, each character at most six bytes.
const NAME_LITERAL_BYTES_MAX: usize = 128;

/// A larger buffer is given back when its object has passed.
const HELD_BYTES_KEPT: usize = 256 * 1024;

/// Filters one answer. Feed it the body's bytes in pieces of any size with [`push`](Self::push), then
/// [`finish`](Self::finish). All of an event that passes is out when its last byte is in.
#[derive(Debug)]
pub struct Filter {
    form: Form,
    reads: Reads,
    limits: FilterLimits,
    frames: Vec<Frame>,
    state: State,
    /// The literal being read, as far as earlier pieces held it.
    literal: Vec<u8>,
    escaped: bool,
    /// The key of the label whose value comes next.
    label: String,
    sink: Sink,
    held: Vec<u8>,
    /// Where in `held` the comma stands that leads to what is held.
    comma: Option<usize>,
    unit: Option<Unit>,
    /// Column definitions of a Table event that was left out.
    columns: Option<Vec<u8>>,
    documents: u64,
    offset: u64,
    summary: FilterSummary,
    failure: Option<FilterError>,
}

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sink {
    Pass,
    Hold,
    Drop,
}

/// An open bracket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// The root of a list.
    List,
    /// A list's `metadata`; whether a member has passed.
    ListMeta { emitted: bool },
    /// An array of `next`; whether its elements are left out one by one, and whether one has passed.
    Elements { next: Next, apart: bool, emitted: bool },
    /// An element of `items`.
    Item,
    /// An element of `rows`.
    Row,
    /// A row's `object`.
    RowObject,
    /// A watch event.
    Event,
    /// The one object of an answer or an event.
    Document,
    /// An object's `metadata`.
    Metadata,
    /// Its `labels`.
    Labels,
}

/// What the value that comes next is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Skip,
    /// A skipped member of a list's metadata that is left out.
    Omit,
    ListMeta,
    Items,
    Rows,
    Item,
    Row,
    RowObject,
    Document,
    Metadata,
    Labels,
    Columns,
    Text(Use),
}

/// What a string value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Nothing,
    Name,
    Namespace,
    Label,
    Kind,
    ApiVersion,
    Type,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    FirstName,
    NextName,
    Name,
    Colon(Next),
    FirstElement(Next),
    Value(Next),
    Text(Use),
    Scalar,
    Subtree(Skip),
    Behind,
}

/// Who may see what: called once for each object.
type Judge<'j> = dyn FnMut(&Item<'_>) -> Verdict + 'j;

impl Filter {
    /// A filter for one answer.
    pub fn new(form: Form, reads: Reads, limits: FilterLimits) -> Self {
        Self {
            form,
            reads,
            limits,
            frames: Vec::new(),
            state: State::Outside,
            literal: Vec::new(),
            escaped: false,
            label: String::new(),
            sink: Sink::Pass,
            held: Vec::new(),
            comma: None,
            unit: None,
            columns: None,
            documents: 0,
            offset: 0,
            summary: FilterSummary::default(),
            failure: None,
        }
    }

    /// Takes the next bytes of the answer and appends what may pass. `judge` is asked once for each object.
    ///
    /// # Errors
    /// When the answer cannot be filtered; from then on every call fails alike. Break the stream off.
    pub fn push(&mut self, input: &[u8], judge: &mut Judge<'_>, output: &mut Vec<u8>) -> Result<(), FilterError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let mut piece = Piece { input, at: 0, from: 0, output };
        let mut outcome = Ok(());
        while let (Some(byte), Ok(())) = (piece.peek(), outcome) {
            outcome = self.step(byte, judge, &mut piece);
        }
        outcome = outcome.and_then(|()| self.flush(&mut piece));
        self.failure = outcome.err();
        self.offset += input.len() as u64;
        outcome
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// When the answer broke off, or held no object though it is no watch.
    pub fn finish(&mut self) -> Result<FilterSummary, FilterError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let whole = self.frames.is_empty() && self.state == State::Outside;
        let enough = self.form == Form::Events || self.documents == 1;
        if whole && enough { Ok(self.summary) } else { Err(FilterError::Truncated) }
    }

    /// What was done so far.
    pub const fn summary(&self) -> FilterSummary {
        self.summary
    }

    /// One token, or as much of it as the piece holds. Takes at least one byte, or changes the state.
    fn step(&mut self, byte: u8, judge: &mut Judge<'_>, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        match self.state {
            State::Name => return self.name(piece),
            State::Text(purpose) => return self.text(purpose, piece),
            State::Scalar => return self.scalar(piece),
            State::Subtree(skip) => return self.subtree(skip, piece),
            _ if is_whitespace(byte) => piece.skip_whitespace(),
            State::Value(next) => return self.value(next, byte, piece),
            State::Behind => return self.behind(byte, judge, piece),
            State::Colon(next) => {
                self.expect(byte == b':', piece)?;
                self.state = State::Value(next);
            }
            State::FirstName if byte == b'}' => return self.leave(judge, piece),
            State::FirstName | State::NextName => {
                self.expect(byte == b'"', piece)?;
                self.state = State::Name;
            }
            State::FirstElement(_) if byte == b']' => return self.leave(judge, piece),
            State::FirstElement(next) => return self.value(next, byte, piece),
            State::Outside => return self.root(byte, piece),
        }
        Ok(())
    }

    fn root(&mut self, byte: u8, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        if self.form != Form::Events && self.documents > 0 {
            return Err(FilterError::TrailingData { offset: self.place(piece) });
        }
        if byte != b'{' {
            return Err(FilterError::NotAnObject { offset: self.place(piece) });
        }
        if self.form != Form::List {
            self.turn(Sink::Hold, piece)?;
            let object_start = (self.form == Form::One).then_some(0);
            self.unit = Some(Unit { object_start, ..Unit::default() });
        }
        let frame = match self.form {
            Form::List => Frame::List,
            Form::Events => Frame::Event,
            Form::One => Frame::Document,
        };
        piece.at += 1;
        self.frames.push(frame);
        self.state = State::FirstName;
        Ok(())
    }

    /// A member's name, or a piece of it.
    fn name(&mut self, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        let label = self.frames.last() == Some(&Frame::Labels);
        let keep = if label { self.limits.head_bytes_max } else { NAME_LITERAL_BYTES_MAX };
        let Some(part) = self.literal_part(keep, piece) else { return Ok(()) };
        let literal = std::mem::take(&mut self.literal);
        // What cannot be decoded is none of the names that matter; as a label's key it belongs to no selector.
        let name = decoded(if literal.is_empty() { part } else { &literal }).unwrap_or_default();
        let next = self.member(&name, piece)?;
        if label {
            self.label = name.into_owned();
        }
        self.keep_buffer(literal);
        self.state = State::Colon(next);
        Ok(())
    }

    fn value(&mut self, next: Next, byte: u8, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        match byte {
            b'{' | b'[' => return self.enter(next, byte, piece),
            b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {}
            _ => return Err(self.syntax(piece)),
        }
        let purpose = match (next, byte) {
            (Next::Text(purpose), b'"') => purpose,
            // A null counts as absent, except where it would hide what this is about.
            (Next::Text(Use::Name | Use::Namespace), b'n')
            | (Next::Skip | Next::Omit | Next::Columns, _)
            | (Next::Metadata | Next::Labels | Next::RowObject | Next::ListMeta | Next::Items | Next::Rows, b'n') => {
                Use::Nothing
            }
            _ => return Err(FilterError::Unexpected { offset: self.place(piece) }),
        };
        if next == Next::Columns {
            self.columns_begin(piece);
        }
        piece.at += 1;
        self.state = if byte == b'"' { State::Text(purpose) } else { State::Scalar };
        Ok(())
    }

    /// An opening bracket.
    fn enter(&mut self, next: Next, byte: u8, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        let depth = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
        let Some(room) = self.limits.depth_max.checked_sub(depth).filter(|room| *room > 0) else {
            return Err(FilterError::TooDeep { depth_max: self.limits.depth_max });
        };
        let apart = self.form == Form::List;
        let frame = match (next, byte) {
            (Next::Skip | Next::Omit | Next::Columns, _) => {
                if next == Next::Columns {
                    self.columns_begin(piece);
                }
                piece.at += 1;
                self.state = State::Subtree(Skip::new(room));
                return Ok(());
            }
            (Next::ListMeta, b'{') => Frame::ListMeta { emitted: false },
            (Next::Items, b'[') => Frame::Elements { next: Next::Item, apart, emitted: false },
            (Next::Rows, b'[') => Frame::Elements { next: Next::Row, apart, emitted: false },
            (Next::Item, b'{') => Frame::Item,
            (Next::Row, b'{') => Frame::Row,
            (Next::RowObject, b'{') => Frame::RowObject,
            (Next::Document, b'{') => Frame::Document,
            (Next::Metadata, b'{') => Frame::Metadata,
            (Next::Labels, b'{') => self.labels(piece)?,
            _ => return Err(FilterError::Unexpected { offset: self.place(piece) }),
        };
        let start = self.held_at(piece);
        if apart && matches!(frame, Frame::Item | Frame::Row) {
            self.unit = Some(Unit::default());
        }
        if let (Frame::Item | Frame::RowObject | Frame::Document, Some(unit)) = (frame, &mut self.unit) {
            unit.object_start = Some(start);
        }
        piece.at += 1;
        if matches!(frame, Frame::ListMeta { .. } | Frame::Elements { apart: true, .. }) {
            self.turn(Sink::Hold, piece)?;
            self.comma = None;
        }
        self.state = match frame {
            Frame::Elements { next, .. } => State::FirstElement(next),
            _ => State::FirstName,
        };
        self.frames.push(frame);
        Ok(())
    }

    fn labels(&mut self, piece: &Piece<'_, '_>) -> Result<Frame, FilterError> {
        match &mut self.unit {
            Some(unit) if unit.labels.is_none() => unit.labels = Some(Vec::new()),
            _ => return Err(FilterError::Ambiguous { offset: self.place(piece) }),
        }
        Ok(Frame::Labels)
    }

    /// A closing bracket.
    fn leave(&mut self, judge: &mut Judge<'_>, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        let frame = self.frames.pop();
        if let Some(Frame::ListMeta { .. } | Frame::Elements { apart: true, .. }) = frame {
            self.flush(piece)?;
            piece.output.append(&mut self.held);
            self.sink = Sink::Pass;
        }
        piece.at += 1;
        let judged = match frame {
            Some(Frame::Metadata) => self.reads == Reads::Head,
            Some(Frame::Item | Frame::RowObject) => self.reads == Reads::Object,
            Some(Frame::Document) => {
                self.reads == Reads::Object && self.unit.as_ref().is_some_and(|unit| unit.shape() == Shape::Object)
            }
            _ => false,
        };
        if judged {
            self.settle(judge, piece)?;
        }
        if self.frames.is_empty() {
            self.documents += 1;
            self.end_unit(piece)?;
            self.state = State::Outside;
            return Ok(());
        }
        self.after_value(piece)
    }

    /// Behind a value: what leads to the next element is held where elements are left out one by one.
    fn after_value(&mut self, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        self.state = State::Behind;
        match self.frames.last() {
            Some(Frame::Elements { apart: true, .. }) => self.end_unit(piece)?,
            Some(Frame::ListMeta { .. }) => {}
            _ => return Ok(()),
        }
        self.turn(Sink::Hold, piece)?;
        self.comma = None;
        Ok(())
    }

    fn behind(&mut self, byte: u8, judge: &mut Judge<'_>, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        match (self.frames.last(), byte) {
            (Some(Frame::Elements { next, .. }), b',') => {
                self.state = State::Value(*next);
                self.comma = Some(self.held_at(piece));
                piece.at += 1;
            }
            (Some(Frame::Elements { .. }), b']') => return self.leave(judge, piece),
            (Some(Frame::Elements { .. }) | None, _) => return Err(self.syntax(piece)),
            (Some(frame), b',') => {
                if matches!(frame, Frame::ListMeta { .. }) {
                    self.comma = Some(self.held_at(piece));
                }
                piece.at += 1;
                self.state = State::NextName;
            }
            (Some(_), b'}') => return self.leave(judge, piece),
            (Some(_), _) => return Err(self.syntax(piece)),
        }
        Ok(())
    }

    fn expect(&self, found: bool, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        if !found {
            return Err(self.syntax(piece));
        }
        piece.at += 1;
        Ok(())
    }

    const fn place(&self, piece: &Piece<'_, '_>) -> u64 {
        self.offset + piece.at as u64
    }

    const fn syntax(&self, piece: &Piece<'_, '_>) -> FilterError {
        FilterError::Syntax { offset: self.place(piece) }
    }
}

/// JSON's four (RFC 8259, section 2).
const fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
