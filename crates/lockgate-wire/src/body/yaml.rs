//! YAML as the API server's library composes it: one document, no key twice, anchors within bounds.
//!
//! A merge (`<<: *base`) takes its place in the order of the keys, and what stands behind it wins. Where a merge would overrule
//! a key that stands before it, readers disagree, so that is refused.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

use super::scalar::{self, Mark};
use super::{YAML_ALIASES_MAX, YAML_DEPTH_MAX, YAML_NODES_MAX};

/// The key of a merge, and the tag that says the same.
const MERGE: &str = "<<";
const MERGE_TAG: &str = "tag:yaml.org,2002:merge";

/// Most bytes of text that aliases may repeat.
const REPEATED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where a document could not be read, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// The document as JSON; null for an empty one.
pub(super) fn read(text: &str) -> Result<Value, Refused> {
    let options = granit_parser::options! {
        emit_comments: false,
        // As libyaml does.
        block_scalar_eof_without_line_feed: true,
        flow_nesting_limit: YAML_DEPTH_MAX,
        block_nesting_limit: YAML_DEPTH_MAX,
    };
    let mut composer = Composer::default();
    let at = |marker: &Marker| Refused { line: marker.line(), column: marker.col().saturating_add(1) };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| at(error.marker()))?;
        composer.take(event).ok_or_else(|| at(&span.start))?;
    }
    Ok(composer.root.map_or(Value::Null, |node| node.value))
}

/// A finished node, and what it takes.
#[derive(Debug, Clone, Default)]
struct Node {
    value: Value,
    size: Size,
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    /// Of text.
    bytes: usize,
    depth: usize,
}

impl Size {
    fn holds(&mut self, inner: Self) {
        self.nodes = self.nodes.saturating_add(inner.nodes);
        self.bytes = self.bytes.saturating_add(inner.bytes);
        self.depth = self.depth.max(inner.depth.saturating_add(1));
    }
}

/// A sequence or mapping that has not ended.
struct Open {
    content: Content,
    anchor: usize,
    size: Size,
}

enum Content {
    Sequence(Vec<Value>),
    Mapping(Mapping),
}

#[derive(Default)]
struct Mapping {
    fields: Map<String, Value>,
    /// The keys that are written here; the others are merged in.
    own: BTreeSet<String>,
    key: Option<Key>,
    has_merge: bool,
}

enum Key {
    Named(String),
    Merge,
}

/// Builds the value from the parser's events. Every method gives `None` for what is refused.
#[derive(Default)]
struct Composer {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    documents: usize,
    nodes: usize,
    aliases: usize,
    repeated_bytes: usize,
    root: Option<Node>,
}

