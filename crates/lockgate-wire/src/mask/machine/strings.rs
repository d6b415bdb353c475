//! String values: what each is for, and what takes its place.

use crate::mask::annotation::Annotation;
use crate::mask::copies::{self, Copy};
use crate::mask::helm::{self, Stored};
use crate::mask::member_name::NAME_LITERAL_BYTES_MAX;
use crate::mask::path::{Frame, Members, Next, Owner, PairName};
use crate::mask::plan::Messages;
use crate::mask::profile::Values;
use crate::mask::reason::Reason;
use crate::mask::rewrite::Rewrite;
use crate::mask::words::{Verdict, Word};
use crate::mask::{Found, MaskError, manifest, names, status, text};

use super::piece::Piece;
use super::{Masker, State};

/// What a string says of what it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The object's kind.
    Kind,
    /// The object's apiVersion.
    ApiVersion,
    /// The name in a pair.
    PairName,
}

/// Where a string stands that is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is a member's value, or belongs to it.
    Member,
    /// In a subtree: it is a member's name or an array's element.
    NameOrElement,
}

/// What a string value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Pass,
    Drop,
    /// It passes, and says what it stands in.
    Says(What),
    /// It is withheld until it is whole.
    Held(Held),
}

/// What becomes of a string that is withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// It is searched.
    Searched,
    /// Likewise, and says what the object or pair at hand is.
    Said(What),
    LastApplied(Owner),
    Annotation(Annotation),
    Message(Messages),
    Word(Word),
    Release(Stored),
    Manifest,
    Given(bool),
}

impl Masker {
    /// At the quote that opens a string value.
    pub(super) fn enter_text(&mut self, next: Next, piece: &mut Piece<'_, '_>) {
        let all = self.plan.rules().templates == Values::All;
        let masked = |reason| if all { Err(reason) } else { Ok(Use::Pass) };
        let purpose = match next {
            Next::Mask(reason) | Next::MaskMembers(reason) | Next::JudgeMembers(reason) | Next::Mapped(reason) => {
                Err(reason)
            }
            Next::Field => Err(Reason::Field),
            Next::Pairs(reason) => masked(reason),
            Next::Pair(Reason::Header) => masked(Reason::Header),
            Next::Kind => Ok(self.says(What::Kind)),
            Next::ApiVersion => Ok(self.says(What::ApiVersion)),
            Next::PairName => Ok(self.says(What::PairName)),
            Next::LastApplied(owner) => Ok(Use::Held(Held::LastApplied(owner))),
            Next::Annotation(annotation) => Ok(Use::Held(Held::Annotation(annotation))),
            Next::Message(messages) => Ok(Use::Held(Held::Message(messages))),
            // `NAME=value` in a list of variables, or a whole command line, is judged as a word.
            Next::Pair(_) | Next::Words(_) => Ok(Use::Held(Held::Word(Word::Plain))),
            Next::Word(word) => Ok(Use::Held(Held::Word(word))),
            Next::Release(stored) => Ok(Use::Held(Held::Release(stored))),
            Next::Manifest => Ok(Use::Held(Held::Manifest)),
            Next::Given(secret) => Ok(Use::Held(Held::Given(secret))),
            _ => Ok(Use::Pass),
        };
        match purpose {
            Err(reason) => {
                self.mask(reason, piece);
                piece.at += 1;
                self.state = State::Text(Use::Drop);
            }
            Ok(Use::Pass) if self.context.finder.is_some() && next != Next::Skip => {
                let is_over = self.search_in_place(Place::Member, piece);
                self.state = if is_over { State::Behind } else { State::Text(Use::Held(Held::Searched)) };
            }
            Ok(purpose) => {
                if matches!(purpose, Use::Held(_)) {
                    piece.withhold();
                }
                piece.at += 1;
                self.state = State::Text(purpose);
            }
        }
    }

    /// A string that says something passes at once where nothing is looked for in it.
    const fn says(&self, what: What) -> Use {
        if self.context.finder.is_some() { Use::Held(Held::Said(what)) } else { Use::Says(what) }
    }

