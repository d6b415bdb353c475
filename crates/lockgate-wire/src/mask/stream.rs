//! Masks secrets in a stream of text: bytes in, as many bytes out, with `*` for those of a secret.
//!
//! Owns: what may pass and what must wait. Only bytes from which on everything that has arrived reads like the beginning
//! of a secret are withheld; keywords pass, what they announce waits until it is judged, and a secret that is recognised
//! is masked as it streams. Line breaks stay, so that logs keep their lines.
//!
//! Refuses to know: where one frame ends and the next begins, JSON, and how long nothing has arrived; the caller says
//! when it is [`TextMasker::idle`].
//!
//! # Invariants
//! The output does not depend on how the input was cut, as long as `idle` let nothing go. `window` holds unaltered input:
//! the masks of withheld bytes are kept beside it, since those bytes may belong to a further secret as well.

use zeroize::Zeroize;

use super::patterns::{self, CONTEXT_BYTES, Extent, KEYWORD_BYTES_MAX, Occurrence, Read, Verdict};
use super::scan::Scan;
use super::values::Cursor;

/// What stands for a byte of a secret.
const MASK: u8 = b'*';

/// A withheld beginning that is shorter is let go when the stream is idle.
const IDLE_BYTES_MAX: usize = 5;

/// Input that has passed and is still needed: a keyword that has not ended, and what stands before it.
const RETAINED_BYTES: usize = KEYWORD_BYTES_MAX + CONTEXT_BYTES;

/// How much of it may gather before it is moved out.
const PASSED_BYTES_MAX: usize = 4096;

/// What a masker may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLimits {
    /// Input is worked on in pieces of so many bytes: the masker's memory is this, what it withholds (at most
    /// [`super::KnownValues::longest_spelling_bytes`], or some 2 KiB), and 4 KiB.
    pub piece_bytes_max: usize,
}

impl Default for TextLimits {
    /// 32 KiB: what stays in a processor's nearest cache.
    fn default() -> Self {
        Self { piece_bytes_max: 32 * 1024 }
    }
}

/// What was done, when a stream is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextSummary {
    /// How many runs of bytes were masked; secrets that touch count as one.
    pub masked: u64,
}

/// Masks one stream.
#[derive(Debug)]
pub struct TextMasker {
    scan: Scan,
    limits: TextLimits,
    /// Input: what has passed and is still needed, then what is withheld.
    window: Window,
    /// Secrets in the window, as they were found.
    found: Vec<(usize, usize)>,
    /// Where a known value may have begun.
    cursors: Vec<Cursor>,
    /// Where the beginnings in the middle of a piece are collected.
    begun: Vec<usize>,
    /// Keywords that are not judged yet.
    pending: Vec<Occurrence>,
    /// Secrets that have not ended.
    open: Vec<Open>,
    read: Read,
    /// Where in the window what must wait begins; some of it may have been let go.
    hold: usize,
    /// Behind the last masked byte, counted from the stream's beginning.
    masked_end: u64,
    summary: TextSummary,
}

impl TextMasker {
    /// At the beginning of a stream.
    pub fn new(scan: Scan, limits: TextLimits) -> Self {
        Self {
            scan,
            limits,
            window: Window::default(),
            found: Vec::new(),
            cursors: Vec::new(),
            begun: Vec::new(),
            pending: Vec::new(),
            open: Vec::new(),
            read: Read::default(),
            hold: 0,
            masked_end: u64::MAX,
            summary: TextSummary::default(),
        }
    }

    /// Takes the next bytes and appends to `output` what may pass.
    pub fn push(&mut self, input: &[u8], output: &mut Vec<u8>) {
        if self.scan.is_idle() {
            output.extend_from_slice(input);
            return;
        }
        for piece in input.chunks(self.limits.piece_bytes_max.max(1)) {
            let known = self.window.bytes.len();
            self.window.bytes.extend_from_slice(piece);
            self.read_values(known);
            let hold = self.read_keywords(known, false);
            let hold = self.cursors.iter().map(|cursor| cursor.start).min().map_or(hold, |start| start.min(hold));
            self.hold = hold;
            self.pass(hold, output);
            self.forget();
        }
    }

    /// Nothing has arrived for a while, and somebody may be looking at a prompt: lets go what is withheld, if that is
    /// under five bytes. If it was a secret's beginning, the rest of it will be masked all the same.
    pub fn idle(&mut self, output: &mut Vec<u8>) {
        if self.window.bytes.len() - self.hold < IDLE_BYTES_MAX {
            self.pass(self.window.bytes.len(), output);
        }
    }

    /// The stream is over: lets go what is withheld, and says what was done.
    pub fn finish(&mut self, output: &mut Vec<u8>) -> TextSummary {
        let known = self.window.bytes.len();
        self.read_keywords(known, true);
        self.pass(known, output);
        self.summary
    }

    /// How many runs of bytes have been masked so far.
    pub const fn masked(&self) -> u64 {
        self.summary.masked
    }

    /// Bytes that wait for what follows.
    pub fn withheld_bytes(&self) -> usize {
        self.window.bytes.len() - self.window.passed
    }