impl Composer {
    fn take(&mut self, event: Event<'_>) -> Option<()> {
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Some(()),
            Event::DocumentStart(..) => {
                self.documents = self.documents.saturating_add(1);
                (self.documents == 1).then_some(())
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref()),
            Event::SequenceStart(_, anchor, _) => self.start(Content::Sequence(Vec::new()), anchor),
            Event::MappingStart(_, anchor, _) => self.start(Content::Mapping(Mapping::default()), anchor),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor),
            // Not asked for.
            _ => None,
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, tag: Option<&Tag>) -> Option<()> {
        let tag = tag.map(written_out);
        let mark = match tag.as_deref() {
            Some(tag) => Mark::Tag(tag),
            None if style == ScalarStyle::Plain => Mark::Plain,
            None => Mark::Quoted,
        };
        let size = Size { nodes: 1, bytes: text.len(), depth: 0 };
        if let Some(mapping) = self.awaits_key() {
            let is_merge = text == MERGE && matches!(mark, Mark::Plain | Mark::Tag(MERGE_TAG));
            let key = if is_merge { Key::Merge } else { Key::Named(scalar::key(text, mark)?) };
            let value = match &key {
                Key::Named(name) => name.as_str().into(),
                Key::Merge => text.into(),
            };
            mapping.expect(key)?;
            return self.count(Node { value, size }, anchor).map(drop);
        }
        let value = scalar::value(text, mark)?;
        let node = self.count(Node { value, size }, anchor)?;
        self.put(node)
    }

    /// The mapping that is being filled, if a key comes next.
    fn awaits_key(&mut self) -> Option<&mut Mapping> {
        match self.open.last_mut().map(|open| &mut open.content) {
            Some(Content::Mapping(mapping)) if mapping.key.is_none() => Some(mapping),
            _ => None,
        }
    }

    fn start(&mut self, content: Content, anchor: usize) -> Option<()> {
        // A list or an object is no key, and nothing is deeper than this.
        if self.awaits_key().is_some() || self.open.len() >= YAML_DEPTH_MAX {
            return None;
        }
        self.open.push(Open { content, anchor, size: Size::default() });
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        let Open { content, anchor, mut size } = self.open.pop()?;
        let value = match content {
            Content::Sequence(items) => Value::Array(items),
            Content::Mapping(mapping) if mapping.key.is_none() => Value::Object(mapping.fields),
            Content::Mapping(_) => return None,
        };
        let inner = size.nodes;
        size.nodes = 1;
        let mut node = self.count(Node { value, size }, 0)?;
        node.size.nodes = inner.saturating_add(1);
        if anchor != 0 {
            self.anchor(anchor, &node)?;
        }
        self.put(node)
    }

    fn alias(&mut self, anchor: usize) -> Option<()> {
        self.aliases = self.aliases.saturating_add(1);
        // An anchor whose node has not ended contains itself.
        let known = self.anchors.get(&anchor)?;
        self.nodes = self.nodes.saturating_add(known.size.nodes);
        self.repeated_bytes = self.repeated_bytes.saturating_add(known.size.bytes);
        let deep = self.open.len().saturating_add(known.size.depth) > YAML_DEPTH_MAX;
        let large = self.nodes > YAML_NODES_MAX || self.repeated_bytes > REPEATED_BYTES_MAX;
        if self.aliases > YAML_ALIASES_MAX || deep || large {
            return None;
        }
        let node = known.clone();
        match self.awaits_key() {
            Some(mapping) => match node.value {
                Value::String(text) => mapping.expect(Key::Named(text)),
                _ => None,
            },
            None => self.put(node),
        }
    }

    /// Counts a node that stands in the text, and remembers it under its anchor.
    fn count(&mut self, node: Node, anchor: usize) -> Option<Node> {
        self.nodes = self.nodes.saturating_add(node.size.nodes);
        if self.nodes > YAML_NODES_MAX {
            return None;
        }
        if anchor != 0 {
            self.anchor(anchor, &node)?;
        }
        Some(node)
    }

    fn anchor(&mut self, anchor: usize, node: &Node) -> Option<()> {
        self.repeated_bytes = self.repeated_bytes.saturating_add(node.size.bytes);
        if self.anchors.len() >= YAML_ALIASES_MAX || self.repeated_bytes > REPEATED_BYTES_MAX {
            return None;
        }
        self.anchors.insert(anchor, node.clone());
        Some(())
    }

    /// Where a finished node belongs.
    fn put(&mut self, node: Node) -> Option<()> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Some(());
        };
        open.size.holds(node.size);
        match &mut open.content {
            Content::Sequence(items) => items.push(node.value),
            Content::Mapping(mapping) => mapping.value(node.value)?,
        }
        Some(())
    }
}

impl Mapping {
    fn expect(&mut self, key: Key) -> Option<()> {
        match &key {
            Key::Named(name) if !self.own.insert(name.clone()) => return None,
            Key::Merge if std::mem::replace(&mut self.has_merge, true) => return None,
            _ => {}
        }
        self.key = Some(key);
        Some(())
    }

