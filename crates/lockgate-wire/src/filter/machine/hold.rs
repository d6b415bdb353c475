//! Where the bytes at hand go: on, nowhere, or into the held bytes until somebody has judged what they are of.

use crate::filter::unit::Stage;
use crate::filter::{FilterError, Form, Reads, Verdict};

use super::{Filter, Frame, HELD_BYTES_KEPT, Judge, Sink, is_whitespace};

impl Filter {
    /// Asks about the object whose head (or whole) has just been read.
    pub(super) fn settle(&mut self, judge: &mut Judge<'_>, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        self.flush(piece)?;
        let Some(unit) = self.unit.as_ref().filter(|unit| unit.stage == Stage::Held) else { return Ok(()) };
        let object: Option<serde_json::Value> = match self.reads {
            Reads::Head => None,
            Reads::Object => {
                let bytes = unit.object_start.and_then(|start| self.held.get(start..)).unwrap_or_default();
                serde_json::from_slice(bytes).ok()
            }
        };
        let readable = self.reads == Reads::Head || object.is_some();
        let verdict = match unit.item(object.as_ref()) {
            Some(item) if readable => judge(&item),
            _ => Verdict::Hide,
        };
        match verdict {
            Verdict::Show => self.show(piece),
            Verdict::Hide => self.hide(),
        }
        Ok(())
    }

    /// What is held passes, and what follows of the object.
    pub(super) fn show(&mut self, piece: &mut Piece<'_, '_>) {
        self.summary.shown += 1;
        self.sink = Sink::Pass;
        let columns = match &mut self.unit {
            Some(unit) => {
                unit.stage = Stage::Shown;
                unit.columns
            }
            None => None,
        };
        if let Some((start, end)) = columns.filter(|_| self.form == Form::Events) {
            let own = self.held.get(start..end).unwrap_or_default();
            let instead = self.columns.take().filter(|_| !defines_columns(own));
            if let Some(instead) = instead {
                self.held.splice(start..end, instead);
            }
        }
        self.release(piece);
        self.forget_held();
    }

    /// What is held goes nowhere, and what follows of the object.
    pub(super) fn hide(&mut self) {
        self.summary.hidden += 1;
        self.sink = Sink::Drop;
        let columns = match &mut self.unit {
            Some(unit) => {
                unit.stage = Stage::Hidden;
                unit.columns
            }
            None => None,
        };
        if let Some((start, end)) = columns.filter(|_| self.form == Form::Events)
            && let Some(own) = self.held.get(start..end).filter(|own| defines_columns(own))
        {
            self.columns = Some(own.to_vec());
        }
        self.forget_held();
        self.comma = None;
    }

    /// Nothing is held any more; a large buffer is given back.
    fn forget_held(&mut self) {
        if self.held.capacity() > HELD_BYTES_KEPT {
            self.held = Vec::new();
        } else {
            self.held.clear();
        }
    }

    /// An object that nobody was asked about stays hidden.
    pub(super) fn end_unit(&mut self, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        self.flush(piece)?;
        if self.unit.as_ref().is_some_and(|unit| unit.stage == Stage::Held) {
            self.hide();
        }
        self.unit = None;
        Ok(())
    }

    /// Lets go what is held, as the next element of its array or object: without its comma if it is the first.
    pub(super) fn release(&mut self, piece: &mut Piece<'_, '_>) {
        let comma = self.comma.take();
        let innermost = self.frames.iter_mut().rev().find_map(|frame| match frame {
            Frame::ListMeta { emitted } | Frame::Elements { apart: true, emitted, .. } => Some(emitted),
            _ => None,
        });
        if let Some(emitted) = innermost
            && !std::mem::replace(emitted, true)
            && let Some(comma) = comma.filter(|comma| *comma < self.held.len())
        {
            self.held.remove(comma);
        }
        piece.output.append(&mut self.held);
    }

    pub(super) fn columns_begin(&mut self, piece: &Piece<'_, '_>) {
        let start = self.held_at(piece);
        if let Some(unit) = self.unit.as_mut().filter(|unit| unit.stage == Stage::Held) {
            unit.columns_start = Some(start);
        }
    }

    /// Where in the held bytes the byte at hand stands, or will.
    pub(super) fn held_at(&self, piece: &Piece<'_, '_>) -> usize {
        self.held.len() + (piece.at - piece.from)
    }

    /// Sends what was read to where it goes, and what follows elsewhere.
    pub(super) fn turn(&mut self, sink: Sink, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        self.flush(piece)?;
        self.sink = sink;
        Ok(())
    }

    pub(super) fn flush(&mut self, piece: &mut Piece<'_, '_>) -> Result<(), FilterError> {
        let bytes = piece.input.get(piece.from..piece.at).unwrap_or_default();
        piece.from = piece.at;
        match self.sink {
            Sink::Pass => piece.output.extend_from_slice(bytes),
            Sink::Drop => {}
            Sink::Hold => {
                let judged = self.unit.as_ref().is_some_and(|unit| unit.stage == Stage::Held);
                let bytes_max = match self.reads {
                    Reads::Object if judged => self.limits.object_bytes_max,
                    Reads::Object | Reads::Head => self.limits.head_bytes_max,
                };
                if self.held.len() + bytes.len() <= bytes_max {
                    self.held.extend_from_slice(bytes);
                } else if judged {
                    self.hide();
                } else {
                    return Err(FilterError::TooLong { bytes_max });
                }
            }
        }
        Ok(())
    }
}

/// One piece of input, and up to where it has gone somewhere.
pub(super) struct Piece<'i, 'o> {
    pub(super) input: &'i [u8],
    pub(super) at: usize,
    pub(super) from: usize,
    pub(super) output: &'o mut Vec<u8>,
}

impl<'i> Piece<'i, '_> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    pub(super) fn rest(&self) -> &'i [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    pub(super) fn skip_whitespace(&mut self) {
        let rest = self.rest();
        self.at += rest.iter().position(|byte| !is_whitespace(*byte)).unwrap_or(rest.len());
    }
}

/// Whether the value of `columnDefinitions` defines any.
fn defines_columns(value: &[u8]) -> bool {
    value.contains(&b'{')
}
