//! Writes one session's recording, in the data path: a slow disk makes a slow session, a failing one ends it.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Bytes, BytesMut};
use lockgate_core::{Channel, ChannelDigest, Session, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::RecordingSink;
use super::frame::{Encoder, HEADER_BYTES};
use crate::error::StoreError;
use crate::limit::{FRAME_BYTES_MAX, RECORDING_BYTES_MAX, RECORDING_SYNC_EVERY};
use crate::store::Store;

/// One live recording. Dropped without [`Recorder::finish`], its session is ended by the sweeper once this process's lease
/// is over, with what the file holds.
#[must_use = "finish the recording"]
pub struct Recorder {
    store: Store,
    session: Session,
    sink: Box<dyn RecordingSink>,
    encoder: Encoder,
    digests: Digests,
    bytes_written: u64,
    synced_at: Timestamp,
    failed: bool,
}

/// What the trailer says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TrailerFacts {
    pub(super) end_reason: String,
    pub(super) exit_code: Option<i32>,
}

impl Recorder {
    /// Writes the header. Durable on return.
    pub(crate) async fn begin(
        store: Store,
        session: Session,
        mut sink: Box<dyn RecordingSink>,
    ) -> Result<Self, StoreError> {
        let (encoder, header) = Encoder::new(session.id, session.started_at);
        sink.write(header).await?;
        sink.sync().await?;
        let synced_at = store.clock().now();
        let bytes_written = u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX);
        let digests = Digests::default();
        Ok(Self { store, session, sink, encoder, digests, bytes_written, synced_at, failed: false })
    }

    /// The session.
    pub const fn id(&self) -> SessionId {
        self.session.id
    }

    /// Records one message. On return the operating system has it: it survives this process. It survives the machine after
    /// the next sync, at most [`RECORDING_SYNC_EVERY`] of traffic later, or [`Recorder::finish`].
    ///
    /// An error ends the session (invariant 10), and every later call fails too. Cancelled: the file may end in half a
    /// frame; the recorder refuses to go on.
    pub async fn frame(&mut self, channel: Channel, payload: &[u8]) -> Result<(), StoreError> {
        let now = self.store.clock().now();
        let encoded = self.encode(channel, payload, now);
        self.write(encoded).await?;
        self.digests.update(channel, payload);
        if now.since(self.synced_at) >= RECORDING_SYNC_EVERY {
            self.sink.sync().await?;
            self.synced_at = now;
        }
        Ok(())
    }

    /// Ends the recording: trailer, file, row; all durable on return. Cancelled or failed: the sweeper ends the session with
    /// what the file holds.
    pub async fn finish(mut self, end_reason: &str, exit_code: Option<i32>) -> Result<Session, StoreError> {
        let now = self.store.clock().now();
        let facts = TrailerFacts { end_reason: end_reason.to_owned(), exit_code };
        let json = serde_json::to_vec(&facts).map_err(|error| StoreError::damaged("trailer", error))?;
        let trailer = self.encoder.trailer(self.offset_us(now), &json);
        self.write(trailer).await?;
        self.sink.sync().await?;
        let mut session = self.session;
        session.ended_at = Some(now);
        session.end_reason = Some(facts.end_reason);
        session.exit_code = exit_code;
        session.channels = self.digests.finish();
        self.store.put_session(session.clone()).await?;
        Ok(session)
    }

    fn encode(&mut self, channel: Channel, payload: &[u8], now: Timestamp) -> Bytes {
        let offset_us = self.offset_us(now);
        if payload.len() <= FRAME_BYTES_MAX {
            return self.encoder.frame(channel, offset_us, payload);
        }
        let mut frames = BytesMut::new();
        for piece in payload.chunks(FRAME_BYTES_MAX) {
            frames.extend_from_slice(&self.encoder.frame(channel, offset_us, piece));
        }
        frames.freeze()
    }

    fn offset_us(&self, now: Timestamp) -> u64 {
        u64::try_from(now.since(self.session.started_at).as_micros()).unwrap_or(u64::MAX)
    }

    /// After a failed or cancelled write the file's end is unknown: nothing may follow it.
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let id = self.session.id;
        if self.failed {
            return Err(StoreError::recording(id, std::io::Error::other("an earlier write of this recording failed")));
        }
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.bytes_written.saturating_add(length) > RECORDING_BYTES_MAX {
            return Err(StoreError::RecordingFull { id, bytes_max: RECORDING_BYTES_MAX });
        }
        self.failed = true;
        self.sink.write(bytes).await?;
        self.failed = false;
        self.bytes_written = self.bytes_written.saturating_add(length);
        Ok(())
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("id", &self.session.id).finish_non_exhaustive()
    }
}

/// Bytes and SHA-256 per channel.
#[derive(Default, Clone)]
pub(super) struct Digests(BTreeMap<Channel, (u64, Sha256)>);

impl Digests {
    pub(super) fn update(&mut self, channel: Channel, payload: &[u8]) {
        let (bytes, digest) = self.0.entry(channel).or_default();
        *bytes = bytes.saturating_add(u64::try_from(payload.len()).unwrap_or(u64::MAX));
        digest.0.update(payload);
    }

    pub(super) fn finish(&self) -> BTreeMap<Channel, ChannelDigest> {
        let digest = |(channel, (bytes, sha256)): (&Channel, &(u64, Sha256))| {
            let sha256 = hex(sha256.0.clone().finish().as_ref());
            (*channel, ChannelDigest { bytes: *bytes, sha256 })
        };
        self.0.iter().map(digest).collect()
    }
}

#[derive(Clone)]
struct Sha256(Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 0xf] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
        text
    })
}
