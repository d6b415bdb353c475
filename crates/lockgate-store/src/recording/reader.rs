//! Reads a recording from disk, frame by frame, in flat memory.

use std::collections::BTreeMap;
use std::fmt;

use bytes::BytesMut;
use lockgate_core::{Channel, ChannelDigest, SessionId};

use super::frame::{Broken, Decoder, HEADER_BYTES, Part};
use super::recorder::{Digests, TrailerFacts};
use super::{RecordedFrame, RecordingSource};
use crate::error::StoreError;

/// One recording being read. Works on live and on crashed recordings.
pub struct RecordingReader {
    source: Box<dyn RecordingSource>,
    decoder: Decoder,
    digests: Digests,
    end: RecordingEnd,
}

/// How a recording ends, as far as it has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordingEnd {
    /// No end so far: the session goes on, or its recorder died between two frames.
    Open,
    /// The last frame is not whole: it is being written, or its recorder died.
    Torn,
    /// From here on the bytes are not what was recorded: a crash of the machine, or a changed file. Nothing after it is
    /// shown.
    Broken,
    /// The recorder finished it.
    Finished {
        /// Why the session ended.
        end_reason: String,
        /// The process's exit code, where known.
        exit_code: Option<i32>,
    },
}

impl RecordingReader {
    pub(crate) async fn begin(id: SessionId, mut source: Box<dyn RecordingSource>) -> Result<Self, StoreError> {
        let mut header = BytesMut::new();
        while header.len() < HEADER_BYTES {
            let bytes = source.read().await?;
            if bytes.is_empty() {
                return Err(StoreError::NotARecording { id });
            }
            header.extend_from_slice(&bytes);
        }
        let rest = header.split_off(HEADER_BYTES);
        let mut decoder = Decoder::new(id, &header).ok_or(StoreError::NotARecording { id })?;
        decoder.push(&rest);
        Ok(Self { source, decoder, digests: Digests::default(), end: RecordingEnd::Open })
    }

    /// The next frame. `None` at the end of what is whole, for which [`RecordingReader::end`] gives the reason; of a live
    /// recording, asking again later may give more.
    pub async fn next(&mut self) -> Result<Option<RecordedFrame>, StoreError> {
        loop {
            if let RecordingEnd::Broken | RecordingEnd::Finished { .. } = self.end {
                return Ok(None);
            }
            match self.decoder.next() {
                Ok(Some(Part::Frame(frame))) => {
                    self.digests.update(frame.channel, &frame.payload);
                    self.end = RecordingEnd::Open;
                    return Ok(Some(frame));
                }
                Ok(Some(Part::Trailer(json))) => self.end = finished(&json),
                Err(Broken) => self.end = RecordingEnd::Broken,
                Ok(None) => {
                    let bytes = self.source.read().await?;
                    if bytes.is_empty() {
                        self.end = if self.decoder.pending() == 0 { RecordingEnd::Open } else { RecordingEnd::Torn };
                        return Ok(None);
                    }
                    self.decoder.push(&bytes);
                }
            }
        }
    }

    /// How it ends, as far as it has been read.
    pub const fn end(&self) -> &RecordingEnd {
        &self.end
    }

    /// What went over each channel, as far as it has been read.
    pub fn digests(&self) -> BTreeMap<Channel, ChannelDigest> {
        self.digests.finish()
    }
}

impl fmt::Debug for RecordingReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingReader").field("end", &self.end).finish_non_exhaustive()
    }
}

fn finished(json: &[u8]) -> RecordingEnd {
    match serde_json::from_slice::<TrailerFacts>(json) {
        Ok(facts) => RecordingEnd::Finished { end_reason: facts.end_reason, exit_code: facts.exit_code },
        Err(_) => RecordingEnd::Broken,
    }
}
