//! The lines of one head.

use lockgate_core::limit::REQUEST_TARGET_BYTES_MAX;

use crate::WireError;
use crate::target::check_bytes;

/// Longest method, in bytes.
pub(super) const METHOD_BYTES_MAX: usize = 32;

/// Most digits of a length: what fits a `u64` for sure.
const LENGTH_DIGITS_MAX: usize = 19;

/// What the lines so far have said about where the request ends.
#[derive(Debug, Default)]
pub(super) struct Head {
    version: Version,
    headers: usize,
    length: Option<u64>,
    chunked: bool,
    host: bool,
    upgrade: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    #[default]
    Http11,
}

/// Where the request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// With its head.
    None,
    /// After so many bytes, at least one.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// It asks for another protocol.
    Switching,
}

/// What a byte may stand for.
const TOKEN: u8 = 1;
const VALUE: u8 = 2;

/// One look-up for each byte: legal in a token (RFC 9110, section 5.6.2), legal in a header's value (section 5.5).
static CLASSES: [u8; 256] = classes();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler; the index is below the array's length")]
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        let token = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        let value = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        classes[byte as usize] = (token as u8) * TOKEN + (value as u8) * VALUE;
        if byte == u8::MAX {
            return classes;
        }
        byte += 1;
    }
}

/// Whether all bytes are of this class. No early end, so that the compiler can do many at once.
fn all(bytes: &[u8], class: u8) -> bool {
    let mut common = class;
    for byte in bytes {
        common &= CLASSES.get(usize::from(*byte)).copied().unwrap_or_default();
    }
    common == class
}

impl Head {
    pub(super) const fn new() -> Self {
        Self { version: Version::Http11, headers: 0, length: None, chunked: false, host: false, upgrade: false }
    }

    /// `METHOD SP target SP HTTP/1.x`
    pub(super) fn request_line(&mut self, line: &[u8]) -> Result<(), WireError> {
        if line.is_empty() {
            return Err(WireError::Head("an empty line stands before the request"));
        }
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(WireError::Head("the request line is not method, target and version with one space between"));
        };
        if method.is_empty() || method.len() > METHOD_BYTES_MAX || !all(method, TOKEN) {
            return Err(WireError::Head("the method is empty, too long or holds an illegal character"));
        }
        if method == b"CONNECT" {
            return Err(WireError::Method { method: "CONNECT".into() });
        }
        if target.len() > REQUEST_TARGET_BYTES_MAX {
            return Err(WireError::TargetTooLong);
        }
        check_bytes(target)?;
        self.version = match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            _ => return Err(WireError::Head("the version is neither HTTP/1.1 nor HTTP/1.0")),
        };
        Ok(())
    }

    /// `name: value`
    pub(super) fn header(&mut self, line: &[u8], headers_max: usize) -> Result<(), WireError> {
        if self.headers == headers_max {
            return Err(WireError::TooManyHeaders { limit: headers_max });
        }
        self.headers = self.headers.saturating_add(1);
        if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(WireError::Head("a header is continued on a second line"));
        }
        let colon = memchr::memchr(b':', line).ok_or(WireError::Head("a header line has no colon"))?;
        let (name, value) = line.split_at(colon);
        if name.is_empty() || !all(name, TOKEN) {
            return Err(WireError::Head("the name of a header is empty or holds an illegal character"));
        }
        if !all(value, VALUE) {
            return Err(WireError::Head("the value of a header holds a control character"));
        }
        self.remember(name, value)
    }

    /// Keeps what says where the request ends and whom it is for.
    fn remember(&mut self, name: &[u8], value: &[u8]) -> Result<(), WireError> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let repeated = if is(b"content-length") {
            let length = length(trimmed(value)).ok_or(WireError::Head("a Content-Length that is no number"))?;
            self.length.replace(length).is_some().then_some("more than one Content-Length")
        } else if is(b"transfer-encoding") {
            let other = !trimmed(value).eq_ignore_ascii_case(b"chunked");
            let repeated = std::mem::replace(&mut self.chunked, true);
            (other || repeated).then_some("a Transfer-Encoding that is not exactly one `chunked`")
        } else if is(b"host") {
            std::mem::replace(&mut self.host, true).then_some("more than one Host header")
        } else {
            self.upgrade |= is(b"upgrade");
            None
        };
        repeated.map_or(Ok(()), |what| Err(WireError::Head(what)))
    }

    /// What all lines together say.
    pub(super) fn framing(&self) -> Result<Framing, WireError> {
        if self.version == Version::Http11 && !self.host {
            return Err(WireError::Head("no Host header"));
        }
        if self.chunked && self.length.is_some() {
            return Err(WireError::Head("both Content-Length and Transfer-Encoding"));
        }
        if self.chunked && self.version == Version::Http10 {
            return Err(WireError::Head("a Transfer-Encoding, which HTTP/1.0 does not have"));
        }
        let framing = match self.length {
            _ if self.chunked => Framing::Chunked,
            Some(0) | None => Framing::None,
            Some(length) => Framing::Length(length),
        };
        match framing {
            Framing::None if self.upgrade => Ok(Framing::Switching),
            _ if self.upgrade => Err(WireError::Head("an Upgrade with a body")),
            framing => Ok(framing),
        }
    }
}

/// Without the colon and the optional white space around the value.
fn trimmed(value: &[u8]) -> &[u8] {
    value.strip_prefix(b":").unwrap_or(value).trim_ascii()
}

/// Digits and nothing else: no sign, no list, no white space inside.
fn length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > LENGTH_DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
