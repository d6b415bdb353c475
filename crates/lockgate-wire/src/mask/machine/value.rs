//! Values: what begins with them, and brackets.

use crate::mask::MaskError;
use crate::mask::path::{Frame, Members, Next};
use crate::mask::skip::{Skip, Stop};

use super::piece::Piece;
use super::strings::Place;
use super::{Fate, Masker, State};

impl Masker {
    pub(super) fn value(&mut self, next: Next, byte: u8, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        if !matches!(byte, b'{' | b'[') {
            self.leave_rules();
        }
        match byte {
            b'"' => self.enter_text(next, piece),
            b'{' | b'[' => return self.enter(next, byte, piece),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                let reason = if byte == b'n' {
                    // Only where a null tells that there is a value does it go.
                    if let Next::Mask(reason) = next { Some(reason) } else { None }
                } else {
                    next.masked_scalar(self.plan.rules().templates, byte)
                };
                self.state = match reason {
                    Some(reason) => {
                        self.mask(reason, piece);
                        State::Scalar(Fate::Drop)
                    }
                    None => State::Scalar(Fate::Pass),
                };
            }
            _ => return Err(self.syntax(piece)),
        }
        Ok(())
    }

    /// An opening bracket.
    fn enter(&mut self, next: Next, byte: u8, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        let depth = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
        let depth_max = self.context.limits.depth_max;
        let Some(room) = depth_max.checked_sub(depth).filter(|room| *room > 0) else {
            return Err(MaskError::TooDeep { depth_max });
        };
        let members = if byte == b'{' { next.members() } else { None };
        if let Some(members) = members {
            piece.at += 1;
            if matches!(members, Members::Pair(..)) {
                self.key.clear();
            }
            self.frames.push(Frame::Members(members));
            self.enter_rules(false);
            self.state = State::FirstName;
        } else if let Some(reason) = next.masked_whole() {
            self.mask(reason, piece);
            piece.at += 1;
            self.state = State::Subtree(Skip::new(room), Fate::Drop);
        } else if matches!(next, Next::Pass | Next::Skip | Next::Annotation(_)) {
            piece.at += 1;
            let searched = self.context.finder.is_some() && next != Next::Skip;
            self.state = State::Subtree(Skip::new(room), if searched { Fate::Search } else { Fate::Pass });
        } else if next == Next::ManagedFields {
            piece.at += 1;
            self.state = State::FieldSet(1);
        } else {
            piece.at += 1;
            self.frames.push(Frame::Elements(next.elements()));
            self.enter_rules(true);
            self.state = State::FirstElement(next.elements());
        }
        Ok(())
    }

    /// A closing bracket.
    pub(super) fn leave(&mut self, piece: &mut Piece<'_, '_>) {
        piece.at += 1;
        self.close_rules();
        self.frames.pop();
        if self.frames.is_empty() {
            self.objects += 1;
            self.state = State::Outside;
        } else {
            self.state = State::Behind;
        }
    }

    pub(super) fn behind(&mut self, byte: u8, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        match (self.frames.last(), byte) {
            (Some(Frame::Members(_)), b',') => {
                piece.at += 1;
                self.state = State::NextName;
            }
            (Some(Frame::Elements(next)), b',') => {
                piece.at += 1;
                self.state = State::Value(*next);
            }
            (Some(Frame::Members(_)), b'}') | (Some(Frame::Elements(_)), b']') => self.leave(piece),
            _ => return Err(self.syntax(piece)),
        }
        Ok(())
    }

    pub(super) fn scalar(&mut self, fate: Fate, piece: &mut Piece<'_, '_>) {
        let rest = piece.rest();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        match rest.iter().position(|byte| !is_part(byte)) {
            None => piece.at += rest.len(),
            Some(end) => {
                piece.at += end;
                if fate == Fate::Drop {
                    piece.pass();
                }
                self.state = State::Behind;
            }
        }
    }

    pub(super) fn subtree(&mut self, mut skip: Skip, fate: Fate, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        let too_deep = |_| MaskError::TooDeep { depth_max: self.context.limits.depth_max };
        if fate == Fate::Search {
            return self.searched_subtree(skip, piece);
        }
        match skip.end(piece.rest()).map_err(too_deep)? {
            Some(end) => {
                piece.at += end;
                if fate == Fate::Drop {
                    piece.pass();
                }
                self.state = State::Behind;
            }
            None => {
                piece.at = piece.input.len();
                self.state = State::Subtree(skip, fate);
            }
        }
        Ok(())
    }

    /// As [`Self::subtree`], but every string is searched.
    fn searched_subtree(&mut self, mut skip: Skip, piece: &mut Piece<'_, '_>) -> Result<(), MaskError> {
        loop {
            match skip.next_string(piece.rest()) {
                Err(_) => return Err(MaskError::TooDeep { depth_max: self.context.limits.depth_max }),
                Ok(Stop::String { at, is_value }) => {
                    piece.at += at;
                    let place = if is_value { Place::Member } else { Place::NameOrElement };
                    if !self.search_in_place(place, piece) {
                        self.state = State::SubtreeText(skip, place);
                        return Ok(());
                    }
                }
                Ok(Stop::Colon(at)) => {
                    piece.at += at;
                    std::mem::swap(&mut self.key, &mut self.spelled);
                }
                Ok(Stop::End(at)) => {
                    piece.at += at;
                    self.state = State::Behind;
                    return Ok(());
                }
                Ok(Stop::More) => {
                    piece.at = piece.input.len();
                    self.state = State::Subtree(skip, Fate::Search);
                    return Ok(());
                }
            }
        }
    }

    /// A string of a searched subtree, or a piece of it, that was not all in one piece.
    pub(super) fn subtree_text(&mut self, skip: Skip, place: Place, piece: &mut Piece<'_, '_>) {
        if self.search_held(place, piece) {
            self.state = State::Subtree(skip, Fate::Search);
        }
    }
}
