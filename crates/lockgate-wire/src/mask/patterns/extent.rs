//! How far a secret goes, once it is known where it begins.

/// Bytes of one secret, at most: behind them the text passes again.
const SECRET_BYTES_MAX: usize = 64 * 1024;

/// What ends a PEM block.
const PEM_END: &[u8] = b"-----END";
const PEM_DASHES: &[u8] = b"-----";

/// Bytes that a secret is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mask) enum Class {
    /// Letters and digits.
    Alphanumeric,
    /// Capitals and digits.
    Capital,
    /// Letters, digits, `-` and `_`.
    Word,
    /// Those and `.`.
    Dotted,
    /// Those and `=`, `~`, `+`, `/`, `%`: every token there is.
    Token,
    /// Letters, digits, `+`, `/`, `=`, with `-` and `_` for URLs and `%` for what URLs escape.
    Base64,
    /// Hexadecimal digits.
    Hex,
}

impl Class {
    /// Whether a byte belongs to it.
    pub(in crate::mask) const fn has(self, byte: u8) -> bool {
        match self {
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Self::Capital => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'),
            Self::Token => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=' | b'~' | b'+' | b'/' | b'%')
            }
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=' | b'+' | b'/' | b'%'),
            Self::Hex => byte.is_ascii_hexdigit(),
        }
    }
}

/// What ends the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mask) enum Until {
    /// The first byte that is not of this class.
    Outside(Class),
    /// So many bytes.
    Bytes(usize),
    /// This quote, or the end of the line. `backslashes` is how many stood before the opening one: JSON in JSON.
    Quote { quote: u8, backslashes: usize },
    /// White space, a quote, or a separator of URLs, lists and sentences.
    Separator,
    /// White space or a quote: `env` prints values with separators in them.
    Space,
    /// The next tag.
    Tag,
    /// The line that ends a PEM block.
    Pem,
}

/// A secret that is being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mask) struct Extent {
    until: Until,
    remaining: usize,
    /// Of PEM: how much of its end was read. Of quotes: 1 behind a backslash.
    state: usize,
}

/// How far a piece of text belongs to the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mask) struct Reach {
    /// Up to here it does.
    pub(in crate::mask) end: usize,
    /// Whether the secret ends there. If not, what follows in this piece is undecided until more is there.
    pub(in crate::mask) over: bool,
}

impl Extent {
    pub(super) const fn new(until: Until) -> Self {
        Self { until, remaining: SECRET_BYTES_MAX, state: 0 }
    }

    /// What ends it.
    pub(super) const fn until(&self) -> Until {
        self.until
    }

    /// Reads on at `from`. `complete` says that nothing follows `text`.
    pub(in crate::mask) fn advance(&mut self, text: &[u8], from: usize, complete: bool) -> Reach {
        let rest = text.get(from..).unwrap_or_default();
        let limited = rest.get(..self.remaining).unwrap_or(rest);
        let is_cut = limited.len() == self.remaining;
        let (length, over) = match self.until {
            Until::Outside(class) => ended(limited.iter().position(|&byte| !class.has(byte)), limited.len()),
            Until::Bytes(bytes) => {
                self.until = Until::Bytes(bytes.saturating_sub(limited.len()));
                (bytes.min(limited.len()), bytes <= limited.len())
            }
            Until::Quote { quote, backslashes } => self.quoted(limited, quote, backslashes, complete || is_cut),
            Until::Separator => ended(limited.iter().position(|&byte| is_separator(byte)), limited.len()),
            Until::Space => ended(limited.iter().position(|&byte| is_space(byte)), limited.len()),
            Until::Tag => ended(limited.iter().position(|&byte| byte == b'<'), limited.len()),
            Until::Pem => self.pem(limited),
        };
        self.remaining -= length;
        Reach { end: from + length, over: over || complete || self.remaining == 0 }
    }

    fn quoted(&mut self, text: &[u8], quote: u8, backslashes: usize, complete: bool) -> (usize, bool) {
        if backslashes > 0 {
            return self.quoted_in_json(text, quote, backslashes, complete);
        }
        for (at, &byte) in text.iter().enumerate() {
            if byte == b'\n' || (byte == quote && self.state == 0) {
                return (at, true);
            }
            self.state = usize::from(byte == b'\\' && self.state == 0);
        }
        (text.len(), false)
    }

