//! The table of kinds, messages and fields, made from the Go types by `cargo xtask codegen protobuf`.

use std::collections::HashMap;

/// The committed table; its head explains the format.
const TEXT: &str = include_str!("table.txt");

/// Everything that is known about protobuf bodies.
#[derive(Debug)]
pub(super) struct Table {
    /// Message index by `apiVersion kind`.
    kinds: HashMap<&'static str, usize>,
    messages: Vec<Message>,
}

/// One message type.
#[derive(Debug)]
pub(super) struct Message {
    /// Go package and type.
    pub(super) name: &'static str,
    pub(super) form: Form,
    /// In the order of the Go struct.
    pub(super) fields: Vec<Field>,
}

/// How a message becomes JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An object with the message's fields.
    Struct,
    /// A list: the wrapper that protobuf needs for a named slice type.
    Items(Element),
    /// What Go's `MarshalJSON` of `intstr.IntOrString` does; likewise the others.
    IntOrString,
    Quantity,
    Time,
    MicroTime,
    Duration,
    /// JSON as bytes: RawExtension, FieldsV1, apiextensions' JSON.
    Raw,
    SchemaOrBool,
    SchemaOrSchemas,
    SchemaOrStrings,
}

/// One field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) element: Element,
    pub(super) omit_empty: bool,
    pub(super) omit_zero: bool,
    /// The field's own fields stand in the surrounding object.
    pub(super) inline: bool,
}

/// How often a field's value occurs, and what its absence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Single,
    Pointer,
    List,
    Map,
}

/// The type of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Text,
    Bytes,
    Boolean,
    Int32,
    Int64,
    Double,
    Message(usize),
}

impl Table {
    /// Reads the committed table.
    pub(super) fn load() -> Result<Self, String> {
        let lines = || TEXT.lines().filter(|line| !line.starts_with('#'));
        let names: HashMap<&str, usize> = lines()
            .filter_map(|line| line.strip_prefix("message ")?.split(' ').next())
            .enumerate()
            .map(|(index, name)| (name, index))
            .collect();
        let mut table = Self { kinds: HashMap::new(), messages: Vec::with_capacity(names.len()) };
        for line in lines() {
            table.read(line, &names).ok_or_else(|| format!("the protobuf table has a bad line: {line}"))?;
        }
        Ok(table)
    }

    /// The message of a kind, as index.
    pub(super) fn kind(&self, api_version: &str, kind: &str) -> Option<usize> {
        self.kinds.get(format!("{api_version} {kind}").as_str()).copied()
    }

    /// A message by index.
    pub(super) fn message(&self, index: usize) -> Option<&Message> {
        self.messages.get(index)
    }

    fn read(&mut self, line: &'static str, names: &HashMap<&str, usize>) -> Option<()> {
        if let Some(rest) = line.strip_prefix("kind ") {
            let (kind, message) = rest.rsplit_once(' ')?;
            self.kinds.insert(kind, *names.get(message)?);
        } else if let Some(rest) = line.strip_prefix("message ") {
            self.messages.push(Message::read(rest, names)?);
        } else {
            self.messages.last_mut()?.fields.push(Field::read(line, names)?);
        }
        Some(())
    }
}

impl Message {
    fn read(line: &'static str, names: &HashMap<&str, usize>) -> Option<Self> {
        let mut words = line.split(' ');
        let name = words.next()?;
        let form = match (words.next(), words.next()) {
            (None, None) => Form::Struct,
            (Some("items"), Some(element)) => Form::Items(Element::read(element, names)?),
            (Some("special"), Some(form)) => match form {
                "IntOrString" => Form::IntOrString,
                "Quantity" => Form::Quantity,
                "Time" => Form::Time,
                "MicroTime" => Form::MicroTime,
                "Duration" => Form::Duration,
                "Raw" => Form::Raw,
                "SchemaOrBool" => Form::SchemaOrBool,
                "SchemaOrSchemas" => Form::SchemaOrSchemas,
                "SchemaOrStrings" => Form::SchemaOrStrings,
                _ => return None,
            },
            _ => return None,
        };
        Some(Self { name, form, fields: Vec::new() })
    }
}

impl Field {
    fn read(line: &'static str, names: &HashMap<&str, usize>) -> Option<Self> {
        let mut words = line.split(' ');
        let number = words.next()?.parse().ok()?;
        let name = words.next()?;
        let kind = words.next()?;
        let flags = words.next().unwrap_or_default();
        let shapes = [("*", Shape::Pointer), ("[]", Shape::List), ("{}", Shape::Map), ("", Shape::Single)];
        let (element, shape) = shapes.into_iter().find_map(|(mark, shape)| Some((kind.strip_prefix(mark)?, shape)))?;
        Some(Self {
            number,
            name,
            shape,
            element: Element::read(element, names)?,
            omit_empty: flags.contains('e'),
            omit_zero: flags.contains('z'),
            inline: flags.contains('i'),
        })
    }
}

impl Element {
    fn read(word: &str, names: &HashMap<&str, usize>) -> Option<Self> {
        Some(match word {
            "string" => Self::Text,
            "bytes" => Self::Bytes,
            "bool" => Self::Boolean,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "double" => Self::Double,
            message => Self::Message(*names.get(message.strip_prefix('@')?)?),
        })
    }
}
