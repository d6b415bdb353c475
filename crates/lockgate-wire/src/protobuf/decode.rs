//! Messages to JSON by the rules of Go's `encoding/json`, so that an absent field looks as it does at the API server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::reader::{Fault, Wire, next_field, varint};
use super::table::{Element, Field, Form, Message, Shape, Table};
use super::{PROTOBUF_DEPTH_MAX, PROTOBUF_VALUES_MAX, special, text};
use crate::body::number;

/// A value as JSON, and whether Go holds it for the zero value of its type (`omitzero`).
pub(super) struct Rendered {
    pub(super) value: Value,
    pub(super) zero: bool,
}

/// Why a body is refused: a fault that its message still has to be added to, or the whole wording.
pub(super) enum Refusal {
    Bare(Fault),
    Worded(String),
}

impl Refusal {
    fn worded(self, message: &Message) -> String {
        match self {
            Self::Bare(fault) => in_message(message, fault),
            Self::Worded(text) => text,
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Bare(fault)
    }
}

impl From<String> for Refusal {
    fn from(text: String) -> Self {
        Self::Worded(text)
    }
}

/// What was found of one field.
pub(super) enum Slot {
    Absent,
    One(Rendered),
    List(Vec<Value>),
    Map(Map<String, Value>),
}

/// Decodes one body; counts what it makes.
pub(super) struct Decoder<'t> {
    table: &'t Table,
    values_left: usize,
    depth: usize,
}

impl<'t> Decoder<'t> {
    pub(super) const fn new(table: &'t Table) -> Self {
        Self { table, values_left: PROTOBUF_VALUES_MAX, depth: 0 }
    }

    /// One message; an absent one is the same as an empty one.
    pub(super) fn message(&mut self, index: usize, bytes: &[u8]) -> Result<Rendered, String> {
        let message = self.table.message(index).ok_or("protobuf: the table has no such message")?;
        self.count()?;
        if self.depth == PROTOBUF_DEPTH_MAX {
            return Err("protobuf: it is nested too deeply".into());
        }
        self.depth += 1;
        let rendered = match message.form {
            Form::Struct => self.slots(message, bytes).and_then(|slots| self.object(message, slots)),
            Form::Items(element) => self.items(message, element, bytes),
            Form::SchemaOrBool | Form::SchemaOrSchemas | Form::SchemaOrStrings => {
                self.slots(message, bytes).map(|slots| special::schema_or(message.form, slots))
            }
            form => special::render(form, bytes).map_err(|fault| in_message(message, fault)),
        };
        self.depth -= 1;
        rendered
    }

    fn count(&mut self) -> Result<(), String> {
        self.values_left = self.values_left.checked_sub(1).ok_or("protobuf: it holds too many values")?;
        Ok(())
    }

    /// Reads the fields of a message off the wire.
    fn slots(&mut self, message: &Message, mut bytes: &[u8]) -> Result<Vec<Slot>, String> {
        let mut slots: Vec<Slot> = message.fields.iter().map(|_| Slot::Absent).collect();
        while let Some((number, wire)) = next_field(&mut bytes).map_err(|fault| in_message(message, fault))? {
            let found = message.fields.iter().zip(&mut slots).find(|(field, _)| field.number == number);
            let Some((field, slot)) = found else {
                return Err(format!("protobuf: field {number} of {} is not known to this gateway", message.name));
            };
            self.fill(field, slot, wire).map_err(|refusal| refusal.worded(message))?;
        }
        Ok(slots)
    }

    fn fill(&mut self, field: &Field, slot: &mut Slot, wire: Wire<'_>) -> Result<(), Refusal> {
        match (field.shape, slot) {
            (Shape::Single | Shape::Pointer, slot @ Slot::Absent) => {
                *slot = Slot::One(self.element(field.element, wire)?)
            }
            (Shape::Single | Shape::Pointer, _) => return Err("a field that is single is repeated".into()),
            (Shape::List, slot) => {
                let mut items = match std::mem::replace(slot, Slot::Absent) {
                    Slot::List(items) => items,
                    _ => Vec::new(),
                };
                self.append(field.element, wire, &mut items)?;
                if !items.is_empty() {
                    *slot = Slot::List(items);
                }
            }
            (Shape::Map, slot) => {
                let mut entries = match std::mem::replace(slot, Slot::Absent) {
                    Slot::Map(entries) => entries,
                    _ => Map::new(),
                };
                let (key, value) = self.entry(field.element, wire)?;
                if entries.insert(key, value).is_some() {
                    return Err("a map has the same key twice".into());
                }
                *slot = Slot::Map(entries);
            }
        }
        Ok(())
    }

    /// One item of a list, or, for numbers, several packed ones.
    fn append(&mut self, element: Element, wire: Wire<'_>, items: &mut Vec<Value>) -> Result<(), Refusal> {
        let number = matches!(element, Element::Boolean | Element::Int32 | Element::Int64);
        match wire {
            Wire::Bytes(mut packed) if number => {
                while !packed.is_empty() {
                    self.count()?;
                    let wire = Wire::Varint(varint(&mut packed)?);
                    items.push(self.element(element, wire)?.value);
                }
            }
            wire => {
                self.count()?;
                let value = self.element(element, wire)?.value;
                items.push(self.within(element, value));
            }
        }
        Ok(())
    }

