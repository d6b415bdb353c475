//! How many values were masked, by reason and by the key they stood under.

use super::reason::Reason;
use super::text;

/// Most keys that are told apart; what is masked under further ones is counted together.
const KEYS_MAX: usize = 64;

/// A longer key is cut.
const KEY_BYTES_MAX: usize = 64;

/// Most keys that a warning names.
const KEYS_NAMED_MAX: usize = 8;

/// What was masked so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaskCounts {
    counts: Vec<MaskCount>,
    masked: u64,
    others: u64,
}

/// How many values were masked for one reason under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskCount {
    /// Why.
    pub reason: Reason,
    /// The key in a map, the name of a variable, header or flag; empty where there is none. Its first 64 bytes.
    pub key: String,
    /// How many.
    pub values: u64,
}

impl MaskCounts {
    /// In the order in which the keys came first.
    pub fn by_key(&self) -> &[MaskCount] {
        &self.counts
    }

    /// All of them.
    pub const fn masked(&self) -> u64 {
        self.masked
    }

    /// How many stood under further keys than are told apart.
    pub const fn others(&self) -> u64 {
        self.others
    }

    /// What the client is told, without the `299 lockgate` before it and the quotes around it: `2 values masked in
    /// secret db (password, uri)`. `about` names what was asked for. Fit for a header. `None` if nothing was masked.
    pub fn warning(&self, about: &str) -> Option<String> {
        let noun = match self.masked {
            0 => return None,
            1 => "value",
            _ => "values",
        };
        let named = self.counts.iter().filter(|count| !count.key.is_empty());
        let mut keys: Vec<&str> = named.map(|count| count.key.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        let more = keys.len() > KEYS_NAMED_MAX || self.others > 0;
        keys.truncate(KEYS_NAMED_MAX);
        let keys = match (keys.is_empty(), more) {
            (true, _) => String::new(),
            (false, false) => format!(" ({})", keys.join(", ")),
            (false, true) => format!(" ({}, …)", keys.join(", ")),
        };
        let text = format!("{} {noun} masked in {about}{keys}", self.masked);
        // A header holds visible ASCII; the quoted text of a warning neither quotes nor backslashes.
        let fit = |character: char| match character {
            '…' => "...".to_owned(),
            ' ' | '!' | '#'..='[' | ']'..='~' => character.to_string(),
            _ => "?".to_owned(),
        };
        Some(text.chars().map(fit).collect())
    }

    /// One more, under the key that this literal spells.
    pub(super) fn add(&mut self, reason: Reason, literal: &[u8]) {
        self.masked = self.masked.saturating_add(1);
        let is_same = |count: &&mut MaskCount| count.reason == reason && count.key.as_bytes() == literal;
        if let Some(count) = self.counts.iter_mut().find(is_same) {
            count.values = count.values.saturating_add(1);
            return;
        }
        let decoded = if literal.contains(&b'\\') { text::decode(literal) } else { None };
        let key = decoded.unwrap_or_else(|| String::from_utf8_lossy(literal).into_owned());
        self.insert(reason, shortened(key), 1);
    }

    /// What was masked in something within.
    pub(super) fn merge(&mut self, other: Self) {
        self.masked = self.masked.saturating_add(other.masked);
        self.others = self.others.saturating_add(other.others);
        for MaskCount { reason, key, values } in other.counts {
            self.insert(reason, key, values);
        }
    }

    fn insert(&mut self, reason: Reason, key: String, values: u64) {
        if let Some(count) = self.counts.iter_mut().find(|count| count.reason == reason && count.key == key) {
            count.values = count.values.saturating_add(values);
        } else if self.counts.len() < KEYS_MAX {
            self.counts.push(MaskCount { reason, key, values });
        } else {
            self.others = self.others.saturating_add(values);
        }
    }
}

fn shortened(mut key: String) -> String {
    if key.len() > KEY_BYTES_MAX {
        let end = (0..=KEY_BYTES_MAX).rev().find(|at| key.is_char_boundary(*at)).unwrap_or(0);
        key.truncate(end);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_names_the_keys() {
        let mut counts = MaskCounts::default();
        assert_eq!(counts.warning("secret db"), None);
        counts.add(Reason::Secret, b"uri");
        assert_eq!(counts.warning("secret db").unwrap(), "1 value masked in secret db (uri)");
        counts.add(Reason::Secret, b"pass\\u0077ord");
        assert_eq!(counts.warning("secret db").unwrap(), "2 values masked in secret db (password, uri)");
        counts.add(Reason::Environment, "a\"\\\r\nä".as_bytes());
        assert_eq!(counts.warning("x").unwrap(), "3 values masked in x (a?????, password, uri)");
    }

    #[test]
    fn keys_are_bounded_in_number_and_length() {
        let mut counts = MaskCounts::default();
        for number in 0..100 {
            counts.add(Reason::Secret, format!("key-{number:03}").as_bytes());
        }
        counts.add(Reason::Secret, "ä".repeat(100).as_bytes());
        counts.add(Reason::Secret, b"key-000");
        assert_eq!((counts.by_key().len(), counts.others(), counts.masked()), (64, 37, 102));
        assert!(counts.warning("secrets").unwrap().ends_with("key-007, ...)"));
        let mut other = MaskCounts::default();
        other.add(Reason::Secret, "ä".repeat(100).as_bytes());
        assert_eq!(other.by_key()[0].key.len(), 64);
        other.merge(counts);
        assert_eq!((other.by_key().len(), other.others(), other.masked()), (64, 38, 103));
    }
}
