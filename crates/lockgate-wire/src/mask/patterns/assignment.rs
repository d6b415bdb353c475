//! `password=…`, `"password": "…"`, `--password …`, `<password>…`: a value whose name says what it is.

use super::Detector;
use super::check::{Place, Verdict, distinct};
use super::extent::{Extent, Until};
use super::table::{KEYWORDS, Kind};
use crate::mask::values::is_wordlike;

/// How much of a value is judged.
const VALUE_BYTES_JUDGED: usize = 96;
/// Longest gap between a name and its value.
const GAP_BYTES_MAX: usize = 48;
/// Shortest password, and shortest secret of another name.
const PASSWORD_BYTES_MIN: usize = 4;
const RANDOM_BYTES_MIN: usize = 10;

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Anything but a placeholder or a word of a sentence.
    Any,
    /// Random.
    Random,
}

/// Judges what follows a name.
pub(super) fn check(place: &Place<'_>, level: Level, detector: Detector) -> Verdict {
    let (value, form) = match gap(place) {
        Gap::None => return Verdict::No,
        Gap::More { hold } => return place.more_from(hold),
        Gap::Over(value, form) => (value, form),
    };
    let until = form.until(place);
    let rest = place.rest(value);
    let limited = rest.get(..VALUE_BYTES_JUDGED).unwrap_or(rest);
    let end = Extent::new(until).advance(limited, 0, true).end;
    if end == rest.len() && end < VALUE_BYTES_JUDGED && !place.complete {
        return place.more_from(value);
    }
    let judged = limited.get(..end).unwrap_or_default();
    let ends_line = match limited.get(end) {
        Some(byte) => matches!(byte, b'\n' | b'\r'),
        None => end < VALUE_BYTES_JUDGED,
    };
    let is_secret = match (level, form) {
        (Level::Any, Form::Colon) => is_password(judged, !ends_line || !begins_line(place)),
        (Level::Any, Form::Quoted(..) | Form::Bare | Form::Tag) => is_password(judged, false),
        (_, Form::Next | Form::NextQuoted(_)) | (Level::Random, _) => is_random(judged),
    };
    if is_secret { Verdict::found(value, until, detector) } else { Verdict::No }
}

/// Whether a name ends as one of the keywords for names does: most do not.
pub(super) fn tells(name: &[u8]) -> bool {
    let may_end = [b"ord", b"swd", b"ase", b"ass", b"pwd", b"ret", b"ken", b"key", b"ial", b"uth"];
    name.last_chunk::<3>().is_some_and(|last| may_end.contains(&&last.map(|byte| byte.to_ascii_lowercase())))
}

/// What a text is by its name, judged as if it stood behind that: `"name": "text"`.
pub(super) fn named(name: &[u8], text: &[u8]) -> Option<Detector> {
    if !tells(name) {
        return None;
    }
    let is_end = |keyword: &[u8]| match keyword.strip_prefix(b"\"") {
        Some(whole) => name.eq_ignore_ascii_case(whole),
        None => {
            let end = name.len().checked_sub(keyword.len()).and_then(|from| name.get(from..));
            end.is_some_and(|end| end.eq_ignore_ascii_case(keyword))
        }
    };
    let judged = text.get(..VALUE_BYTES_JUDGED).unwrap_or(text);
    KEYWORDS.iter().filter(|keyword| is_end(keyword.text)).find_map(|keyword| match keyword.kind {
        Kind::Password => is_password(judged, false).then_some(Detector::Password),
        Kind::Named => is_random(judged).then_some(Detector::NamedSecret),
        _ => None,
    })
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In quotes, behind so many backslashes.
    Quoted(u8, usize),
    /// Bare, behind `=` or an option.
    Bare,
    /// Bare, behind a colon: YAML, headers, sentences.
    Colon,
    /// In an element.
    Tag,
    /// The next word of a sentence, or what it quotes.
    Next,
    NextQuoted(u8),
}

impl Form {
    fn until(self, place: &Place<'_>) -> Until {
        match self {
            Self::Quoted(quote, backslashes) => Until::Quote { quote, backslashes },
            Self::Tag => Until::Tag,
            // `env` prints what the value holds, and its names are in capitals.
            Self::Bare if place.text.get(place.start..place.end).is_some_and(is_capital) => Until::Space,
            Self::Bare | Self::Next => Until::Separator,
            Self::Colon => Until::Space,
            Self::NextQuoted(quote) => Until::Quote { quote, backslashes: 0 },
        }
    }
}

/// What stands between a name and its value.
enum Gap {
    /// Nothing that makes it a value.
    None,
    /// More text is needed, and from `hold` on it may be the value.
    More { hold: usize },
    /// The value begins there.
    Over(usize, Form),
}

