//! Text from the cluster and from agents, made inert: whatever could steer a terminal, reorder a line or hide in it
//! is shown as a visible escape. Used by the web pages and the command line alike.
//!
//! Refuses to know what the text means: it never shortens, trims or normalises.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Whether a character could change how the text around it is shown, or be there without being seen: controls (C0,
/// DEL, C1), bidirectional and zero-width formatting, line and paragraph separators, variation selectors, fillers, tags.
pub fn is_hazard(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The visible form of a hazard: `\n`, `\t`, `\r`, `\x1b`, `\u{202e}`.
pub fn write_escape(out: &mut impl Write, c: char) -> fmt::Result {
    match c {
        '\n' => out.write_str("\\n"),
        '\t' => out.write_str("\\t"),
        '\r' => out.write_str("\\r"),
        c if u32::from(c) < 0x100 => write!(out, "\\x{:02x}", u32::from(c)),
        c => write!(out, "\\u{{{:x}}}", u32::from(c)),
    }
}

/// One line of inert text; a line break is escaped too.
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hazard) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().saturating_add(16));
    for c in text.chars() {
        if !is_hazard(c) {
            out.push(c);
        } else if write_escape(&mut out, c).is_err() {
            // Writing to a String does not fail.
            break;
        }
    }
    Cow::Owned(out)
}

/// Inert text over several lines: line breaks stand, everything else is as in [`line`].
pub fn lines(text: &str) -> String {
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// JSON that a terminal may print: in serialised JSON a hazard stands inside a string, where `\uXXXX` says the same.
pub fn json(serialised: &str) -> String {
    let mut out = String::with_capacity(serialised.len());
    for c in serialised.chars() {
        if c == '\n' || !is_hazard(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            if write!(out, "\\u{unit:04x}").is_err() {
                break;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        for text in ["delete namespace shop", "größer 日本語 🙂", ""] {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn terminal_sequences_are_shown_and_do_nothing() {
        assert_eq!(line("a\x1b[2Jb"), r"a\x1b[2Jb");
        assert_eq!(line("a\u{9b}31mb"), r"a\x9b31mb");
        assert_eq!(line("a\u{7f}\u{8}b"), r"a\x7f\x08b");
        assert_eq!(line("a\r\nb\tc"), r"a\r\nb\tc");
    }

    #[test]
    fn hidden_and_reordering_characters_are_shown() {
        assert_eq!(line("shop\u{202e}dorp"), r"shop\u{202e}dorp");
        assert_eq!(line("a\u{200b}b\u{2066}c\u{feff}"), r"a\u{200b}b\u{2066}c\u{feff}");
        assert_eq!(line("a\u{e0041}b\u{2028}c"), r"a\u{e0041}b\u{2028}c");
    }

    #[test]
    fn line_breaks_stand_in_lines_only() {
        assert_eq!(lines("a\nb\x1bc\r\n"), "a\nb\\x1bc\\r\n");
    }

    #[test]
    fn escaped_json_reads_back_as_the_same_value() {
        let value = serde_json::json!({"k\u{202e}": "a\u{9b}b\u{e0041}c\u{7f}\n"});
        let text = json(&value.to_string());
        assert!(!text.chars().any(is_hazard), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
