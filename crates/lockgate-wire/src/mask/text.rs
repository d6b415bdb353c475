//! JSON string literals, without their quotes.

use memchr::{memchr, memchr2};

use crate::PLACEHOLDER;

/// The decoded text of a literal, or `None` when it is none (bad escapes, lone surrogates, bad UTF-8, controls).
pub(super) fn decode(literal: &[u8]) -> Option<String> {
    if literal.iter().fold(false, |found, byte| found | (*byte < b' ')) {
        return None;
    }
    let mut text = Vec::with_capacity(literal.len());
    let mut rest = literal;
    while let Some(at) = memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(at)?;
        text.extend_from_slice(plain);
        let (letter, behind) = escape.get(1..)?.split_first()?;
        rest = behind;
        match letter {
            b'"' | b'\\' | b'/' => text.push(*letter),
            b'n' => text.push(b'\n'),
            b't' => text.push(b'\t'),
            b'r' => text.push(b'\r'),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'u' => {
                let (character, behind) = code_point(rest)?;
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = behind;
            }
            _ => return None,
        }
    }
    text.extend_from_slice(rest);
    String::from_utf8(text).ok()
}

/// The character behind `\u`, of which a second escape may be the other half.
fn code_point(literal: &[u8]) -> Option<(char, &[u8])> {
    let (unit, rest) = code_unit(literal)?;
    if let Some(character) = char::from_u32(unit) {
        return Some((character, rest));
    }
    let (low, rest) = code_unit(rest.strip_prefix(b"\\u")?)?;
    if !(0xd800..0xdc00).contains(&unit) || !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    Some((char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?, rest))
}

fn code_unit(literal: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = literal.split_at_checked(4)?;
    let unit = digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))?;
    Some((unit, rest))
}

/// `text` as a literal with its quotes.
pub(super) fn encode(text: &str) -> Vec<u8> {
    // Writing a string into memory cannot fail; a placeholder would stand in for it.
    serde_json::to_vec(text).unwrap_or_else(|_| format!("\"{PLACEHOLDER}\"").into_bytes())
}

/// Finds the quote that closes a literal. `escaped` carries a trailing backslash from one piece to the next.
pub(super) fn close(escaped: &mut bool, piece: &[u8]) -> Option<usize> {
    if piece.is_empty() {
        return None;
    }
    let mut at = usize::from(std::mem::take(escaped));
    loop {
        let rest = piece.get(at..)?;
        at += memchr2(b'"', b'\\', rest)?;
        if piece.get(at) == Some(&b'"') {
            return Some(at);
        }
        at += 2;
        if at > piece.len() {
            *escaped = true;
            return None;
        }
    }
}

/// Takes one ASCII character, plain or as `\u00XX`, off the front of a literal.
pub(super) fn strip(literal: &[u8], character: u8) -> Option<&[u8]> {
    match literal.split_first()? {
        (&first, rest) if first == character => Some(rest),
        (b'\\', rest) => {
            let (hex, rest) = rest.strip_prefix(b"u")?.split_at_checked(4)?;
            let spelled = format!("{character:04x}");
            hex.eq_ignore_ascii_case(spelled.as_bytes()).then_some(rest)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn decoding_agrees_with_serde_json(
            literal in prop_oneof![
                "([a-z]|\\\\u[0-9a-fA-F]{3,4}|\\\\ud[89ab][0-9]{2}\\\\ud[c-f][0-9]{2}|\\\\[\"\\\\/bfnrtux]|\u{e9}|\u{7}){0,6}",
                "[^\"]{0,12}",
            ],
        ) {
            // A quote in the middle ends a literal before it gets here.
            prop_assume!(close(&mut false, literal.as_bytes()).is_none());
            let expected = serde_json::from_str::<String>(&format!("\"{literal}\"")).ok();
            prop_assert_eq!(decode(literal.as_bytes()), expected, "{}", literal);
        }
    }

    #[test]
    fn bad_utf_8_is_no_text() {
        assert_eq!(decode(b"a\xff"), None);
    }

    #[test]
    fn the_closing_quote_is_found_at_every_split() {
        for literal in [r#"plain" x"#, r#"a\"b" x"#, r#"a\\" x"#, r#"\\\"\\" x"#, r#"" x"#] {
            let bytes = literal.as_bytes();
            let whole = close(&mut false, bytes).unwrap();
            for split in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(split);
                let mut escaped = false;
                let found = close(&mut escaped, head).or_else(|| close(&mut escaped, tail).map(|at| at + split));
                assert_eq!(found, Some(whole), "{literal} at {split}");
            }
        }
    }

    #[test]
    fn an_empty_piece_keeps_the_escape() {
        let mut escaped = true;
        assert_eq!(close(&mut escaped, b""), None);
        assert!(escaped);
    }

    #[test]
    fn characters_are_stripped_in_both_spellings() {
        assert_eq!(strip(b"v:x", b'v'), Some(&b":x"[..]));
        assert_eq!(strip(br"\u0076:", b'v'), Some(&b":"[..]));
        assert_eq!(strip(br"\u003A", b':'), Some(&b""[..]));
        assert_eq!(strip(br"\u+076", b'v'), None);
        assert_eq!(strip(b"f:", b'v'), None);
        assert_eq!(strip(b"", b'v'), None);
    }
}
