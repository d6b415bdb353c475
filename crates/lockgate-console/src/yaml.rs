//! JSON values as YAML that people read: block style, inert, nothing shortened. Reads back as the same value.
//!
//! Refuses to know what the value is. A text with hazards ([`crate::inert`]) is always double-quoted, where YAML has
//! escapes for them.

use std::fmt::Write;

use serde_json::Value;

use crate::inert::is_hazard;

/// The value as a YAML document, with a final line break.
pub fn document(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(&mut out, value, 0),
        Value::Array(list) if !list.is_empty() => block(&mut out, value, 0),
        scalar_value => {
            out.push_str(&scalar(scalar_value, 0));
            out.push('\n');
        }
    }
    out
}

/// Writes a non-empty map or list, each entry on a line of its own at `depth`.
fn block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                indent(out, depth);
                out.push_str(&text(key, None));
                out.push(':');
                entry(out, child, depth, Parent::Map);
            }
        }
        Value::Array(list) => {
            for child in list {
                indent(out, depth);
                out.push('-');
                entry(out, child, depth, Parent::List);
            }
        }
        _ => {}
    }
}

#[derive(Clone, Copy)]
enum Parent {
    Map,
    List,
}

/// Writes what follows `key:` or `-`.
fn entry(out: &mut String, child: &Value, depth: usize, parent: Parent) {
    let nested = match child {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    };
    if !nested {
        out.push(' ');
        out.push_str(&scalar(child, depth.saturating_add(1)));
        out.push('\n');
        return;
    }
    match (parent, child) {
        // `- key: value`: the first key stands on the dash's line.
        (Parent::List, Value::Object(_)) => {
            let mut inner = String::new();
            block(&mut inner, child, depth.saturating_add(1));
            out.push(' ');
            out.push_str(inner.trim_start_matches(' '));
        }
        // Kubernetes' own tools do not indent a list under its key.
        (Parent::Map, Value::Array(_)) => {
            out.push('\n');
            block(out, child, depth);
        }
        _ => {
            out.push('\n');
            block(out, child, depth.saturating_add(1));
        }
    }
}

fn scalar(value: &Value, depth: usize) -> String {
    match value {
        Value::String(string) => text(string, Some(depth)),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        other => other.to_string(),
    }
}

/// A string: plain where no reader could take it for anything else, a literal block where it has lines (and `depth`
/// allows one), otherwise double-quoted.
fn text(string: &str, depth: Option<usize>) -> String {
    if is_plain(string) {
        return string.to_owned();
    }
    match depth {
        Some(depth) if is_block(string) => literal(string, depth),
        _ => quoted(string),
    }
}

fn is_plain(string: &str) -> bool {
    let mut chars = string.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '/' || c == '_');
    let rest = chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | '(' | ')'));
    // Words that some reader takes for a boolean, null or number (YAML 1.1 included).
    let reserved = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"];
    first && rest && !reserved.contains(&string.to_ascii_lowercase().as_str())
}

fn is_block(string: &str) -> bool {
    string.contains('\n')
        && !string.starts_with([' ', '\n', '\t'])
        && string.chars().all(|c| c == '\n' || !is_hazard(c))
        && string.lines().all(|line| !line.ends_with(' ') && (line.is_empty() || !line.trim().is_empty()))
        && !string.ends_with("\n\n")
}

fn literal(string: &str, depth: usize) -> String {
    let mut out = String::from(if string.ends_with('\n') { "|" } else { "|-" });
    for line in string.strip_suffix('\n').unwrap_or(string).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(&mut out, depth);
            out.push_str(line);
        }
    }
    out
}

fn quoted(string: &str) -> String {
    let mut out = String::with_capacity(string.len().saturating_add(2));
    out.push('"');
    for c in string.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_hazard(c) => {
                let code = u32::from(c);
                let written = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
                if written.is_err() {
                    break;
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_reads_like_kubectl_wrote_it() {
        let value = json!({"kind": "Deployment", "metadata": {"labels": {}, "name": "web"},
            "spec": {"containers": [{"args": ["--port", "80"], "image": "nginx:1.27"}], "replicas": 3, "paused": false}});
        assert_eq!(
            document(&value),
            "kind: Deployment\nmetadata:\n  labels: {}\n  name: web\nspec:\n  containers:\n  - args:\n    - \"--port\"\n    - \"80\"\n    image: \"nginx:1.27\"\n  paused: false\n  replicas: 3\n"
        );
    }

    #[test]
    fn a_script_keeps_its_lines_and_a_terminal_sequence_is_escaped() {
        let value = json!({"run": "#!/bin/sh\n\necho hi\n", "evil": "a\u{1b}[2J\nb\u{202e}"});
        assert_eq!(document(&value), "evil: \"a\\x1b[2J\\nb\\u202e\"\nrun: |\n  #!/bin/sh\n\n  echo hi\n");
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[ -~\n]{0,24}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[ -~]{0,8}", inner, 0..5)
                    .prop_map(|map| Value::from(map.into_iter().collect::<serde_json::Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_is_inert(value in values()) {
            let text = document(&value);
            prop_assert!(text.chars().all(|c| c == '\n' || !is_hazard(c)));
            let back: Value = serde_saphyr::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(back, value, "{}", text);
        }
    }
}
