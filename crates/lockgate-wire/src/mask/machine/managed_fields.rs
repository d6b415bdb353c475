//! A Secret's `managedFields`: paths pass, the values of set members (`v:…`) do not.

use crate::PLACEHOLDER;
use crate::mask::{MaskError, Reason, text};

use super::piece::Piece;
use super::{Masker, State};

/// What a string in `managedFields` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldName {
    /// Not known yet; withheld.
    Undecided,
    /// A path; passes.
    Path,
    /// A set member's value; dropped.
    Value,
}

impl Masker {
    /// Brackets and quotes in a Secret's `managedFields`.
    pub(super) fn field_set(&mut self, mut depth: u32, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        for byte in piece.rest() {
            match byte {
                b'"' => {
                    piece.withhold();
                    piece.at += 1;
                    self.state = State::FieldName(depth, FieldName::Undecided);
                    return Ok(());
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            piece.at += 1;
            if depth == 0 {
                self.state = State::Behind;
                return Ok(());
            }
            if depth > self.context.limits.depth_max {
                return Err(MaskError::TooDeep { depth_max: self.context.limits.depth_max });
            }
        }
        self.state = State::FieldSet(depth);
        Ok(())
    }

    /// A string in a Secret's `managedFields`: `v:` and the value of a set's member, or something harmless.
    pub(super) fn field_name(&mut self, depth: u32, mut name: FieldName, piece: &mut Piece<'_, '_>) {
        /// `v:` spelled with escapes.
        const DECISIVE_BYTES: usize = 12;
        let rest = piece.rest();
        let close = text::close(&mut self.escaped, rest);
        let part = rest.get(..close.unwrap_or(rest.len())).unwrap_or_default();
        piece.at += part.len();
        if name == FieldName::Undecided {
            self.literal.extend_from_slice(part);
            if close.is_some() || self.literal.len() >= DECISIVE_BYTES {
                let value = text::strip(&self.literal, b'v').and_then(|rest| text::strip(rest, b':'));
                piece.output.push(b'"');
                if value.is_some() {
                    piece.output.extend_from_slice(br#"v:\""#);
                    piece.output.extend_from_slice(PLACEHOLDER.as_bytes());
                    piece.output.extend_from_slice(br#"\""#);
                    self.counts.add(Reason::Secret, b"");
                    name = FieldName::Value;
                } else {
                    piece.output.extend_from_slice(&self.literal);
                    piece.pass();
                    name = FieldName::Path;
                }
                self.literal.clear();
            }
        }
        self.state = State::FieldName(depth, name);
        if close.is_some() {
            piece.pass();
            piece.at += 1;
            self.state = State::FieldSet(depth);
        }
    }
}
