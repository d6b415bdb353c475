//! One frame of a recording, as the JSON API streams it: a JSON line with a base64 payload.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lockgate_core::Channel;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One frame, in the order in which frames passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    /// Microseconds since the session began.
    pub offset_microseconds: u64,
    /// Which channel.
    pub channel: Channel,
    /// The bytes, exactly.
    #[serde(serialize_with = "encode", deserialize_with = "decode")]
    pub payload: Bytes,
}

impl Frame {
    /// How long after the session's begin.
    pub const fn offset(&self) -> Duration {
        Duration::from_micros(self.offset_microseconds)
    }
}

fn encode<S: Serializer>(payload: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(payload))
}

fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    STANDARD.decode(String::deserialize(deserializer)?).map(Bytes::from).map_err(de::Error::custom)
}
