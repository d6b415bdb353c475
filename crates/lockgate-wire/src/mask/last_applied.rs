//! The annotation in which kubectl keeps the whole object it applied last, as JSON in a JSON string.

use std::borrow::Cow;

use serde::Deserialize;

use super::MaskLimits;
use super::machine::Masker;
use super::object::Basis;
use super::plan::MaskPlan;
use super::text;

/// What becomes of a string value that was withheld.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rewrite {
    /// It passes as it is.
    Keep,
    /// This literal, with its quotes, takes its place, and this many values of it are masked.
    Replace(Vec<u8>, u64),
    /// The placeholder takes its place.
    Mask,
}

/// How many annotations deep a last-applied object may hold last-applied objects; a deeper one is masked whole.
/// (kubectl removes the annotation from what it writes into it: one is the rule.)
const NESTING_MAX: u8 = 3;

#[derive(Deserialize)]
struct TypeMeta<'a> {
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "apiVersion")]
    api_version: Option<Cow<'a, str>>,
}

/// Masks the Secret in the annotation whose literal this is; `in_secret` says that the annotated object is one.
pub(super) fn rewrite(literal: &[u8], in_secret: bool, limits: MaskLimits, nesting: u8) -> Rewrite {
    let Some(content) = text::decode(literal).filter(|_| nesting < NESTING_MAX) else { return Rewrite::Mask };
    // A repeated member, or one that is no string, is an error here and so masked whole.
    let Ok(meta) = serde_json::from_str::<TypeMeta<'_>>(&content) else { return Rewrite::Mask };
    let named_group = meta.api_version.is_some_and(|api_version| api_version.contains('/'));
    let basis = match meta.kind.as_deref() {
        _ if in_secret => Basis::Secret,
        _ if named_group => Basis::Other,
        Some("Secret" | "SecretList") => Basis::Secret,
        Some(_) => Basis::Other,
        None => Basis::Unknown,
    };
    let mut masker = Masker::nested(MaskPlan::for_annotation(basis), limits, nesting + 1);
    let mut masked = Vec::with_capacity(content.len());
    if masker.push(content.as_bytes(), &mut masked).is_err() {
        return Rewrite::Mask;
    }
    match (masker.finish(&mut masked), String::from_utf8(masked)) {
        (Ok(summary), Ok(_)) if summary.masked == 0 => Rewrite::Keep,
        (Ok(summary), Ok(text)) => {
            let mut literal = Vec::with_capacity(text.len() + 2);
            text::encode(&text, &mut literal);
            Rewrite::Replace(literal, summary.masked)
        }
        _ => Rewrite::Mask,
    }
}
