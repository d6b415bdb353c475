//! The recording format, sans-IO. All numbers are big-endian.
//!
//! ```text
//! header   "LGREC\r\n" · version 1 (u8) · session UUID (16) · start in µs since 1970 (i64)
//! frame    channel (u8) · offset since start in µs (u64) · payload length (u32) · payload · seal (16)
//! trailer  a frame of channel 255 whose payload is JSON: {"endReason", "exitCode"}
//! ```
//!
//! The seal is the first half of SHA-256 over the seal before it and the frame; the first one stands on SHA-256 of the
//! header. A torn, changed, missing or reordered frame breaks the chain where it happened. The chain detects accidents: a
//! person who can write the file can write a new chain, and only the digests in the session's row would then disagree.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use lockgate_core::{Channel, SessionId, Timestamp};

use super::RecordedFrame;
use crate::limit::FRAME_BYTES_MAX;

pub(super) const HEADER_BYTES: usize = 32;
const MAGIC: &[u8; 8] = b"LGREC\r\n\x01";
const FRAME_HEAD_BYTES: usize = 13;
const SEAL_BYTES: usize = 16;
const TRAILER: u8 = 255;

type Seal = [u8; SEAL_BYTES];

/// What a frame carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// A message.
    Frame(RecordedFrame),
    /// The end, with its JSON.
    Trailer(Bytes),
}

/// Writes frames.
pub(super) struct Encoder {
    chain: Seal,
}

impl Encoder {
    /// The encoder, and the header to begin with.
    pub(super) fn new(id: SessionId, started_at: Timestamp) -> (Self, Bytes) {
        let mut header = BytesMut::with_capacity(HEADER_BYTES);
        header.put_slice(MAGIC);
        header.put_slice(id.uuid().as_bytes());
        header.put_i64(started_at.microseconds());
        (Self { chain: seal(&[], &header) }, header.freeze())
    }

    /// One message, of at most [`FRAME_BYTES_MAX`]; longer ones are cut by the caller.
    pub(super) fn frame(&mut self, channel: Channel, offset_us: u64, payload: &[u8]) -> Bytes {
        self.encode(number(channel), offset_us, payload)
    }

    /// The end.
    pub(super) fn trailer(&mut self, offset_us: u64, json: &[u8]) -> Bytes {
        self.encode(TRAILER, offset_us, json)
    }

    fn encode(&mut self, channel: u8, offset_us: u64, payload: &[u8]) -> Bytes {
        debug_assert!(payload.len() <= FRAME_BYTES_MAX, "the recorder cuts messages");
        let mut frame = BytesMut::with_capacity(FRAME_HEAD_BYTES + payload.len() + SEAL_BYTES);
        frame.put_u8(channel);
        frame.put_u64(offset_us);
        frame.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
        frame.put_slice(payload);
        self.chain = seal(&self.chain, &frame);
        frame.put_slice(&self.chain);
        frame.freeze()
    }
}

/// Reads frames from bytes as they come.
pub(super) struct Decoder {
    chain: Seal,
    buffered: BytesMut,
}

/// The bytes are not what they should be from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

impl Decoder {
    /// A decoder for what follows this header. `None`: it is not the header of that session's recording.
    pub(super) fn new(id: SessionId, header: &[u8]) -> Option<Self> {
        let rest = header.strip_prefix(MAGIC)?.strip_prefix(id.uuid().as_bytes())?;
        (rest.len() == HEADER_BYTES - MAGIC.len() - 16)
            .then(|| Self { chain: seal(&[], header), buffered: BytesMut::new() })
    }

    /// Takes more bytes in.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffered.extend_from_slice(bytes);
    }

    /// Bytes that are no whole frame yet.
    pub(super) fn pending(&self) -> usize {
        self.buffered.len()
    }

    /// The next whole frame. `Ok(None)`: not enough bytes.
    pub(super) fn next(&mut self) -> Result<Option<Part>, Broken> {
        let Some((mut head, _)) = self.buffered.split_at_checked(FRAME_HEAD_BYTES) else { return Ok(None) };
        let (number, offset_us) = (head.get_u8(), head.get_u64());
        let length = usize::try_from(head.get_u32()).map_err(|_| Broken)?;
        let channel = channel(number);
        if length > FRAME_BYTES_MAX || (channel.is_none() && number != TRAILER) {
            return Err(Broken);
        }
        let Some((frame, rest)) = self.buffered.split_at_checked(FRAME_HEAD_BYTES + length) else { return Ok(None) };
        let Some(found) = rest.first_chunk::<SEAL_BYTES>() else { return Ok(None) };
        let expected = seal(&self.chain, frame);
        if expected != *found {
            return Err(Broken);
        }
        self.chain = expected;
        self.buffered.advance(FRAME_HEAD_BYTES);
        let payload = self.buffered.split_to(length).freeze();
        self.buffered.advance(SEAL_BYTES);
        Ok(Some(match channel {
            Some(channel) => Part::Frame(RecordedFrame { offset_us, channel, payload }),
            None => Part::Trailer(payload),
        }))
    }
}

