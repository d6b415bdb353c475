//! How the agent sees the objects of one resource, and the live object as it sees it.

use std::sync::Arc;

use lockgate_core::Secret;
use serde_json::{Value, json};

use super::Unrestorable;
use super::tree::Tree;
use super::walk::Place;
use crate::mask::{FieldRules, FindSecrets, MaskLimits, MaskPlan, Masker, Profile};

/// How objects of one resource are masked for the agent, or may have been a while ago.
#[derive(Debug, Clone)]
pub struct Masking {
    /// The first is how they are masked now.
    plans: Vec<MaskPlan>,
    limits: MaskLimits,
    finder: Option<Arc<dyn FindSecrets>>,
    fields: Option<Arc<FieldRules>>,
}

impl Masking {
    /// Objects of `resource` of `api_group` are masked by `profile`. Placeholders of the other profiles are known too:
    /// the agent may have read the object under another rule.
    pub fn new(api_group: &str, resource: &str, profile: Profile, limits: MaskLimits) -> Self {
        let others =
            [Profile::Strict, Profile::Balanced, Profile::Secrets].into_iter().filter(|other| *other != profile);
        let plan = |profile| MaskPlan::for_resource(api_group, resource, false, profile);
        Self { plans: std::iter::once(profile).chain(others).map(plan).collect(), limits, finder: None, fields: None }
    }

    /// What passes is searched.
    #[must_use]
    pub fn searched_by(mut self, finder: Arc<dyn FindSecrets>) -> Self {
        self.finder = Some(finder);
        self
    }

    /// These fields are masked too.
    #[must_use]
    pub fn with_fields(mut self, rules: Arc<FieldRules>) -> Self {
        self.fields = Some(rules);
        self
    }

    fn masker(&self, plan: MaskPlan, searched: bool) -> Masker {
        let mut masker = Masker::new(plan, self.limits);
        if let Some(finder) = self.finder.as_ref().filter(|_| searched) {
            masker = masker.searched_by(Arc::clone(finder));
        }
        match &self.fields {
            Some(rules) => masker.with_fields(Arc::clone(rules)),
            None => masker,
        }
    }

    /// Whether an object of this resource, or a patch of one, has something at places that are masked now, by what they
    /// are alone. What is no object is taken to have.
    pub fn covers(&self, body: &Value) -> bool {
        let Some(plan) = self.plans.first() else { return true };
        let mut masker = self.masker(*plan, false);
        let mut output = Vec::new();
        let pushed = masker.push(body.to_string().as_bytes(), &mut output);
        pushed.is_err() || masker.finish(&mut output).is_err() || masker.masked() > 0
    }

    /// The first field that a field selector names, and that is masked.
    pub fn selects(&self, selector: &str) -> Option<String> {
        let fields = selector.split(',').filter_map(|term| term.split(['=', '!']).next()).map(str::trim);
        let steps = |field: &str| {
            let names = field.trim_start_matches('.').split('.');
            names.map(|name| Step { name: name.to_owned(), holder: Holder::Object }).collect::<Vec<_>>()
        };
        fields.into_iter().find(|field| self.covers_at(&steps(field), &Value::from("x"), None)).map(str::to_owned)
    }

    /// Whether `value` would be masked there, in an object like `like`.
    pub(super) fn covers_at(&self, steps: &[Step], value: &Value, like: Option<&TypeMeta>) -> bool {
        [false, true].into_iter().any(|lists| {
            let mut object = value.clone();
            for Step { name, holder } in steps.iter().rev() {
                let is_element = *holder == Holder::List || (lists && *holder == Holder::Either);
                object = if is_element { json!([object]) } else { json!({ name: object }) };
            }
            if let (Some(fields), Some(like)) = (object.as_object_mut(), like) {
                for (name, said) in [("apiVersion", &like.api_version), ("kind", &like.kind)] {
                    fields.entry(name).or_insert_with(|| said.as_str().into());
                }
            }
            self.covers(&object)
        })
    }
}

/// A name, or an index, on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) holder: Holder,
}

/// What it is a name or index in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Object,
    List,
    /// Nobody knows.
    Either,
}

/// What an object says that it is.
pub(super) struct TypeMeta {
    pub(super) api_version: String,
    pub(super) kind: String,
}

/// The object that a write changes, as it stands, and as the agent sees it. No content in `Debug`.
pub struct Live {
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) meta: TypeMeta,
    object: Tree,
    masked: Vec<Tree>,
}

impl Live {
    /// `object` is the API server's answer to a read.
    ///
    /// # Errors
    /// When it is no object that can be masked.
    pub fn read(object: &Secret<Vec<u8>>, masking: &Masking) -> Result<Self, Unrestorable> {
        let tree = |text: Vec<u8>| Tree::read(text).ok_or(Unrestorable::Unreadable);
        let bytes = object.expose();
        let mut masked: Vec<Tree> = Vec::new();
        for plan in &masking.plans {
            let mut masker = masking.masker(*plan, true);
            let mut output = Vec::with_capacity(bytes.len());
            let whole = masker.push(bytes, &mut output).and_then(|()| masker.finish(&mut output));
            whole.map_err(|_| Unrestorable::Unreadable)?;
            if masked.iter().all(|other| other.root().raw() != output) {
                masked.push(tree(output)?);
            }
        }
        let object = tree(bytes.clone())?;
        let said = |names: &[&str]| object.root().follow(names).and_then(super::tree::At::text).unwrap_or_default();
        let (uid, resource_version) = (said(&["metadata", "uid"]), said(&["metadata", "resourceVersion"]));
        let meta = TypeMeta { api_version: said(&["apiVersion"]), kind: said(&["kind"]) };
        if uid.is_empty() || resource_version.is_empty() {
            return Err(Unrestorable::Unreadable);
        }
        Ok(Self { uid, resource_version, meta, object, masked })
    }

    /// The object itself, in every form that the agent may have seen.
    pub(super) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.masked.iter().enumerate().map(|(index, masked)| Place {
            live: self.object.root(),
            masked: masked.root(),
            current: index == 0,
        })
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("uid", &self.uid).finish_non_exhaustive()
    }
}
