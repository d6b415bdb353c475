//! JSON string literals, without their quotes.

use memchr::memchr2;

/// The decoded text of a literal, or `None` when it is none (bad escapes, lone surrogates, bad UTF-8).
pub(crate) fn decode(literal: &[u8]) -> Option<String> {
    let mut quoted = Vec::with_capacity(literal.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(literal);
    quoted.push(b'"');
    serde_json::from_slice(&quoted).ok()
}

/// Appends `text` as a literal with its quotes.
pub(crate) fn encode(text: &str, output: &mut Vec<u8>) {
    output.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// Finds the quote that closes a literal. `escaped` carries a trailing backslash from one piece to the next.
pub(crate) fn close(escaped: &mut bool, piece: &[u8]) -> Option<usize> {
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
pub(crate) fn strip(literal: &[u8], character: u8) -> Option<&[u8]> {
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
    use super::*;

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
