//! HTTP/1.1 requests, read strictly as their bytes pass, before the HTTP library sees them (bypass 29).
//!
//! Owns what a request's head may look like and where its body ends. The library behind it is lenient where two programs
//! could read differently (both lengths, bare line feeds, fragments), and answers what it refuses without a `Status` and
//! without a word in the audit log; so a head passes only when it is whole and has one reading. Refuses to know what a
//! request means, and the answers' direction. Sans-IO: the caller feeds bytes and passes on what it is told to.

mod chunked;
mod head;
#[cfg(test)]
mod tests;

use lockgate_core::limit::REQUEST_TARGET_BYTES_MAX;
use memchr::memchr;

use self::chunked::Chunked;
use self::head::{Framing, Head, METHOD_BYTES_MAX};
use crate::WireError;

/// A line's room beside the target: the method, two spaces, the version, the line's end.
const REQUEST_LINE_REST_BYTES_MAX: usize = METHOD_BYTES_MAX + 2 + "HTTP/1.1\r\n".len();

/// How large a head may be.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Bytes of the whole head.
    pub head_bytes_max: usize,
    /// Headers.
    pub headers_max: usize,
}

/// What became of the bytes that were pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// So many of the leading bytes belong to a body: they go on as they are.
    Body(usize),
    /// All were taken into a head that is not whole yet: nothing goes on.
    Held,
    /// So many were taken, and with them a head is whole: it goes on, see [`Inspector::swap_head`].
    Head(usize),
    /// The last head asked to switch protocols: what follows is no HTTP, and goes on only once the switch is agreed to.
    Switching,
}

/// Follows the requests of one connection. After an error nothing of that connection may be read as HTTP any more.
#[derive(Debug)]
pub struct Inspector {
    limits: HeadLimits,
    place: Place,
    /// The bytes of the head being read.
    bytes: Vec<u8>,
    /// Where in them the line being read begins.
    line: usize,
    head: Head,
}

/// Where in the stream the next byte stands.
#[derive(Debug)]
enum Place {
    RequestLine,
    Headers,
    /// In a body of which so many bytes are to come.
    Length(u64),
    Chunked(Chunked),
    Switching,
}

impl Inspector {
    /// At the beginning of a connection.
    pub const fn new(limits: HeadLimits) -> Self {
        Self { limits, place: Place::RequestLine, bytes: Vec::new(), line: 0, head: Head::new() }
    }

    /// Looks at the next bytes of the connection. After [`Passed::Head`] take the head; push what is left of the bytes again.
    ///
    /// # Errors
    /// A head or the framing of a body that is malformed, ambiguous or above a limit. The connection is to be closed.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Passed, WireError> {
        match &mut self.place {
            Place::RequestLine | Place::Headers => self.push_head(bytes),
            Place::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left = left.saturating_sub(taken as u64);
                if *left == 0 {
                    self.place = Place::RequestLine;
                }
                Ok(Passed::Body(taken))
            }
            Place::Chunked(chunked) => {
                let (taken, ended) = chunked.push(bytes)?;
                if ended {
                    self.place = Place::RequestLine;
                }
                Ok(Passed::Body(taken))
            }
            Place::Switching => Ok(Passed::Switching),
        }
    }

    /// Exchanges the head that became whole for an empty buffer, which is used for the next one.
    pub fn swap_head(&mut self, buffer: &mut Vec<u8>) {
        buffer.clear();
        std::mem::swap(&mut self.bytes, buffer);
    }

    /// The first line as far as it was read: whom a refusal is about.
    pub fn request_line(&self) -> &[u8] {
        let end = memchr(b'\n', &self.bytes).unwrap_or(self.bytes.len());
        self.bytes.get(..end).unwrap_or_default()
    }

    /// Whether the next byte, if one comes, begins a request.
    pub const fn is_between_requests(&self) -> bool {
        matches!(self.place, Place::RequestLine) && self.bytes.is_empty()
    }

    fn push_head(&mut self, bytes: &[u8]) -> Result<Passed, WireError> {
        if self.is_between_requests() {
            self.head = Head::new();
        }
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let Some(end) = memchr(b'\n', rest) else {
                self.bytes.extend_from_slice(rest);
                self.check_size()?;
                return Ok(Passed::Held);
            };
            let (line, _) = rest.split_at(end.saturating_add(1));
            self.bytes.extend_from_slice(line);
            taken = taken.saturating_add(line.len());
            self.check_size()?;
            if self.line()? {
                return Ok(Passed::Head(taken));
            }
        }
        Ok(Passed::Held)
    }

    /// Before anything is looked at, so that no size is read as something else.
    fn check_size(&self) -> Result<(), WireError> {
        let line = self.bytes.len().saturating_sub(self.line);
        if matches!(self.place, Place::RequestLine) && line > REQUEST_TARGET_BYTES_MAX + REQUEST_LINE_REST_BYTES_MAX {
            return Err(WireError::TargetTooLong);
        }
        if self.bytes.len() > self.limits.head_bytes_max {
            return Err(WireError::HeadTooLarge { limit_bytes: self.limits.head_bytes_max });
        }
        Ok(())
    }

    /// Reads the line that just became whole; `true` when it ends the head.
    fn line(&mut self) -> Result<bool, WireError> {
        let line = self.bytes.get(self.line..).unwrap_or_default();
        let line = line.strip_suffix(b"\r\n").ok_or(WireError::Head("a line ends in a bare line feed"))?;
        if matches!(self.place, Place::RequestLine) {
            self.head.request_line(line)?;
            self.place = Place::Headers;
        } else if !line.is_empty() {
            self.head.header(line, self.limits.headers_max)?;
        } else {
            self.place = match self.head.framing()? {
                Framing::None => Place::RequestLine,
                Framing::Length(length) => Place::Length(length),
                Framing::Chunked => Place::Chunked(Chunked::new()),
                Framing::Switching => Place::Switching,
            };
            self.line = 0;
            return Ok(true);
        }
        self.line = self.bytes.len();
        Ok(false)
    }
}