    /// A string ends at a quote behind as many backslashes as its opening quote has. `state` is 1 in a longer run of
    /// them: the quote behind that belongs to the string.
    fn quoted_in_json(&mut self, text: &[u8], quote: u8, backslashes: usize, complete: bool) -> (usize, bool) {
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let run = rest.iter().take_while(|&&byte| byte == b'\\').count();
            let is_long = self.state == 1 || run > backslashes;
            self.state = 0;
            match rest.get(run) {
                None if is_long => {
                    self.state = 1;
                    at += run;
                }
                // Whether this run ends the string shows in what follows.
                None if !complete => return (at, false),
                Some(&next) if next == quote && is_long => at += run + 1,
                Some(&next) if next == quote => return (at, true),
                Some(b'\n') => return (at + run, true),
                _ => at += run.max(1),
            }
        }
        (at, false)
    }

    /// Everything up to the dashes behind `-----END …`, them included. In the first part `state` counts the matched
    /// bytes of the end; in the second, from its length on, those of the dashes.
    fn pem(&mut self, text: &[u8]) -> (usize, bool) {
        for (at, &byte) in text.iter().enumerate() {
            if self.state < PEM_END.len() {
                let expected = PEM_END.get(self.state).copied();
                self.state = match byte {
                    _ if Some(byte) == expected => self.state + 1,
                    // Dashes beyond the fifth still end in five.
                    b'-' if self.state == PEM_DASHES.len() => self.state,
                    b'-' => 1,
                    _ => 0,
                };
            } else {
                self.state = if byte == b'-' { self.state + 1 } else { PEM_END.len() };
                if self.state == PEM_END.len() + PEM_DASHES.len() {
                    return (at + 1, true);
                }
            }
        }
        (text.len(), false)
    }
}

fn ended(at: Option<usize>, length: usize) -> (usize, bool) {
    (at.unwrap_or(length), at.is_some())
}

/// What ends a word in a URL, a list, a sentence.
const fn is_separator(byte: u8) -> bool {
    is_space(byte) || matches!(byte, b'&' | b',' | b';' | b')' | b']' | b'}' | b'<' | b'>' | b'|' | b'\\')
}

const fn is_space(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'\'' | b'`')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(until: Until, text: &str) -> usize {
        let whole = Extent::new(until).advance(text.as_bytes(), 0, true).end;
        for split in 0..=text.len() {
            let mut extent = Extent::new(until);
            let mut reach = extent.advance(&text.as_bytes()[..split], 0, false);
            if !reach.over {
                reach = extent.advance(text.as_bytes(), reach.end, true);
            }
            assert_eq!(reach.end, whole, "{text} at {split}");
        }
        whole
    }

    #[test]
    fn secrets_end_where_they_should_at_every_split() {
        for (until, secret, rest) in [
            (Until::Outside(Class::Hex), "0a1b", " x"),
            (Until::Bytes(3), "a@b", "@c"),
            (Until::Separator, "p-w$d", "&x=1"),
            (Until::Space, "p&w,d", "\nX=1"),
            (Until::Tag, "a b", "</password>"),
            (Until::Quote { quote: b'"', backslashes: 0 }, r#"a\"b\\"#, r#"", "x""#),
            (Until::Quote { quote: b'"', backslashes: 0 }, "ab", "\nx"),
            (Until::Quote { quote: b'"', backslashes: 1 }, r#"a\\\"b"#, r#"\",\"x"#),
            (Until::Pem, "MII\n-----EN\n------END X KEY-- -----", "\nafter"),
        ] {
            assert_eq!(end(until, &format!("{secret}{rest}")), secret.len(), "{secret}");
        }
    }

    #[test]
    fn a_secret_without_an_end_is_let_go() {
        let text = vec![b'a'; SECRET_BYTES_MAX + 10];
        let reach = Extent::new(Until::Pem).advance(&text, 0, false);
        assert_eq!(reach, Reach { end: SECRET_BYTES_MAX, over: true });
    }
}