fn seal(chain: &[u8], bytes: &[u8]) -> Seal {
    let mut context = Context::new(&SHA256);
    context.update(chain);
    context.update(bytes);
    let digest = context.finish();
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// The numbers are those of the remote-command protocol.
const fn number(channel: Channel) -> u8 {
    match channel {
        Channel::Stdin => 0,
        Channel::Stdout => 1,
        Channel::Stderr => 2,
        Channel::Error => 3,
        Channel::Resize => 4,
    }
}

const fn channel(number: u8) -> Option<Channel> {
    Some(match number {
        0 => Channel::Stdin,
        1 => Channel::Stdout,
        2 => Channel::Stderr,
        3 => Channel::Error,
        4 => Channel::Resize,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> SessionId {
        SessionId::new(uuid::Uuid::from_u128(5))
    }

    fn recording(payloads: &[Vec<u8>]) -> (Bytes, Vec<Part>) {
        let (mut encoder, header) = Encoder::new(id(), Timestamp::from_seconds(1));
        let mut bytes = BytesMut::from(&header[..]);
        let mut parts = Vec::new();
        for (index, payload) in payloads.iter().enumerate() {
            let channel = channel(u8::try_from(index % 5).unwrap()).unwrap();
            let offset_us = u64::try_from(index).unwrap() * 1_000;
            bytes.extend_from_slice(&encoder.frame(channel, offset_us, payload));
            parts.push(Part::Frame(RecordedFrame { offset_us, channel, payload: payload.clone().into() }));
        }
        bytes.extend_from_slice(&encoder.trailer(9, b"{}"));
        parts.push(Part::Trailer(Bytes::from_static(b"{}")));
        (bytes.freeze(), parts)
    }

    fn decode(chunks: &[&[u8]]) -> (Vec<Part>, Result<(), Broken>) {
        let all = chunks.concat();
        let mut decoder = Decoder::new(id(), &all[..HEADER_BYTES]).unwrap();
        let mut parts = Vec::new();
        let mut skip = HEADER_BYTES;
        for chunk in chunks {
            let skipped = skip.min(chunk.len());
            skip -= skipped;
            decoder.push(&chunk[skipped..]);
            loop {
                match decoder.next() {
                    Ok(Some(part)) => parts.push(part),
                    Ok(None) => break,
                    Err(broken) => return (parts, Err(broken)),
                }
            }
        }
        (parts, Ok(()))
    }

    #[test]
    fn a_recording_reads_back_at_every_split_point() {
        let (bytes, parts) = recording(&[b"ls\n".to_vec(), b"a b c".to_vec(), Vec::new()]);
        for split in 0..=bytes.len() {
            let (before, after) = bytes.split_at(split);
            assert_eq!(decode(&[before, after]), (parts.clone(), Ok(())), "split at {split}");
        }
    }

    #[test]
    fn a_recording_cut_anywhere_yields_only_its_whole_frames() {
        let (bytes, parts) = recording(&[b"ls\n".to_vec(), b"a b c".to_vec()]);
        for end in HEADER_BYTES..bytes.len() {
            let (read, ending) = decode(&[&bytes[..end]]);
            assert!(parts.starts_with(&read) && read.len() < parts.len(), "cut at {end}");
            assert_eq!(ending, Ok(()), "cut at {end}");
        }
    }

    #[test]
    fn any_changed_byte_breaks_the_chain() {
        let (bytes, parts) = recording(&[b"ls\n".to_vec(), b"a b c".to_vec()]);
        for index in HEADER_BYTES..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[index] ^= 0x10;
            let (read, _) = decode(&[&changed]);
            assert!(parts.starts_with(&read) && read.len() < parts.len(), "byte {index}");
        }
    }

    #[test]
    fn frames_that_change_places_break_the_chain() {
        let (mut encoder, header) = Encoder::new(id(), Timestamp::from_seconds(1));
        let first = encoder.frame(Channel::Stdin, 1, b"a");
        let second = encoder.frame(Channel::Stdin, 1, b"b");
        assert_eq!(decode(&[&header, &second, &first]), (vec![], Err(Broken)));
    }

    #[test]
    fn another_sessions_header_is_refused() {
        let (_, header) = Encoder::new(id(), Timestamp::from_seconds(1));
        assert!(Decoder::new(SessionId::new(uuid::Uuid::from_u128(6)), &header).is_none());
        assert!(Decoder::new(id(), &header[..31]).is_none());
        assert!(Decoder::new(id(), b"not a recording at all, but long").is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12)) {
            let (bytes, parts) = recording(&payloads);
            prop_assert_eq!(decode(&[&bytes]), (parts, Ok(())));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let (_, header) = Encoder::new(id(), Timestamp::from_seconds(1));
            let mut all = header.to_vec();
            all.extend_from_slice(&bytes);
            let (parts, _) = decode(&[&all]);
            prop_assert!(parts.is_empty());
        }
    }
}
