//! The body of an answer on its way to the client: through the masker where one is owed, counted, and its end told
//! to whoever records it. Nothing is buffered beyond one chunk, and what is read ahead of the head of a small answer.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use lockgate_core::{MaskedKey, ResponseFacts};
use lockgate_wire::filter::FilterError;
use lockgate_wire::mask::{MaskCount, MaskError};
use tokio::sync::oneshot;

use crate::sieve::Sieve;
use crate::upstream::UpstreamBody;
use crate::veil::Veil;

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
    pub(crate) veil: Option<Veil>,
    /// What the sieve has let pass already.
    pub(crate) passed: Vec<u8>,
}

/// Resolves with the reason when the answer must end though it is not whole.
pub(crate) type Cut = Pin<Box<dyn Future<Output = AnswerError> + Send>>;

/// An upstream's body on its way.
pub(crate) struct AnswerStream {
    upstream: UpstreamBody,
    sieve: Option<Box<Sieve>>,
    veil: Option<Veil>,
    /// What the sieve has let pass before the answer began.
    passed: Option<Vec<u8>>,
    /// Read ahead of the head.
    ahead: VecDeque<Result<Bytes, AnswerError>>,
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
        let Duties { sieve, veil, passed } = duties;
        (
            Self {
                upstream,
                sieve: sieve.map(Box::new),
                veil,
                ahead: VecDeque::new(),
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
        if let Some(veil) = &self.veil {
            self.facts.masked = veil.masked();
            self.facts.masked_keys = masked_keys(veil);
        }
        if let Some(sender) = self.end.take()
            && let Err(end) = sender.send(end(self.facts.clone()))
        {
            tracing::error!(?end, "nobody records the end of an answer");
        }
    }

    fn give(&mut self, bytes: Bytes) -> Poll<Option<Result<Bytes, AnswerError>>> {
        self.facts.bytes = self.facts.bytes.saturating_add(bytes.len() as u64);
        Poll::Ready(Some(Ok(bytes)))
    }

    fn fail(&mut self, error: AnswerError) -> Poll<Option<Result<Bytes, AnswerError>>> {
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
        let Some(veil) = &mut self.veil else { return Ok(data) };
        let mut masked = Vec::with_capacity(data.len().saturating_add(64));
        veil.push(&data, &mut masked).map_err(AnswerError::Mask)?;
        Ok(masked.into())
    }
}

impl AnswerStream {
    /// Reads up to so many bytes of what the client will get, or all of it, before the head has left. An error is told when
    /// its turn comes.
    pub(crate) async fn read_ahead(&mut self, bytes_max: usize) {
        let mut bytes = 0;
        while bytes < bytes_max
            && let Some(next) = std::future::poll_fn(|context| self.poll_next(context)).await
        {
            bytes += next.as_ref().map_or(0, Bytes::len);
            self.ahead.push_back(next);
        }
    }

    /// What was masked in `about`, in words for a header, if all of the answer was read ahead.
    pub(crate) fn masked_in(&self, about: &str) -> Option<String> {
        self.veil.as_ref().filter(|_| self.finished)?.warning(about)
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, AnswerError>>> {
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
                Poll::Pending => return self.poll_quiet(context),
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

    /// Nothing has come: what was withheld of a text may go after a while.
    fn poll_quiet(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, AnswerError>>> {
        let Some(veil) = &mut self.veil else { return Poll::Pending };
        let mut released = Vec::new();
        match veil.poll_quiet(context, &mut released) {
            Poll::Ready(()) => self.give(released.into()),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The upstream's body is read to its end: filter and masker must agree that it is one.
    fn poll_last_words(&mut self) -> Poll<Option<Result<Bytes, AnswerError>>> {
        if let Some(sieve) = &mut self.sieve
            && self.begun
            && let Err(error) = sieve.finish()
        {
            return self.fail(AnswerError::Filter(error));
        }
        let mut last = Vec::new();
        if let Some(veil) = &mut self.veil
            && let Err(error) = veil.finish(&mut last)
        {
            return self.fail(AnswerError::Mask(error));
        }
        if last.is_empty() {
            self.tell(End::Completed);
            return Poll::Ready(None);
        }
        let given = self.give(last.into());
        self.tell(End::Completed);
        given
    }
}

impl Body for AnswerStream {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        match self.ahead.pop_front() {
            Some(next) => Poll::Ready(Some(next.map(Frame::data))),
            None => self.poll_next(context).map(|next| next.map(|next| next.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let untouched = self.veil.is_none() && self.sieve.is_none();
        // What was read before is still to come, though the upstream has nothing more.
        let nothing_more = self.passed.is_none() && (untouched || !self.begun) && self.upstream.is_end_stream();
        self.ahead.is_empty() && (self.finished || nothing_more)
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead.iter().flatten().map(|bytes| bytes.len() as u64).sum();
        if self.finished {
            let broken = self.ahead.iter().any(Result::is_err);
            return if broken { SizeHint::default() } else { SizeHint::with_exact(ahead) };
        }
        let changed = self.veil.is_some() || self.sieve.is_some() || self.passed.is_some() || !self.ahead.is_empty();
        if changed { SizeHint::default() } else { self.upstream.size_hint() }
    }
}

fn masked_keys(veil: &Veil) -> Vec<MaskedKey> {
    let counts = veil.counts().map(|counts| counts.by_key()).unwrap_or_default();
    let told = |count: &MaskCount| MaskedKey {
        reason: count.reason.name().to_owned(),
        key: count.key.clone(),
        values: count.values,
    };
    counts.iter().map(told).collect()
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
