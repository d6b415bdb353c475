//! The body of a write, walked beside the live object and the live object as the agent sees it.
//!
//! A value is put back where the body says, at the same path, exactly what the masker made of the live object there. So
//! there is no list of masked fields here, and nothing is put back anywhere but where it stands.

use std::collections::HashMap;

use crate::mask::member_name::LAST_APPLIED;
use crate::mask::{helm, holds_placeholder, manifest, text};

use super::path::{Path, told};
use super::tree::{At, Content, Edit, Member, Members, Node, Tree};
use super::{Field, Values, Why, Write};

/// How many strings deep an object is looked for in a string.
const NESTING_MAX: u8 = 3;

/// Most bytes of a Helm release in a write.
pub(super) const RELEASE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A place in the live object, and the same place as the agent sees it.
#[derive(Clone, Copy)]
pub(super) struct Place<'l> {
    pub(super) live: At<'l>,
    pub(super) masked: At<'l>,
    /// The agent sees it like this now, and not only under another profile.
    pub(super) current: bool,
}

pub(super) struct Walk<'w> {
    body: &'w Tree,
    write: Write,
    values: Values,
    /// The object's own places, for copies of it in its annotations.
    whole: &'w [Place<'w>],
    nesting: u8,
    pub(super) edits: Vec<Edit>,
    pub(super) refused: Vec<Field>,
    /// The values that were put back, one behind the other.
    pub(super) taken: Vec<u8>,
    /// How many values were put back.
    pub(super) restored: u64,
    /// How many members were left out, since they change nothing.
    pub(super) dropped: u64,
}

/// What becomes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    Drop,
}

/// Whether leaving a member out leaves the live one as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    Keeps,
    Deletes,
}

impl<'l> Place<'l> {
    pub(super) fn member(self, name: &str) -> Option<Self> {
        Some(Self { live: self.live.member(name)?, masked: self.masked.member(name)?, ..self })
    }

    pub(super) fn element(self, index: usize) -> Option<Self> {
        let of = |at: At<'l>| at.elements().get(index).map(|node| at.to(node));
        Some(Self { live: of(self.live)?, masked: of(self.masked)?, ..self })
    }

    /// Something in it is masked.
    pub(super) fn is_masked(self) -> bool {
        self.live.raw() != self.masked.raw()
    }

    /// It is one value, and masked now.
    fn is_masked_value(self) -> bool {
        let placeholder = self.masked.node.marked && matches!(self.masked.node.content, Content::Text);
        self.current && placeholder && self.is_masked()
    }
}

