//! Which strings of a piece have to be searched: one quick look through the piece tells of most that nothing is in them.

use crate::mask::FindSecrets;

/// The places in the piece at hand where something may be.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    places: Vec<usize>,
    /// Those before this one are behind.
    at: usize,
    /// All of them are known.
    complete: bool,
}

impl Suspects {
    /// Looks through the next piece.
    pub(super) fn look(&mut self, finder: &dyn FindSecrets, piece: &[u8]) {
        self.places.clear();
        self.at = 0;
        self.complete = finder.suspect(piece, &mut self.places);
        self.places.sort_unstable();
    }

    /// Whether nothing is in the bytes `start..end` of the piece. Asked from the front to the back.
    pub(super) fn none_in(&mut self, start: usize, end: usize) -> bool {
        while self.places.get(self.at).is_some_and(|place| *place < start) {
            self.at += 1;
        }
        self.complete && self.places.get(self.at).is_none_or(|place| *place >= end)
    }
}
