//! Finding the keywords in a text: a look at every second byte, three bytes each, upper and lower case alike.

use std::sync::LazyLock;

use super::table::{KEYWORDS, Keyword};

/// Longest keyword.
pub(in crate::mask) const KEYWORD_BYTES_MAX: usize = 48;

/// Bytes of a gram.
const GRAM: usize = 3;

/// Bits of a gram's hash.
const HASH_BITS: u32 = 17;

/// Bits of it that find the keywords.
const FIRST_BITS: u32 = 10;

/// What may follow a keyword of three bytes; a look at its second byte sees that too.
const FOLLOWERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789:_-.$%*<{[(!@#&^=+~";

/// Text in which a gram should be rare.
const TRAFFIC: &[u8] = include_bytes!("../values/traffic.txt");

/// The one table, made of constants alone.
static TABLE: LazyLock<KeywordTable> = LazyLock::new(|| KeywordTable::new(KEYWORDS));

/// The table of all keywords.
pub(in crate::mask) fn keywords() -> &'static KeywordTable {
    &TABLE
}

/// A keyword in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mask) struct Occurrence {
    /// Which.
    pub(super) keyword: &'static Keyword,
    /// Where it begins.
    pub(in crate::mask) start: usize,
}

impl Occurrence {
    /// Behind the keyword.
    pub(super) fn end(&self) -> usize {
        self.start + self.keyword.text.len()
    }
}

#[derive(Clone, Copy)]
struct Entry {
    gram: u32,
    keyword: &'static Keyword,
    offset: u8,
}

/// A bitmap of the keywords' grams and, sorted, whose they are.
pub(in crate::mask) struct KeywordTable {
    bitmap: [u32; 1 << (HASH_BITS - 5)],
    /// For each value of a gram's first hash bits, the first entry that has it.
    firsts: Vec<u16>,
    entries: Vec<Entry>,
}

impl KeywordTable {
    fn new(keywords: &'static [Keyword]) -> Self {
        let mut entries = Vec::new();
        for keyword in keywords {
            if keyword.text.len() == GRAM {
                entries.push(Entry { gram: gram(keyword.text), keyword, offset: 0 });
                for &follower in FOLLOWERS {
                    let mut longer = keyword.text.to_vec();
                    longer.push(follower);
                    let gram = longer.get(1..).map_or(0, gram);
                    entries.push(Entry { gram, keyword, offset: 1 });
                }
                continue;
            }
            let offset = rarest(keyword.text);
            for offset in [offset, offset + 1] {
                let gram = keyword.text.get(offset..).map_or(0, gram);
                entries.push(Entry { gram, keyword, offset: u8::try_from(offset).unwrap_or(u8::MAX) });
            }
        }
        entries.sort_by_key(|entry| (hash(entry.gram), entry.gram, entry.offset));
        entries.dedup_by_key(|entry| (entry.gram, entry.offset, entry.keyword.text));
        let mut bitmap = [0; 1 << (HASH_BITS - 5)];
        for entry in &entries {
            let hash = hash(entry.gram);
            if let Some(word) = bitmap.get_mut(hash >> 5) {
                *word |= 1 << (hash & 31);
            }
        }
        let before = |first: usize| entries.partition_point(|entry| first_bits(entry.gram) < first);
        let firsts = (0..=1 << FIRST_BITS).map(|first| u16::try_from(before(first)).unwrap_or(u16::MAX)).collect();
        Self { bitmap, firsts, entries }
    }

    /// Every keyword in `text` that begins at `from` or behind it and was not whole yet when the text was `known` bytes
    /// long. A keyword counts as whole with four bytes: of three, with the one that follows.
    pub(in crate::mask) fn find(&self, text: &[u8], from: usize, known: usize, each: &mut impl FnMut(Occurrence)) {
        let mut at = from;
        while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<34>()) {
            let mut hits = 0_u32;
            for look in 0..16 {
                let bytes = block.get(look * 2..).and_then(|rest| rest.first_chunk::<4>());
                let gram = bytes.map_or(0, |bytes| folded(u32::from_le_bytes(*bytes)));
                hits |= self.bit(gram) << look;
            }
            while hits != 0 {
                let look = hits.trailing_zeros() as usize;
                hits &= hits - 1;
                self.occurrences(text, from, known, at + look * 2, each);
            }
            at += 32;
        }
        while at + GRAM <= text.len() {
            self.occurrences(text, from, known, at, each);
            at += 2;
        }
    }

    #[inline(always)]
    fn bit(&self, gram: u32) -> u32 {
        let hash = hash(gram);
        self.bitmap.get(hash >> 5).map_or(0, |word| word >> (hash & 31) & 1)
    }

    #[inline(never)]
    fn occurrences(&self, text: &[u8], from: usize, known: usize, at: usize, each: &mut impl FnMut(Occurrence)) {
        let gram = text.get(at..).map_or(0, gram);
        if self.bit(gram) == 0 {
            return;
        }
        let firsts = self.firsts.get(first_bits(gram)..).and_then(|firsts| firsts.first_chunk::<2>());
        let Some([from_entry, to_entry]) = firsts else { return };
        let entries = self.entries.get(usize::from(*from_entry)..usize::from(*to_entry)).unwrap_or_default();
        for entry in entries.iter().filter(|entry| entry.gram == gram) {
            let Some(start) = at.checked_sub(usize::from(entry.offset)).filter(|start| *start >= from) else {
                continue;
            };
            let whole = start + entry.keyword.text.len().max(GRAM + 1);
            if whole > known && whole <= text.len() && stands_at(entry.keyword, text, start) {
                each(Occurrence { keyword: entry.keyword, start });
            }
        }
    }
}

