//! One piece of an answer, and which of its bytes are copied.

use super::is_whitespace;

/// One piece of input, and what of it has gone where.
pub(super) struct Piece<'i, 'o> {
    pub(super) input: &'i [u8],
    pub(super) at: usize,
    /// From here to `at` the bytes will be copied; `None` while they are not.
    pub(super) kept: Option<usize>,
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

    /// Copies what is to be copied, up to here; what follows is not.
    pub(super) fn withhold(&mut self) {
        if let Some(kept) = self.kept.take() {
            self.output.extend_from_slice(self.input.get(kept..self.at).unwrap_or_default());
        }
    }

    /// As [`Self::withhold`], from `start` on, which is behind what was copied before.
    pub(super) fn withhold_from(&mut self, start: usize) {
        if let Some(kept) = self.kept.take() {
            self.output.extend_from_slice(self.input.get(kept..start).unwrap_or_default());
        }
    }

    /// What follows is copied.
    pub(super) fn pass(&mut self) {
        self.kept.get_or_insert(self.at);
    }
}
