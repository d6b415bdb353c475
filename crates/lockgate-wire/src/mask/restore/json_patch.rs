//! JSON Patches (RFC 6902): what they ask, and the placeholders in their values.
//!
//! The operations are not carried out here: where an earlier one leaves it open what stands at a place, a later one that
//! depends on it is refused.

use serde_json::Value;

use super::masking::{Holder, Masking, Step, TypeMeta};
use super::path::Path;
use super::tree::{At, Content, Tree};
use super::walk::{Absence, Place, Walk};
use super::{Asked, Unrestorable};

/// What earlier operations have done.
#[derive(Default)]
struct Done {
    /// Where something else may stand now than in the live object.
    changed: Vec<Vec<String>>,
    /// Where a copy stands.
    copied: Vec<Vec<String>>,
}

/// Whether a patch has operations whose outcome tells of the fields that they name.
pub fn asks(operations: &Value) -> bool {
    let op = |operation: &Value| operation.get("op").and_then(Value::as_str).map(str::to_owned);
    let asks = |operation: &Value| op(operation).is_some_and(|op| matches!(op.as_str(), "test" | "copy" | "move"));
    operations.as_array().is_some_and(|operations| operations.iter().any(asks))
}

/// Walks the operations; says how many there are.
pub(super) fn operations(
    body: &Tree,
    places: &[Place<'_>],
    (masking, meta): (&Masking, &TypeMeta),
    walk: &mut Walk<'_>,
) -> Result<usize, Unrestorable> {
    let list = body.root();
    let mut done = Done::default();
    for node in list.elements() {
        let operation = list.to(node);
        let text = |name: &str| operation.member(name).and_then(At::text).unwrap_or_default();
        let (to, from) = (names(&text("path")), names(&text("from")));
        match text("op").as_str() {
            "test" => {
                let known = masking.covers_at(&steps(places, &to), &value_of(operation), Some(meta));
                if known || done.may_be_copied(&to) || places.iter().any(|place| differs(*place, &to)) {
                    return Err(Unrestorable::Asks(Asked { operation: "test", path: text("path") }));
                }
            }
            "copy" => done.copy(reveals(masking, meta, places, &from, &to), "copy", (text("from"), from), to)?,
            "move" => {
                done.copy(reveals(masking, meta, places, &from, &to), "move", (text("from"), from.clone()), to)?;
                done.changed.push(from);
            }
            "add" | "replace" => {
                if let Some(value) = operation.member("value") {
                    let is_element = to.last().is_some_and(|name| is_index(name));
                    let is_open = is_element || done.may_have_changed(&to);
                    let known: Vec<Place<'_>> =
                        places.iter().filter_map(|place| at(*place, &to)).filter(|_| !is_open).collect();
                    with_path(&to, &Path::ROOT, &mut |path| {
                        walk.value(value.node, &known, path, Absence::Deletes);
                    });
                }
                done.changed.push(to);
            }
            _ => done.changed.push(to),
        }
    }
    Ok(list.elements().len())
}

impl Done {
    fn copy(
        &mut self,
        reveals: bool,
        operation: &'static str,
        (path, from): (String, Vec<String>),
        to: Vec<String>,
    ) -> Result<(), Unrestorable> {
        if reveals || self.may_be_copied(&from) {
            return Err(Unrestorable::Asks(Asked { operation, path }));
        }
        self.copied.push(to.clone());
        self.changed.push(to);
        Ok(())
    }

    fn may_be_copied(&self, names: &[String]) -> bool {
        self.copied.iter().any(|copied| touches(copied, names))
    }

    fn may_have_changed(&self, names: &[String]) -> bool {
        self.changed.iter().any(|changed| touches(changed, names))
    }
}

/// Whether the one is in the other, or both in the list whose elements the one has moved.
fn touches(changed: &[String], names: &[String]) -> bool {
    let list = match changed.split_last() {
        Some((last, list)) if is_index(last) => list,
        _ => changed,
    };
    names.starts_with(list) || list.starts_with(names)
}

/// Whether a masked value gets to a place where it is not.
fn reveals(masking: &Masking, meta: &TypeMeta, places: &[Place<'_>], from: &[String], to: &[String]) -> bool {
    let any = Value::from("x");
    let covers = |names| masking.covers_at(&steps(places, names), &any, Some(meta));
    (covers(from) || places.iter().any(|place| differs(*place, from))) && !covers(to)
}

/// The names with what they are names in, as far as the live object tells.
fn steps(places: &[Place<'_>], names: &[String]) -> Vec<Step> {
    let mut live = places.first().map(|place| place.live);
    let mut steps = Vec::with_capacity(names.len());
    for name in names {
        let holder = match live.map(|at| &at.node.content) {
            Some(Content::Array(_)) => Holder::List,
            Some(Content::Object(_)) => Holder::Object,
            _ if is_index(name) => Holder::Either,
            _ => Holder::Object,
        };
        steps.push(Step { name: name.clone(), holder });
        live = live.and_then(|at| match holder {
            // Whichever it is: all are alike.
            Holder::List => at.elements().first().map(|node| at.to(node)),
            Holder::Object | Holder::Either => at.member(name),
        });
    }
    steps
}

/// Whether something in what is there is masked. An index stands for every element: others may have been removed.
fn differs(place: Place<'_>, names: &[String]) -> bool {
    let is_masked = |place: Place<'_>| place.current && place.is_masked();
    let Some((name, rest)) = names.split_first() else { return is_masked(place) };
    match (&place.live.node.content, &place.masked.node.content) {
        (Content::Array(elements), Content::Array(_)) => {
            (0..elements.len()).filter_map(|index| place.element(index)).any(|place| differs(place, rest))
        }
        (Content::Object(_), Content::Object(_)) => place.member(name).is_some_and(|place| differs(place, rest)),
        _ => is_masked(place),
    }
}

/// What is there.
fn at<'l>(place: Place<'l>, names: &[String]) -> Option<Place<'l>> {
    names.iter().try_fold(place, |place, name| match place.live.node.content {
        Content::Array(_) => place.element(name.parse().ok()?),
        _ => place.member(name),
    })
}

fn is_index(name: &str) -> bool {
    name == "-" || (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The names in a JSON pointer.
fn names(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~")).collect()
}

fn value_of(operation: At<'_>) -> Value {
    operation.member("value").and_then(|value| serde_json::from_slice(value.raw()).ok()).unwrap_or_default()
}

fn with_path(names: &[String], path: &Path<'_>, act: &mut dyn FnMut(&Path<'_>)) {
    match names.split_first() {
        None => act(path),
        Some((name, rest)) => match name.parse() {
            Ok(index) => with_path(rest, &path.element(index), act),
            Err(_) => with_path(rest, &path.member(name), act),
        },
    }
}
