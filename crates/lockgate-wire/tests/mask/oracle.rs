//! The naive twin: parses a whole answer into an ordered tree, masks that, and compares. It shares no code with the
//! masker but the placeholder.

use std::fmt;

use lockgate_wire::PLACEHOLDER;
use lockgate_wire::mask::Reason;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{LAST_APPLIED, quoted};

/// JSON with member order, repeated members and number spelling kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    Scalar(String),
    Text(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
    /// A last-applied annotation whose text is an object: compared by what it says.
    Applied(Box<Tree>),
}

/// What the request is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum About {
    Secrets,
    BuiltIn,
    Custom,
}

/// The answer shows a Secret too late to be masked.
#[derive(Debug, PartialEq)]
pub(crate) struct Late;

struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl Tree {
    pub(crate) fn parse(text: &str) -> serde_json::Result<Self> {
        let raw: &RawValue = serde_json::from_str(text)?;
        let text = raw.get();
        Ok(match text.as_bytes()[0] {
            b'{' => Self::Object(
                serde_json::from_str::<Members>(text)?
                    .0
                    .into_iter()
                    .map(|(name, value)| {
                        let value = Self::parse(value.get())?;
                        Ok((name.clone(), if name == LAST_APPLIED { value.expanded() } else { value }))
                    })
                    .collect::<serde_json::Result<_>>()?,
            ),
            b'[' => Self::Array(
                serde_json::from_str::<Vec<Box<RawValue>>>(text)?
                    .iter()
                    .map(|value| Self::parse(value.get()))
                    .collect::<serde_json::Result<_>>()?,
            ),
            b'"' => Self::Text(serde_json::from_str(text)?),
            _ => Self::Scalar(text.to_owned()),
        })
    }

    fn expanded(self) -> Self {
        match &self {
            Self::Text(text) => match Self::parse(text) {
                Ok(object @ Self::Object(_)) => Self::Applied(Box::new(object)),
                _ => self,
            },
            _ => self,
        }
    }

    pub(crate) fn write(&self) -> String {
        match self {
            Self::Scalar(text) => text.clone(),
            Self::Text(text) => quoted(text),
            Self::Array(elements) => format!("[{}]", elements.iter().map(Self::write).collect::<Vec<_>>().join(" ,")),
            Self::Object(members) => {
                let members = members.iter().map(|(name, value)| format!("{}: {}", quoted(name), value.write()));
                format!("{{{}}}", members.collect::<Vec<_>>().join(",\n"))
            }
            Self::Applied(object) => quoted(&object.write()),
        }
    }

    fn placeholder() -> Self {
        Self::Text(PLACEHOLDER.to_owned())
    }
}

/// What is known of an object while its members are read in order.
struct Known {
    /// `None`: may be anything; `Some(true)`: a Secret for certain; `Some(false)`: certainly none.
    certain: Option<bool>,
    /// An unknown object counts as a Secret.
    suspect: bool,
    /// Stands where API objects stand.
    positioned: bool,
    kind: Option<bool>,
    core: Option<bool>,
    passed: bool,
}

impl Known {
    fn new(certain: Option<bool>, suspect: bool, positioned: bool) -> Self {
        Self { certain, suspect, positioned, kind: None, core: None, passed: false }
    }

    fn secret(&self) -> bool {
        let unless_grouped = |yes: bool| yes && self.core != Some(false);
        self.certain.unwrap_or_else(|| {
            if self.suspect {
                unless_grouped(self.kind != Some(false))
            } else {
                unless_grouped(self.kind == Some(true)) || (self.kind.is_none() && self.core == Some(true))
            }
        })
    }

    fn note(&mut self, name: &str, value: &Tree) -> Result<(), Late> {
        let Tree::Text(text) = value else { return Ok(()) };
        match name {
            "kind" => self.kind = Some(self.kind == Some(true) || text == "Secret"),
            "apiVersion" => self.core = Some(self.core == Some(true) || !text.contains('/')),
            _ => return Ok(()),
        }
        let group = if self.positioned { self.core != Some(false) } else { self.core == Some(true) };
        let late = self.passed && self.kind == Some(true) && group && self.certain != Some(false);
        if late { Err(Late) } else { Ok(()) }
    }
}

/// Masks a whole answer.
pub(crate) struct Oracle {
    pub(crate) about: About,
    pub(crate) embedded: bool,
    pub(crate) nesting: u8,
}

impl Oracle {
    pub(crate) fn root(&self, tree: &mut Tree) -> Result<(), Late> {
        self.object(tree)
    }

    /// A value in an object position.
    fn object(&self, tree: &mut Tree) -> Result<(), Late> {
        let certain = (self.about == About::Secrets).then_some(true);
        match tree {
            Tree::Object(members) => self.members(members, Known::new(certain, self.about == About::Custom, true)),
            Tree::Array(elements) => elements.iter_mut().try_for_each(|element| self.object(element)),
            _ => Ok(()),
        }
    }