    /// A string value, or a piece of it.
    pub(super) fn text(&mut self, purpose: Use, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        if let Use::Held(held) = purpose {
            return self.held_text(held, piece);
        }
        let keep = match purpose {
            Use::Pass | Use::Drop | Use::Held(_) => 0,
            Use::Says(_) => NAME_LITERAL_BYTES_MAX + 1,
        };
        let Some(part) = self.literal_part(piece, keep) else { return Ok(()) };
        let literal = std::mem::take(&mut self.literal);
        let whole = if literal.is_empty() { part } else { &literal };
        let said = match purpose {
            Use::Says(what) => self.say(what, whole, piece),
            Use::Pass | Use::Drop | Use::Held(_) => Ok(()),
        };
        self.literal = literal;
        self.literal.clear();
        piece.pass();
        self.state = State::Behind;
        said
    }

    /// Reads on in a withheld string; what takes its place is written when it is whole.
    fn held_text(&mut self, held: Held, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        if held == Held::Searched {
            if self.search_held(Place::Member, piece) {
                self.state = State::Behind;
            }
            return Ok(());
        }
        let bytes_max = self.context.limits.annotation_bytes_max;
        let part = self.literal_part(piece, bytes_max + 1);
        let is_large = self.literal.len().max(part.map_or(0, <[u8]>::len)) > bytes_max;
        if !is_large && part.is_none() {
            return Ok(());
        }
        let literal = std::mem::take(&mut self.literal);
        let whole = if literal.is_empty() { part.unwrap_or_default() } else { &literal };
        let said = if let Held::Said(what) = held { self.say(what, whole, piece) } else { Ok(()) };
        // A name is not told, as the key that something is counted under, before it is known to hold nothing.
        let name = if held == Held::Said(What::PairName) { std::mem::take(&mut self.key) } else { Vec::new() };
        if is_large {
            self.place(held.reason(), piece);
            self.state = State::Text(Use::Drop);
        } else {
            let rewrite = self.rewrite(held, whole);
            if rewrite == Rewrite::Keep && !name.is_empty() {
                self.key = name;
            }
            self.replace(rewrite, whole, held.reason(), piece);
            self.literal = literal;
            self.literal.clear();
        }
        if part.is_some() {
            self.end_held(piece);
        }
        said
    }

    /// Behind a withheld string: what follows passes again.
    fn end_held(&mut self, piece: &mut Piece<'_, '_>) {
        piece.pass();
        self.state = State::Behind;
    }

    fn rewrite(&mut self, held: Held, literal: &[u8]) -> Rewrite {
        let rewrite = match held {
            Held::Searched | Held::Said(_) => Rewrite::Keep,
            Held::LastApplied(owner) => {
                copies::rewrite(literal, Copy::LastApplied(owner), self.plan.profile, &self.context)
            }
            Held::Annotation(annotation) => {
                copies::rewrite(literal, Copy::Annotation(annotation), self.plan.profile, &self.context)
            }
            Held::Message(messages) => status::rewrite(literal, messages),
            Held::Word(word) => self.word(word, literal),
            Held::Release(stored) => helm::rewrite(literal, stored, self.plan.profile, &self.context),
            Held::Manifest => manifest::rewrite(literal, self.plan.profile, &self.context),
            // An empty value tells that there is none, and charts ask for that.
            Held::Given(_) if literal.is_empty() => Rewrite::Keep,
            Held::Given(true) => Rewrite::Mask,
            Held::Given(false) => match self.plan.rules().releases {
                Values::All => Rewrite::Mask,
                Values::ByName | Values::Pass => Rewrite::Keep,
            },
        };
        match rewrite {
            // Packed: it was searched inside.
            rewrite if matches!(held, Held::Release(_)) => rewrite,
            Rewrite::Keep => self.search(literal),
            // What was left of it may hold something, and so may what stands between the strings of a text in it.
            Rewrite::Replace(instead, mut counts) => {
                let inside = instead.get(1..instead.len().saturating_sub(1)).unwrap_or_default();
                match self.search(inside) {
                    Rewrite::Keep => Rewrite::Replace(instead, counts),
                    Rewrite::Replace(again, more) => {
                        counts.merge(more);
                        Rewrite::Replace(again, counts)
                    }
                    Rewrite::Mask => Rewrite::Mask,
                }
            }
            Rewrite::Mask => Rewrite::Mask,
        }
    }

