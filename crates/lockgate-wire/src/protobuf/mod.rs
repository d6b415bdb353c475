//! Kubernetes protobuf request bodies as the JSON that the API server would show.
//!
//! Owns the envelope (`k8s\0` and `runtime.Unknown`), the generated table of types ([`table`]) and Go's JSON rules for them
//! ([`decode`]). Whatever the table does not know is refused at any depth: an unknown field is one that nobody looked at.
//! Refuses to know what a body means. Stricter than Go where it would merge or guess: repeated single fields, repeated map
//! keys and text that is not UTF-8 are refused.

mod decode;
mod reader;
mod special;
mod table;

use serde_json::Value;

use crate::WireError;
use decode::Decoder;
use reader::{Wire, next_field};
use table::Table;

/// Deepest nesting of messages.
pub const PROTOBUF_DEPTH_MAX: usize = 100;

/// Most messages, list items and map entries in one body: tiny ones would otherwise grow large as JSON.
pub const PROTOBUF_VALUES_MAX: usize = 250_000;

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// The types of the built-in kinds. Load once and keep.
#[derive(Debug)]
pub struct Protobuf {
    table: Table,
}

impl Protobuf {
    /// Reads the table that is part of the program; some milliseconds.
    pub fn load() -> Result<Self, WireError> {
        Table::load().map(|table| Self { table }).map_err(WireError::Table)
    }

    /// Decodes one body: the magic bytes `k8s\0`, then `runtime.Unknown`.
    pub fn decode(&self, bytes: &[u8]) -> Result<Value, WireError> {
        let unknown =
            bytes.strip_prefix(MAGIC).ok_or_else(|| refused("it does not begin with Kubernetes' magic bytes"))?;
        let envelope = Envelope::read(unknown).map_err(refused)?;
        let message = self
            .table
            .kind(&envelope.api_version, &envelope.kind)
            .ok_or_else(|| WireError::Body("protobuf of a kind that is not built in; send it as JSON".to_owned()))?;
        let mut value = Decoder::new(&self.table).message(message, envelope.raw).map_err(WireError::Body)?.value;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("apiVersion".into(), envelope.api_version.into());
            fields.insert("kind".into(), envelope.kind.into());
        }
        Ok(value)
    }
}

fn refused(fault: &'static str) -> WireError {
    WireError::Body(format!("protobuf: {fault}"))
}

/// `runtime.Unknown`: typeMeta = 1 {apiVersion = 1, kind = 2}, raw = 2, contentEncoding = 3, contentType = 4.
struct Envelope<'a> {
    api_version: String,
    kind: String,
    raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(mut bytes: &'a [u8]) -> Result<Self, &'static str> {
        let (mut type_meta, mut raw) = (None, None);
        while let Some((number, value)) = next_field(&mut bytes)? {
            match (number, value) {
                (1, Wire::Bytes(value)) if type_meta.is_none() => type_meta = Some(value),
                (2, Wire::Bytes(value)) if raw.is_none() => raw = Some(value),
                (3, Wire::Bytes(b"")) | (4, Wire::Bytes(b"" | b"application/vnd.kubernetes.protobuf")) => {}
                _ => return Err("its envelope holds an unknown or repeated field, or an encoding"),
            }
        }
        let (mut api_version, mut kind) = (None, None);
        let mut type_meta = type_meta.ok_or("its envelope names no kind")?;
        while let Some((number, value)) = next_field(&mut type_meta)? {
            match (number, value) {
                (1, Wire::Bytes(value)) if api_version.is_none() => api_version = Some(text(value)?),
                (2, Wire::Bytes(value)) if kind.is_none() => kind = Some(text(value)?),
                _ => return Err("its envelope holds an unknown or repeated field"),
            }
        }
        Ok(Self {
            api_version: api_version.unwrap_or_default(),
            kind: kind.unwrap_or_default(),
            raw: raw.unwrap_or_default(),
        })
    }
}

fn text(bytes: &[u8]) -> Result<String, &'static str> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "it holds text that is not UTF-8")
}

#[cfg(test)]
mod tests;
