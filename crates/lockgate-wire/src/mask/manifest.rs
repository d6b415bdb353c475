//! A release's manifest: YAML documents in one text, each masked by itself. A document of which nothing is masked stays
//! byte for byte; another is written anew, in block style, its comments gone but for helm's `# Source:`. One that
//! cannot be read is masked whole.

use serde_json::Value;

use super::counts::MaskCounts;
use super::machine::{Context, Masker};
use super::object::Basis;
use super::plan::MaskPlan;
use super::profile::Profile;
use super::reason::Reason;
use super::rewrite::Rewrite;
use super::{MaskLimits, text, yaml};
use crate::body;

/// Masks YAML documents, as people write them to files.
pub fn mask_manifests(manifests: &str, profile: Profile, limits: MaskLimits) -> (String, MaskCounts) {
    if profile == Profile::Off {
        return (manifests.to_owned(), MaskCounts::default());
    }
    every_document(manifests, profile, &Context { limits, nesting: 0, finder: None, fields: None })
}

/// Masks the manifest whose literal this is.
pub(super) fn rewrite(literal: &[u8], profile: Profile, context: &Context) -> Rewrite {
    let Some(manifest) = text::decode(literal) else { return Rewrite::Mask };
    let (output, counts) = every_document(&manifest, profile, context);
    if counts.masked() == 0 { Rewrite::Keep } else { Rewrite::counted(&output, counts) }
}

fn every_document(manifest: &str, profile: Profile, context: &Context) -> (String, MaskCounts) {
    let mut output = String::with_capacity(manifest.len());
    let mut counts = MaskCounts::default();
    for document in documents(manifest) {
        match masked(document, profile, context) {
            Masked::Kept => output.push_str(document),
            Masked::Anew(text, of_it) => {
                output.push_str(&text);
                counts.merge(of_it);
            }
            Masked::Whole => {
                output.push_str(&format!("\n# {}\n", Reason::Release.placeholder()));
                counts.add(Reason::Release, b"manifest");
            }
        }
    }
    (output, counts)
}

/// The documents, and the separators between them, in order.
pub(super) fn documents(manifest: &str) -> impl Iterator<Item = &str> {
    let mut rest = manifest;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = if let Some(separator) = separator(rest) { separator } else { next_separator(rest) };
        let (document, behind) = rest.split_at_checked(end)?;
        rest = behind;
        Some(document)
    })
}

/// The length of the separator that `text` begins with.
fn separator(text: &str) -> Option<usize> {
    let behind = text.strip_prefix("---")?;
    (behind.is_empty() || behind.starts_with(['\n', '\r', ' ', '\t'])).then_some(3)
}

/// Where the next separator begins, at the start of a line; the end of the text if there is none.
fn next_separator(text: &str) -> usize {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("\n---")) {
        let line = from + found + 1;
        if text.get(line..).is_some_and(|rest| separator(rest).is_some()) {
            return line;
        }
        from = line;
    }
    text.len()
}

enum Masked {
    Kept,
    Anew(String, MaskCounts),
    Whole,
}

fn masked(document: &str, profile: Profile, context: &Context) -> Masked {
    let tells_nothing = |line: &str| matches!(line.trim_ascii().bytes().next(), None | Some(b'#'));
    if document == "---" || document.lines().all(tells_nothing) {
        return Masked::Kept;
    }
    let Ok(value @ Value::Object(_)) = body::from_yaml(document.as_bytes()) else { return Masked::Whole };
    let mut masker = Masker::within(MaskPlan::for_object(basis(&value), profile), context.clone());
    let mut output = Vec::new();
    if masker.push(value.to_string().as_bytes(), &mut output).is_err() || masker.finish(&mut output).is_err() {
        return Masked::Whole;
    }
    if masker.masked() == 0 {
        return Masked::Kept;
    }
    let Ok(value) = serde_json::from_slice::<Value>(&output) else { return Masked::Whole };
    let sources = document.lines().filter(|line| line.starts_with("# Source: "));
    let mut text: String = sources.flat_map(|line| ["\n", line]).collect();
    text.push('\n');
    text.push_str(&yaml::document(&value));
    Masked::Anew(text, masker.into_counts())
}

fn basis(value: &Value) -> Basis {
    let text = |name| value.get(name).and_then(Value::as_str);
    let named_group = text("apiVersion").is_some_and(|api_version| api_version.contains('/'));
    match text("kind") {
        _ if named_group => Basis::Other,
        Some("Secret") => Basis::Secret,
        Some("ConfigMap") => Basis::ConfigMap,
        Some("List" | "SecretList" | "ConfigMapList") | None => Basis::Unknown,
        Some(_) => Basis::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_found_as_helm_finds_them() {
        for (manifest, expected) in [
            ("", &[][..]),
            ("a: 1\n", &["a: 1\n"][..]),
            ("---\na: 1\n---\nb: 2\n", &["---", "\na: 1\n", "---", "\nb: 2\n"]),
            ("a: |\n  ---\n  x\n----\nb\n--- {c: 1}\n", &["a: |\n  ---\n  x\n----\nb\n", "---", " {c: 1}\n"]),
            ("a\n---", &["a\n", "---"]),
            ("a\r\n---\r\nb", &["a\r\n", "---", "\r\nb"]),
        ] {
            assert_eq!(documents(manifest).collect::<Vec<_>>(), expected, "{manifest:?}");
        }
    }
}