    /// A word of a command line.
    fn word(&mut self, word: Word, literal: &[u8]) -> Rewrite {
        let Some(decoded) = text::decode(literal) else { return Rewrite::Mask };
        let (verdict, next) = word.judge(&decoded, self.plan.rules().templates);
        if let Some(Frame::Elements(Next::Word(word))) = self.frames.last_mut() {
            *word = next;
        }
        let Verdict::Mask(kept) = verdict else { return Rewrite::Keep };
        let (kept, _) = decoded.split_at_checked(kept).unwrap_or_default();
        self.key.clear();
        // What is masked in it is not told where it is counted either.
        if self.search_as(b"", b"", kept.as_bytes()) == Rewrite::Keep {
            self.key.extend_from_slice(kept.trim_end_matches('=').as_bytes());
        }
        let reason = if matches!(self.frames.last(), Some(Frame::Elements(Next::Pair(_)))) {
            Reason::Environment
        } else {
            Reason::Argument
        };
        Rewrite::instead(&format!("{kept}{}", reason.placeholder()), reason, &self.key)
    }

    fn replace(&mut self, rewrite: Rewrite, literal: &[u8], reason: Reason, piece: &mut Piece<'_, '_>) {
        match rewrite {
            Rewrite::Keep => {
                piece.output.push(b'"');
                piece.output.extend_from_slice(literal);
                piece.output.push(b'"');
            }
            Rewrite::Replace(instead, counts) => {
                piece.output.extend_from_slice(&instead);
                self.counts.merge(counts);
            }
            Rewrite::Mask => self.place(reason, piece),
        }
    }

    /// The object or pair at hand says what it is.
    fn say(&mut self, what: What, literal: &[u8], piece: &Piece<'_, '_>) -> Result<(), MaskError> {
        if what == What::PairName {
            self.say_pair_name(literal);
            return Ok(());
        }
        let Some(Frame::Members(Members::Object(object) | Members::Embedded(object))) = self.frames.last_mut() else {
            return Ok(());
        };
        let decoded = if literal.contains(&b'\\') { text::decode(literal) } else { None };
        let word = decoded.as_ref().map_or(literal, |text| text.as_bytes());
        let said =
            if self.context.fields.is_some() { String::from_utf8_lossy(word).into_owned() } else { String::new() };
        if what == What::Kind {
            object.say_kind(word);
        } else {
            object.say_api_version(word);
        }
        if object.is_exposed(!self.plan.rules().config_maps.pass()) {
            return Err(MaskError::SecretAfterData { offset: self.offset + piece.at as u64 });
        }
        if self.context.fields.is_some() {
            self.say_to_rules(what, &said);
        }
        Ok(())
    }

    fn say_pair_name(&mut self, literal: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(literal.get(..NAME_LITERAL_BYTES_MAX).unwrap_or(literal));
        let Some(Frame::Members(Members::Pair(_, said))) = self.frames.last_mut() else { return };
        let name = text::decode(literal).filter(|_| literal.len() <= NAME_LITERAL_BYTES_MAX);
        let harmless = name.is_some_and(|name| !names::is_secret(&name));
        // With a repeated name, no parser's choice uncovers the value.
        *said = if harmless && *said != PairName::Secret { PairName::Harmless } else { PairName::Secret };
    }

    pub(super) fn is_pair(&self) -> bool {
        matches!(self.frames.last(), Some(Frame::Members(Members::Pair(..))))
    }

    /// At the quote that opens a string: searches it if all of it is here, else withholds what is.
    pub(super) fn search_in_place(&mut self, place: Place, piece: &mut Piece<'_, '_>) -> bool {
        let start = piece.at;
        let rest = piece.rest().get(1..).unwrap_or_default();
        let mut escaped = false;
        let Some(close) = text::close(&mut escaped, rest) else {
            piece.withhold();
            self.escaped = escaped;
            self.literal.extend_from_slice(rest);
            piece.at = piece.input.len();
            if self.literal.len() > self.context.limits.annotation_bytes_max {
                self.literal.truncate(self.context.limits.annotation_bytes_max + 1);
            }
            return false;
        };
        let literal = rest.get(..close).unwrap_or_default();
        let end = start + close + 2;
        if close > self.context.limits.annotation_bytes_max {
            self.mask(Reason::Large, piece);
        } else if self.suspects.none_in(start + 1, start + 1 + close) && self.is_plain(place, literal) {
            if place == Place::NameOrElement {
                self.remember(literal);
            }
            piece.at = end;
            return true;
        } else if let rewrite @ (Rewrite::Mask | Rewrite::Replace(..)) = self.search_at(place, literal) {
            piece.withhold();
            self.replace(rewrite, literal, Reason::Large, piece);
        } else {
            piece.at = end;
            return true;
        }
        piece.at = end;
        piece.pass();
        true
    }

