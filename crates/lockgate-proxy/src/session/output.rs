//! What a process writes, on its way to the client: stdout and stderr are masked as text, each as the stream it is.
//!
//! A secret may lie across two messages, so what reads like the beginning of one waits, and leaves with the next message, when
//! the process has been quiet for a moment, or before the process' last word.

use std::task::{Context, Poll};

use lockgate_core::Channel;
use lockgate_wire::channel::{ChannelFrame, FrameKind};
use lockgate_wire::mask::Scan;

use crate::veil::TextVeil;

/// The veils of one process.
pub(super) struct Output {
    stdout: TextVeil,
    stderr: TextVeil,
}

impl Output {
    pub(super) fn new(scan: &Scan) -> Self {
        Self { stdout: TextVeil::new(scan), stderr: TextVeil::new(scan) }
    }

    /// What goes on instead of a frame's bytes; `None`: the frame is none of the process' output.
    pub(super) fn push(&mut self, frame: &ChannelFrame<'_>) -> Option<Vec<u8>> {
        if frame.kind != FrameKind::Data {
            return None;
        }
        let veil = self.of(frame.channel)?;
        let mut masked = Vec::with_capacity(frame.payload.len());
        veil.push(frame.payload, &mut masked);
        Some(masked)
    }

    /// What of a channel still waits, when nothing more will come. Call it once for each.
    pub(super) fn finish(&mut self, channel: Channel) -> Vec<u8> {
        let mut last = Vec::new();
        if let Some(veil) = self.of(channel) {
            veil.finish(&mut last);
        }
        last
    }

    /// How many secrets were masked.
    pub(super) const fn masked(&self) -> u64 {
        self.stdout.masked() + self.stderr.masked()
    }

    /// Resolves with what may go because the process is quiet.
    pub(super) fn poll_quiet(&mut self, context: &mut Context<'_>) -> Poll<(Channel, Vec<u8>)> {
        for (channel, veil) in [(Channel::Stdout, &mut self.stdout), (Channel::Stderr, &mut self.stderr)] {
            let mut released = Vec::new();
            if veil.poll_quiet(context, &mut released).is_ready() {
                return Poll::Ready((channel, released));
            }
        }
        Poll::Pending
    }

    const fn of(&mut self, channel: Channel) -> Option<&mut TextVeil> {
        match channel {
            Channel::Stdout => Some(&mut self.stdout),
            Channel::Stderr => Some(&mut self.stderr),
            Channel::Stdin | Channel::Error | Channel::Resize => None,
        }
    }
}
