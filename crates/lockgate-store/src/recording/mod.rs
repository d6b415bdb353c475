//! Recordings: a file of frames per session, written in the data path.
//!
//! [`frame`] is the format (pure), [`Recorder`] writes it, [`RecordingReader`] reads it back, and [`Recordings`] is where the
//! bytes live ([`DirectoryRecordings`] now, an object store later).

mod directory;
mod frame;
mod reader;
mod recorder;

use async_trait::async_trait;
use bytes::Bytes;
use lockgate_core::{Channel, SessionId};

pub use directory::DirectoryRecordings;
pub use reader::{RecordingEnd, RecordingReader};
pub use recorder::Recorder;

use crate::error::StoreError;

/// Where recordings live.
#[async_trait]
pub trait Recordings: Send + Sync + 'static {
    /// A new, empty recording, whose existence is durable on return. There must not be one of that id.
    async fn create(&self, id: SessionId) -> Result<Box<dyn RecordingSink>, StoreError>;

    /// A recording, from its first byte. It may still be growing.
    async fn open(&self, id: SessionId) -> Result<Box<dyn RecordingSource>, StoreError>;
}

/// A recording that grows at its end.
#[async_trait]
pub trait RecordingSink: Send + 'static {
    /// Appends the bytes. On return they survive this process (not the machine).
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError>;

    /// On return all that was written survives the machine.
    async fn sync(&mut self) -> Result<(), StoreError>;
}

/// A recording being read.
#[async_trait]
pub trait RecordingSource: Send + 'static {
    /// The next bytes; empty at the present end, after which more may come.
    async fn read(&mut self) -> Result<Bytes, StoreError>;
}

/// One message of a session (or a piece of a long one).
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedFrame {
    /// Microseconds since the session began.
    pub offset_us: u64,
    /// Which channel.
    pub channel: Channel,
    /// What went over it.
    pub payload: Bytes,
}

impl std::fmt::Debug for RecordedFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordedFrame")
            .field("offset_us", &self.offset_us)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
