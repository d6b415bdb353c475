//! YAML as people write it by hand, read so that nothing is lost on the way.
//!
//! Owns what YAML allows and a document that restricts must not have, because a reader that fills in types would not see it:
//! a value left empty (`groups:` would be as good as no `groups`), a tag (`when: !has(…)` would be a tag and no condition),
//! anchors, aliases and merge keys (what a rule says stands in the rule). Works on the parser's events, so that it holds for
//! every field there is and will be. Refuses to know what a document means.

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span};
use serde::de::DeserializeOwned;

use crate::error::PolicyError;

/// Where an empty value is one: below these fields stand objects of somebody else.
pub(crate) type Foreign = &'static [&'static str];

/// Reads a document.
pub(crate) fn read<T: DeserializeOwned>(text: &str, foreign: Foreign) -> Result<T, PolicyError> {
    let seen = walk(text, foreign);
    if let Err(Seen::Mistake(mistake)) = seen {
        return Err(mistake);
    }
    let document = serde_saphyr::from_str(text).map_err(|error| PolicyError::yaml(text, &error))?;
    match seen {
        Ok(()) => Ok(document),
        Err(Seen::Mistake(mistake) | Seen::Unreadable(mistake)) => Err(mistake),
    }
}

/// Refuses, in a document that another reader fills in afterwards, what that reader would not see: a value that was left
/// empty, a tag, an anchor, an alias. What is no YAML at all is left to that reader.
///
/// # Errors
/// The first such place, with its fix.
pub fn check(text: &str) -> Result<(), PolicyError> {
    match walk(text, &[]) {
        Ok(()) | Err(Seen::Unreadable(_)) => Ok(()),
        Err(Seen::Mistake(mistake)) => Err(mistake),
    }
}

const TAG: &str = "YAML takes what begins with `!` for a tag, and its text would be lost";
const TAG_FIX: &str = "put the whole value in double quotes, such as `when: \"!('sre' in subject.groups)\"`";

/// Why the walk ended early.
enum Seen {
    Mistake(PolicyError),
    /// The scanner's own complaint.
    Unreadable(PolicyError),
}

/// A map or list that is open.
struct Open {
    /// Of a map: the field whose value comes next, if it is a value's turn.
    field: Option<Field>,
    is_map: bool,
    foreign: bool,
}

/// A field, and where its name stands.
struct Field {
    name: String,
    place: Marker,
}

fn walk(text: &str, foreign: Foreign) -> Result<(), Seen> {
    let mut walk = Walk { text, foreign, open: Vec::new() };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let place = *error.marker();
            match tag_before(text, place) {
                Some(column) => {
                    Seen::Mistake(PolicyError::in_line(text, place.line() as u64, column as u64, TAG, TAG_FIX))
                }
                None => {
                    Seen::Unreadable(at(text, place, error.to_string(), "check the indentation and the quotes".into()))
                }
            }
        })?;
        walk.step(event, span).map_err(Seen::Mistake)?;
    }
    Ok(())
}

struct Walk<'t> {
    text: &'t str,
    foreign: Foreign,
    open: Vec<Open>,
}

impl Walk<'_> {
    fn step(&mut self, event: Event<'_>, span: Span) -> Result<(), PolicyError> {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                self.node(span, tag.is_some(), anchor)?;
                self.scalar(&value, style, span)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.node(span, tag.is_some(), anchor)?;
                self.enter(false);
                Ok(())
            }
            Event::MappingStart(_, anchor, tag) => {
                self.node(span, tag.is_some(), anchor)?;
                self.enter(true);
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                self.close();
                Ok(())
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => Err(self.alias(span.start)),
            _ => Ok(()),
        }
    }

    /// What may stand at no node.
    fn node(&self, span: Span, tagged: bool, anchor: usize) -> Result<(), PolicyError> {
        if tagged || span.tag_start.is_some() {
            return Err(at(self.text, span.tag_start.unwrap_or(span.start), TAG.to_owned(), TAG_FIX.to_owned()));
        }
        if anchor == 0 { Ok(()) } else { Err(self.alias(span.start)) }
    }

    fn alias(&self, place: Marker) -> PolicyError {
        let message = "anchors (`&name`), aliases (`*name`) and merge keys (`<<`) are not read".to_owned();
        let fix = "write it out where it belongs, and put a text that begins with `*` or `&` in quotes: '*'";
        at(self.text, place, message, fix.to_owned())
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, span: Span) -> Result<(), PolicyError> {
        let plain = style == ScalarStyle::Plain;
        let Some(within) = self.open.last() else { return Ok(()) };
        let is_key = within.is_map && within.field.is_none();
        if is_key && plain && value == "<<" {
            return Err(self.alias(span.start));
        }
        let foreign = within.foreign || self.field().is_some_and(|field| self.is_foreign(field));
        if plain && matches!(value, "" | "~" | "null" | "Null" | "NULL") && !foreign {
            let named = within.field.as_ref().map(|field| field.place);
            let (message, fix) = if is_key { nameless() } else { self.left_empty() };
            return Err(at(self.text, named.unwrap_or(span.start), message, fix));
        }
        match self.open.last_mut() {
            Some(open) if is_key => open.field = Some(Field { name: value.to_owned(), place: span.start }),
            _ => self.close(),
        }
        Ok(())
    }

    fn enter(&mut self, is_map: bool) {
        let above = self.open.last().is_some_and(|open| open.foreign);
        let foreign = above || self.field().is_some_and(|field| self.is_foreign(field));
        self.open.push(Open { field: None, is_map, foreign });
    }

    fn is_foreign(&self, field: &str) -> bool {
        self.foreign.contains(&field)
    }

    /// A value is complete: of a map, a name comes next.
    fn close(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.field = None;
        }
    }

    /// The field that the value is for.
    fn field(&self) -> Option<&str> {
        Some(&self.open.last()?.field.as_ref()?.name)
    }

    fn left_empty(&self) -> (String, String) {
        let names = || self.open.iter().rev().filter_map(|open| Some(open.field.as_ref()?.name.as_str()));
        let Some(field) = self.field() else {
            let list = names().next().unwrap_or_default();
            return (format!("an entry of `{list}` is empty"), "write the entry, or remove it".to_owned());
        };
        let message = format!("`{field}` has no value");
        let below_match = names().skip(1).any(|name| name == "match");
        let fix = match field {
            "allow" | "deny" | "ask" => format!("write `{field}: {{}}`"),
            "match" => "write what the rule is for; `match: {}` is every request".to_owned(),
            _ if below_match => format!("write what it should match; without `{field}:` it is everything"),
            _ => format!("write its value, or remove `{field}:`"),
        };
        (message, fix)
    }
}

fn nameless() -> (String, String) {
    ("a field has no name".to_owned(), "write `name: value`; the word null goes in quotes".to_owned())
}

fn at(text: &str, place: Marker, message: String, fix: String) -> PolicyError {
    PolicyError::in_line(text, place.line() as u64, place.col() as u64 + 1, &message, &fix)
}

/// The column at which a tag stands before a place that the scanner could not read: `when: !a || b`.
fn tag_before(text: &str, place: Marker) -> Option<usize> {
    let line = text.lines().nth(place.line().saturating_sub(1))?;
    let before: String = line.chars().take(place.col()).collect();
    let (name, value) = before.split_once(':')?;
    let blank = value.len() - value.trim_start().len();
    value.trim_start().starts_with('!').then(|| name.chars().count() + 1 + blank + 1)
}
