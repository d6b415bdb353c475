//! Request bodies as the JSON that the API server would see.
//!
//! Owns the media types that can be read and what is refused as ambiguous: duplicate keys (JSON and YAML readers disagree on
//! which one counts), trailing data, several YAML documents, NaN. Refuses to know what a body means.
//!
//! A number is what the API server makes of it: a float that is whole (`81.0`, `8.1e1`, `-0`) is an integer. It writes floats
//! without a fraction, and reads what it has written again.

mod pin;
mod scalar;
mod strict;
mod write;
mod yaml;

use std::fmt::Write;

use serde_json::{Number, Value};

pub use pin::pin_delete;
pub use write::check_write;

use crate::WireError;
use crate::protobuf::Protobuf;
use strict::Strict;

/// Deepest nesting of a body; serde_json's own limit, which is far below what overflows a stack.
pub const BODY_DEPTH_MAX: usize = 127;

/// Deepest nesting of a body in YAML proper (JSON under a YAML type counts as JSON): the reader recurses, and unoptimised
/// it takes some 20 KiB of stack for each level.
pub const YAML_DEPTH_MAX: usize = 48;

/// Most YAML nodes after aliases are expanded.
pub const YAML_NODES_MAX: usize = 250_000;

/// Most YAML anchors and aliases in one body.
pub const YAML_ALIASES_MAX: usize = 100;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Yaml,
    Protobuf,
}

/// The media type without parameters, in lower case.
pub fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Decodes a body; `None` for an empty one. Without a content type JSON is meant, as at the API server.
pub fn decode(content_type: Option<&str>, bytes: &[u8], protobuf: &Protobuf) -> Result<Option<Value>, WireError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    match form(content_type)? {
        Form::Json => from_json(bytes).map(Some),
        // Clients send JSON, which is YAML too, under this name (`kubectl apply --server-side`).
        Form::Yaml => from_json(bytes).or_else(|_| from_yaml(bytes)).map(Some),
        Form::Protobuf => protobuf.decode(bytes).map(Some),
    }
}

/// What to send upstream instead of the client's bytes, if they are not to be sent as they are: YAML leaves as JSON that is the
/// same in YAML, so that no second reader can understand it differently. The content type that goes with it is the second part.
pub fn rewritten(content_type: Option<&str>, bytes: &[u8], value: &Value) -> Option<(Vec<u8>, &'static str)> {
    if form(content_type) != Ok(Form::Yaml) {
        return None;
    }
    let content_type = match media_type(content_type.unwrap_or_default()).as_str() {
        "application/apply-patch+yaml" => "application/apply-patch+yaml",
        _ => "application/json",
    };
    let text = json_that_is_yaml(value);
    (text.as_bytes() != bytes).then(|| (text.into_bytes(), content_type))
}

