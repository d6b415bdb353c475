//! What becomes of a string that was withheld.

use std::cmp::Reverse;

use super::counts::MaskCounts;
use super::reason::Reason;
use super::{Found, text};

/// What becomes of a string value that was withheld.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rewrite {
    /// It passes as it is.
    Keep,
    /// This literal, with its quotes, takes its place, and this is masked of it.
    Replace(Vec<u8>, MaskCounts),
    /// The placeholder takes its place.
    Mask,
}

impl Rewrite {
    /// `text` takes its place, in which one value is masked.
    pub(super) fn instead(text: &str, reason: Reason, key: &[u8]) -> Self {
        let mut counts = MaskCounts::default();
        counts.add(reason, key);
        Self::counted(text, counts)
    }

    /// `text` takes its place.
    pub(super) fn counted(text: &str, counts: MaskCounts) -> Self {
        let mut literal = Vec::with_capacity(text.len() + 2);
        text::encode(text, &mut literal);
        Self::Replace(literal, counts)
    }

    /// What was found in `bytes` is replaced, and counted under `key`. Of what touches, the first says why.
    pub(super) fn without(bytes: &[u8], mut found: Vec<Found>, key: &[u8]) -> Self {
        let Ok(content) = std::str::from_utf8(bytes) else { return Self::Mask };
        found.sort_unstable_by_key(|found| (found.start, Reverse(found.end), found.reason));
        let mut counts = MaskCounts::default();
        let mut output = String::with_capacity(content.len());
        let mut at = 0;
        for Found { start, end, reason } in found {
            let start = start.max(at);
            if end <= start && at > 0 {
                continue;
            }
            // What is found in the middle of a character takes all of it.
            let floor = (at..=start).rev().find(|at| content.is_char_boundary(*at)).unwrap_or(at);
            let ceiling = (end..=content.len()).find(|at| content.is_char_boundary(*at)).unwrap_or(content.len());
            let touches = floor == at && at > 0;
            output.push_str(content.get(at..floor).unwrap_or_default());
            if !touches {
                output.push_str(reason.placeholder());
                counts.add(reason, key);
            }
            at = ceiling.max(at);
        }
        output.push_str(content.get(at..).unwrap_or_default());
        Self::counted(&output, counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_replaced_once() {
        let reason = Reason::KnownValue;
        let found = |spans: &[(usize, usize)]| spans.iter().map(|&(start, end)| Found { start, end, reason }).collect();
        for (text, spans, expected, masked) in [
            ("a hunter2 b", &[(2, 9)][..], "a # b", 1),
            ("hunter2", &[(0, 7)], "#", 1),
            ("a hunter2 hunter2", &[(10, 17), (2, 9)], "a # #", 2),
            ("hunter2hunter2", &[(0, 7), (3, 10), (7, 14)], "#", 1),
            ("ähunter2", &[(1, 9)], "#", 1),
            ("x hunter2", &[(2, 99)], "x #", 1),
        ] {
            let Rewrite::Replace(literal, counts) = Rewrite::without(text.as_bytes(), found(spans), b"k") else {
                panic!()
            };
            let literal = String::from_utf8(literal).unwrap().replace(reason.placeholder(), "#");
            assert_eq!((literal.as_str(), counts.masked()), (format!("\"{expected}\"").as_str(), masked), "{text}");
        }
    }
}
