//! The spellings of a value: how it looks in JSON, in base64 at each alignment, in hex, in a URL.

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::strength::VALUE_BYTES_MIN;

/// A spelling, cleared when it goes.
pub(super) type Spelling = Zeroizing<Vec<u8>>;

/// Bytes that URLs leave as they are, in the encoders that are met: RFC 3986's unreserved ones (Go's and AWS's), with
/// JavaScript's `encodeURIComponent`, with Go's path segments, with Java's and browsers' forms.
const KEPT_IN_URLS: [(&[u8], bool); 5] =
    [(b"-_.~", false), (b"-_.~!'()*", false), (b"-_.~$&+=:@", false), (b"-_.*", true), (b"-_.~", true)];

/// Every spelling of at least [`VALUE_BYTES_MIN`] bytes, none twice.
pub(super) fn spellings(value: &[u8]) -> Vec<Spelling> {
    let mut found = literal_spellings(value);
    for alignment in 0..3 {
        found.push(base64_core(&STANDARD_NO_PAD, alignment, value));
        found.push(base64_core(&URL_SAFE_NO_PAD, alignment, value));
    }
    found.push(hex(b"0123456789abcdef", value));
    found.push(hex(b"0123456789ABCDEF", value));
    for (kept, plus) in KEPT_IN_URLS {
        found.push(percent(kept, plus, b"0123456789ABCDEF", value));
        found.push(percent(kept, plus, b"0123456789abcdef", value));
    }
    finished(found)
}

/// As it is and as JSON writes it: what a line of a longer value is looked for as.
pub(super) fn plain_spellings(value: &[u8]) -> Vec<Spelling> {
    finished(literal_spellings(value))
}

fn literal_spellings(value: &[u8]) -> Vec<Spelling> {
    let mut found = vec![Zeroizing::new(value.to_vec())];
    if let Ok(text) = std::str::from_utf8(value) {
        let once = json(text, Escapes::Needed);
        // JSON that holds JSON, as logs in JSON do.
        if let Ok(inner) = std::str::from_utf8(&once) {
            found.push(json(inner, Escapes::Needed));
        }
        found.push(once);
        found.push(json(text, Escapes::Html));
        found.push(json(text, Escapes::Ascii));
    }
    found
}

fn finished(mut found: Vec<Spelling>) -> Vec<Spelling> {
    found.retain(|spelling| spelling.len() >= VALUE_BYTES_MIN);
    found.sort_unstable_by(|one, other| one.as_slice().cmp(other));
    found.dedup();
    for spelling in &mut found {
        if spelling.capacity() > spelling.len() + 16 {
            *spelling = Zeroizing::new(spelling.to_vec());
        }
    }
    found
}

/// Which characters an encoder of JSON escapes beyond those it must.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// None (serde_json, JavaScript).
    Needed,
    /// `<`, `>`, `&`, U+2028 and U+2029 (Go).
    Html,
    /// All that are not ASCII (Python).
    Ascii,
}

/// The inside of a JSON string.
fn json(text: &str, escapes: Escapes) -> Spelling {
    use std::io::Write as _;
    // Six bytes for each byte is the most there is, so that the buffer never moves and leaves a copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() * 6));
    for character in text.chars() {
        let short = match character {
            '"' => Some(b'"'),
            '\\' => Some(b'\\'),
            '\n' => Some(b'n'),
            '\r' => Some(b'r'),
            '\t' => Some(b't'),
            '\u{8}' => Some(b'b'),
            '\u{c}' => Some(b'f'),
            _ => None,
        };
        let escaped = match escapes {
            _ if character < ' ' => true,
            Escapes::Needed => false,
            Escapes::Html => matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'),
            Escapes::Ascii => !character.is_ascii(),
        };
        if let Some(short) = short {
            out.extend_from_slice(&[b'\\', short]);
        } else if escaped {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to memory does not fail.
                write!(out, "\\u{unit:04x}").unwrap_or_default();
            }
        } else {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    out
}

/// The characters of base64 that depend on the value alone, when `alignment` bytes stand before it in the encoded text:
/// the first and the last character may hold bits of what is around, and are left out.
fn base64_core(engine: &impl base64::Engine, alignment: usize, value: &[u8]) -> Spelling {
    let mut shifted = Zeroizing::new(Vec::with_capacity(alignment + value.len()));
    shifted.resize(alignment, 0);
    shifted.extend_from_slice(value);
    let encoded = Zeroizing::new(base64::Engine::encode(engine, shifted.as_slice()).into_bytes());
    let first = (alignment * 8).div_ceil(6);
    let end = (alignment + value.len()) * 8 / 6;
    Zeroizing::new(encoded.get(first..end).unwrap_or_default().to_vec())
}

fn hex(digits: &[u8; 16], value: &[u8]) -> Spelling {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 2));
    for &byte in value {
        push_hex(&mut out, digits, byte);
    }
    out
}

fn percent(kept: &[u8], plus: bool, digits: &[u8; 16], value: &[u8]) -> Spelling {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 3));
    for &byte in value {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            out.push(byte);
        } else if plus && byte == b' ' {
            out.push(b'+');
        } else {
            out.push(b'%');
            push_hex(&mut out, digits, byte);
        }
    }
    out
}

fn push_hex(out: &mut Vec<u8>, digits: &[u8; 16], byte: u8) {
    out.extend(digits.get(usize::from(byte >> 4)));
    out.extend(digits.get(usize::from(byte & 15)));
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    fn has(value: &[u8], spelling: &[u8]) -> bool {
        spellings(value).iter().any(|found| found.as_slice() == spelling)
    }

    #[test]
    fn each_encoding_is_there() {
        let value = "p\"ä\\s <&> wörd\n!";
        for spelling in [
            "p\"ä\\s <&> wörd\n!",
            r#"p\"ä\\s <&> wörd\n!"#,
            r#"p\\\"ä\\\\s <&> wörd\\n!"#,
            r#"p\"ä\\s \u003c\u0026\u003e wörd\n!"#,
            r#"p\"\u00e4\\s <&> w\u00f6rd\n!"#,
            "p%22%C3%A4%5Cs%20%3C%26%3E%20w%C3%B6rd%0A%21",
            "p%22%c3%a4%5cs%20%3c%26%3e%20w%c3%b6rd%0a%21",
            "p%22%C3%A4%5Cs+%3C%26%3E+w%C3%B6rd%0A%21",
            "p%22%C3%A4%5Cs%20%3C%26%3E%20w%C3%B6rd%0A!",
            "7022c3a45c73203c263e2077c3b672640a21",
            "7022C3A45C73203C263E2077C3B672640A21",
        ] {
            assert!(has(value.as_bytes(), spelling.as_bytes()), "{spelling}");
        }
    }

    #[test]
    fn base64_is_found_whatever_stands_before_and_behind_it() {
        let value: Vec<u8> = (0..40u8).map(|index| index.wrapping_mul(37) ^ 0xfb).collect();
        let spellings = spellings(&value);
        for before in 0..6 {
            for behind in 0..4 {
                let mut text = vec![0xff; before];
                text.extend_from_slice(&value);
                text.extend(vec![0xee; behind]);
                for encoded in [base64::engine::general_purpose::STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)]
                {
                    let longest = spellings.iter().filter(|spelling| {
                        memchr::memmem::find(encoded.as_bytes(), spelling).is_some() && spelling.len() >= 52
                    });
                    assert!(longest.count() > 0, "{before} {behind} {encoded}");
                }
            }
        }
    }
}
