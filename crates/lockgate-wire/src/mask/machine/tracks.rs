//! Where the rules for fields stand: beside the open brackets that are on the path of one.

use crate::mask::fields::{Follow, Place, Said, Track};
use crate::mask::path::{Frame, Members, Next};

use super::Masker;
use super::strings::What;

/// The brackets on the paths of rules, and what the API objects among them have said.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    open: Vec<Track>,
    said: Vec<Said>,
    /// Where the rules stand in the member at hand.
    next: Vec<Place>,
}

impl Masker {
    /// What the value of the member `name` is by the rules; `next` is what it is by everything else.
    pub(super) fn ruled(&mut self, name: &[u8], next: Next) -> Next {
        let Some(rules) = &self.context.fields else { return next };
        let tracks = &mut self.tracks;
        tracks.next.clear();
        let Some(track) = tracks.open.last().filter(|track| track.frames == self.frames.len()) else { return next };
        let Some(said) = tracks.said.get(track.root) else { return next };
        match rules.follow(&track.places, name, said) {
            Follow::Masked if matches!(next, Next::Mask(_) | Next::MaskMembers(_)) => next,
            Follow::Masked => Next::Field,
            Follow::On(places) => {
                let leads_on = !places.is_empty();
                tracks.next = places;
                if leads_on && matches!(next, Next::Pass | Next::Skip) { Next::Look } else { next }
            }
        }
    }

    /// The value at hand is no bracket.
    pub(super) fn leave_rules(&mut self) {
        self.tracks.next.clear();
    }

    /// A bracket was opened.
    pub(super) fn enter_rules(&mut self, list: bool) {
        let Some(rules) = &self.context.fields else { return };
        let (frames, tracks) = (self.frames.len(), &mut self.tracks);
        if let Some(Frame::Members(Members::Object(_))) = self.frames.last()
            && !list
        {
            tracks.next.clear();
            let root = tracks.said.len();
            tracks.said.push(Said::default());
            tracks.open.push(Track { frames, places: rules.begin(), root });
            return;
        }
        let Some(last) = tracks.open.last() else { return };
        let root = last.root;
        let in_list = matches!(self.frames.iter().rev().nth(1), Some(Frame::Elements(_)));
        let places = if !tracks.next.is_empty() {
            std::mem::take(&mut tracks.next)
        } else if in_list && last.frames + 1 == frames {
            last.places.clone()
        } else {
            return;
        };
        tracks.open.push(Track { frames, places, root });
    }

    /// A bracket is about to be closed.
    pub(super) fn close_rules(&mut self) {
        let frames = self.frames.len();
        let tracks = &mut self.tracks;
        if let Some(track) = tracks.open.pop_if(|track| track.frames == frames)
            && matches!(self.frames.last(), Some(Frame::Members(Members::Object(_))))
        {
            tracks.said.truncate(track.root);
        }
    }

    /// The API object at hand says what it is.
    pub(super) fn say_to_rules(&mut self, what: What, word: &str) {
        let frames = self.frames.len();
        let tracks = &mut self.tracks;
        let Some(track) = tracks.open.last().filter(|track| track.frames == frames) else { return };
        let Some(said) = tracks.said.get_mut(track.root) else { return };
        if !matches!(self.frames.last(), Some(Frame::Members(Members::Object(_)))) {
            return;
        }
        let place = if what == What::Kind { &mut said.kind } else { &mut said.api_version };
        // Said twice, it may be either.
        *place = if place.is_none() { Some(word.to_owned()) } else { None };
    }
}
