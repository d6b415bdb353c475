//! One task owns the recorder; both directions hand it their frames and wait until each is written.

use bytes::Bytes;
use lockgate_core::Channel;
use lockgate_store::{Recorder, StoreError};
use tokio::sync::{mpsc, oneshot};

/// Frames on their way to the recorder: one for each direction.
const FRAMES_QUEUED_MAX: usize = 2;

struct Frame {
    channel: Channel,
    payload: Bytes,
    written: oneshot::Sender<()>,
}

/// Hands frames to the recorder.
#[derive(Clone)]
pub(super) struct Tape(mpsc::Sender<Frame>);

/// The recorder is gone: nothing may pass any more.
#[derive(Debug)]
pub(super) struct RecorderGone;

impl Tape {
    /// Returns once the frame is written; only then may it be delivered.
    pub(super) async fn record(&self, channel: Channel, payload: Bytes) -> Result<(), RecorderGone> {
        let (written, done) = oneshot::channel();
        self.0.send(Frame { channel, payload, written }).await.map_err(|_| RecorderGone)?;
        done.await.map_err(|_| RecorderGone)
    }
}

/// The tape, and the loop that writes it. The loop ends when every [`Tape`] is dropped, or at the first error.
pub(super) fn tape(mut recorder: Recorder) -> (Tape, impl Future<Output = (Recorder, Result<(), StoreError>)>) {
    let (sender, mut frames) = mpsc::channel::<Frame>(FRAMES_QUEUED_MAX);
    let writing = async move {
        while let Some(frame) = frames.recv().await {
            if let Err(error) = recorder.frame(frame.channel, &frame.payload).await {
                return (recorder, Err(error));
            }
            // The direction that waited may be gone; its frame is on record all the same.
            if frame.written.send(()).is_err() {
                tracing::debug!("a recorded frame's sender is gone");
            }
        }
        (recorder, Ok(()))
    };
    (Tape(sender), writing)
}
