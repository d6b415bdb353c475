//! Annotations in which a whole object is kept as JSON in a JSON string, kubectl's before all.

use std::borrow::Cow;

use serde::Deserialize;

use super::annotation::{self, Annotation};
use super::machine::{Context, Masker};
use super::object::Basis;
use super::path::Owner;
use super::plan::MaskPlan;
use super::profile::Profile;
use super::rewrite::Rewrite;
use super::{MaskError, text};

/// How many strings deep a copy may hold copies; a deeper one is masked whole. (kubectl removes the annotation from what
/// it writes into it: one is the rule.)
const NESTING_MAX: u8 = 3;

/// What an annotation's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copy {
    /// kubectl's: the annotated object itself.
    LastApplied(Owner),
    /// Another.
    Annotation(Annotation),
}

#[derive(Deserialize)]
struct TypeMeta<'a> {
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "apiVersion")]
    api_version: Option<Cow<'a, str>>,
}

/// Masks the object in the annotation whose literal this is.
pub(super) fn rewrite(literal: &[u8], copy: Copy, profile: Profile, context: &Context) -> Rewrite {
    let Some(content) = text::decode(literal) else { return Rewrite::Mask };
    match (copy, content.trim_ascii_start().bytes().next()) {
        (Copy::LastApplied(_), _) | (Copy::Annotation(_), Some(b'{')) => {}
        // A list, as the items of one object.
        (Copy::Annotation(annotation), Some(b'[')) => {
            let wrapped = format!("{OPEN}{content}{CLOSE}");
            let rewrite = object(&wrapped, Basis::Unknown, profile, context, |masked| {
                masked.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE)).map(str::to_owned)
            });
            return rewrite.unwrap_or_else(|error| annotation.otherwise(error, &content));
        }
        (Copy::Annotation(annotation), _) => return annotation.text(&content),
    }
    let basis = match (serde_json::from_str::<TypeMeta<'_>>(&content), copy) {
        (Ok(_), Copy::LastApplied(Owner::Secret)) => Basis::Secret,
        (Ok(meta), _) => meta.basis(),
        // A repeated member, or one that is no string.
        (Err(_), Copy::LastApplied(_)) => return Rewrite::Mask,
        (Err(_), Copy::Annotation(_)) => Basis::Unknown,
    };
    match (object(&content, basis, profile, context, |masked| Some(masked.to_owned())), copy) {
        (Ok(rewrite), _) => rewrite,
        (Err(_), Copy::LastApplied(_)) => Rewrite::Mask,
        (Err(error), Copy::Annotation(annotation)) => annotation.otherwise(error, &content),
    }
}

const OPEN: &str = "{\"items\":";
const CLOSE: &str = "}";

impl TypeMeta<'_> {
    fn basis(&self) -> Basis {
        let named_group = self.api_version.as_ref().is_some_and(|api_version| api_version.contains('/'));
        match self.kind.as_deref() {
            _ if named_group => Basis::Other,
            Some("Secret" | "SecretList") => Basis::Secret,
            Some("ConfigMap") => Basis::ConfigMap,
            Some(_) => Basis::Other,
            None => Basis::Unknown,
        }
    }
}

impl Annotation {
    /// What becomes of an annotation that looks like JSON and cannot be masked inside.
    fn otherwise(self, error: MaskError, content: &str) -> Rewrite {
        match error {
            MaskError::SecretAfterData { .. } | MaskError::TooDeep { .. } => Rewrite::Mask,
            MaskError::NotAnObject { .. }
            | MaskError::Syntax { .. }
            | MaskError::TrailingData { .. }
            | MaskError::Truncated => self.text(content),
        }
    }

    fn text(self, content: &str) -> Rewrite {
        if self == Self::Any && !annotation::is_manifest(content) { Rewrite::Keep } else { Rewrite::Mask }
    }
}

/// Masks one object in a text, of which `inner` is what is asked for.
fn object(
    content: &str,
    basis: Basis,
    profile: Profile,
    context: &Context,
    inner: impl FnOnce(&str) -> Option<String>,
) -> Result<Rewrite, MaskError> {
    if context.nesting >= NESTING_MAX {
        return Ok(Rewrite::Mask);
    }
    let context = Context { nesting: context.nesting + 1, ..context.clone() };
    let mut masker = Masker::within(MaskPlan::for_object(basis, profile), context);
    let mut masked = Vec::with_capacity(content.len());
    masker.push(content.as_bytes(), &mut masked)?;
    if masker.finish(&mut masked)?.masked == 0 {
        return Ok(Rewrite::Keep);
    }
    let Some(masked) = String::from_utf8(masked).ok().and_then(|masked| inner(&masked)) else {
        return Ok(Rewrite::Mask);
    };
    let mut literal = Vec::with_capacity(masked.len() + 2);
    text::encode(&masked, &mut literal);
    Ok(Rewrite::Replace(literal, masker.into_counts()))
}