impl<'w> Walk<'w> {
    pub(super) const fn new(body: &'w Tree, write: Write, values: Values, whole: &'w [Place<'w>]) -> Self {
        Self {
            body,
            write,
            values,
            whole,
            nesting: 0,
            edits: Vec::new(),
            refused: Vec::new(),
            taken: Vec::new(),
            restored: 0,
            dropped: 0,
        }
    }

    /// Whether leaving a member out of an object outside of lists leaves the live one as it is.
    pub(super) const fn absence(&self) -> Absence {
        match self.write {
            Write::Merge | Write::Strategic => Absence::Keeps,
            Write::Whole | Write::Json => Absence::Deletes,
        }
    }

    pub(super) fn value(&mut self, node: &Node, places: &[Place<'_>], path: &Path<'_>, absence: Absence) -> Verdict {
        if self.values == Values::AsTheyStand
            && !matches!(node.content, Content::Null | Content::Object(_))
            && let Some(place) = places.iter().find(|place| place.is_masked_value())
        {
            return self.take(node, place.live, absence);
        }
        match &node.content {
            _ if !node.marked && self.values == Values::AsGiven => Verdict::Keep,
            Content::Object(members) => self.object(node, members, places, path, absence),
            Content::Array(elements) => self.array(node, elements, places, path, absence),
            Content::Text if node.marked => self.text(node, places, path, absence),
            Content::Text | Content::Scalar | Content::Null => Verdict::Keep,
        }
    }

    /// The live value takes the place of this one, or this one is left out.
    fn take(&mut self, node: &Node, live: At<'_>, absence: Absence) -> Verdict {
        if absence == Absence::Keeps {
            self.dropped += 1;
            return Verdict::Drop;
        }
        self.taken(live.raw());
        self.instead(node, live.raw().to_vec())
    }

    fn taken(&mut self, value: &[u8]) {
        self.restored += 1;
        self.taken.extend_from_slice(&(value.len() as u64).to_be_bytes());
        self.taken.extend_from_slice(value);
    }

    fn instead(&mut self, node: &Node, with: Vec<u8>) -> Verdict {
        self.edits.push(Edit { start: node.start, end: node.end, with });
        Verdict::Keep
    }

    fn refuse(&mut self, path: &Path<'_>, why: Why) -> Verdict {
        self.refused.push(Field { path: told(path), why });
        Verdict::Keep
    }

    fn object(
        &mut self,
        node: &Node,
        members: &Members,
        places: &[Place<'_>],
        path: &Path<'_>,
        absence: Absence,
    ) -> Verdict {
        let mut dropped = vec![false; members.list.len()];
        for (member, dropped) in members.list.iter().zip(&mut dropped) {
            let verdict = self.member(member, places, path, absence);
            *dropped = verdict == Verdict::Drop;
        }
        self.leave_out(node, members, &dropped);
        Verdict::Keep
    }

    fn member(&mut self, member: &Member, places: &[Place<'_>], path: &Path<'_>, absence: Absence) -> Verdict {
        let Member { name, value, .. } = member;
        let path_of_member = path.member(name);
        if path_of_member.is(&["metadata", "managedFields"]) && value.marked {
            // The API server keeps its own when a write has none.
            self.dropped += 1;
            return Verdict::Drop;
        }
        if holds_placeholder(name) {
            return self.refuse(&path_of_member, Why::InName);
        }
        if !value.marked && self.values == Values::AsGiven {
            return Verdict::Keep;
        }
        let of_member: Vec<Place<'_>> = places.iter().filter_map(|place| place.member(name)).collect();
        self.value(value, &of_member, &path_of_member, absence)
    }

    /// Takes members out of an object, each run of them with one comma.
    fn leave_out(&mut self, node: &Node, members: &Members, dropped: &[bool]) {
        let is_dropped = |index: usize| dropped.get(index).copied().unwrap_or_default();
        let mut index = 0;
        while index < members.list.len() {
            if !is_dropped(index) {
                index += 1;
                continue;
            }
            let first = index;
            while is_dropped(index) {
                index += 1;
            }
            let (start, end) = match members.list.get(index) {
                Some(next) => (members.list.get(first).map_or(next.start, |member| member.start), next.start),
                None => {
                    let before = first.checked_sub(1).and_then(|before| members.list.get(before));
                    let last = members.list.last().map_or(node.end, |member| member.value.end);
                    (before.map_or(node.start + 1, |member| member.value.end), last)
                }
            };
            self.edits.push(Edit { start, end, with: Vec::new() });
        }
    }

    fn array(
        &mut self,
        node: &Node,
        elements: &[Node],
        places: &[Place<'_>],
        path: &Path<'_>,
        absence: Absence,
    ) -> Verdict {
        let named = elements.iter().all(|element| name_of(self.at(element)).is_some());
        if self.values == Values::AsTheyStand
            && !named
            && let Some(place) = places.iter().find(|place| place.current && place.is_masked())
        {
            return self.take(node, place.live, absence);
        }
        let matched: Vec<Matched<'_>> = places.iter().map(|place| Matched::new(self.body, elements, *place)).collect();
        for (index, element) in elements.iter().enumerate() {
            let of_element: Vec<Place<'_>> = matched.iter().filter_map(|matched| matched.place(index)).collect();
            // In a patch a list is replaced, or its elements are found by their names: what is put back is right in both.
            self.value(element, &of_element, &path.element(index), Absence::Deletes);
        }
        Verdict::Keep
    }

    fn at<'n>(&self, node: &'n Node) -> At<'n>
    where
        'w: 'n,
    {
        At { tree: self.body, node }
    }

    fn text(&mut self, node: &Node, places: &[Place<'_>], path: &Path<'_>, absence: Absence) -> Verdict {
        let Some(text) = self.at(node).text() else { return Verdict::Keep };
        if let Some(place) = places.iter().find(|place| place.masked.text().as_deref() == Some(&text)) {
            return if place.is_masked() { self.take(node, place.live, absence) } else { Verdict::Keep };
        }
        let rewritten = match helm::stored_as(&text) {
            Some(stored) if !holds_placeholder(&text) => self.release(&text, stored, places, path),
            _ => self.copy(&text, places, path).or_else(|| self.manifests(&text, places)),
        };
        match rewritten {
            None if holds_placeholder(&text) => {
                let why = if places.is_empty() { Why::NotThere } else { Why::Other };
                self.refuse(path, why)
            }
            None => Verdict::Keep,
            Some(rewritten) => {
                let mut literal = Vec::with_capacity(rewritten.len() + 2);
                text::encode(&rewritten, &mut literal);
                self.instead(node, literal)
            }
        }
    }

    /// An object as JSON in a string. `None` if there is none in it.
    fn copy(&mut self, text: &str, places: &[Place<'_>], path: &Path<'_>) -> Option<String> {
        if self.nesting >= NESTING_MAX || !text.trim_ascii_start().starts_with(['{', '[']) {
            return None;
        }
        let body = Tree::read(text.as_bytes().to_vec())?;
        let inner = |at: At<'_>| at.text().and_then(|text| Tree::read(text.into_bytes()));
        let trees: Vec<(Tree, Tree)> =
            places.iter().filter_map(|place| Some((inner(place.live)?, inner(place.masked)?))).collect();
        // kubectl's copy is of what is applied: the values are those of the object, and its earlier copy's where the
        // object has none.
        let last_applied = std::str::from_utf8(LAST_APPLIED).unwrap_or_default();
        let whole = if path.is(&["metadata", "annotations", last_applied]) { self.whole } else { &[] };
        let rewritten = self.within(&body, whole, &trees, &path.inside())?;
        String::from_utf8(rewritten).ok()
    }

    /// A Helm release. `None` if it has no placeholder in it.
    fn release(&mut self, text: &str, stored: helm::Stored, places: &[Place<'_>], path: &Path<'_>) -> Option<String> {
        let unpack = |text: &str| helm::unpack_at_most(text, stored, RELEASE_BYTES_MAX);
        let json = match unpack(text) {
            Ok(json) => json,
            // Nothing that the masker wrote.
            Err(helm::ReleaseError::NotPacked) => return None,
            Err(helm::ReleaseError::TooLarge) => {
                self.refuse(path, Why::TooLarge);
                return None;
            }
        };
        let body = Tree::read(json)?;
        if !body.root().node.marked {
            return None;
        }
        let inner = |at: At<'_>| at.text().and_then(|text| unpack(&text).ok()).and_then(Tree::read);
        let trees: Vec<(Tree, Tree)> =
            places.iter().filter_map(|place| Some((inner(place.live)?, inner(place.masked)?))).collect();
        let rewritten = self.within(&body, &[], &trees, &path.inside())?;
        helm::pack(&rewritten, stored).ok()
    }

    /// Walks an object that a string holds. What it changes is added to what this one does.
    fn within(&mut self, body: &Tree, first: &[Place<'_>], trees: &[(Tree, Tree)], path: &Path<'_>) -> Option<Vec<u8>> {
        let of_trees =
            trees.iter().map(|(live, masked)| Place { live: live.root(), masked: masked.root(), current: false });
        let places: Vec<Place<'_>> = first.iter().copied().chain(of_trees).collect();
        let mut walk = Walk { nesting: self.nesting + 1, ..Walk::new(body, Write::Whole, Values::AsGiven, &[]) };
        walk.value(body.root().node, &places, path, Absence::Deletes);
        self.restored += walk.restored;
        self.taken.append(&mut walk.taken);
        self.dropped += walk.dropped;
        self.refused.append(&mut walk.refused);
        Some(body.edited(walk.edits))
    }

    /// YAML documents, of which each is put back whole. `None` if one is not what the agent was shown.
    fn manifests(&mut self, text: &str, places: &[Place<'_>]) -> Option<String> {
        let (output, restored) = places.iter().find_map(|place| {
            let (live, masked) = (place.live.text()?, place.masked.text()?);
            manifests_of(text, &live, &masked)
        })?;
        restored.iter().for_each(|document| self.taken(document.as_bytes()));
        Some(output)
    }
}

fn manifests_of(text: &str, live: &str, masked: &str) -> Option<(String, Vec<String>)> {
    let documents = |text| manifest::documents(text).collect::<Vec<&str>>();
    let (body, live, masked) = (documents(text), documents(live), documents(masked));
    if live.len() != masked.len() {
        return None;
    }
    let keys = |documents: &[&str]| documents.iter().map(|document| Some((*document).to_owned())).collect();
    let pairs = pairs(keys(&body), keys(&masked));
    let mut output = String::with_capacity(text.len());
    let mut restored = Vec::new();
    for (document, pair) in body.into_iter().zip(pairs) {
        if holds_placeholder(document) {
            let document = live.get(pair?)?;
            output.push_str(document);
            restored.push((*document).to_owned());
        } else {
            output.push_str(document);
        }
    }
    Some((output, restored))
}

/// Which elements of a live list those of the body are.
struct Matched<'l> {
    place: Place<'l>,
    pairs: Vec<Option<usize>>,
}

impl<'l> Matched<'l> {
    fn new(body: &Tree, elements: &[Node], place: Place<'l>) -> Self {
        let of_body = elements.iter().map(|node| key_of(At { tree: body, node })).collect();
        let of_live = place.masked.elements().iter().map(|node| key_of(place.masked.to(node))).collect();
        Self { place, pairs: pairs(of_body, of_live) }
    }

    fn place(&self, index: usize) -> Option<Place<'l>> {
        self.place.element(self.pairs.get(index).copied().flatten()?)
    }
}

/// Pairs equal keys: the first of the one list with the first of the other, and so on. Where one list has more of a key
/// than the other, nobody can tell which is which, and there is no pair.
fn pairs(of_body: Vec<Option<String>>, of_live: Vec<Option<String>>) -> Vec<Option<usize>> {
    let mut places: HashMap<String, (Vec<usize>, Vec<usize>)> = HashMap::new();
    for (index, key) in of_live.into_iter().enumerate() {
        if let Some(key) = key {
            places.entry(key).or_default().1.push(index);
        }
    }
    let mut pairs = vec![None; of_body.len()];
    for (index, key) in of_body.into_iter().enumerate() {
        if let Some((body, _)) = key.and_then(|key| places.get_mut(&key)) {
            body.push(index);
        }
    }
    for (body, live) in places.into_values().filter(|(body, live)| body.len() == live.len()) {
        for (body, live) in body.into_iter().zip(live) {
            if let Some(pair) = pairs.get_mut(body) {
                *pair = Some(live);
            }
        }
    }
    pairs
}

/// What tells an element of a list apart: its name, or all of it.
fn key_of(at: At<'_>) -> Option<String> {
    match name_of(at) {
        Some(name) => Some(format!("name {name}")),
        None => at.canonical().map(|value| format!("value {value}")),
    }
}

/// The name of an element, or of the object that it is.
fn name_of(at: At<'_>) -> Option<String> {
    if let Some(name) = at.member("name").and_then(At::text) {
        return Some(name);
    }
    let text = |names: &[&str]| at.follow(names).and_then(At::text);
    let name = text(&["metadata", "name"])?;
    let (kind, namespace) = (text(&["kind"]), text(&["metadata", "namespace"]));
    Some(format!("{} {}/{name}", kind.unwrap_or_default(), namespace.unwrap_or_default()))
}