fn gap(place: &Place<'_>) -> Gap {
    let rest = place.rest(place.end);
    let limited = rest.get(..GAP_BYTES_MAX).unwrap_or(rest);
    let mut reader = Reader { text: limited, at: 0 };
    if place.before().last() == Some(&b'/') {
        // `checksum/secret: …`, a path.
        return Gap::None;
    }
    let closing_backslashes = reader.skip(|byte| byte == b'\\', 8);
    let is_quoted = reader.skip(|byte| matches!(byte, b'"' | b'\''), 1) == 1;
    if closing_backslashes > 0 && !is_quoted && reader.peek().is_some() {
        return Gap::None;
    }
    reader.skip(|byte| byte == b']', 1);
    let spaces = reader.skip(|byte| matches!(byte, b' ' | b'\t'), 4);
    let mut form = match reader.peek() {
        None => return reader.starved(place),
        Some(b'=') => Form::Bare,
        Some(b':') => Form::Colon,
        Some(b'>') if place.before().iter().rev().find(|&&byte| !is_name(byte)) == Some(&b'<') => {
            return Gap::Over(place.end + reader.at + 1, Form::Tag);
        }
        Some(b',' | b'\n') if is_env(place) => match env_value(&mut reader) {
            Some(true) => Form::Bare,
            Some(false) => return reader.starved(place),
            None => return Gap::None,
        },
        Some(_) if spaces == 1 && !is_quoted && is_option(place) => {
            return quoted_or(&mut reader, place, Form::Bare, rest);
        }
        Some(quote @ (b'"' | b'\'')) if spaces == 1 && !is_quoted => {
            return Gap::Over(place.end + reader.at + 1, Form::NextQuoted(quote));
        }
        Some(_) if spaces == 1 && !is_quoted => return Gap::Over(place.end + reader.at, Form::Next),
        Some(_) => return Gap::None,
    };
    reader.at += 1;
    // `:=`, `=>`, `==`
    if reader.skip(|byte| matches!(byte, b'=' | b'>'), 1) == 1 {
        form = Form::Bare;
    }
    let spaces = reader.skip(|byte| matches!(byte, b' ' | b'\t'), 4);
    // `token:abc` names a part of something more often than it gives a value.
    if form == Form::Colon && spaces == 0 && !is_quoted && !matches!(reader.peek(), None | Some(b'"' | b'\'')) {
        return Gap::None;
    }
    quoted_or(&mut reader, place, form, rest)
}

/// An opening quote, or the bare value.
fn quoted_or(reader: &mut Reader<'_>, place: &Place<'_>, form: Form, rest: &[u8]) -> Gap {
    let bare = reader.at;
    let backslashes = reader.skip(|byte| byte == b'\\', 8);
    match reader.peek() {
        // They are the value's if no quote follows.
        None if backslashes > 0 && rest.len() < GAP_BYTES_MAX => Gap::More { hold: place.end + bare },
        None => reader.starved(place),
        Some(quote @ (b'"' | b'\'')) => Gap::Over(place.end + reader.at + 1, Form::Quoted(quote, backslashes)),
        Some(_) => Gap::Over(place.end + bare, form),
    }
}

/// `NAME", "value": "…`, `NAME\n  value: …`: Kubernetes' list of environment variables. True when the colon is next,
/// false when the text ends before it.
fn env_value(reader: &mut Reader<'_>) -> Option<bool> {
    reader.skip(|byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b'"' | b'\\'), 24);
    for &expected in b"value" {
        match reader.peek() {
            None => return Some(false),
            Some(byte) if byte == expected => reader.at += 1,
            Some(_) => return None,
        }
    }
    reader.skip(|byte| matches!(byte, b'"' | b'\\' | b' '), 8);
    match reader.peek() {
        None => Some(false),
        Some(b':') => Some(true),
        Some(_) => None,
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip(&mut self, matches: impl Fn(u8) -> bool, most: usize) -> usize {
        let from = self.at;
        while self.at - from < most && self.peek().is_some_and(&matches) {
            self.at += 1;
        }
        self.at - from
    }

    /// The text ended; more of it helps unless this is as much as is read.
    fn starved(&self, place: &Place<'_>) -> Gap {
        if place.rest(place.end).len() < GAP_BYTES_MAX { Gap::More { hold: place.text.len() } } else { Gap::None }
    }
}

/// Any value of a password. In a sentence (`in_prose`) words and numbers are none.
fn is_password(value: &[u8], in_prose: bool) -> bool {
    value.len() >= PASSWORD_BYTES_MIN
        && !is_placeholder(value)
        && !(value.contains(&b'/') && is_wordlike(value))
        && !(in_prose && (is_wordlike(value) || value.len() < 6))
        && !(value.ends_with(b",") && value.iter().filter(|byte| !byte.is_ascii_alphabetic()).count() == 1)
}