    fn members(&self, members: &mut [(String, Tree)], mut known: Known) -> Result<(), Late> {
        for (name, value) in members {
            match name.as_str() {
                "items" | "object" if known.positioned => self.object(value)?,
                "rows" if known.positioned => self.rows(value)?,
                "message" if known.positioned && self.about == About::Secrets => message(value),
                "details" if known.positioned && self.about == About::Secrets => {
                    each(value, "causes", &mut |causes| {
                        each(causes, "message", &mut |text| {
                            message(text);
                            Ok(())
                        })
                    })?
                }
                "metadata" => self.metadata(value, known.secret())?,
                name if name.eq_ignore_ascii_case("data") || name.eq_ignore_ascii_case("stringdata") => {
                    if known.secret() {
                        data(value);
                    } else {
                        known.passed = true;
                        self.rest(value, known.positioned)?;
                    }
                }
                LAST_APPLIED if self.embedded || !known.positioned => self.applied(value, false),
                "kind" | "apiVersion" => {
                    known.note(name, value)?;
                    self.embedded_in(value)?;
                }
                _ => self.rest(value, known.positioned)?,
            }
        }
        Ok(())
    }

    fn rest(&self, value: &mut Tree, positioned: bool) -> Result<(), Late> {
        if self.embedded || !positioned { self.embedded_in(value) } else { Ok(()) }
    }

    fn embedded_in(&self, value: &mut Tree) -> Result<(), Late> {
        match value {
            Tree::Object(members) => self.members(members, Known::new(None, false, false)),
            Tree::Array(elements) => elements.iter_mut().try_for_each(|element| self.embedded_in(element)),
            _ => Ok(()),
        }
    }

    fn rows(&self, value: &mut Tree) -> Result<(), Late> {
        each(value, "object", &mut |object| self.object(object))
    }

    fn metadata(&self, value: &mut Tree, secret: bool) -> Result<(), Late> {
        each(value, "annotations", &mut |annotations| {
            each(annotations, LAST_APPLIED, &mut |applied| {
                self.applied(applied, secret);
                Ok(())
            })
        })?;
        if secret {
            each(value, "managedFields", &mut |fields| {
                set_values(fields);
                Ok(())
            })
        } else {
            Ok(())
        }
    }

    fn applied(&self, value: &mut Tree, in_secret: bool) {
        match value {
            Tree::Scalar(text) if text == "null" => return,
            Tree::Applied(object) if self.nesting < 3 => {
                let Tree::Object(members) = &mut **object else { panic!("only objects are expanded") };
                if let Some(certain) = applied_certainty(members, in_secret) {
                    let inner = Self {
                        about: if certain == Some(true) { About::Secrets } else { About::Custom },
                        embedded: true,
                        nesting: self.nesting + 1,
                    };
                    if inner.members(members, Known::new(certain, true, true)).is_ok() {
                        return;
                    }
                }
            }
            _ => {}
        }
        *value = Tree::Text(Reason::Annotation.placeholder().to_owned());
    }
}

/// What an annotation's object says of itself: `None` when it does not say it plainly.
fn applied_certainty(members: &[(String, Tree)], in_secret: bool) -> Option<Option<bool>> {
    let said = |wanted: &str| -> Option<Option<&str>> {
        let mut values = members.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (None, _) => Some(None),
            (Some(Tree::Text(text)), None) => Some(Some(text)),
            (Some(Tree::Scalar(text)), None) if text == "null" => Some(None),
            _ => None,
        }
    };
    let (kind, api_version) = (said("kind")?, said("apiVersion")?);
    Some(match kind {
        _ if in_secret => Some(true),
        _ if api_version.is_some_and(|text| text.contains('/')) => Some(false),
        Some("Secret" | "SecretList") => Some(true),
        Some(_) => Some(false),
        None => None,
    })
}

/// Every value of members named `wanted`, in an object or in arrays of objects.
fn each(tree: &mut Tree, wanted: &str, act: &mut dyn FnMut(&mut Tree) -> Result<(), Late>) -> Result<(), Late> {
    match tree {
        Tree::Object(members) => {
            members.iter_mut().filter(|(name, _)| name == wanted).try_for_each(|(_, value)| act(value))
        }
        Tree::Array(elements) => elements.iter_mut().try_for_each(|element| each(element, wanted, act)),
        _ => Ok(()),
    }
}

fn data(value: &mut Tree) {
    match value {
        Tree::Object(members) => members.iter_mut().for_each(|(_, value)| *value = Tree::placeholder()),
        Tree::Scalar(text) if text == "null" => {}
        _ => *value = Tree::placeholder(),
    }
}

/// Good for the messages that the generator makes: `x "…" y`, or no quotes at all.
fn message(value: &mut Tree) {
    match value {
        Tree::Text(text) => {
            if let Some((before, after)) = text.split_once('"') {
                let behind = after.split_once('"').map_or("", |(_, behind)| behind);
                let close = if after.contains('"') { "\"" } else { "" };
                *text = format!("{before}\"**masked by lockgate**{close}{behind}");
            }
        }
        Tree::Scalar(text) if text == "null" => {}
        _ => *value = Tree::Text(Reason::Message.placeholder().to_owned()),
    }
}

fn set_values(tree: &mut Tree) {
    match tree {
        Tree::Object(members) => {
            for (name, value) in members {
                if name.starts_with("v:") {
                    *name = format!("v:\"{PLACEHOLDER}\"");
                }
                set_values(value);
            }
        }
        Tree::Array(elements) => elements.iter_mut().for_each(set_values),
        _ => {}
    }
}
