//! A JSON text with the place of every value in it, so that some values can be replaced and every other byte stays.

use lockgate_core::Secret;

use crate::mask::{helm, holds_placeholder, text};

/// Deepest nesting; the API server's own reader goes less deep.
const DEPTH_MAX: u32 = 256;

/// A JSON text and where its values stand. No content in `Debug`: it may be an object that nobody masked.
pub(super) struct Tree {
    text: Secret<Vec<u8>>,
    root: Node,
}

/// One value: its bytes from `start` on, up to `end`.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) content: Content,
    /// It may hold a placeholder: in a string, in a name, or packed.
    pub(super) marked: bool,
}

#[derive(Debug)]
pub(super) enum Content {
    Object(Members),
    Array(Vec<Node>),
    Text,
    /// A number, `true` or `false`.
    Scalar,
    Null,
}

/// An object's members in order; no two have one name.
#[derive(Debug)]
pub(super) struct Members {
    pub(super) list: Vec<Member>,
    /// Their positions, by name.
    by_name: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Member {
    /// Of the quote before its name.
    pub(super) start: usize,
    pub(super) name: String,
    pub(super) value: Node,
}

/// Bytes that take the place of others.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) with: Vec<u8>,
}

/// A value in its text.
#[derive(Clone, Copy)]
pub(super) struct At<'t> {
    pub(super) tree: &'t Tree,
    pub(super) node: &'t Node,
}

impl Tree {
    /// `None` if the text is not JSON, has a name twice in one object, or nests too deeply.
    pub(super) fn read(text: Vec<u8>) -> Option<Self> {
        let mut reader = Reader { text: &text, at: 0 };
        let root = reader.value(0)?;
        reader.skip_whitespace();
        let whole = reader.at == text.len() && std::str::from_utf8(&text).is_ok();
        whole.then_some(Self { text: Secret::new(text), root })
    }

    pub(super) const fn root(&self) -> At<'_> {
        At { tree: self, node: &self.root }
    }

    pub(super) fn bytes(&self, start: usize, end: usize) -> &[u8] {
        self.text.expose().get(start..end).unwrap_or_default()
    }

    /// The text with these edits, which do not overlap.
    pub(super) fn edited(&self, mut edits: Vec<Edit>) -> Vec<u8> {
        edits.sort_by_key(|edit| (edit.start, edit.end));
        let text = self.text.expose();
        let mut output = Vec::with_capacity(text.len());
        let mut at = 0;
        for Edit { start, end, with } in edits {
            output.extend_from_slice(text.get(at..start).unwrap_or_default());
            output.extend_from_slice(&with);
            at = end;
        }
        output.extend_from_slice(text.get(at..).unwrap_or_default());
        output
    }
}

impl<'t> At<'t> {
    /// Its bytes, as they stand there.
    pub(super) fn raw(self) -> &'t [u8] {
        self.tree.bytes(self.node.start, self.node.end)
    }

    /// What it says, if it is a string.
    pub(super) fn text(self) -> Option<String> {
        let Content::Text = self.node.content else { return None };
        text::decode(self.tree.bytes(self.node.start + 1, self.node.end - 1))
    }

    pub(super) fn member(self, name: &str) -> Option<Self> {
        let Content::Object(members) = &self.node.content else { return None };
        members.get(name).map(|member| self.to(&member.value))
    }

    pub(super) fn elements(self) -> &'t [Node] {
        match &self.node.content {
            Content::Array(elements) => elements,
            _ => &[],
        }
    }

    pub(super) const fn to(self, node: &'t Node) -> Self {
        Self { tree: self.tree, node }
    }

    /// Member after member.
    pub(super) fn follow(self, names: &[&str]) -> Option<Self> {
        names.iter().try_fold(self, |at, name| at.member(name))
    }

    /// The same for two values that are equal, whatever their bytes.
    pub(super) fn canonical(self) -> Option<String> {
        serde_json::from_slice::<serde_json::Value>(self.raw()).ok().map(|value| value.to_string())
    }
}

impl Members {
    /// `None` if a name is there twice.
    fn new(list: Vec<Member>) -> Option<Self> {
        let name = |index: &usize| list.get(*index).map(|member| member.name.as_str());
        let mut by_name: Vec<usize> = (0..list.len()).collect();
        by_name.sort_by(|one, other| name(one).cmp(&name(other)));
        let twice = by_name.windows(2).any(|pair| matches!(pair, [one, other] if name(one) == name(other)));
        (!twice).then_some(Self { list, by_name })
    }