    /// Reads on in a string that is withheld to be searched. Says whether it is over.
    pub(super) fn search_held(&mut self, place: Place, piece: &mut Piece<'_, '_>) -> bool {
        let bytes_max = self.context.limits.annotation_bytes_max;
        let Some(part) = self.literal_part(piece, bytes_max + 1) else { return false };
        let literal = std::mem::take(&mut self.literal);
        let whole = if literal.is_empty() { part } else { &literal };
        if whole.len() > bytes_max {
            self.place(Reason::Large, piece);
        } else {
            let rewrite = self.search_at(place, whole);
            self.replace(rewrite, whole, Reason::Large, piece);
        }
        self.literal = literal;
        self.literal.clear();
        piece.pass();
        true
    }

    /// Searches a member's name, whose literal begins at `start` of the piece or in an earlier one. Says whether
    /// anything was found; then, or if it was withheld, what takes its place is written.
    pub(super) fn search_name(&mut self, literal: &[u8], start: usize, piece: &mut Piece<'_, '_>) -> bool {
        let is_large = literal.len() > self.context.limits.annotation_bytes_max;
        let here = piece.kept.is_some();
        if here && !is_large && self.suspects.none_in(start, start + literal.len()) && !literal.contains(&b'\\') {
            return false;
        }
        let rewrite = if is_large { Rewrite::Mask } else { self.search_as(b"", b"", literal) };
        if here && rewrite == Rewrite::Keep {
            return false;
        }
        piece.withhold_from(start);
        let found = rewrite != Rewrite::Keep;
        match rewrite {
            Rewrite::Keep => piece.output.extend_from_slice(literal),
            Rewrite::Replace(instead, counts) => {
                piece.output.extend_from_slice(instead.get(1..instead.len().saturating_sub(1)).unwrap_or_default());
                self.counts.merge(counts);
            }
            Rewrite::Mask => {
                piece.output.extend_from_slice(Reason::Large.placeholder().as_bytes());
                self.counts.add(Reason::Large, b"");
            }
        }
        piece.output.push(b'"');
        piece.pass();
        found
    }

    /// Replaces what is found in the string whose literal this is.
    fn search_at(&mut self, place: Place, literal: &[u8]) -> Rewrite {
        if place == Place::Member {
            return self.search(literal);
        }
        let rewrite = self.search_as(b"", b"", literal);
        self.remember(if rewrite == Rewrite::Keep { literal } else { b"" });
        rewrite
    }

    /// What may be a member's name is kept in case that it is one.
    fn remember(&mut self, literal: &[u8]) {
        self.spelled.clear();
        self.spelled.extend_from_slice(literal.get(..NAME_LITERAL_BYTES_MAX).unwrap_or(literal));
    }

    /// Whether a string in which nothing is suspected needs no search.
    fn is_plain(&self, place: Place, literal: &[u8]) -> bool {
        let named =
            place == Place::Member && self.context.finder.as_ref().is_some_and(|finder| finder.heeds(&self.key));
        !named && !literal.contains(&b'\\')
    }

    /// Likewise, of a member's value.
    fn search(&self, literal: &[u8]) -> Rewrite {
        // An array's name says nothing of its elements.
        let name = if matches!(self.frames.last(), Some(Frame::Members(_))) { self.key.as_slice() } else { b"" };
        self.search_as(name, &self.key, literal)
    }

    /// Likewise, of a string that is called `name`; it is counted under `key`.
    fn search_as(&self, name: &[u8], key: &[u8], literal: &[u8]) -> Rewrite {
        let Some(finder) = &self.context.finder else { return Rewrite::Keep };
        let decoded = if literal.contains(&b'\\') { text::decode(literal) } else { None };
        let bytes = decoded.as_ref().map_or(literal, |text| text.as_bytes());
        let mut found: Vec<Found> = Vec::new();
        finder.find(name, bytes, &mut found);
        if found.is_empty() { Rewrite::Keep } else { Rewrite::without(bytes, found, key) }
    }
}

impl Held {
    /// Why all of it is masked if it must be.
    const fn reason(self) -> Reason {
        match self {
            Self::Searched | Self::Said(_) => Reason::Large,
            Self::LastApplied(_) | Self::Annotation(_) => Reason::Annotation,
            Self::Message(_) => Reason::Message,
            Self::Word(_) => Reason::Argument,
            Self::Release(Stored::InSecret) => Reason::Secret,
            Self::Release(Stored::InConfigMap) => Reason::ConfigMap,
            Self::Manifest | Self::Given(_) => Reason::Release,
        }
    }
}
