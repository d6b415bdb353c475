//! Which fields a request touches: dotted paths, list positions left out.

use std::collections::{BTreeMap, HashSet};

use lockgate_core::{PatchType, Verb};
use serde_json::{Value, json};

use super::{json_patch, strategic};
use crate::risk::Request;

/// Most paths that are told; one more is [`MORE`].
pub(super) const FIELDS_MAX: usize = 500;

/// Stands for all paths beyond the limit, so that a rule which lists the paths that it allows does not hold.
pub(crate) const MORE: &str = "*";

/// Deepest path that is told; what is deeper counts as its parent.
const DEPTH_MAX: usize = 32;

/// What says which object is meant, and what the server writes by itself.
const NOT_TOUCHED: [&str; 9] = [
    "apiVersion",
    "kind",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.creationTimestamp",
    "metadata.managedFields",
];

/// Paths, each once, in the order in which they were met.
#[derive(Default)]
pub(super) struct Fields {
    paths: Vec<String>,
    met: HashSet<String>,
    /// What stood there before, for every leaf that differs.
    before: Vec<Value>,
}

/// Which of two objects a value is from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Old,
    New,
}

/// How a patch is laid on its object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// RFC 7396: a list replaces the list.
    Merge,
    /// Strategic: some lists are merged, and some names are directives.
    Strategic,
}

impl Fields {
    /// The paths in which two objects differ.
    pub(super) fn that_differ(old: &Value, after: &Value) -> Vec<String> {
        let mut fields = Self::default();
        fields.difference(old, after, &mut Vec::new());
        fields.paths
    }

    /// The paths that a request may touch of an object that nobody knows.
    pub(super) fn of_body(request: &Request<'_>) -> Vec<String> {
        let mut fields = Self::default();
        let body = request.object.unwrap_or(&Value::Null);
        match request.options.patch_type {
            Some(PatchType::Json) => fields.operated(body),
            Some(PatchType::Merge) => fields.patched(body, Style::Merge, &mut Vec::new()),
            Some(PatchType::Strategic) => fields.patched(body, Style::Strategic, &mut Vec::new()),
            Some(PatchType::Apply) | None => {
                fields.leaves(body, Side::New, &mut Vec::new());
                // What it leaves out goes away, or may; a Scale has nothing to leave out.
                if request.verb != Verb::Create && request.subresource != Some("scale") {
                    fields.push(&[], None);
                }
            }
        }
        fields.paths
    }

    /// `[path, value before]` of every leaf that differs, but for the status, which the server writes.
    pub(super) fn into_before(self) -> Value {
        Value::Array(self.before)
    }

    fn push(&mut self, path: &[&str], before: Option<&Value>) {
        // By its parts: a single key may hold dots (`metadata.name`), and is another field then.
        let is_below = |outer: &str| outer.split('.').enumerate().all(|(at, part)| path.get(at) == Some(&part));
        if NOT_TOUCHED.into_iter().any(is_below) {
            return;
        }
        let is_status = is_below("status");
        let path = if path.is_empty() { MORE.to_owned() } else { path.join(".") };
        if !is_status {
            self.before.push(json!([path, before]));
        }
        if self.paths.len() > FIELDS_MAX || !self.met.insert(path.clone()) {
            return;
        }
        self.paths.push(if self.paths.len() == FIELDS_MAX { MORE.to_owned() } else { path });
    }

