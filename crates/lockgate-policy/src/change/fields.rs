//! Which fields a request touches: dotted paths, list positions left out.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

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

impl Fields {
    pub(super) fn into_paths(self) -> Vec<String> {
        self.paths
    }

    /// `[path, value before]` of every leaf that differs, but for the status, which the server writes.
    pub(super) fn into_before(self) -> Value {
        Value::Array(self.before)
    }

    fn push(&mut self, path: &[&str], before: Option<&Value>) {
        let path = path.join(".");
        let is_below =
            |outer: &str| path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        if path.is_empty() || NOT_TOUCHED.into_iter().any(is_below) {
            return;
        }
        if !is_below("status") {
            self.before.push(json!([path, before]));
        }
        if self.paths.len() > FIELDS_MAX || !self.met.insert(path.clone()) {
            return;
        }
        self.paths.push(if self.paths.len() == FIELDS_MAX { MORE.to_owned() } else { path });
    }

    /// Every leaf of a body that is only the part that changes, or of a part that only one side has.
    pub(super) fn leaves<'v>(&mut self, value: &'v Value, side: Side, path: &mut Vec<&'v str>) {
        match value {
            Value::Object(fields) if !fields.is_empty() && path.len() < DEPTH_MAX => {
                for (name, field) in fields {
                    let directive = name.split_once('/').filter(|(word, _)| word.starts_with('$'));
                    // `$deleteFromPrimitiveList/finalizers` touches `finalizers`; `$setElementOrder/…` touches nothing.
                    let name = match directive {
                        Some(("$deleteFromPrimitiveList", list)) => list,
                        _ if name.starts_with('$') => continue,
                        _ => name,
                    };
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
        if old == new {
            return;
        }
        match (old, new) {
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
            (Value::Array(old), Value::Array(new)) if old.iter().chain(new).all(Value::is_object) => {
                self.lists(old, new, path);
            }
            (old, _) => self.push(path, Some(old)),
        }
    }

    /// Items are paired by their `name`, else by position.
    fn lists<'v>(&mut self, old: &'v [Value], new: &'v [Value], path: &mut Vec<&'v str>) {
        let name = |item: &'v Value| item.get("name").and_then(Value::as_str);
        let named = old.iter().chain(new).all(|item| name(item).is_some());
        let key = |index: usize, item: &'v Value| match name(item) {
            Some(name) if named => (name, 0),
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
