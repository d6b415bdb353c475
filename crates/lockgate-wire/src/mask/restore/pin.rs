//! The body holds values that were read from one version of one object: it must change no other.

use super::tree::{At, Content, Edit, Tree};
use super::{Live, Unrestorable};

/// The object with `resourceVersion` and `uid`. What the client demands itself must be true already.
pub(super) fn object(body: &[u8], live: &Live) -> Result<Vec<u8>, Unrestorable> {
    let tree = Tree::read(body.to_vec()).ok_or(Unrestorable::Unreadable)?;
    let root = tree.root();
    let Some(metadata) = root.member("metadata") else {
        return Ok(with_members(&tree, root, &[format!("\"metadata\":{{{}}}", live.pins().join(","))]));
    };
    if !matches!(metadata.node.content, Content::Object(_)) {
        return Err(Unrestorable::Metadata);
    }
    let mut missing = Vec::new();
    let mut edits = Vec::new();
    for (name, value, wrong) in [
        ("uid", &live.uid, Unrestorable::AnotherObject),
        ("resourceVersion", &live.resource_version, Unrestorable::Modified),
    ] {
        let Some(said) = metadata.member(name) else {
            missing.push(member(name, value));
            continue;
        };
        match said.text() {
            Some(text) if text == *value => {}
            Some(text) if !text.is_empty() => return Err(wrong),
            _ => edits.push(Edit { start: said.node.start, end: said.node.end, with: literal(value).into_bytes() }),
        }
    }
    edits.extend(new_members(metadata, &missing));
    Ok(tree.edited(edits))
}

/// The operations of a JSON Patch, of which there are `count`, and one that demands the version.
pub(super) fn operations(body: &[u8], count: usize, live: &Live) -> Vec<u8> {
    let pin =
        |(path, value): (&str, &str)| format!("{{\"op\":\"add\",\"path\":\"{path}\",\"value\":{}}}", literal(value));
    let pins = [("/metadata/uid", live.uid.as_str()), ("/metadata/resourceVersion", &live.resource_version)].map(pin);
    let mut output = body.to_vec();
    let end = output.iter().rposition(|byte| *byte == b']').unwrap_or(output.len());
    let comma = if count > 0 { "," } else { "" };
    output.splice(end..end, format!("{comma}{}", pins.join(",")).into_bytes());
    output
}

impl Live {
    fn pins(&self) -> [String; 2] {
        [member("uid", &self.uid), member("resourceVersion", &self.resource_version)]
    }
}

fn member(name: &str, value: &str) -> String {
    format!("\"{name}\":{}", literal(value))
}

fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn with_members(tree: &Tree, object: At<'_>, members: &[String]) -> Vec<u8> {
    tree.edited(new_members(object, members).into_iter().collect())
}

/// These members in front of an object's own.
fn new_members(object: At<'_>, members: &[String]) -> Option<Edit> {
    let Content::Object(own) = &object.node.content else { return None };
    let comma = if own.list.is_empty() { "" } else { "," };
    let at = object.node.start + 1;
    (!members.is_empty()).then(|| Edit {
        start: at,
        end: at,
        with: format!("{}{comma}", members.join(",")).into_bytes(),
    })
}
