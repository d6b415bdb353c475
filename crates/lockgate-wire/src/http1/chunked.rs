//! Where a chunked body ends. Narrower than RFC 9112: no chunk extensions and no trailers, which no Kubernetes client
//! sends and of which programs disagree.

use crate::WireError;

/// Most digits of a chunk's size.
const SIZE_DIGITS_MAX: u8 = 8;

/// The next byte's place in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunked {
    /// In a chunk's size, of which so many digits were read.
    Size { size: u64, digits: u8 },
    /// At the line feed after a size.
    SizeEnd(u64),
    /// In a chunk of which so many bytes are to come.
    Data(u64),
    /// At the carriage return after a chunk.
    DataReturn,
    /// At the line feed after a chunk.
    DataEnd,
    /// At the carriage return after the last chunk's size.
    LastReturn,
    /// At the line feed that ends the body.
    LastEnd,
}

impl Chunked {
    pub(super) const fn new() -> Self {
        Self::Size { size: 0, digits: 0 }
    }

    /// How many of the leading bytes belong to the body, and whether it ends with them.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(usize, bool), WireError> {
        let mut at = 0_usize;
        while let Some(byte) = bytes.get(at) {
            if let Self::Data(left) = self {
                let rest = bytes.len().saturating_sub(at);
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest);
                *left = left.saturating_sub(taken as u64);
                if *left == 0 {
                    *self = Self::DataReturn;
                }
                at = at.saturating_add(taken);
                continue;
            }
            at = at.saturating_add(1);
            match self.next(*byte).ok_or_else(malformed)? {
                Some(next) => *self = next,
                None => return Ok((at, true)),
            }
        }
        Ok((at, false))
    }

    /// The place after `byte`, or none when the body ends with it; nothing when it must not stand here.
    fn next(self, byte: u8) -> Option<Option<Self>> {
        let next = match (self, byte) {
            (Self::Size { size, digits }, b'\r') if digits > 0 => Self::SizeEnd(size),
            (Self::Size { size, digits }, digit) if digits < SIZE_DIGITS_MAX => {
                let digit = char::from(digit).to_digit(16)?;
                Self::Size { size: size << 4 | u64::from(digit), digits: digits.saturating_add(1) }
            }
            (Self::SizeEnd(0), b'\n') => Self::LastReturn,
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataReturn, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::new(),
            (Self::LastReturn, b'\r') => Self::LastEnd,
            (Self::LastEnd, b'\n') => return Some(None),
            _ => return None,
        };
        Some(Some(next))
    }
}

fn malformed() -> WireError {
    WireError::Body("its chunks are malformed, or have extensions or trailers, which are not accepted".into())
}
