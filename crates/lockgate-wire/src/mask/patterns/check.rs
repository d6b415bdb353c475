//! What must follow a keyword. Each check looks at a bounded piece of text and answers the same however much more
//! follows, so that the answer does not depend on how a stream is cut.

use super::extent::{Class, Extent, Until};
use super::keyword::Occurrence;
use super::table::{Kind, Token};
use super::{CONTEXT_BYTES, Detector, assignment};
use crate::mask::values::is_wordlike;

/// Longest header of a JSON Web Token, in base64.
const JWT_HEADER_BYTES_MAX: usize = 2048;
/// Shortest part of one behind the header.
const JWT_PART_BYTES_MIN: usize = 16;
/// Longest authority of a URL.
const AUTHORITY_BYTES_MAX: usize = 512;
/// Shortest token behind `Bearer`, and how much of it is judged.
const BEARER_BYTES_MIN: usize = 16;
const BEARER_BYTES_JUDGED: usize = 64;
/// Shortest credentials behind `Basic`.
const BASIC_BYTES_MIN: usize = 8;
/// Longest label between `BEGIN` and `PRIVATE KEY`.
const PEM_LABEL_BYTES_MAX: usize = 24;
/// Longest line break, spelled with escapes, behind the first line of PEM.
const PEM_GAP_BYTES_MAX: usize = 8;

/// Whether a secret follows a keyword.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mask) enum Verdict {
    /// None does.
    No,
    /// More text is needed. From `hold` on the text may be the secret's; before that it may pass.
    More {
        /// Where in the text; its end if nothing of it may be.
        hold: usize,
    },
    /// One does.
    Found {
        /// Where it begins.
        start: usize,
        /// How far it goes.
        extent: Extent,
        /// What it is.
        detector: Detector,
    },
}

impl Verdict {
    pub(super) const fn found(start: usize, until: Until, detector: Detector) -> Self {
        Self::Found { start, extent: Extent::new(until), detector }
    }
}

/// Judges what follows the keyword in `text`; `complete` says that the text ends there.
pub(in crate::mask) fn check(occurrence: Occurrence, text: &[u8], complete: bool) -> Verdict {
    let place = Place { text, start: occurrence.start, end: occurrence.end(), complete };
    match occurrence.keyword.kind {
        Kind::Token(token) => place.token(token),
        Kind::Url => place.url(),
        Kind::Jwt => place.jwt(),
        Kind::Pem => place.pem(),
        Kind::Bearer => place.bearer(),
        Kind::Basic => place.basic(),
        Kind::Password => assignment::check(&place, assignment::Level::Any, Detector::Password),
        Kind::Named => assignment::check(&place, assignment::Level::Random, Detector::NamedSecret),
    }
}

/// A keyword in its text.
pub(super) struct Place<'a> {
    pub(super) text: &'a [u8],
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) complete: bool,
}

