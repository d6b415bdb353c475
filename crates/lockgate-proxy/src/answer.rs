//! The body of an answer on its way to the client: through the masker where one is owed, counted, and its end told
//! to whoever records it. Nothing is buffered beyond one chunk.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use lockgate_core::ResponseFacts;
use lockgate_wire::mask::{MaskError, Masker};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::upstream::UpstreamBody;

/// What the client reads.
pub type AnswerBody = UnsyncBoxBody<Bytes, AnswerError>;

/// Why an answer broke off. The client sees an aborted stream, never a forged end.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The cluster's side broke.
    #[error("the upstream broke off")]
    Upstream(#[source] hyper::Error),
    /// What came cannot be masked.
    #[error("the answer cannot be masked")]
    Mask(#[source] MaskError),
    /// The gateway is shutting down.
    #[error("the gateway is shutting down")]
    Draining,
}

/// How an answer ended.
#[derive(Debug)]
pub(crate) enum End {
    /// To its end.
    Completed(ResponseFacts),
    /// The cluster's side broke off.
    Failed(String, ResponseFacts),
    /// We broke off: the masker refused, or the gateway shuts down.
    Stopped(String, ResponseFacts),
    /// The client went away.
    Abandoned(ResponseFacts),
}

/// Tells how the answer ended, exactly once.
pub(crate) type Ending = oneshot::Receiver<End>;

/// A whole body that Lockgate wrote itself.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> AnswerBody {
    Full::new(bytes.into()).map_err(|error: Infallible| match error {}).boxed_unsync()
}

/// An upstream's body on its way.
pub(crate) struct AnswerStream {
    upstream: UpstreamBody,
    masker: Option<Box<Masker>>,
    facts: ResponseFacts,
    /// Whether the masker has seen a byte; until then it has nothing to agree to (HEAD, 304).
    begun: bool,
    /// Nothing follows.
    finished: bool,
    end: Option<oneshot::Sender<End>>,
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl AnswerStream {
    /// The stream, and the word about its end. `status` is what the client's head says.
    pub(crate) fn new(
        upstream: UpstreamBody,
        masker: Option<Masker>,
        status: u16,
        draining: CancellationToken,
    ) -> (Self, Ending) {
        let (end, ending) = oneshot::channel();
        let facts = ResponseFacts { status, bytes: 0, masked: 0 };
        let draining = Box::pin(draining.cancelled_owned());
        (
            Self {
                upstream,
                masker: masker.map(Box::new),
                facts,
                begun: false,
                finished: false,
                end: Some(end),
                draining,
            },
            ending,
        )
    }

    fn tell(&mut self, end: impl FnOnce(ResponseFacts) -> End) {
        self.finished = true;
        if let Some(sender) = self.end.take()
            && let Err(end) = sender.send(end(self.facts.clone()))
        {
            tracing::error!(?end, "nobody records the end of an answer");
        }
    }

    fn give(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        self.facts.bytes = self.facts.bytes.saturating_add(bytes.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn fail(&mut self, error: MaskError) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let reason = format!("masking stopped the answer: {error}");
        self.tell(|facts| End::Stopped(reason, facts));
        Poll::Ready(Some(Err(AnswerError::Mask(error))))
    }
}

impl Body for AnswerStream {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if self.finished {
            return Poll::Ready(None);
        }
        loop {
            let frame = match Pin::new(&mut self.upstream).poll_frame(context) {
                Poll::Ready(frame) => frame,
                Poll::Pending if self.draining.as_mut().poll(context).is_ready() => {
                    self.tell(|facts| End::Stopped("the gateway is shutting down".into(), facts));
                    return Poll::Ready(Some(Err(AnswerError::Draining)));
                }
                Poll::Pending => return Poll::Pending,
            };
            match frame {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.begun = true;
                    let Some(masker) = &mut self.masker else { return self.give(data) };
                    let mut masked = Vec::with_capacity(data.len().saturating_add(64));
                    if let Err(error) = masker.push(&data, &mut masked) {
                        return self.fail(error);
                    }
                    if !masked.is_empty() {
                        return self.give(masked.into());
                    }
                }
                Some(Err(error)) => {
                    let reason = error.to_string();
                    self.tell(|facts| End::Failed(reason, facts));
                    return Poll::Ready(Some(Err(AnswerError::Upstream(error))));
                }
                None => return self.poll_last_words(),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.finished || ((self.masker.is_none() || !self.begun) && self.upstream.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        if self.masker.is_some() { SizeHint::default() } else { self.upstream.size_hint() }
    }
}

impl AnswerStream {
    /// The upstream's body is read to its end: the masker must agree that it is one.
    fn poll_last_words(&mut self) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let Some(mut masker) = self.masker.take() else {
            self.tell(End::Completed);
            return Poll::Ready(None);
        };
        let mut last = Vec::new();
        match masker.finish(&mut last) {
            Ok(summary) => {
                self.facts.masked = summary.masked;
                let given = self.give(last.into());
                self.tell(End::Completed);
                given
            }
            Err(error) => self.fail(error),
        }
    }
}

impl Drop for AnswerStream {
    /// Only tells; the one who waits for the word writes it down.
    fn drop(&mut self) {
        if self.end.is_some() {
            if self.is_end_stream() {
                self.tell(End::Completed);
            } else {
                self.tell(End::Abandoned);
            }
        }
    }
}
