//! The sampled filter: which places of a text may hold a pattern, at a look every few bytes.
//!
//! Of each pattern one window of `STRIDE + GRAM - 1` bytes is chosen; its `STRIDE` grams (runs of `GRAM` bytes) go into
//! a Bloom filter and a table. Wherever the pattern stands in a text, one of every `STRIDE`th grams of the text is one
//! of those. A look costs one multiplication and one word of the filter.

use zeroize::Zeroize;

/// Grams of everyday traffic: a window that has none of them makes the filter answer less often.
const TRAFFIC: &[u8] = include_bytes!("traffic.txt");

/// Where in a pattern its window begins, at most: how far the tail of a text is searched for beginnings.
pub(super) const WINDOW_START_MAX: usize = 768;

/// A window is good when none of its grams is in more patterns than this.
const GRAM_OWNERS_GOOD: u8 = 4;

/// Odd, with its bits well spread (2^64 divided by the golden ratio).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bits of the filter for each gram, before rounding up to a power of two: many while the filter is small enough for a
/// processor's cache, fewer in a larger one, since a look that leaves the cache costs more than a hit that means nothing.
const FILTER_BITS_PER_GRAM: usize = 16;
const FILTER_BITS_PER_GRAM_MIN: usize = 4;
const FILTER_BYTES_CACHED: usize = 4 << 20;

/// A place where a pattern may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Which pattern.
    pub(super) pattern: u32,
    /// Where in the text it would begin.
    pub(super) start: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    pattern: u32,
    /// Where in the pattern the gram is.
    offset: u16,
    /// Bits of the gram's hash that choose no bucket.
    tag: u16,
}

/// Filter and table for patterns of one class of length.
pub(super) struct Grams<const GRAM: usize, const STRIDE: usize> {
    filter: Vec<u64>,
    filter_shift: u32,
    buckets: Vec<u32>,
    bucket_shift: u32,
    entries: Vec<Entry>,
    /// Behind the last window's end no pattern's window is.
    window_end_max: usize,
}

impl<const GRAM: usize, const STRIDE: usize> Grams<GRAM, STRIDE> {
    /// Shortest pattern this can find.
    pub(super) const PATTERN_BYTES_MIN: usize = GRAM + STRIDE - 1;