/// JSON as a reader of YAML understands it too: what YAML takes for a line break, a byte order mark, or refuses, is escaped.
fn json_that_is_yaml(value: &Value) -> String {
    let text = value.to_string();
    let differs = |letter: char| {
        matches!(letter, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    if !text.contains(differs) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if differs(letter) {
            // Of writing into a string nothing can fail.
            write!(escaped, "\\u{:04x}", u32::from(letter)).unwrap_or_default();
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

/// A float as the API server keeps it: it writes a whole one without a fraction, in the fewest digits that tell it from its
/// neighbours, and reads that again. `None` for what JSON cannot write.
pub(crate) fn number(value: f64) -> Option<Value> {
    // As of this, it writes an exponent.
    const EXPONENT_MIN: f64 = 1e21;
    let whole = value.fract() == 0.0 && value.abs() < EXPONENT_MIN;
    match value.to_string().parse::<i64>().ok().filter(|_| whole) {
        Some(integer) => Some(integer.into()),
        // `-0`
        None if value == 0.0 => Some(0.into()),
        None => Number::from_f64(value).map(Value::Number),
    }
}

/// An integer as the API server keeps it: what is no `i64` is a float.
fn integer(value: &Number) -> Option<Value> {
    match value.as_i64() {
        Some(integer) => Some(integer.into()),
        None => value.as_f64().and_then(number),
    }
}

/// A decoded body as JSON: the client's own bytes where they are JSON. The content type that goes with it is the second
/// part.
pub fn as_json(content_type: Option<&str>, bytes: &[u8], value: &Value) -> (Vec<u8>, String) {
    match form(content_type) {
        Ok(Form::Protobuf) | Err(_) => (value.to_string().into_bytes(), "application/json".to_owned()),
        Ok(Form::Json | Form::Yaml) => match rewritten(content_type, bytes, value) {
            Some((json, content_type)) => (json, content_type.to_owned()),
            None => (bytes.to_vec(), content_type.unwrap_or("application/json").to_owned()),
        },
    }
}

fn form(content_type: Option<&str>) -> Result<Form, WireError> {
    let content_type = content_type.unwrap_or("application/json");
    match media_type(content_type).as_str() {
        "application/json"
        | "application/json-patch+json"
        | "application/merge-patch+json"
        | "application/strategic-merge-patch+json" => Ok(Form::Json),
        "application/yaml" | "application/apply-patch+yaml" => Ok(Form::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Form::Protobuf),
        _ => Err(WireError::ContentType { content_type: content_type.chars().take(100).collect() }),
    }
}

pub(crate) fn from_json(bytes: &[u8]) -> Result<Value, WireError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    // The error's text is built from position and kind alone: a body may hold secrets.
    let refused = |error: &serde_json::Error| {
        let what = match error.classify() {
            serde_json::error::Category::Data if error.to_string().starts_with(strict::DUPLICATE_KEY) => {
                strict::DUPLICATE_KEY
            }
            serde_json::error::Category::Data => "JSON of an unexpected shape",
            serde_json::error::Category::Eof => "JSON that ends too early",
            serde_json::error::Category::Io | serde_json::error::Category::Syntax => {
                "malformed JSON, or nested too deeply"
            }
        };
        WireError::Body(format!("{what} at line {}, column {}", error.line(), error.column()))
    };
    let Strict(value) = serde::Deserialize::deserialize(&mut deserializer).map_err(|error| refused(&error))?;
    deserializer.end().map_err(|error| refused(&error))?;
    Ok(value)
}

pub(crate) fn from_yaml(bytes: &[u8]) -> Result<Value, WireError> {
    let text = std::str::from_utf8(bytes).map_err(|_| WireError::Body("YAML that is not UTF-8".into()))?;
    yaml::read(text).map_err(|at| {
        let what = "YAML that is malformed, ambiguous, above a limit, or more than one document";
        WireError::Body(format!("{what} at line {}, column {}", at.line, at.column))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decoded(content_type: &str, text: &str) -> Result<Option<Value>, WireError> {
        decode(Some(content_type), text.as_bytes(), &Protobuf::load().unwrap())
    }

    #[test]
    fn json_and_yaml_are_the_same_value() {
        let value = json!({"kind": "ConfigMap", "data": {"a": "1"}, "list": [1, -2, 0.5, true, null]});
        assert_eq!(decoded("application/json; charset=utf-8", &value.to_string()), Ok(Some(value.clone())));
        assert_eq!(decoded("Application/YAML", &value.to_string()), Ok(Some(value.clone())));
        let yaml = "kind: ConfigMap\ndata: {a: '1'}\nlist: [1, -2, 0.5, true, null]\n";
        assert_eq!(decoded("application/yaml", yaml), Ok(Some(value.clone())));
        assert_eq!(decoded("application/apply-patch+yaml", yaml), Ok(Some(value.clone())));
        assert_eq!(decode(None, b"{}", &Protobuf::load().unwrap()), Ok(Some(json!({}))));
        assert_eq!(decoded("text/html", ""), Ok(None));
        let (bytes, content_type) = rewritten(Some("application/yaml"), yaml.as_bytes(), &value).unwrap();
        assert_eq!((from_json(&bytes).unwrap(), content_type), (value.clone(), "application/json"));
        assert_eq!(rewritten(Some("application/apply-patch+yaml"), b"{}", &json!({})), None);
        assert_eq!(rewritten(None, b"{}", &json!({})), None);
    }

    #[test]
    fn c09_ambiguous_and_unreadable_bodies_are_refused() {
        for text in [
            "{\"a\":1,\"a\":2}",
            "{\"x\":{\"a\":1,\"\\u0061\":2}}",
            "{} {}",
            "{",
            "nul",
            "\u{feff}{}",
            "{\"a\":\"\\ud800\"}",
        ] {
            assert!(matches!(decoded("application/json", text), Err(WireError::Body(_))), "{text}");
        }
        assert!(decode(None, b"{\"a\":\"\xff\"}", &Protobuf::load().unwrap()).is_err());
        for text in ["a: 1\n---\nb: 2\n", "a: 1\na: 2\n", "a: .nan\n", "a: [", "*x", "a: !!binary aGk=\n? [b]\n: c\n"] {
            assert!(
                matches!(decoded("application/yaml", text), Err(WireError::Body(_))),
                "{text}: {:?}",
                decoded("application/yaml", text)
            );
        }
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(decoded("application/json", &nested(BODY_DEPTH_MAX)).is_ok());
        assert!(decoded("application/json", &nested(BODY_DEPTH_MAX + 1)).is_err());
        assert!(decoded("application/yaml", &nested(BODY_DEPTH_MAX)).is_ok());
        assert!(decoded("application/yaml", &format!("a: {}", nested(YAML_DEPTH_MAX - 1))).is_ok());
        for depth in [YAML_DEPTH_MAX, 1_000, 100_000] {
            assert!(decoded("application/yaml", &format!("a: {}", nested(depth))).is_err());
        }
        assert!(decoded("application/yaml", &"- ".repeat(1_000)).is_err());
    }

    #[test]
    fn c09_anchors_are_bounded() {
        assert_eq!(
            decoded("application/yaml", "a: &x {b: 1}\nc: *x\n"),
            Ok(Some(json!({"a": {"b": 1}, "c": {"b": 1}})))
        );
        let mut bomb = String::from("a0: &a0 [x]\n");
        for level in 1..9 {
            let alias = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![alias; 9].join(", "));
        }
        assert!(decoded("application/yaml", &bomb).is_err());
    }

    #[test]
    fn other_content_types_are_415() {
        for content_type in
            ["application/cbor", "application/apply-patch+cbor", "text/plain", "", "application/x-www-form-urlencoded"]
        {
            assert_eq!(decoded(content_type, "x").unwrap_err().status().code(), 415, "{content_type}");
        }
    }

    #[test]
    fn an_error_never_quotes_the_body() {
        for (content_type, text) in [
            ("application/json", "{\"hunter2\":1,\"hunter2\":2}"),
            ("application/json", "{\"password\":hunter2}"),
            ("application/yaml", "hunter2: 1\nhunter2: 2\n"),
            ("application/yaml", "password: 'hunter2\n"),
        ] {
            let message = decoded(content_type, text).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
