//! JSON values as YAML in block style, such that YAML 1.1 and 1.2 read the same value back.

use std::fmt::Write;

use serde_json::Value;

/// The value as one document, with a final line break.
pub(super) fn document(value: &Value) -> String {
    let mut output = String::new();
    match value {
        Value::Object(members) if !members.is_empty() => block(value, 0, &mut output),
        Value::Array(elements) if !elements.is_empty() => block(value, 0, &mut output),
        _ => {
            output.push_str(&value.to_string());
            output.push('\n');
        }
    }
    output
}

fn block(value: &Value, depth: usize, output: &mut String) {
    match value {
        Value::Object(members) => {
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 || !output.ends_with("- ") {
                    output.extend(std::iter::repeat_n("  ", depth));
                }
                output.push_str(&scalar(key));
                output.push(':');
                within(value, depth, output);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                if index > 0 || !output.ends_with("- ") {
                    output.extend(std::iter::repeat_n("  ", depth));
                }
                output.push_str("- ");
                match value {
                    Value::Object(members) if !members.is_empty() => block(value, depth + 1, output),
                    Value::Array(elements) if !elements.is_empty() => block(value, depth + 1, output),
                    _ => end_line(value, output),
                }
            }
        }
        _ => end_line(value, output),
    }
}

/// A member's value, behind its colon.
fn within(value: &Value, depth: usize, output: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            output.push('\n');
            block(value, depth + 1, output);
        }
        Value::Array(elements) if !elements.is_empty() => {
            output.push('\n');
            block(value, depth, output);
        }
        _ => {
            output.push(' ');
            end_line(value, output);
        }
    }
}

fn end_line(value: &Value, output: &mut String) {
    let text = match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    };
    output.push_str(&text);
    output.push('\n');
}

/// A text, in double quotes unless no reader takes it for anything else.
fn scalar(text: &str) -> String {
    /// What YAML 1.1 reads as true, false or null.
    const WORDS: [&str; 11] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"];
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
    let is_word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if starts && plain && !is_word {
        return text.to_owned();
    }
    // A JSON string is a YAML string, but for a few characters that YAML wants escaped.
    let mut output = String::with_capacity(text.len() + 2);
    for character in Value::from(text).to_string().chars() {
        match character {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                // Writing to a string cannot fail.
                write!(output, "\\u{:04x}", u32::from(character)).unwrap_or_default();
            }
            other => output.push(other),
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::body;

    #[test]
    fn it_reads_as_people_write_it() {
        let value = json!({"apiVersion": "v1", "data": {"a b": "yes", "c": "1", "d": ""}, "list": [{"name": "x", "more": [1, [2, 3], []]}, "**", null], "none": {}});
        let expected = "apiVersion: v1\ndata:\n  \"a b\": \"yes\"\n  c: \"1\"\n  d: \"\"\nlist:\n- more:\n  - 1\n  - - 2\n    - 3\n  - []\n  name: x\n- \"**\"\n- null\nnone: {}\n";
        assert_eq!(document(&value), expected);
    }

    #[test]
    fn it_reads_back_as_the_same_value() {
        for value in [
            json!({"a": {"b": {"c": [[{"d": [{"e": 1.5}]}]]}}}),
            json!({"": "\u{85}\u{2028}\u{feff}\u{7f}é😀\n\t\"\\", "no": "~", "0x1": "1e3", "=": "<<", "x": "a: b #c", "é": -1}),
            json!({"m": "line one\nline two\n", "n": ["- a", "? b", "|", ">", "&a", "*a", "!t", "%d", "@x", "`y"]}),
        ] {
            let text = document(&value);
            assert_eq!(body::from_yaml(text.as_bytes()), Ok(value), "{text}");
        }
    }
}