    /// Of these patterns, each with its number.
    pub(super) fn new<'a>(patterns: impl Iterator<Item = (u32, &'a [u8])> + Clone) -> Self {
        let commonness = Commonness::new::<GRAM>(patterns.clone().map(|(_, pattern)| pattern));
        let mut found: Vec<(u64, Entry)> = Vec::with_capacity(patterns.clone().count() * STRIDE);
        let mut window_end_max = 0;
        for (pattern, bytes) in patterns {
            let window = commonness.window::<GRAM, STRIDE>(bytes);
            window_end_max = window_end_max.max(window + Self::PATTERN_BYTES_MIN);
            for offset in window..window + STRIDE {
                let hash = bytes.get(offset..).and_then(gram::<GRAM>).map_or(0, hash);
                // The window begins before WINDOW_START_MAX, so the offset fits.
                let offset = u16::try_from(offset).unwrap_or(u16::MAX);
                found.push((hash, Entry { pattern, offset, tag: tag(hash) }));
            }
        }
        found.sort_unstable_by_key(|(hash, entry)| (*hash, entry.pattern, entry.offset));
        let distinct = found.chunk_by(|(one, _), (other, _)| one == other).count();
        let wanted = (distinct * FILTER_BITS_PER_GRAM / 64).min(FILTER_BYTES_CACHED / 8);
        let words = wanted.max(distinct * FILTER_BITS_PER_GRAM_MIN / 64).next_power_of_two().max(64);
        let filter_shift = 64 - words.trailing_zeros();
        let mut filter = vec![0; words];
        let bucket_count = found.len().next_power_of_two().max(2);
        let bucket_shift = 64 - bucket_count.trailing_zeros();
        for (hash, _) in &found {
            if let Some(word) = filter.get_mut(word_of(*hash, filter_shift)) {
                *word |= bits(*hash, filter_shift);
            }
        }
        let mut buckets = Vec::with_capacity(bucket_count + 1);
        let mut at = 0;
        for bucket in 0..=bucket_count as u64 {
            while found.get(at).is_some_and(|(hash, _)| hash >> bucket_shift < bucket) {
                at += 1;
            }
            buckets.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
        let entries = found.iter().map(|(_, entry)| *entry).collect();
        Self { filter, filter_shift, buckets, bucket_shift, entries, window_end_max }
    }

    /// No pattern's window ends behind this offset of the pattern.
    pub(super) fn window_end_max(&self) -> usize {
        self.window_end_max
    }

    /// Looks through `text` and hands on every place where a pattern may stand; `text` may be the end of a longer text
    /// in which it begins at `base`.
    pub(super) fn probe(&self, text: &[u8], base: usize, each: &mut impl FnMut(Candidate)) {
        if self.entries.is_empty() || text.len() < GRAM {
            return;
        }
        // Eight looks, then one branch: they do not wait for each other.
        let mut at = 0;
        let reach = STRIDE * 7 + 8;
        while let Some(block) = text.get(at..at + reach) {
            let mut hits = 0_u32;
            for look in 0..8 {
                let bytes = block.get(look * STRIDE..).and_then(|rest| rest.first_chunk::<8>());
                let hash = bytes.map_or(0, |bytes| hash(folded::<GRAM>(*bytes)));
                hits |= u32::from(self.may_hold(hash)) << look;
            }
            while hits != 0 {
                let look = hits.trailing_zeros() as usize;
                hits &= hits - 1;
                self.candidates(text, at + look * STRIDE, base, each);
            }
            at += STRIDE * 8;
        }
        while at + GRAM <= text.len() {
            self.candidates(text, at, base, each);
            at += STRIDE;
        }
    }

    #[inline(always)]
    fn may_hold(&self, hash: u64) -> bool {
        let bits = bits(hash, self.filter_shift);
        self.filter.get(word_of(hash, self.filter_shift)).is_none_or(|word| word & bits == bits)
    }

    #[inline(never)]
    fn candidates(&self, text: &[u8], at: usize, base: usize, each: &mut impl FnMut(Candidate)) {
        let Some(hash) = text.get(at..).and_then(gram::<GRAM>).map(hash) else { return };
        if !self.may_hold(hash) {
            return;
        }
        let bucket = usize::try_from(hash >> self.bucket_shift).unwrap_or(usize::MAX);
        let Some([from, to]) = self.buckets.get(bucket..).and_then(|buckets| buckets.first_chunk::<2>()) else {
            return;
        };
        let entries = self.entries.get(*from as usize..*to as usize).unwrap_or_default();
        for entry in entries.iter().filter(|entry| entry.tag == tag(hash)) {
            if let Some(start) = (base + at).checked_sub(usize::from(entry.offset)) {
                each(Candidate { pattern: entry.pattern, start });
            }
        }
    }
}

impl<const GRAM: usize, const STRIDE: usize> Drop for Grams<GRAM, STRIDE> {
    fn drop(&mut self) {
        self.filter.zeroize();
        self.buckets.zeroize();
        for entry in &mut self.entries {
            (entry.pattern, entry.offset, entry.tag) = (0, 0, 0);
        }
        // Read by nobody after, but a compiler must not know.
        std::hint::black_box(&self.entries);
    }
}

/// The gram in lower case, so that hex in capitals has the grams of hex without.
#[inline(always)]
const fn folded<const GRAM: usize>(bytes: [u8; 8]) -> u64 {
    let mask = if GRAM >= 8 { u64::MAX } else { (1 << (GRAM * 8)) - 1 };
    (u64::from_le_bytes(bytes) | 0x2020_2020_2020_2020) & mask
}

#[inline(always)]
const fn hash(gram: u64) -> u64 {
    gram.wrapping_mul(MULTIPLIER)
}

#[inline(always)]
const fn word_of(hash: u64, shift: u32) -> usize {
    (hash >> shift) as usize
}

/// Two bits of the word, from bits of the hash that do not choose the word.
#[inline(always)]
const fn bits(hash: u64, shift: u32) -> u64 {
    1 << ((hash >> (shift - 6)) & 63) | 1 << ((hash >> (shift - 12)) & 63)
}

const fn tag(hash: u64) -> u16 {
    (hash >> 8) as u16
}

/// The gram that `bytes` begins with.
#[inline]
fn gram<const GRAM: usize>(bytes: &[u8]) -> Option<u64> {
    if let Some(eight) = bytes.first_chunk::<8>() {
        return Some(folded::<GRAM>(*eight));
    }
    let mut eight = [0; 8];
    eight.iter_mut().zip(bytes.get(..GRAM)?).for_each(|(slot, byte)| *slot = *byte);
    Some(folded::<GRAM>(eight))
}

