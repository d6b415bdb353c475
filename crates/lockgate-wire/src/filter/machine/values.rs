//! Values without members: texts, some of which say what object this is, scalars, and subtrees that are not looked into.

use std::borrow::Cow;

use crate::filter::FilterError;
use crate::filter::unit::{Group, Kind, Shape, Stage};
use crate::mask::skip::Skip;
use crate::mask::text;

use super::hold::Piece;
use super::{Filter, HELD_BYTES_KEPT, Sink, State, Use};

impl Filter {
    /// A string value, or a piece of it.
    pub(super) fn text(&mut self, purpose: Use, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        let keep = if purpose == Use::Nothing { 0 } else { self.limits.head_bytes_max };
        let Some(part) = self.literal_part(keep, piece) else { return Ok(()) };
        let literal = std::mem::take(&mut self.literal);
        let hidden = self.unit.as_ref().is_some_and(|unit| unit.stage == Stage::Hidden);
        if purpose != Use::Nothing && !hidden {
            let offset = self.place(piece);
            let text = decoded(if literal.is_empty() { part } else { &literal });
            self.say(purpose, text.ok_or(FilterError::Unexpected { offset })?.into_owned(), piece)?;
        }
        self.keep_buffer(literal);
        self.after_scalar(piece)
    }

    /// The object at hand says something about itself, which it may say once.
    fn say(&mut self, what: Use, text: String, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        let offset = self.place(piece);
        let label = std::mem::take(&mut self.label);
        let Some(unit) = &mut self.unit else { return Err(FilterError::Ambiguous { offset }) };
        let first = match what {
            Use::Nothing => true,
            Use::Name => unit.name.replace(text).is_none(),
            Use::Namespace => unit.namespace.replace(text).is_none(),
            Use::Label => {
                let labels = unit.labels.get_or_insert_default();
                let first = labels.iter().all(|(key, _)| *key != label);
                labels.push((label, text));
                first
            }
            Use::Kind => {
                let first = unit.kind == Kind::Unsaid;
                unit.kind = if text == "Table" { Kind::Table } else { Kind::Other };
                first && !(unit.metadata && unit.shape() != Shape::Object)
            }
            Use::ApiVersion => {
                let first = unit.group == Group::Unsaid;
                unit.group = if text.starts_with("meta.k8s.io/") { Group::Meta } else { Group::Other };
                first && !(unit.metadata && unit.shape() != Shape::Object)
            }
            Use::Type => {
                let first = !std::mem::replace(&mut unit.typed, true);
                match text.as_str() {
                    "ADDED" | "MODIFIED" | "DELETED" => {}
                    "BOOKMARK" | "ERROR" if first => {
                        unit.stage = Stage::Shown;
                        self.flush(piece)?;
                        piece.output.append(&mut self.held);
                        self.sink = Sink::Pass;
                    }
                    _ => return Err(FilterError::Unexpected { offset }),
                }
                first
            }
        };
        if first { Ok(()) } else { Err(FilterError::Ambiguous { offset }) }
    }

    pub(super) fn scalar(&mut self, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        let rest = piece.rest();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        match rest.iter().position(|byte| !is_part(byte)) {
            None => piece.at += rest.len(),
            Some(end) => {
                piece.at += end;
                return self.after_scalar(piece);
            }
        }
        Ok(())
    }

    pub(super) fn subtree(&mut self, mut skip: Skip, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        let end = skip.end(piece.rest()).map_err(|_| FilterError::TooDeep { depth_max: self.limits.depth_max })?;
        match end {
            Some(end) => {
                piece.at += end;
                self.after_scalar(piece)
            }
            None => {
                piece.at = piece.input.len();
                self.state = State::Subtree(skip);
                Ok(())
            }
        }
    }

    /// Behind a value that opened no frame.
    fn after_scalar(&mut self, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        let end = self.held_at(piece);
        if let Some(unit) = &mut self.unit
            && let Some(start) = unit.columns_start.take()
        {
            unit.columns = Some((start, end));
        }
        self.after_value(piece)
    }

    /// Reads on in a literal. When its end is here, returns the part before the closing quote, with all of the literal
    /// in `self.literal` if it began in an earlier piece; else keeps more than `keep` bytes of it for then.
    pub(super) fn literal_part<'i>(&mut self, keep: usize, piece: &mut Piece<'i, '_>) -> Option<&'i [u8]> {
        let rest = piece.rest();
        let close = text::close(&mut self.escaped, rest);
        let part = rest.get(..close.unwrap_or(rest.len())).unwrap_or_default();
        piece.at += part.len() + usize::from(close.is_some());
        if close.is_none() || !self.literal.is_empty() {
            let room = (keep + 1).saturating_sub(self.literal.len()).min(part.len());
            self.literal.extend_from_slice(part.get(..room).unwrap_or_default());
        }
        close.map(|_| part)
    }

    /// Gives the buffer back for the next literal that comes in pieces.
    pub(super) fn keep_buffer(&mut self, mut literal: Vec<u8>) {
        if literal.capacity() <= HELD_BYTES_KEPT {
            literal.clear();
            self.literal = literal;
        }
    }
}

/// The text of a literal, where it is one.
pub(super) fn decoded(literal: &[u8]) -> Option<Cow<'_, str>> {
    if literal.contains(&b'\\') {
        return text::decode(literal).map(Cow::Owned);
    }
    std::str::from_utf8(literal).ok().map(Cow::Borrowed)
}
