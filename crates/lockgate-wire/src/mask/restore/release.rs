//! New revisions of Helm releases: objects that are made of others, by name.
//!
//! Helm stores every revision in an object of its own, made of an earlier one: a rollback of the revision that it goes back to,
//! an upgrade of the one that is deployed. So where the new one holds a placeholder, it is plain which value is meant.
//!
//! A rollback is refused where masked values differ between the two revisions: helm compares what it was shown, sees no
//! difference, and would leave the newer value in the cluster while its record says otherwise.

use std::collections::HashMap;

use serde_json::Value;

use super::path::Path;
use super::tree::{At, Content, Tree};
use super::walk::{Absence, Place, Walk};
use super::{FIELDS_MAX, Field, Live, Restored, Unrestorable, Values, Why, Write};
use crate::body;
use crate::mask::{helm, manifest};

/// How helm names what it stores.
const NAME: &str = "sh.helm.release.v1.";

/// What a new revision of a release was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The object that holds the revision of which it was made.
    pub source: String,
    /// The object that holds the last revision, where that is another: what a rollback leaves.
    pub last: Option<String>,
}

impl Revision {
    /// What a new object was made of, if it holds a revision of a release that was made of another.
    pub fn of(object: &Value) -> Option<Self> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (release, version) = text("/metadata/name")?.strip_prefix(NAME)?.rsplit_once(".v")?;
        let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        let version: u64 = Some(release).filter(|release| is_name(release)).and_then(|_| version.parse().ok())?;
        let stored = text("/data/release")?;
        let json = helm::unpack_at_most(stored, helm::stored_as(stored)?, super::walk::RELEASE_BYTES_MAX).ok()?;
        let json: Value = serde_json::from_slice(&json).ok()?;
        let revision = |version: u64| format!("{NAME}{release}.v{version}");
        let last = revision(version.checked_sub(1).filter(|last| *last > 0)?);
        let description = json.pointer("/info/description").and_then(Value::as_str).unwrap_or_default();
        let target = description.strip_prefix("Rollback to ").and_then(|target| target.parse::<u64>().ok());
        Some(match target.map(revision) {
            Some(source) => Self { last: Some(last).filter(|last| *last != source), source },
            None => Self { source: last, last: None },
        })
    }
}

/// The new object with the values of the revision that it was made of. `last` is the last revision, for a rollback.
///
/// # Errors
/// When it holds placeholders for which the source has no value, or a rollback would not roll back a masked value.
pub fn restore_revision(body: &[u8], source: &Live, last: Option<&Live>) -> Result<Restored, Unrestorable> {
    let tree = Tree::read(body.to_vec()).ok_or(Unrestorable::Unreadable)?;
    let mut walk = Walk::new(&tree, Write::Whole, Values::AsGiven, &[]);
    let (data, release) = (Path::ROOT.member("data"), "release");
    let of_release: Vec<Place<'_>> =
        source.places().filter_map(|place| place.member("data")?.member(release)).collect();
    let Content::Object(members) = &tree.root().node.content else { return Err(Unrestorable::Unreadable) };
    for member in &members.list {
        match (&member.value.content, member.name.as_str()) {
            (Content::Object(members), "data") => {
                for member in &members.list {
                    let places = if member.name == release { of_release.as_slice() } else { &[] };
                    walk.value(&member.value, places, &data.member(&member.name), Absence::Deletes);
                }
            }
            _ => {
                walk.value(&member.value, &[], &Path::ROOT.member(&member.name), Absence::Deletes);
            }
        }
    }
    let Walk { edits, mut refused, taken: values, restored, dropped, .. } = walk;
    if refused.is_empty() && last.is_some_and(|last| !same_values(source, last)) {
        refused.push(Field { path: "data.release#manifest".into(), why: Why::NotRolledBack });
    }
    if !refused.is_empty() {
        refused.truncate(FIELDS_MAX);
        return Err(Unrestorable::Fields(refused));
    }
    let body = tree.edited(edits);
    Ok(Restored { unpinned: body.clone(), body, values, restored, dropped })
}

/// Whether what is masked in the manifest of the one revision has the same values in the other's.
fn same_values(source: &Live, last: &Live) -> bool {
    let Some(last) = Manifests::of(last) else { return false };
    let Some(source) = Manifests::of(source) else { return false };
    let same = |key: &Option<String>, (live, masked): &(Tree, Tree)| {
        let Some((last_live, last_masked)) = key.as_ref().and_then(|key| last.documents.get(&Some(key.clone()))) else {
            return false;
        };
        let place = Place { live: last_live.root(), masked: last_masked.root(), current: true };
        let places = [place];
        let mut walk = Walk::new(masked, Write::Whole, Values::AsGiven, &[]);
        walk.value(masked.root().node, &places, &Path::ROOT, Absence::Deletes);
        let Walk { edits, refused, .. } = walk;
        let written = Tree::read(masked.edited(edits));
        refused.is_empty() && written.is_some_and(|written| written.root().canonical() == live.root().canonical())
    };
    source.unreadable.iter().all(|document| last.unreadable.contains(document))
        && source.documents.iter().all(|(key, pair)| same(key, pair))
}

/// The documents of a release in which something is masked, as they are and as they are shown.
struct Manifests {
    documents: HashMap<Option<String>, (Tree, Tree)>,
    /// Those that are masked whole.
    unreadable: Vec<String>,
}

impl Manifests {
    fn of(revision: &Live) -> Option<Self> {
        let mut found = Self { documents: HashMap::new(), unreadable: Vec::new() };
        let unpacked = |at: At<'_>| {
            let text = at.follow(&["data", "release"])?.text()?;
            let json = helm::unpack_at_most(&text, helm::stored_as(&text)?, super::walk::RELEASE_BYTES_MAX).ok()?;
            Tree::read(json)?.root().member("manifest")?.text()
        };
        // As it is masked most: the first of the forms that can be read.
        let (live, masked) =
            revision.places().find_map(|place| Some((unpacked(place.live)?, unpacked(place.masked)?)))?;
        let (live, masked): (Vec<&str>, Vec<&str>) =
            (manifest::documents(&live).collect(), manifest::documents(&masked).collect());
        if live.len() != masked.len() {
            return None;
        }
        for (live, masked) in live.into_iter().zip(masked).filter(|(live, masked)| live != masked) {
            match (read(live), read(masked)) {
                (Some(live), Some(masked)) => {
                    found.documents.insert(key(live.root()), (live, masked));
                }
                _ => found.unreadable.push(live.to_owned()),
            }
        }
        Some(found)
    }
}

fn read(document: &str) -> Option<Tree> {
    let value = body::from_yaml(document.as_bytes()).ok().filter(Value::is_object)?;
    Tree::read(value.to_string().into_bytes())
}

fn key(object: At<'_>) -> Option<String> {
    let text = |names: &[&str]| object.follow(names).and_then(At::text);
    let namespace = text(&["metadata", "namespace"]).unwrap_or_default();
    Some(format!("{} {namespace}/{}", text(&["kind"])?, text(&["metadata", "name"])?))
}