/// How often grams are met: in all the patterns together, and in everyday traffic. A table of counters without keys, so
/// that its size does not follow the patterns'; two grams that share a counter make each other look common.
struct Commonness {
    counters: Vec<u8>,
    shift: u32,
}

impl Commonness {
    /// Counters, in bytes: enough that everyday traffic alone leaves nine of ten at zero.
    const COUNTERS_MIN: usize = 1 << 18;
    const COUNTERS_MAX: usize = 1 << 25;

    fn new<'a, const GRAM: usize>(patterns: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let grams: usize = patterns.clone().map(|pattern| pattern.len().min(WINDOW_START_MAX + 24)).sum();
        let size = (grams * 4).next_power_of_two().clamp(Self::COUNTERS_MIN, Self::COUNTERS_MAX);
        let mut commonness = Self { counters: vec![0; size], shift: 64 - size.trailing_zeros() };
        for pattern in patterns {
            let head = pattern.get(..WINDOW_START_MAX + 24).unwrap_or(pattern);
            (0..head.len())
                .filter_map(|at| head.get(at..).and_then(gram::<GRAM>))
                .for_each(|gram| commonness.add(gram, 1));
        }
        (0..TRAFFIC.len()).filter_map(|at| TRAFFIC.get(at..).and_then(gram::<GRAM>)).for_each(|gram| {
            commonness.add(gram, 16);
        });
        commonness
    }

    fn add(&mut self, gram: u64, times: u8) {
        if let Some(counter) = self.counters.get_mut(word_of(hash(gram), self.shift)) {
            *counter = counter.saturating_add(times);
        }
    }

    /// Of the gram that `bytes` begins with. One with a character that base64 writes differently in URLs counts as
    /// common: without it both alphabets have the same gram, and the filter holds it once.
    fn count<const GRAM: usize>(&self, bytes: &[u8]) -> u8 {
        let Some(gram) = gram::<GRAM>(bytes) else { return u8::MAX };
        let count = self.counters.get(word_of(hash(gram), self.shift)).copied().unwrap_or(0);
        let differs = bytes.iter().take(GRAM).any(|byte| b"+/-_".contains(byte));
        if differs { count.saturating_add(GRAM_OWNERS_GOOD) } else { count }
    }

    /// Where the pattern's rarest window begins: the first that is good, else the one whose commonest gram is rarest.
    fn window<const GRAM: usize, const STRIDE: usize>(&self, pattern: &[u8]) -> usize {
        let last = pattern.len().saturating_sub(GRAM + STRIDE - 1).min(WINDOW_START_MAX);
        let count = |at: usize| pattern.get(at..).map_or(u8::MAX, |bytes| self.count::<GRAM>(bytes));
        let mut best = (u8::MAX, 0);
        let mut start = 0;
        while start <= last {
            let (worst, at) = (start..start + STRIDE).map(|at| (count(at), at)).max().unwrap_or((u8::MAX, start));
            if worst <= GRAM_OWNERS_GOOD {
                return start;
            }
            if worst < best.0 {
                best = (worst, start);
            }
            // Every window up to the common gram holds it.
            start = at + 1;
        }
        best.1
    }
}

impl Drop for Commonness {
    fn drop(&mut self) {
        self.counters.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_avoids_what_patterns_share() {
        let patterns: Vec<Vec<u8>> = (1..50)
            .map(|index| format!("postgres://application:{:016x}@db", index * 0x1234_5678_9abc_u64).into_bytes())
            .collect();
        let commonness = Commonness::new::<8>(patterns.iter().map(Vec::as_slice));
        for pattern in &patterns {
            let window = commonness.window::<8, 9>(pattern);
            assert!(window >= 16, "{window}");
        }
    }

    #[test]
    fn a_pattern_is_met_at_every_place() {
        let pattern = b"q8Zr2LwXv9Ks4TnB";
        let grams = Grams::<8, 9>::new(std::iter::once((7, pattern.as_slice())));
        for before in 0..200 {
            let mut text = vec![b'.'; before];
            text.extend_from_slice(pattern);
            for behind in 0..100 {
                let mut found = false;
                grams.probe(&text, 0, &mut |candidate| found |= candidate == Candidate { pattern: 7, start: before });
                assert!(found, "{before} {behind}");
                text.push(b'.');
            }
        }
    }
}
