//! Secrets inside a value: a password in a JSON, YAML or properties document, in a connection URL, in registry
//! credentials; the lines of a text. Such a value is rarely written out whole, its parts are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

use super::strength::is_secret_name;

/// Deepest nesting of documents in documents.
const NESTING_MAX: u8 = 4;

/// Parts of one value, at most.
const PARTS_MAX: usize = 512;

/// Shortest line that is looked for by itself.
const LINE_BYTES_MIN: usize = 16;

/// One secret inside a value.
pub(super) struct Part {
    /// What it is called inside, as `db.password`.
    pub(super) name: String,
    /// Its bytes.
    pub(super) value: Zeroizing<Vec<u8>>,
}

/// What a value is made of.
pub(super) enum Shape {
    /// Nothing that could be taken apart.
    Plain,
    /// A document: its text may appear in any layout, so its parts are looked for.
    Document(Vec<Part>),
    /// Text of several lines, which logs and terminals show one by one, each indented or behind a time stamp.
    Lines(Vec<Part>),
}

/// Takes a value apart.
pub(super) fn shape(value: &[u8]) -> Shape {
    let Ok(text) = std::str::from_utf8(value) else { return Shape::Plain };
    let mut parts = Vec::new();
    if document(text, "", 0, &mut parts) {
        return Shape::Document(parts);
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| line.len() >= LINE_BYTES_MIN).collect();
    if text.trim().lines().count() < 2 || lines.is_empty() {
        return Shape::Plain;
    }
    let part = |line: &&str| Part { name: "line".to_owned(), value: Zeroizing::new(line.as_bytes().to_vec()) };
    Shape::Lines(lines.iter().filter(|line| !line.starts_with("-----")).take(PARTS_MAX).map(part).collect())
}

/// Whether the text is a document; if so its parts are added.
fn document(text: &str, name: &str, nesting: u8, parts: &mut Vec<Part>) -> bool {
    if nesting >= NESTING_MAX {
        return false;
    }
    if let Some(password) = url_password(text) {
        add_spelled(password, &joined(name, "password"), parts);
        return true;
    }
    if let Some(mut tree) = json(text).or_else(|| yaml(text)) {
        walk(&tree, name, nesting, parts);
        wipe(&mut tree);
        return true;
    }
    properties(text, name, nesting, parts)
}

fn json(text: &str) -> Option<Value> {
    text.trim_start().starts_with(['{', '[']).then(|| serde_json::from_str(text).ok()).flatten()
}

/// A mapping or a list of several lines; every other text is YAML too, a scalar.
fn yaml(text: &str) -> Option<Value> {
    let is_mapping = text.trim().lines().count() > 1 && text.contains(": ") && !text.starts_with("-----");
    let tree: Value = is_mapping.then(|| crate::body::from_yaml(text.as_bytes()).ok()).flatten()?;
    matches!(tree, Value::Object(_) | Value::Array(_)).then_some(tree)
}

fn walk(tree: &Value, name: &str, nesting: u8, parts: &mut Vec<Part>) {
    match tree {
        Value::String(text) => {
            if !document(text, name, nesting + 1, parts) {
                add(text.as_bytes(), name, parts);
                if let Some(password) = basic_password(text) {
                    add(&password, &joined(name, "password"), parts);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, name, nesting, parts)),
        Value::Object(members) => {
            members.iter().for_each(|(key, member)| walk(member, &joined(name, key), nesting, parts));
        }
        Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

/// `key=value` or `key: value` on every line that is no comment: properties, environment files, INI.
fn properties(text: &str, name: &str, nesting: u8, parts: &mut Vec<Part>) -> bool {
    let lines = text.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';', '!', '['])).collect();
    let pairs: Vec<(&str, &str)> = lines.iter().filter_map(|line| pair(line)).collect();
    // One pair alone is one only where its name says so: a password may hold a `=`.
    let named = pairs.len() > 1 || pairs.first().is_some_and(|(key, _)| is_secret_name(key));
    if pairs.len() < lines.len() || !named {
        return false;
    }
    for (key, value) in pairs {
        if !document(value, &joined(name, key), nesting + 1, parts) {
            add(value.as_bytes(), &joined(name, key), parts);
        }
    }
    true
}

