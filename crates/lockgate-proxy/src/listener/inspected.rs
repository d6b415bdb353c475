//! A client's HTTP/1.1 connection on its way into the HTTP library: only heads with one reading get there.
//!
//! A head that is refused is replaced by [`REFUSED`], which the inspector itself never lets through: so the refusal takes
//! its turn behind the requests before it, is answered with a `Status`, recorded, and the last thing on its connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Version};
use lockgate_wire::WireError;
use lockgate_wire::http1::{HeadLimits, Inspector, Passed};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::upstream::dial::BoxStream;

/// What stands in place of a refused head. Asterisk-form is none of those that pass.
const REFUSED: &[u8] = b"OPTIONS * HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// How long a connection that ends before its client is done is still read, so that the client gets to see the answer:
/// closing at once would reset the connection, and with it what the client has not read yet.
const LINGER_MAX: Duration = Duration::from_secs(2);

/// Bytes read and dropped in that time.
const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest method and target of a refused head in its record, in characters.
const RECORDED_METHOD_MAX: usize = 32;
const RECORDED_TARGET_MAX: usize = 512;

/// A head that no request was made of.
pub(crate) struct Malformed {
    /// Why.
    pub(crate) error: WireError,
    /// The method, as far as one was read.
    pub(crate) method: String,
    /// The target, as far as one was read; cut short.
    pub(crate) target: String,
}

impl Malformed {
    /// Of a request line, or the beginning of one.
    fn of(error: WireError, line: &[u8]) -> Self {
        let mut parts = line.splitn(2, |byte| *byte == b' ');
        let mut part = |characters_max: usize| -> String {
            let text = String::from_utf8_lossy(parts.next().unwrap_or_default());
            text.chars().filter(|character| !character.is_control()).take(characters_max).collect()
        };
        let (method, target) = (part(RECORDED_METHOD_MAX), part(RECORDED_TARGET_MAX));
        let target = target.rsplit_once(" HTTP/").map_or(target.as_str(), |(target, _)| target).to_owned();
        Self { error, method, target }
    }

    /// Of a request that the HTTP library has read.
    pub(crate) fn of_request<B>(error: WireError, request: &Request<B>) -> Self {
        Self::of(error, format!("{} {}", request.method(), request.uri()).as_bytes())
    }
}

/// What the connection's two sides, bytes and requests, tell each other.
#[derive(Default)]
pub(super) struct Door {
    refused: Mutex<Option<Malformed>>,
    switched: AtomicBool,
}

impl Door {
    /// The refusal that this request stands for, if it does.
    pub(super) fn refused<B>(&self, request: &Request<B>) -> Option<Malformed> {
        if request.version() == Version::HTTP_2 || request.uri().path() != "*" {
            return None;
        }
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The switch of protocols that the last request asked for is agreed to.
    pub(super) fn switch(&self) {
        self.switched.store(true, Ordering::Release);
    }
}

/// The connection.
pub(super) struct Inspected {
    stream: BoxStream,
    inspector: Inspector,
    door: Arc<Door>,
    /// A head on its way in, and how much of it is in.
    head: Vec<u8>,
    given: usize,
    /// Bytes behind what has been looked at.
    rest: Vec<u8>,
    refused: bool,
    linger: Option<Linger>,
}

/// The end of a connection that its client has not ended.
struct Linger {
    until: Pin<Box<Sleep>>,
    bytes: usize,
}

impl Inspected {
    pub(super) fn new(stream: BoxStream, limits: HeadLimits, door: Arc<Door>) -> Self {
        let inspector = Inspector::new(limits);
        Self { stream, inspector, door, head: Vec::new(), given: 0, rest: Vec::new(), refused: false, linger: None }
    }

    /// Gives what is left of the head.
    fn give_head(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let left = self.head.get(self.given..).unwrap_or_default();
        let (now, _) = left.split_at(left.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.given = self.given.saturating_add(now.len());
        !now.is_empty()
    }

    /// Looks at the bytes that were read into the buffer behind `before`, and leaves there what may go on.
    fn look(&mut self, buffer: &mut ReadBuf<'_>, before: usize) -> io::Result<Look> {
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(Look::Pass);
        }
        let (kept, taken, look) = match self.inspector.push(bytes) {
            Ok(Passed::Body(taken)) => (taken, taken, Look::Pass),
            Ok(Passed::Held) => (0, bytes.len(), Look::Again),
            Ok(Passed::Head(taken)) => {
                self.inspector.swap_head(&mut self.head);
                self.given = 0;
                (0, taken, Look::Again)
            }
            Ok(Passed::Switching) if self.door.switched.load(Ordering::Acquire) => {
                (bytes.len(), bytes.len(), Look::Pass)
            }
            // A client that does not wait for the answer: what it says is heard once there is one.
            Ok(Passed::Switching) => (0, 0, Look::Wait),
            Err(error) => {
                self.refuse(error)?;
                (0, bytes.len(), Look::Again)
            }
        };
        // In front of what a small buffer may have left there.
        self.rest.splice(..0, bytes.get(taken..).unwrap_or_default().iter().copied());
        buffer.set_filled(before.saturating_add(kept));
        Ok(look)
    }

    /// A head gives way to the one that stands for its refusal; a body breaks off.
    fn refuse(&mut self, error: WireError) -> io::Result<()> {
        self.refused = true;
        if matches!(error, WireError::Body(_)) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        let malformed = Malformed::of(error, self.inspector.request_line());
        *self.door.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(malformed);
        self.head = REFUSED.to_vec();
        self.given = 0;
        Ok(())
    }

    /// Puts bytes that were read before into the buffer, as many as fit.
    fn unread(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let fits = self.rest.len().min(buffer.remaining());
        buffer.put_slice(self.rest.get(..fits).unwrap_or_default());
        self.rest.drain(..fits);
        fits > 0
    }
}

/// What to do after a look.
enum Look {
    /// What is in the buffer goes on; nothing is the end of the connection.
    Pass,
    /// There is a head to give, or more to read.
    Again,
    /// Nothing more until the switch is agreed to.
    Wait,
}

impl AsyncRead for Inspected {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.give_head(buffer) {
                return Poll::Ready(Ok(()));
            }
            if this.refused {
                // Not the end: the library takes a client that closes for one that does not want its answer.
                return Poll::Pending;
            }
            let before = buffer.filled().len();
            if !this.unread(buffer) {
                ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
            }
            match this.look(buffer, before)? {
                Look::Pass => return Poll::Ready(Ok(())),
                Look::Again => {}
                // Whoever agrees to the switch polls again.
                Look::Wait => return Poll::Pending,
            }
        }
    }
}

impl AsyncWrite for Inspected {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            if !this.refused && (this.inspector.is_between_requests() || this.door.switched.load(Ordering::Acquire)) {
                return Poll::Ready(Ok(()));
            }
        }
        let linger =
            this.linger.get_or_insert_with(|| Linger { until: Box::pin(tokio::time::sleep(LINGER_MAX)), bytes: 0 });
        let mut scrap = [0; 8 * 1024];
        while linger.bytes < LINGER_BYTES_MAX {
            if linger.until.as_mut().poll(context).is_ready() {
                break;
            }
            let mut scrap = ReadBuf::new(&mut scrap);
            match ready!(Pin::new(&mut this.stream).poll_read(context, &mut scrap)) {
                Ok(()) if !scrap.filled().is_empty() => {
                    linger.bytes = linger.bytes.saturating_add(scrap.filled().len());
                }
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
