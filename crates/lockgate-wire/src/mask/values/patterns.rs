//! All spellings of all values, sorted, in one piece of memory; and where a text stands among them.

use std::ops::Range;

use zeroize::{Zeroize, Zeroizing};

use super::forms::Spelling;

/// No pattern.
const NONE: u32 = u32::MAX;

/// The sorted patterns. Numbers are places in that order.
pub(super) struct Patterns {
    arena: Zeroizing<Vec<u8>>,
    /// Where each pattern begins in the arena, and where the last one ends.
    starts: Vec<u32>,
    /// Whose spelling each is.
    owners: Vec<u32>,
    /// The longest other pattern that each begins with.
    parents: Vec<u32>,
    /// The first eight bytes of each, as numbers that sort as the bytes do.
    heads: Vec<u64>,
    /// How many patterns come before each pair of first bytes.
    pairs: Vec<u32>,
    /// Hashes of the heads, two bits each.
    head_filter: Vec<u64>,
    head_shift: u32,
    longest: usize,
}

/// A place in a text from which on it reads like the beginning of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mask) struct Cursor {
    /// Where in the text.
    pub(in crate::mask) start: usize,
    /// Which patterns go on as the text does.
    range: Range<u32>,
    /// How many bytes were compared.
    depth: usize,
    /// Of which index.
    pub(super) layer: u8,
}

impl Patterns {
    /// Of spellings and their owners. A spelling that two values share belongs to the first.
    pub(super) fn new(mut spellings: Vec<(Spelling, u32)>) -> Self {
        spellings.sort_unstable_by(|one, other| one.0.as_slice().cmp(&other.0).then(one.1.cmp(&other.1)));
        spellings.dedup_by(|later, earlier| later.0 == earlier.0);
        let bytes: usize = spellings.iter().map(|(spelling, _)| spelling.len()).sum();
        let mut patterns = Self {
            arena: Zeroizing::new(Vec::with_capacity(bytes)),
            starts: Vec::with_capacity(spellings.len() + 1),
            owners: spellings.iter().map(|(_, owner)| *owner).collect(),
            parents: Vec::with_capacity(spellings.len()),
            heads: Vec::with_capacity(spellings.len()),
            pairs: vec![0; (1 << 16) + 1],
            head_filter: Vec::new(),
            head_shift: 0,
            longest: spellings.iter().map(|(spelling, _)| spelling.len()).max().unwrap_or(0),
        };
        patterns.starts.push(0);
        for (spelling, _) in &spellings {
            patterns.arena.extend_from_slice(spelling);
            patterns.starts.push(u32::try_from(patterns.arena.len()).unwrap_or(u32::MAX));
            patterns.heads.push(head(spelling));
        }
        patterns.link();
        patterns.index_heads();
        patterns
    }

    fn link(&mut self) {
        let mut open: Vec<u32> = Vec::new();
        for number in 0..self.count() {
            while open.last().is_some_and(|&parent| !self.bytes(number).starts_with(self.bytes(parent))) {
                open.pop();
            }
            self.parents.push(open.last().copied().unwrap_or(NONE));
            open.push(number);
        }
    }

    fn index_heads(&mut self) {
        let words = (self.heads.len() / 4).next_power_of_two().max(64);
        self.head_filter = vec![0; words];
        self.head_shift = 64 - words.trailing_zeros();
        for &head in &self.heads {
            let (word, bits) = self.filter_place(head);
            if let Some(word) = self.head_filter.get_mut(word) {
                *word |= bits;
            }
            if let Some(pair) = self.pairs.get_mut((head >> 48) as usize + 1) {
                *pair += 1;
            }
        }
        let mut sum = 0;
        for pair in &mut self.pairs {
            sum += *pair;
            *pair = sum;
        }
    }

