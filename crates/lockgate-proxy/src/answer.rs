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
use lockgate_wire::filter::FilterError;
use lockgate_wire::mask::{MaskError, Masker};
use tokio::sync::oneshot;

use crate::sieve::Sieve;
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
    /// What came cannot be filtered.
    #[error("the answer cannot be filtered")]
    Filter(#[source] FilterError),
    /// The gateway is shutting down.
    #[error("the gateway is shutting down")]
    Draining,
    /// The token that opened it is no longer valid: who goes on reading has to show another.
    #[error("the token that opened the stream has expired")]
    TokenExpired,
}

/// How an answer ended.
#[derive(Debug)]
pub(crate) enum End {
    /// To its end.
    Completed(ResponseFacts),
    /// The cluster's side broke off.
    Failed(String, ResponseFacts),
    /// We broke off: the filter or the masker refused, or the gateway shuts down.
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

/// What stands between an upstream's body and the client: first what it may not see is taken out, then the rest is masked.
#[derive(Default)]
pub(crate) struct Duties {
    pub(crate) sieve: Option<Sieve>,
    pub(crate) masker: Option<Masker>,
    /// What the sieve has let pass already.
    pub(crate) passed: Vec<u8>,
}

/// Resolves with the reason when the answer must end though it is not whole.
pub(crate) type Cut = Pin<Box<dyn Future<Output = AnswerError> + Send>>;

/// An upstream's body on its way.
pub(crate) struct AnswerStream {
    upstream: UpstreamBody,
    sieve: Option<Box<Sieve>>,
    masker: Option<Box<Masker>>,
    /// What the sieve has let pass before the answer began.
    passed: Option<Vec<u8>>,
    facts: ResponseFacts,
    /// Whether filter and masker have seen a byte; until then it has nothing to agree to (HEAD, 304).
    begun: bool,
    /// Nothing follows.
    finished: bool,
    end: Option<oneshot::Sender<End>>,
    cut: Cut,
}

impl AnswerStream {
    /// The stream, and the word about its end. `status` is what the client's head says.
    pub(crate) fn new(upstream: UpstreamBody, duties: Duties, status: u16, cut: Cut) -> (Self, Ending) {
        let (end, ending) = oneshot::channel();
        let facts = ResponseFacts { status, ..ResponseFacts::default() };
        let Duties { sieve, masker, passed } = duties;
        (
            Self {
                upstream,
                sieve: sieve.map(Box::new),
                masker: masker.map(Box::new),
                begun: !passed.is_empty(),
                passed: (!passed.is_empty()).then_some(passed),
                facts,
                finished: false,
                end: Some(end),
                cut,
            },
            ending,
        )
    }

    fn tell(&mut self, end: impl FnOnce(ResponseFacts) -> End) {
        self.finished = true;
        if let Some(sieve) = &self.sieve {
            self.facts.hidden = sieve.summary().hidden;
        }
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

    fn fail(&mut self, error: AnswerError) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let reason = match &error {
            AnswerError::Mask(error) => format!("masking stopped the answer: {error}"),
            AnswerError::Filter(error) => format!("filtering stopped the answer: {error}"),
            AnswerError::Upstream(_) | AnswerError::Draining | AnswerError::TokenExpired => error.to_string(),
        };
        self.tell(|facts| End::Stopped(reason, facts));
        Poll::Ready(Some(Err(error)))
    }

    /// What of these bytes of the upstream goes to the client.
    fn purged(&mut self, data: Bytes) -> Result<Bytes, AnswerError> {
        let data = match &mut self.sieve {
            None => data,
            Some(sieve) => {
                let mut shown = Vec::with_capacity(data.len());
                sieve.push(&data, &mut shown).map_err(AnswerError::Filter)?;
                shown.into()
            }
        };
        self.masked(data)
    }

    fn masked(&mut self, data: Bytes) -> Result<Bytes, AnswerError> {
        let Some(masker) = &mut self.masker else { return Ok(data) };
        let mut masked = Vec::with_capacity(data.len().saturating_add(64));
        masker.push(&data, &mut masked).map_err(AnswerError::Mask)?;
        Ok(masked.into())
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
        if let Some(passed) = self.passed.take() {
            match self.masked(passed.into()) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return self.give(bytes),
                Err(error) => return self.fail(error),
            }
        }
        // First: a stream that never pauses ends in time too.
        if let Poll::Ready(error) = self.cut.as_mut().poll(context) {
            return self.fail(error);
        }
        loop {
            let frame = match Pin::new(&mut self.upstream).poll_frame(context) {
                Poll::Ready(frame) => frame,
                Poll::Pending => return Poll::Pending,
            };
            match frame {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.begun = true;
                    match self.purged(data) {
                        Ok(bytes) if bytes.is_empty() => {}
                        Ok(bytes) => return self.give(bytes),
                        Err(error) => return self.fail(error),
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
        let untouched = self.masker.is_none() && self.sieve.is_none();
        // What was read before is still to come, though the upstream has nothing more.
        self.finished || (self.passed.is_none() && (untouched || !self.begun) && self.upstream.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let changed = self.masker.is_some() || self.sieve.is_some() || self.passed.is_some();
        if changed { SizeHint::default() } else { self.upstream.size_hint() }
    }
}

impl AnswerStream {
    /// The upstream's body is read to its end: filter and masker must agree that it is one.
    fn poll_last_words(&mut self) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if let Some(sieve) = &mut self.sieve
            && self.begun
            && let Err(error) = sieve.finish()
        {
            return self.fail(AnswerError::Filter(error));
        }
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
            Err(error) => self.fail(AnswerError::Mask(error)),
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