/// Whether the keyword stands there, and behind one of three bytes what may follow one.
fn stands_at(keyword: &Keyword, text: &[u8], start: usize) -> bool {
    let Some((found, rest)) = text.get(start..).and_then(|rest| rest.split_at_checked(keyword.text.len())) else {
        return false;
    };
    let is_same = if keyword.caseless { found.eq_ignore_ascii_case(keyword.text) } else { found == keyword.text };
    let may_follow = |next: &u8| FOLLOWERS.iter().any(|follower| follower | 0x20 == next | 0x20);
    is_same && (found.len() > GRAM || rest.first().is_some_and(may_follow))
}

/// The place in a keyword from which on two grams are rarest in everyday traffic.
fn rarest(keyword: &[u8]) -> usize {
    let often = |offset: usize| {
        let wanted = keyword.get(offset..).map_or(0, gram);
        TRAFFIC.windows(GRAM).filter(|window| gram(window) == wanted).count()
    };
    (0..keyword.len() - GRAM).min_by_key(|&offset| often(offset) + often(offset + 1)).unwrap_or(0)
}

/// The gram at the front of `bytes`.
fn gram(bytes: &[u8]) -> u32 {
    match bytes {
        [first, second, third, ..] => folded(u32::from_le_bytes([*first, *second, *third, 0])),
        _ => 0,
    }
}

#[inline(always)]
const fn folded(word: u32) -> u32 {
    word & 0x00ff_ffff | 0x0020_2020
}

#[inline(always)]
const fn hash(gram: u32) -> usize {
    (gram.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

const fn first_bits(gram: u32) -> usize {
    hash(gram) >> (HASH_BITS - FIRST_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_found_once_at_every_place_and_split() {
        for keyword in KEYWORDS {
            assert!((GRAM..=KEYWORD_BYTES_MAX).contains(&keyword.text.len()));
            for before in [0, 1, 30, 31] {
                let mut text = vec![b' '; before];
                text.extend_from_slice(keyword.text);
                text.extend_from_slice(b"a    ");
                for split in before..=text.len() {
                    let mut found = 0;
                    let mut count = |occurrence: Occurrence| {
                        found += usize::from(occurrence.start == before && occurrence.keyword.text == keyword.text);
                    };
                    keywords().find(&text[..split], 0, 0, &mut count);
                    keywords().find(&text, split.saturating_sub(KEYWORD_BYTES_MAX), split, &mut count);
                    assert_eq!(found, 1, "{} {before} {split}", String::from_utf8_lossy(keyword.text));
                }
            }
        }
    }
}
