//! What a YAML scalar is, as the API server's library resolves it: `go.yaml.in/yaml/v2`, `resolve.go`. It reads YAML 1.1:
//! `0400` is 256, `yes` is true, `1_000` is a thousand, and what looks like a number and is none is text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

use super::{integer, number};

/// The prefix of the tags that are written `!!int`.
const OWN_TAGS: &str = "tag:yaml.org,2002:";

/// How a scalar is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark<'t> {
    /// By nothing: its text says what it is.
    Plain,
    /// By quotes, or as a block: it is text.
    Quoted,
    /// By a tag, written out.
    Tag(&'t str),
}

/// What a scalar was found to be.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Null,
    Bool(bool),
    Int(Number),
    Float(f64),
    Text,
}

/// The value of a scalar; `None` where the API server's library refuses it, or JSON cannot write it.
pub(super) fn value(text: &str, mark: Mark<'_>) -> Option<Value> {
    let own = match mark {
        Mark::Quoted => return Some(text.into()),
        Mark::Plain => return written(text, resolve(text)),
        // Nobody knows tags of other names, `!` included: their text stays.
        Mark::Tag(tag) => match tag.strip_prefix(OWN_TAGS) {
            Some(own) => own,
            None => return Some(text.into()),
        },
    };
    match (own, resolve(text)) {
        ("str", _) => Some(text.into()),
        ("timestamp", _) => is_dated(text).then(|| text.into()),
        ("binary", _) => binary(text).map(Value::String),
        ("null", Kind::Null) => Some(Value::Null),
        ("bool", Kind::Bool(value)) => Some(value.into()),
        ("int", value @ Kind::Int(_)) => written(text, value),
        // What is larger stays an integer there, which is then no float.
        ("float", Kind::Int(value)) => value.as_i64().map(Into::into),
        ("float", Kind::Float(value)) => number(value),
        ("null" | "bool" | "int" | "float", _) => None,
        _ => Some(text.into()),
    }
}