    /// Every field that a merge patch may touch of an object that nobody knows: the leaves of its body, and whatever it
    /// replaces as a whole, since nobody can tell what goes away with that.
    pub(super) fn patched<'v>(&mut self, body: &'v Value, style: Style, path: &mut Vec<&'v str>) {
        match body {
            Value::Object(fields) if fields.is_empty() && path.is_empty() => {}
            Value::Object(fields) if !fields.is_empty() && path.len() < DEPTH_MAX => {
                let directive = |name: &str| fields.get(name).filter(|_| style == Style::Strategic);
                // Nothing but directives: the field is made if it is not there.
                let bare = style == Style::Strategic && fields.keys().all(|name| strategic::is_directive(name));
                let replaces = directive("$patch").is_some_and(|what| what != "merge");
                if bare || replaces || directive("$retainKeys").is_some() {
                    self.push(path, None);
                }
                for (name, field) in fields {
                    // `$deleteFromPrimitiveList/finalizers` touches `finalizers`; `$setElementOrder/…` touches nothing.
                    let name = match name.strip_prefix(strategic::DELETE_FROM) {
                        Some(list) if style == Style::Strategic => list,
                        _ if style == Style::Strategic && strategic::is_directive(name) => continue,
                        _ => name,
                    };
                    path.push(name);
                    self.patched(field, style, path);
                    path.pop();
                }
            }
            Value::Array(items) if items.iter().any(Value::is_object) && path.len() < DEPTH_MAX => {
                let merged = style == Style::Strategic && path.last().is_some_and(|list| strategic::merges(list));
                if !merged {
                    self.push(path, None);
                }
                items.iter().for_each(|item| self.patched(item, style, path));
            }
            _ => self.push(path, None),
        }
    }

    /// Every field that a JSON Patch may touch of an object that nobody knows: where its operations point, and the leaves of
    /// their values.
    pub(super) fn operated(&mut self, operations: &Value) {
        for operation in operations.as_array().into_iter().flatten() {
            let text = |field: &str| operation.get(field).and_then(Value::as_str);
            let pointers = match text("op") {
                Some("test") => continue,
                Some("move") => [text("from"), text("path")],
                _ => [None, text("path")],
            };
            for segments in pointers.into_iter().flatten().filter_map(json_patch::segments) {
                let names = segments.iter().map(String::as_str).filter(|key| !json_patch::is_position(key));
                let mut path: Vec<&str> = names.take(DEPTH_MAX).collect();
                self.push(&path, None);
                if let Some(value) = operation.get("value") {
                    self.leaves(value, Side::New, &mut path);
                }
            }
        }
    }

    /// Every leaf of a part that only one side has.
    pub(super) fn leaves<'v>(&mut self, value: &'v Value, side: Side, path: &mut Vec<&'v str>) {
        match value {
            Value::Object(fields) if fields.is_empty() && path.is_empty() => {}
            Value::Object(fields) if !fields.is_empty() && path.len() < DEPTH_MAX => {
                for (name, field) in fields {
                    path.push(name);
                    self.leaves(field, side, path);
                    path.pop();
                }
            }
            Value::Array(items) if items.iter().any(Value::is_object) && path.len() < DEPTH_MAX => {
                items.iter().for_each(|item| self.leaves(item, side, path));
            }
            _ => self.push(path, (side == Side::Old).then_some(value)),
        }
    }

    /// Every leaf in which two objects differ.
    pub(super) fn difference<'v>(&mut self, old: &'v Value, new: &'v Value, path: &mut Vec<&'v str>) {
        match (old, new) {
            // Not compared as a whole first: each level would compare all that is below it once more.
            (Value::Object(old), Value::Object(new)) if path.len() < DEPTH_MAX => {
                for (name, value) in old {
                    path.push(name);
                    match new.get(name) {
                        Some(other) => self.difference(value, other, path),
                        None => self.leaves(value, Side::Old, path),
                    }
                    path.pop();
                }
                for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                    path.push(name);
                    self.leaves(value, Side::New, path);
                    path.pop();
                }
            }
            (old, new) if old == new => {}
            (Value::Array(old), Value::Array(new)) if old.iter().chain(new).all(Value::is_object) => {
                self.lists(old, new, path);
            }
            (old, _) => self.push(path, Some(old)),
        }
    }

    /// Items are paired by their `name` where that tells them apart, else by position. Named ones in another order are a
    /// change of the list.
    fn lists<'v>(&mut self, old: &'v [Value], new: &'v [Value], path: &mut Vec<&'v str>) {
        let named = names(old).zip(names(new));
        if let Some(((before, in_old), (after, in_new))) = &named {
            let kept = before.iter().filter(|name| in_new.contains(*name));
            if !kept.eq(after.iter().filter(|name| in_old.contains(*name))) {
                self.push(path, Some(&json!(before)));
            }
        }
        let key = |index: usize, item: &'v Value| match item.get("name").and_then(Value::as_str) {
            Some(name) if named.is_some() => (name, 0),
            _ => ("", index),
        };
        let mut unpaired: BTreeMap<(&str, usize), &Value> =
            new.iter().enumerate().map(|(index, item)| (key(index, item), item)).collect();
        for (index, item) in old.iter().enumerate() {
            match unpaired.remove(&key(index, item)) {
                Some(other) => self.difference(item, other, path),
                None => self.leaves(item, Side::Old, path),
            }
        }
        unpaired.into_values().for_each(|item| self.leaves(item, Side::New, path));
    }
}

/// The names of all items, in order and as a set, where every item has one of its own.
fn names(items: &[Value]) -> Option<(Vec<&str>, HashSet<&str>)> {
    let names: Vec<&str> = items.iter().map(|item| item.get("name")?.as_str()).collect::<Option<_>>()?;
    let different: HashSet<&str> = names.iter().copied().collect();
    (different.len() == names.len()).then_some((names, different))
}