    pub(super) fn get(&self, name: &str) -> Option<&Member> {
        let of = |index: &usize| self.list.get(*index).map_or("", |member| member.name.as_str());
        let found = self.by_name.binary_search_by(|index| of(index).cmp(name)).ok()?;
        self.list.get(*self.by_name.get(found)?)
    }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Takes this byte, past white space.
    fn takes(&mut self, byte: u8) -> bool {
        self.skip_whitespace();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: u32) -> Option<Node> {
        self.skip_whitespace();
        let start = self.at;
        let content = match self.peek()? {
            b'{' if depth < DEPTH_MAX => self.object(depth)?,
            b'[' if depth < DEPTH_MAX => self.array(depth)?,
            b'"' => {
                let (from, to) = self.string()?;
                let text = text::decode(self.text.get(from..to)?)?;
                let marked = holds_placeholder(&text) || helm::stored_as(&text).is_some();
                return Some(Node { start, end: self.at, content: Content::Text, marked });
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => self.scalar()?,
            _ => return None,
        };
        let marked = match &content {
            Content::Object(members) => {
                members.list.iter().any(|member| member.value.marked || holds_placeholder(&member.name))
            }
            Content::Array(elements) => elements.iter().any(|element| element.marked),
            Content::Text | Content::Scalar | Content::Null => false,
        };
        Some(Node { start, end: self.at, content, marked })
    }

    fn object(&mut self, depth: u32) -> Option<Content> {
        self.at += 1;
        let mut list = Vec::new();
        if self.takes(b'}') {
            return Members::new(list).map(Content::Object);
        }
        loop {
            self.skip_whitespace();
            let start = self.at;
            let (from, to) = self.string()?;
            let name = text::decode(self.text.get(from..to)?)?;
            if !self.takes(b':') {
                return None;
            }
            list.push(Member { start, name, value: self.value(depth + 1)? });
            if !self.takes(b',') {
                return if self.takes(b'}') { Members::new(list).map(Content::Object) } else { None };
            }
        }
    }

    fn array(&mut self, depth: u32) -> Option<Content> {
        self.at += 1;
        let mut elements = Vec::new();
        if self.takes(b']') {
            return Some(Content::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if !self.takes(b',') {
                return self.takes(b']').then_some(Content::Array(elements));
            }
        }
    }

    /// Where its literal stands, without the quotes.
    fn string(&mut self) -> Option<(usize, usize)> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let from = self.at + 1;
        let to = from + text::close(&mut false, self.text.get(from..)?)?;
        self.at = to + 1;
        Some((from, to))
    }

    fn scalar(&mut self) -> Option<Content> {
        let rest = self.text.get(self.at..)?;
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        self.at += length;
        match rest.get(..length)? {
            b"null" => Some(Content::Null),
            b"true" | b"false" => Some(Content::Scalar),
            number => serde_json::from_slice::<serde_json::Number>(number).ok().map(|_| Content::Scalar),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_where_they_stand() {
        let tree = Tree::read(br#" {"a" : [1.0, "x\"y", {}], "b":{"c":null,"d":true}} "#.to_vec()).unwrap();
        let root = tree.root();
        let a = root.member("a").unwrap();
        assert_eq!(a.raw(), br#"[1.0, "x\"y", {}]"#);
        assert_eq!(
            a.elements().iter().map(|node| a.to(node).raw()).collect::<Vec<_>>(),
            [&b"1.0"[..], br#""x\"y""#, b"{}"]
        );
        assert_eq!(a.to(&a.elements()[1]).text().as_deref(), Some("x\"y"));
        assert_eq!(root.follow(&["b", "d"]).unwrap().raw(), b"true");
        assert!(root.member("c").is_none());
        let d = root.follow(&["b", "d"]).unwrap().node;
        let edit = Edit { start: d.start, end: d.end, with: b"7".to_vec() };
        assert_eq!(tree.edited(vec![edit]), br#" {"a" : [1.0, "x\"y", {}], "b":{"c":null,"d":7}} "#);
    }

    #[test]
    fn what_is_no_json_is_not_read() {
        for text in [
            "",
            "{",
            "{}{}",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "nul",
            "01",
            "\"",
            "{\"a\":1,\"\\u0061\":2}",
            "{a:1}",
            "1e",
            "[1 2]",
            "+1",
            "truex",
        ] {
            assert!(Tree::read(text.as_bytes().to_vec()).is_none(), "{text}");
        }
        assert!(Tree::read(b"\"\xff\"".to_vec()).is_none());
        let nested = |depth: usize| ("[".repeat(depth) + &"]".repeat(depth)).into_bytes();
        assert!(Tree::read(nested(DEPTH_MAX as usize)).is_some());
        assert!(Tree::read(nested(DEPTH_MAX as usize + 1)).is_none());
    }
}