    /// A map's entry: key = 1, value = 2, either may be absent.
    fn entry(&mut self, element: Element, wire: Wire<'_>) -> Result<(String, Value), Refusal> {
        let Wire::Bytes(mut bytes) = wire else { return Err(WRONG_WIRE_TYPE.into()) };
        self.count()?;
        let (mut key, mut value) = (None, None);
        while let Some((number, wire)) = next_field(&mut bytes)? {
            match (number, wire) {
                (1, Wire::Bytes(bytes)) if key.is_none() => key = Some(text(bytes)?),
                (2, wire) if value.is_none() => value = Some(self.element(element, wire)?.value),
                _ => return Err("a map's entry holds an unknown or repeated field".into()),
            }
        }
        let value = match (value, element) {
            (Some(value), _) => value,
            (None, Element::Bytes) => "".into(),
            (None, element) => self.zero(element)?.value,
        };
        Ok((key.unwrap_or_default(), self.within(element, value)))
    }

    /// Inside a list or a map Go makes an empty slice where a field of its own would stay nil.
    fn within(&self, element: Element, value: Value) -> Value {
        if value.is_null() && matches!(element, Element::Message(_)) && !self.is_struct(element) {
            return Value::Array(Vec::new());
        }
        value
    }

    fn element(&mut self, element: Element, wire: Wire<'_>) -> Result<Rendered, Refusal> {
        let (value, zero) = match (element, wire) {
            (Element::Message(index), Wire::Bytes(bytes)) => return Ok(self.message(index, bytes)?),
            (Element::Text, Wire::Bytes(bytes)) => (text(bytes)?.into(), bytes.is_empty()),
            // Present but empty bytes are not Go's nil.
            (Element::Bytes, Wire::Bytes(bytes)) => (STANDARD.encode(bytes).into(), false),
            (Element::Boolean, Wire::Varint(number)) => ((number != 0).into(), number == 0),
            (Element::Int64, Wire::Varint(number)) => (number.cast_signed().into(), number == 0),
            (Element::Int32, Wire::Varint(number)) => {
                let number = i32::try_from(number.cast_signed()).map_err(|_| "a number of more than 32 bits")?;
                (number.into(), number == 0)
            }
            (Element::Double, Wire::Fixed64(bits)) => (double(f64::from_bits(bits))?, bits == 0),
            _ => return Err(WRONG_WIRE_TYPE.into()),
        };
        Ok(Rendered { value, zero })
    }

    /// What Go shows for a value that was never set.
    fn zero(&mut self, element: Element) -> Result<Rendered, String> {
        let value = match element {
            Element::Message(index) => return self.message(index, &[]),
            Element::Text => "".into(),
            Element::Bytes => Value::Null,
            Element::Boolean => false.into(),
            Element::Int32 | Element::Int64 | Element::Double => 0.into(),
        };
        Ok(Rendered { value, zero: true })
    }

    fn object(&mut self, message: &Message, slots: Vec<Slot>) -> Result<Rendered, String> {
        let mut object = Map::new();
        let mut zero = true;
        for (field, slot) in message.fields.iter().zip(slots) {
            zero &= matches!((&slot, field.shape), (Slot::Absent, _))
                || matches!((&slot, field.shape), (Slot::One(Rendered { zero: true, .. }), Shape::Single));
            let Some(value) = self.shown(field, slot)? else { continue };
            match value {
                // A field of the surrounding object hides one of the same name that is inlined.
                Value::Object(inlined) if field.inline => {
                    for (name, value) in inlined {
                        object.entry(name).or_insert(value);
                    }
                }
                value if !field.inline => {
                    object.insert(field.name.to_owned(), value);
                }
                _ => {}
            }
        }
        Ok(Rendered { value: object.into(), zero })
    }

    /// What stands in the object for a field, if anything.
    fn shown(&mut self, field: &Field, slot: Slot) -> Result<Option<Value>, String> {
        let rendered = match slot {
            Slot::List(items) => return Ok(Some(items.into())),
            Slot::Map(entries) => return Ok(Some(entries.into())),
            Slot::One(rendered) if field.shape == Shape::Pointer => return Ok(Some(rendered.value)),
            Slot::One(rendered) => rendered,
            Slot::Absent if field.shape == Shape::Single => {
                if field.omit_empty && !self.is_struct(field.element) {
                    return Ok(None);
                }
                self.zero(field.element)?
            }
            Slot::Absent => return Ok((!field.omit_empty && !field.omit_zero && !field.inline).then_some(Value::Null)),
        };
        let empty = match &rendered.value {
            Value::String(text) => text.is_empty() && !self.is_struct(field.element),
            _ => rendered.zero && !self.is_struct(field.element),
        };
        let omitted = (field.omit_empty && empty) || (field.omit_zero && rendered.zero);
        Ok((!omitted).then_some(rendered.value))
    }

    /// Go's `omitempty` never leaves out a struct.
    fn is_struct(&self, element: Element) -> bool {
        match element {
            Element::Message(index) => {
                self.table.message(index).is_some_and(|message| !matches!(message.form, Form::Items(_)))
            }
            _ => false,
        }
    }

    fn items(&mut self, message: &Message, element: Element, mut bytes: &[u8]) -> Result<Rendered, String> {
        let mut items = Vec::new();
        while let Some((number, wire)) = next_field(&mut bytes).map_err(|fault| in_message(message, fault))? {
            if number != 1 {
                return Err(format!("protobuf: field {number} of {} is not known to this gateway", message.name));
            }
            self.append(element, wire, &mut items).map_err(|refusal| refusal.worded(message))?;
        }
        let zero = items.is_empty();
        Ok(Rendered { value: if zero { Value::Null } else { items.into() }, zero })
    }
}

pub(super) const WRONG_WIRE_TYPE: &str = "a field has the wrong wire type";

fn in_message(message: &Message, fault: &str) -> String {
    format!("protobuf: {fault}, in {}", message.name)
}

/// As in JSON.
fn double(value: f64) -> Result<Value, &'static str> {
    number(value).ok_or("a number that JSON cannot write")
}