/// The name of a field whose key is this scalar; `None` where the API server refuses the key, or writes it as no reader would
/// expect (a fraction).
pub(super) fn key(text: &str, mark: Mark<'_>) -> Option<String> {
    match value(text, mark)? {
        Value::String(text) => Some(text),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => value.as_i64().map(|value| value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn written(text: &str, kind: Kind) -> Option<Value> {
    match kind {
        Kind::Null => Some(Value::Null),
        Kind::Bool(value) => Some(value.into()),
        Kind::Int(value) => integer(&value),
        Kind::Float(value) => number(value),
        Kind::Text => Some(text.into()),
    }
}

fn resolve(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Kind::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Kind::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Kind::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Kind::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Kind::Float(f64::NEG_INFINITY),
        _ => match text.bytes().next() {
            // Underscores only stand between digits here.
            Some(b'.') => separated(text).and_then(|digits| float(&digits)).map_or(Kind::Text, Kind::Float),
            Some(b'+' | b'-' | b'0'..=b'9') => {
                let digits = text.replace('_', "");
                let int = int(&digits).map(Kind::Int);
                int.or_else(|| float(&digits).map(Kind::Float)).unwrap_or(Kind::Text)
            }
            _ => Kind::Text,
        },
    }
}

/// Go's `ParseInt` and `ParseUint` with base 0, and the library's own reading of `0b` behind them.
fn int(digits: &str) -> Option<Number> {
    let (sign, rest) = match digits.strip_prefix(['+', '-']) {
        Some(rest) => (digits.get(..1)?, rest),
        None => ("", digits),
    };
    let mut chars = rest.chars();
    let (base, rest) = match (chars.next()?, chars.next().map(|second| second.to_ascii_lowercase())) {
        ('0', Some('x')) => (16, rest.get(2..)?),
        ('0', Some('o')) => (8, rest.get(2..)?),
        ('0', Some('b')) => (2, rest.get(2..)?),
        ('0', Some(_)) => (8, rest.get(1..)?),
        _ => (10, rest),
    };
    if rest.starts_with(['+', '-']) {
        // `0b-1` is what the library makes of it: the sign stands behind the prefix.
        let odd = digits.strip_prefix("0b").and_then(|behind| i64::from_str_radix(behind, 2).ok());
        return odd.map(Number::from);
    }
    match sign {
        "-" => i64::from_str_radix(&format!("-{rest}"), base).ok().map(Number::from),
        "+" => i64::from_str_radix(rest, base).ok().map(Number::from),
        _ => u64::from_str_radix(rest, base).ok().map(Number::from),
    }
}

/// Without its underscores, where each stands between two digits.
fn separated(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('_').collect();
    let ends = |part: &&str| part.bytes().next_back().is_some_and(|last| last.is_ascii_digit());
    let begins = |part: &&str| part.bytes().next().is_some_and(|first| first.is_ascii_digit());
    let (_, behind) = parts.split_first()?;
    let (_, before) = parts.split_last()?;
    (before.iter().all(ends) && behind.iter().all(begins)).then(|| parts.concat())
}

/// A decimal fraction with an optional exponent, as the library's own pattern has it.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    if !is_number || !exponent.is_none_or(digits) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// What is in base64, where that is text.
fn binary(text: &str) -> Option<String> {
    let joined: String = text.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
    String::from_utf8(STANDARD.decode(joined).ok()?).ok()
}

/// Whether a text begins as a date does: it stays text anyway.
fn is_dated(text: &str) -> bool {
    let (year, rest) = text.split_at_checked(4).unwrap_or_default();
    year.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with('-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Every spelling as a plain scalar. What the real API server makes of them is compared in `e2e/tests/oracle.rs`.
    #[test]
    fn scalars_are_what_the_api_server_s_library_makes_of_them() {
        let table = include_str!("../../corpus/scalars.tsv");
        let rows = table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once('\t').unwrap());
        let mut tried = 0;
        for (text, expected) in rows {
            let expected = (expected != "refused").then(|| serde_json::from_str::<Value>(expected).unwrap());
            assert_eq!(value(text, Mark::Plain), expected, "{text}");
            tried += 1;
        }
        assert!(tried >= 60, "{tried}");
    }

    #[test]
    fn a_tag_says_what_a_scalar_is_or_it_is_refused() {
        let tagged = |tag: &str, text: &str| value(text, Mark::Tag(&format!("{OWN_TAGS}{tag}")));
        for (tag, text, expected) in [
            ("str", "0400", Some(json!("0400"))),
            ("str", "", Some(json!(""))),
            ("int", "0400", Some(json!(256))),
            ("int", "1.0", None),
            ("float", "81", Some(json!(81))),
            ("float", "x", None),
            ("bool", "yes", Some(json!(true))),
            ("bool", "1", None),
            ("null", "", Some(json!(null))),
            ("null", "x", None),
            ("binary", "aGk=", Some(json!("hi"))),
            ("binary", "aG\nk=", Some(json!("hi"))),
            ("binary", "?", None),
            ("binary", "/w==", None),
            ("timestamp", "2001-01-02", Some(json!("2001-01-02"))),
            ("timestamp", "1", None),
            ("set", "x", Some(json!("x"))),
        ] {
            assert_eq!(tagged(tag, text), expected, "!!{tag} {text}");
        }
        assert_eq!(value("12", Mark::Tag("!own")), Some(json!("12")));
        assert_eq!(value("12", Mark::Quoted), Some(json!("12")));
    }

    #[test]
    fn keys_are_texts() {
        let table = [
            ("a", Some("a")),
            ("on", Some("true")),
            ("n", Some("false")),
            ("010", Some("8")),
            ("1.5", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(key(text, Mark::Plain).as_deref(), expected, "{text}");
        }
        assert_eq!(key("18446744073709551615", Mark::Plain), None);
        assert_eq!(value("12", Mark::Tag("!")), Some(json!("12")));
        assert_eq!(key("on", Mark::Quoted).as_deref(), Some("on"));
    }
}