    fn value(&mut self, value: Value) -> Option<()> {
        match (self.key.take()?, value) {
            (Key::Named(name), value) => drop(self.fields.insert(name, value)),
            (Key::Merge, Value::Object(base)) => self.merge(base)?,
            (Key::Merge, Value::Array(bases)) => {
                // The first that has a key wins.
                for base in bases.into_iter().rev() {
                    let Value::Object(base) = base else { return None };
                    self.merge(base)?;
                }
            }
            (Key::Merge, _) => return None,
        }
        Some(())
    }

    fn merge(&mut self, base: Map<String, Value>) -> Option<()> {
        if base.keys().any(|name| self.own.contains(name)) {
            return None;
        }
        self.fields.extend(base);
        Some(())
    }
}

fn written_out(tag: &Tag) -> Cow<'_, str> {
    let (handle, suffix) = tag.parts();
    Cow::Owned(format!("{handle}{suffix}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_composed_as_the_api_server_s_library_does() {
        let table = [
            (
                "a: 0400\nb: \"0400\"\nc: !!str 0400\nd: ! 0400\n",
                json!({"a": 256, "b": "0400", "c": "0400", "d": "0400"}),
            ),
            ("a:\nb: ~\nc: ''\nd: !!str\n", json!({"a": null, "b": null, "c": "", "d": ""})),
            ("on: 1\n0x10: 2\n'n': 3\n", json!({"true": 1, "16": 2, "n": 3})),
            ("a: |\n  x\n  y", json!({"a": "x\ny"})),
            ("a: >-\n  x\n  y\n", json!({"a": "x y"})),
            ("a: &x [1, 2]\nb: *x\n", json!({"a": [1, 2], "b": [1, 2]})),
            ("&k a: 1\nb: *k\n", json!({"a": 1, "b": "a"})),
            ("b: &b {x: 1, z: 1}\na: {<<: *b, z: 2}\n", json!({"b": {"x": 1, "z": 1}, "a": {"x": 1, "z": 2}})),
            ("{<<: [{x: 1}, {x: 2, v: 2}], z: 3}", json!({"x": 1, "v": 2, "z": 3})),
            ("{'<<': {x: 1}}", json!({"<<": {"x": 1}})),
            ("a: <<\n", json!({"a": "<<"})),
            ("a: !own 12\nb: !own {c: 1}\n", json!({"a": "12", "b": {"c": 1}})),
            ("", json!(null)),
            ("# nothing\n", json!(null)),
            ("--- {a: 1}\n...\n", json!({"a": 1})),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_two_readers_understand_differently_is_refused() {
        for text in [
            "a: 1\na: 2\n",
            "1: a\n'1': b\n",
            "yes: a\ntrue: b\n",
            "{x: 2, <<: {x: 1}}",
            "{<<: {x: 1}, <<: {z: 1}}",
            "{<<: 1}",
            "{<<: [1]}",
            "~: 1\n",
            "1.5: 1\n",
            "? [a]\n: 1\n",
            "a: &a [*a]\n",
            "a: *b\n",
            "a: .inf\n",
            "a: 1\n---\nb: 1\n",
            "a: 1\n---\n",
        ] {
            assert!(read(text).is_err(), "{text}: {:?}", read(text));
        }
        assert_eq!(read("a: 1\n\nb: 1\na: 2\n"), Err(Refused { line: 4, column: 1 }));
    }

    #[test]
    fn what_aliases_repeat_is_bounded() {
        let text = "x".repeat(1024 * 1024);
        let repeats = |times: usize| format!("a: &a {text}\nb: [{}]\n", vec!["*a"; times].join(", "));
        assert!(read(&repeats(10)).is_ok());
        assert!(read(&repeats(20)).is_err());
        let short = |times: usize| format!("a: &a x\nb: [{}]\n", vec!["*a"; times].join(", "));
        assert!(read(&short(YAML_ALIASES_MAX)).is_ok());
        assert!(read(&short(YAML_ALIASES_MAX + 1)).is_err());
    }
}