/// Letters and digits mixed, no words, no name of an object.
fn is_random(value: &[u8]) -> bool {
    let has = |matches: fn(&u8) -> bool| value.iter().any(matches);
    let mixed = has(u8::is_ascii_alphabetic) && has(u8::is_ascii_digit)
        || has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    value.len() >= RANDOM_BYTES_MIN
        && mixed
        && value.iter().filter(|byte| byte.is_ascii_alphabetic()).count() >= 3
        && !value.iter().any(|byte| b"<>(){}[]".contains(byte))
        && distinct(value) >= 7
        && !is_placeholder(value)
        && !is_wordlike(value)
        && !is_object_name(value)
        && !value.iter().any(|&byte| byte <= b' ')
}

/// `default-token-x7k2p`, `shop/db-credentials-9f2c`: in lower case, with a word in it.
fn is_object_name(value: &[u8]) -> bool {
    let is_part = |byte: &u8| b"-./:".contains(byte);
    let parts = || value.split(is_part);
    value.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || is_part(byte))
        && parts().count() > 1
        && parts().any(|part| part.len() >= 3 && part.iter().all(u8::is_ascii_lowercase) && is_wordlike(part))
}

/// What stands for a value that is not there: `${PASSWORD}`, `<password>`, `****`, `null`.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    const WORDS: [&[u8]; 21] = [
        b"null",
        b"nil",
        b"none",
        b"true",
        b"false",
        b"undefined",
        b"redacted",
        b"hidden",
        b"masked",
        b"empty",
        b"required",
        b"optional",
        b"string",
        b"value",
        b"secret",
        b"password",
        b"unset",
        b"changed",
        b"your",
        b"example",
        b"xxxxx",
    ];
    let opens = value.first().is_none_or(|byte| b"<{[(%*".contains(byte))
        || value.starts_with(b"$(")
        || value.starts_with(b"${")
        || value
            .strip_prefix(b"$")
            .is_some_and(|name| name.len() > 2 && name.iter().all(|&byte| is_name(byte)) && is_capital(name));
    let word = value.trim_ascii_start();
    let calls = [
        b"KiptYXNrZWQgYnkgbG9ja2dhdG".as_slice(),
        b"os.",
        b"process.env",
        b"getenv(",
        b"vault:",
        b"file:",
        b"env:",
        b"ENC[",
    ];
    opens
        || distinct(value) == 1
        || WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
        || calls.iter().any(|call| value.starts_with(call))
        || value.windows(8).any(|window| window.eq_ignore_ascii_case(b"redacted"))
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_capital(name: &[u8]) -> bool {
    !name.iter().any(u8::is_ascii_lowercase)
}

/// Whether the name, with what belongs to it, begins a line, white space and `- ` aside.
fn begins_line(place: &Place<'_>) -> bool {
    let before = place.before();
    let name = before.iter().rev().take_while(|&&byte| is_name(byte)).count();
    let head = before.get(..before.len() - name).unwrap_or_default();
    let indent = head.iter().rev().find(|&&byte| !matches!(byte, b' ' | b'\t'));
    match indent {
        None => head.len() < super::CONTEXT_BYTES && place.start < super::CONTEXT_BYTES,
        Some(b'\n') => true,
        Some(_) => false,
    }
}

/// Whether the name is an option: `--db-password`.
fn is_option(place: &Place<'_>) -> bool {
    let before = place.before();
    let name = before.iter().rev().take_while(|&&byte| is_name(byte)).count();
    before.get(before.len() - name..).is_some_and(|name| name.starts_with(b"--"))
}

/// Whether the name is that of an environment variable: in capitals, or the value of `name`.
fn is_env(place: &Place<'_>) -> bool {
    place.text.get(place.start..place.end).is_some_and(is_capital)
        || place.before().windows(5).any(|window| window == b"name\"" || window == b"name:" || window == b"name\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_no_secrets() {
        for value in [
            "${DB_PASSWORD}",
            "$(cat x)",
            "$DB_PASSWORD",
            "<password>",
            "{{ .Values.x }}",
            "****",
            "null",
            "[REDACTED]",
            "%s",
        ] {
            assert!(is_placeholder(value.as_bytes()), "{value}");
        }
        for value in ["hunter2", "$ecret", "$1$abc", "p4ss"] {
            assert!(!is_placeholder(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn names_of_objects_are_not_random() {
        for value in [
            "default-token-x7k2p",
            "shop/db-credentials-9f2c",
            "db-credentials",
            "kubernetes.io/tls",
            "sh.helm.release.v1.shop.v12",
        ] {
            assert!(!is_random(value.as_bytes()), "{value}");
        }
        for value in [
            "f3b0c44298fc1c149afbf4c8996fb924",
            "550e8400-e29b-41d4-a716-446655440000",
            "wJalrXUtnFEMI/K7MDENG/bPxRfi",
            "abcdef.0123456789abcdef",
        ] {
            assert!(is_random(value.as_bytes()), "{value}");
        }
    }
}