    fn filter_place(&self, head: u64) -> (usize, u64) {
        let hash = head.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bit = |shift: u32| 1_u64 << ((hash >> shift) & 63);
        ((hash >> self.head_shift) as usize, bit(self.head_shift - 6) | bit(self.head_shift - 12))
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.owners.len()).unwrap_or(NONE)
    }

    /// Bytes of the longest.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    pub(super) fn bytes(&self, number: u32) -> &[u8] {
        let Some([from, to]) = self.starts.get(number as usize..).and_then(|starts| starts.first_chunk::<2>()) else {
            return &[];
        };
        self.arena.get(*from as usize..*to as usize).unwrap_or_default()
    }

    pub(super) fn owner(&self, number: u32) -> u32 {
        self.owners.get(number as usize).copied().unwrap_or(NONE)
    }

    /// Whether any pattern may go on from `tail`, the end of a text, as a whole: a quick look.
    #[inline]
    pub(super) fn may_begin(&self, tail: &[u8]) -> bool {
        let Some(eight) = tail.first_chunk::<8>() else { return !tail.is_empty() };
        let (word, bits) = self.filter_place(u64::from_be_bytes(*eight));
        self.head_filter.get(word).is_none_or(|word| word & bits == bits)
    }

    /// The patterns that go on from `tail`, the end of a text that begins at `start`.
    pub(super) fn cursor(&self, start: usize, tail: &[u8]) -> Option<Cursor> {
        let range = self.heads_of(0..self.count(), tail);
        let mut cursor = Cursor { start, range, depth: tail.len().min(8), layer: 0 };
        self.advance(&mut cursor, tail).0.then_some(cursor)
    }

    /// Reads on: `text` begins where the cursor does. Says whether any pattern still goes on, and how long the longest
    /// one is that has come to its end since.
    pub(super) fn advance(&self, cursor: &mut Cursor, text: &[u8]) -> (bool, Option<(u32, usize)>) {
        if cursor.range.is_empty() {
            return (false, None);
        }
        if cursor.depth < 8 {
            cursor.range = self.heads_of(cursor.range.clone(), text);
            cursor.depth = text.len().min(8);
            if text.len() < 8 || cursor.range.is_empty() {
                return (!cursor.range.is_empty(), None);
            }
        }
        let depth = cursor.depth;
        let rest = text.get(depth..).unwrap_or_default();
        let behind = |number: u32| self.bytes(number).get(depth..).unwrap_or_default();
        let above = partition(cursor.range.clone(), |number| behind(number) <= rest);
        let complete = above
            .checked_sub(1)
            .filter(|number| cursor.range.contains(number))
            .and_then(|number| self.longest_prefix(number, text, &cursor.range));
        let cut = |number: u32| behind(number).get(..rest.len()).unwrap_or(behind(number));
        let low = partition(cursor.range.clone(), |number| cut(number) < rest);
        let high = partition(low..cursor.range.end, |number| cut(number) <= rest);
        let whole = u32::from(low < high && self.bytes(low).len() == text.len());
        cursor.range = low + whole..high;
        cursor.depth = text.len();
        (!cursor.range.is_empty(), complete.map(|number| (number, self.bytes(number).len())))
    }

    /// The longest pattern in the range that `text` begins with, given the last one that does not sort behind it.
    fn longest_prefix(&self, mut number: u32, text: &[u8], range: &Range<u32>) -> Option<u32> {
        while range.contains(&number) {
            if text.starts_with(self.bytes(number)) {
                return Some(number);
            }
            number = self.parents.get(number as usize).copied().unwrap_or(NONE);
        }
        None
    }

    /// Those in the range that agree with the first bytes of `text`, up to eight.
    fn heads_of(&self, range: Range<u32>, text: &[u8]) -> Range<u32> {
        let known = text.len().min(8);
        if known == 0 {
            return range;
        }
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(text).for_each(|(slot, byte)| *slot = *byte);
        let lowest = u64::from_be_bytes(bytes);
        let highest = lowest | u64::MAX.checked_shr(u32::try_from(known * 8).unwrap_or(64)).unwrap_or(0);
        let place = |pair: u64, default: u32| self.pairs.get(pair as usize).copied().unwrap_or(default);
        let from = place(lowest >> 48, 0).max(range.start);
        let to = place((highest >> 48) + 1, range.end).min(range.end);
        if known == 1 {
            return from..to.max(from);
        }
        let head = |number: u32| self.heads.get(number as usize).copied().unwrap_or(u64::MAX);
        let low = partition(from..to.max(from), |number| head(number) < lowest);
        let high = partition(low..to.max(low), |number| head(number) <= highest);
        low..high
    }
}

impl Drop for Patterns {
    fn drop(&mut self) {
        self.heads.zeroize();
        self.pairs.zeroize();
        self.head_filter.zeroize();
        self.starts.zeroize();
    }
}

fn head(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or(0, |eight| u64::from_be_bytes(*eight))
}

/// The first number of the range for which `before` does not hold.
fn partition(range: Range<u32>, before: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (range.start, range.end.max(range.start));
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}