    /// Finds known values in what came behind `known`, and where one may begin.
    fn read_values(&mut self, known: usize) {
        let Some(values) = &self.scan.values else { return };
        let text = self.window.bytes.as_slice();
        let found = &mut self.found;
        let mut add = |start, end, _| found.push((start, end));
        self.cursors.retain_mut(|cursor| values.advance(cursor, text, &mut add));
        let tail = text.len().saturating_sub(values.tail_bytes()).max(known);
        let begun = &mut self.begun;
        values.find_from(text, known, &mut add, &mut |start| {
            if start < tail {
                begun.push(start);
            }
        });
        begun.sort_unstable();
        begun.dedup();
        for start in begun.drain(..).chain(tail..text.len()) {
            let rest = text.get(start..).unwrap_or_default();
            values.begin_all(start, rest, &mut self.cursors);
        }
    }

    /// Finds what keywords announce, and says from where on it must wait.
    fn read_keywords(&mut self, known: usize, complete: bool) -> usize {
        let text = self.window.bytes.as_slice();
        let mut hold = text.len();
        if !self.scan.detectors {
            return hold;
        }
        self.read.clear();
        let found = &mut self.found;
        let read = &mut self.read;
        self.open.retain_mut(|open| {
            let reach = open.extent.advance(text, open.at, complete);
            read.add(&open.extent, open.start, if reach.over { reach.end } else { usize::MAX });
            found.push((open.at, reach.end));
            open.at = reach.end;
            hold = if reach.over { hold } else { hold.min(reach.end) };
            !reach.over
        });
        let open = &mut self.open;
        let mut is_undecided = |occurrence: &Occurrence| match patterns::check(*occurrence, text, complete) {
            Verdict::No => false,
            Verdict::More { hold: from } => {
                hold = hold.min(from);
                true
            }
            Verdict::Found { start, extent, .. } if read.covers(&extent, start) => false,
            Verdict::Found { start, mut extent, .. } => {
                let reach = extent.advance(text, start, complete);
                read.add(&extent, start, if reach.over { reach.end } else { usize::MAX });
                found.push((start, reach.end));
                if !reach.over {
                    hold = hold.min(reach.end);
                    open.push(Open { extent, start, at: reach.end });
                }
                false
            }
        };
        self.pending.retain(&mut is_undecided);
        let pending = &mut self.pending;
        let from = known.saturating_sub(KEYWORD_BYTES_MAX);
        patterns::keywords().find(text, from, known, &mut |occurrence| {
            if is_undecided(&occurrence) {
                pending.push(occurrence);
            }
        });
        hold
    }

    /// Lets the window pass up to `to`, with the secrets in it masked.
    fn pass(&mut self, to: usize, output: &mut Vec<u8>) {
        let from = self.window.passed;
        // What was let go while idle may be the beginning of what must wait now.
        let to = to.max(from);
        let Some(bytes) = self.window.bytes.get(from..to) else { return };
        let base = output.len();
        output.extend_from_slice(bytes);
        let passing = output.get_mut(base..).unwrap_or_default();
        self.found.sort_unstable();
        for &(start, end) in &self.found {
            let (start, end) = (start.max(from), end.min(to));
            if end <= start {
                continue;
            }
            let secret = passing.get_mut(start - from..end - from).unwrap_or_default();
            secret.iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = MASK);
            let (start, end) = (self.window.offset + start as u64, self.window.offset + end as u64);
            let touches = self.masked_end != u64::MAX && start <= self.masked_end;
            self.summary.masked += u64::from(!touches);
            self.masked_end = if touches { end.max(self.masked_end) } else { end };
        }
        self.found.retain(|&(_, end)| end > to);
        self.window.passed = to;
    }

    /// Moves out of the window what nothing needs any more.
    fn forget(&mut self) {
        let keywords = self.pending.iter().map(|occurrence| occurrence.start.saturating_sub(CONTEXT_BYTES));
        let cursors = self.cursors.iter().map(|cursor| cursor.start);
        let open = self.open.iter().map(|open| open.at);
        let recent = self.window.bytes.len().saturating_sub(RETAINED_BYTES).min(self.window.passed);
        let gone = keywords.chain(cursors).chain(open).fold(recent, usize::min);
        if gone < PASSED_BYTES_MAX {
            return;
        }
        self.window.bytes.drain(..gone);
        self.window.passed -= gone;
        self.window.offset += gone as u64;
        // Of a secret that has begun to pass, what has passed is done.
        self.found.iter_mut().for_each(|(start, end)| (*start, *end) = (start.saturating_sub(gone), *end - gone));
        self.cursors.iter_mut().for_each(|cursor| cursor.start -= gone);
        self.pending.iter_mut().for_each(|occurrence| occurrence.start -= gone);
        self.open.iter_mut().for_each(|open| (open.start, open.at) = (open.start.saturating_sub(gone), open.at - gone));
        self.hold = self.hold.saturating_sub(gone);
    }
}

/// A secret that has not ended.
#[derive(Debug)]
struct Open {
    extent: Extent,
    start: usize,
    /// Up to here it was read.
    at: usize,
}

/// A piece of the input.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    /// How many of them have passed.
    passed: usize,
    /// Where in the stream the first one is.
    offset: u64,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Window").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}