fn pair(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (key, value) = line.split_once('=').or_else(|| line.split_once(": "))?;
    let key = key.trim();
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    let value = value.trim().trim_end_matches(';');
    let value = value.strip_prefix(['"', '\'']).and_then(|value| value.strip_suffix(['"', '\''])).unwrap_or(value);
    (is_key && key.len() <= 128 && !value.is_empty() && !value.starts_with('=')).then_some((key, value))
}

/// The password of `scheme://user:password@host`.
fn url_password(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme =
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-:".contains(&byte));
    let authority = rest.split(['/', '?', '#', ' ', '\n']).next().filter(|_| is_scheme)?;
    let (user, _) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password).filter(|password| !password.is_empty())
}

/// The password of base64 of `user:password`, as registries' credentials hold it.
fn basic_password(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let decoded = Zeroizing::new(STANDARD.decode(text.as_bytes()).ok()?);
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(Zeroizing::new(password.as_bytes().to_vec()))
}

/// As it stands in the URL, and decoded.
fn add_spelled(password: &str, name: &str, parts: &mut Vec<Part>) {
    add(password.as_bytes(), name, parts);
    let mut decoded = Zeroizing::new(Vec::with_capacity(password.len()));
    let mut rest = password.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let digit = |at: usize| tail.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => decoded.push(byte),
        }
    }
    if decoded.as_slice() != password.as_bytes() {
        add(&decoded, name, parts);
    }
}

fn add(value: &[u8], name: &str, parts: &mut Vec<Part>) {
    if parts.len() < PARTS_MAX {
        parts.push(Part { name: name.to_owned(), value: Zeroizing::new(value.to_vec()) });
    }
}

fn joined(name: &str, key: &str) -> String {
    if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
}

/// Clears the strings of a tree that was read for its parts.
fn wipe(tree: &mut Value) {
    match tree {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

impl Part {
    /// Whether its owner would miss it if it were left out.
    pub(super) fn is_named_secret(&self) -> bool {
        is_secret_name(self.name.rsplit('.').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(value: &str) -> Vec<(String, String)> {
        let (Shape::Document(parts) | Shape::Lines(parts)) = shape(value.as_bytes()) else { return Vec::new() };
        parts.into_iter().map(|part| (part.name, String::from_utf8(part.value.to_vec()).unwrap())).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn documents_give_their_strings() {
        assert_eq!(
            parts("{\n  \"db\": {\n    \"password\": \"aaa\", \"port\": 5432\n  }\n}\n"),
            pairs(&[("db.password", "aaa")])
        );
        assert_eq!(
            parts("db:\n  user: app\n  password: 'x y'\n"),
            pairs(&[("db.password", "x y"), ("db.user", "app")])
        );
        assert_eq!(
            parts("# comment\nexport DB_USER=app\nDB_PASSWORD=\"a=b c\"\n"),
            pairs(&[("DB_USER", "app"), ("DB_PASSWORD", "a=b c")])
        );
        assert_eq!(
            parts("postgres://app:p%40ss@db:5432/shop?sslmode=require"),
            pairs(&[("password", "p%40ss"), ("password", "p@ss")])
        );
        assert_eq!(
            parts(r#"{"auths":{"r.example.com":{"auth":"YXBwOmh1bnRlcjI="}}}"#),
            pairs(&[
                ("auths.r.example.com.auth", "YXBwOmh1bnRlcjI="),
                ("auths.r.example.com.auth.password", "hunter2")
            ])
        );
        assert_eq!(
            parts("spring.datasource.url=jdbc:postgresql://u:pw1@h/db\nspring.name=shop\n"),
            pairs(&[("spring.datasource.url.password", "pw1"), ("spring.name", "shop")])
        );
    }

    #[test]
    fn texts_give_their_lines_and_the_rest_nothing() {
        assert_eq!(
            parts("-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkqhkiG\nabc\n-----END PRIVATE KEY-----\n"),
            pairs(&[("line", "MIIEvgIBADANBgkqhkiG")])
        );
        assert_eq!(parts("hunter2"), pairs(&[]));
        assert_eq!(parts("aGVsbG8gd29ybGQ="), pairs(&[]));
        assert_eq!(parts("http://host:80/path"), pairs(&[]));
    }

    #[test]
    fn nesting_ends() {
        let mut text = "secret".to_owned();
        for _ in 0..20 {
            text = serde_json::json!({ "inner": text }).to_string();
        }
        assert_eq!(parts(&text).len(), 1);
    }
}