impl<'a> Place<'a> {
    /// What follows from `at` on.
    pub(super) fn rest(&self, at: usize) -> &'a [u8] {
        self.text.get(at..).unwrap_or_default()
    }

    /// What stands before the keyword: the last [`CONTEXT_BYTES`] of it.
    pub(super) fn before(&self) -> &'a [u8] {
        self.text.get(self.start.saturating_sub(CONTEXT_BYTES)..self.start).unwrap_or_default()
    }

    /// More is needed, and nothing is to be withheld.
    pub(super) fn more(&self) -> Verdict {
        if self.complete { Verdict::No } else { Verdict::More { hold: self.text.len() } }
    }

    /// More is needed, and what is there from `hold` on may be the secret.
    pub(super) fn more_from(&self, hold: usize) -> Verdict {
        if self.complete { Verdict::No } else { Verdict::More { hold } }
    }

    fn begins_word(&self, class: Class) -> bool {
        !self.before().last().is_some_and(|&byte| class.has(byte))
    }

    fn token(&self, token: Token) -> Verdict {
        if !token.inside && !self.begins_word(Class::Alphanumeric) {
            return Verdict::No;
        }
        // Where a longer one is something else, one byte more tells.
        let wanted = if token.bytes_max == usize::MAX { token.bytes_min } else { token.bytes_max + 1 };
        let run = run(self.rest(self.end), token.class, wanted);
        if run == self.rest(self.end).len() && run < wanted && !self.complete {
            return self.more_from(self.end);
        }
        let body = self.rest(self.end).get(..run).unwrap_or_default();
        if run < token.bytes_min || run > token.bytes_max || distinct(body) < 5 {
            return Verdict::No;
        }
        Verdict::found(self.end, Until::Outside(token.class), token.detector)
    }

    /// `scheme://user:password@host`.
    fn url(&self) -> Verdict {
        let rest = self.rest(self.end);
        let is_end = |&byte: &u8| byte <= b' ' || b"/?#\"'`<>\\".contains(&byte);
        let limited = rest.get(..AUTHORITY_BYTES_MAX).unwrap_or(rest);
        let authority = match limited.iter().position(is_end) {
            Some(end) => limited.get(..end).unwrap_or_default(),
            None if limited.len() == AUTHORITY_BYTES_MAX => return Verdict::No,
            None => limited,
        };
        let password = memchr::memchr(b':', authority).map(|colon| colon + 1);
        if authority.len() == rest.len() && !self.complete {
            return password.map_or_else(|| self.more(), |password| self.more_from(self.end + password));
        }
        let (Some(from), Some(to)) = (password, memchr::memrchr(b'@', authority)) else { return Verdict::No };
        match authority.get(from..to) {
            Some(password) if !password.is_empty() && !assignment::is_placeholder(password) => {
                Verdict::found(self.end + from, Until::Bytes(password.len()), Detector::UrlPassword)
            }
            _ => Verdict::No,
        }
    }

    /// `header.payload.signature`: all behind the first dot.
    fn jwt(&self) -> Verdict {
        if !self.begins_word(Class::Word) {
            return Verdict::No;
        }
        let header = run(self.rest(self.end), Class::Word, JWT_HEADER_BYTES_MAX);
        let dot = self.end + header;
        match self.rest(dot).first() {
            None => return self.more(),
            Some(b'.') => {}
            Some(_) => return Verdict::No,
        }
        let part = run(self.rest(dot + 1), Class::Word, JWT_PART_BYTES_MIN);
        // An encrypted one without a key of its own has nothing between two dots.
        let is_direct = self.rest(dot + 1).first() == Some(&b'.');
        if part == JWT_PART_BYTES_MIN || is_direct {
            Verdict::found(dot + 1, Until::Outside(Class::Dotted), Detector::Jwt)
        } else if part == self.rest(dot + 1).len() {
            self.more_from(dot + 1)
        } else {
            Verdict::No
        }
    }

    /// `-----BEGIN … PRIVATE KEY-----` and all up to its end.
    fn pem(&self) -> Verdict {
        let before = self.before();
        let label = before.iter().rev().take_while(|byte| byte.is_ascii_uppercase() || **byte == b' ').count();
        let (dashes, label) = before.split_at(before.len() - label);
        if label.len() > PEM_LABEL_BYTES_MAX || !label.starts_with(b"BEGIN ") || !dashes.ends_with(b"-----") {
            return Verdict::No;
        }
        let rest = self.rest(self.end);
        for tail in [b"-----".as_slice(), b" BLOCK-----"] {
            if let Some(body) = rest.strip_prefix(tail) {
                return self.pem_body(body);
            }
            if tail.starts_with(rest) {
                return self.more();
            }
        }
        Verdict::No
    }

    /// The body of a PEM block, unless it has been masked before: its end is masked too, and what follows is none of it.
    fn pem_body(&self, body: &'a [u8]) -> Verdict {
        let start = self.text.len() - body.len();
        let limited = body.get(..PEM_GAP_BYTES_MAX + 1).unwrap_or(body);
        match limited.iter().find(|byte| !matches!(byte, b'\n' | b'\r' | b'\\' | b'n' | b'r' | b' ')) {
            Some(b'*') => Verdict::No,
            None if limited.len() <= PEM_GAP_BYTES_MAX && !self.complete => self.more_from(start),
            _ => Verdict::found(start, Until::Pem, Detector::PrivateKey),
        }
    }

    fn bearer(&self) -> Verdict {
        if !self.begins_word(Class::Alphanumeric) {
            return Verdict::No;
        }
        let rest = self.rest(self.end);
        let gaps = [b" ".as_slice(), b"%20", b"+", b": ", b"=", b":"];
        let Some(gap) = gaps.iter().find(|gap| rest.starts_with(gap)) else {
            return if gaps.iter().any(|gap| gap.starts_with(rest)) { self.more() } else { Verdict::No };
        };
        if *gap == b":" && rest.len() == 1 {
            return self.more();
        }
        let body = self.end + gap.len();
        let run = run(self.rest(body), Class::Token, BEARER_BYTES_JUDGED);
        if run == self.rest(body).len() && run < BEARER_BYTES_JUDGED && !self.complete {
            return self.more_from(body);
        }
        let judged = self.rest(body).get(..run).unwrap_or_default();
        if run < BEARER_BYTES_MIN || is_wordlike(judged) || distinct(judged) < 5 {
            return Verdict::No;
        }
        Verdict::found(body, Until::Outside(Class::Token), Detector::Authorization)
    }

    fn basic(&self) -> Verdict {
        let name = b"authorization";
        if !self.before().windows(name.len()).any(|window| window.eq_ignore_ascii_case(name)) {
            return Verdict::No;
        }
        let run = run(self.rest(self.end), Class::Base64, BASIC_BYTES_MIN);
        if run == BASIC_BYTES_MIN {
            Verdict::found(self.end, Until::Outside(Class::Base64), Detector::Authorization)
        } else if run == self.rest(self.end).len() {
            self.more_from(self.end)
        } else {
            Verdict::No
        }
    }
}

/// How many of the first bytes belong to the class, up to a limit.
fn run(text: &[u8], class: Class, bytes_max: usize) -> usize {
    text.iter().take(bytes_max).take_while(|&&byte| class.has(byte)).count()
}

/// How many different bytes there are.
pub(super) fn distinct(text: &[u8]) -> usize {
    let mut seen = [false; 256];
    for &byte in text {
        if let Some(seen) = seen.get_mut(usize::from(byte)) {
            *seen = true;
        }
    }
    seen.iter().filter(|seen| **seen).count()
}
