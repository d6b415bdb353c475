//! What is looked for in a text, and what was found.

use std::fmt;
use std::sync::Arc;

use super::patterns::{self, Detector};
use super::values::{KnownValues, ValueId};
use super::{FindSecrets, Found, Reason};

/// What to look for: known values, things that look like secrets, or both.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// The values of the cluster's Secrets, where they are known.
    pub values: Option<Arc<KnownValues>>,
    /// Whether to look for what is a secret by its looks.
    pub detectors: bool,
}

/// A secret in a text: the bytes `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Its first byte.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
    /// What it is.
    pub reason: HitReason,
}

/// Why something is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HitReason {
    /// It is a Secret's value.
    Value(ValueId),
    /// It looks like one.
    Detector(Detector),
}

impl fmt::Display for HitReason {
    /// A word for an audit record; it never tells whose value it is.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => formatter.write_str("known-value"),
            Self::Detector(detector) => detector.fmt(formatter),
        }
    }
}

impl From<HitReason> for Reason {
    fn from(reason: HitReason) -> Self {
        match reason {
            HitReason::Value(_) => Self::KnownValue,
            HitReason::Detector(detector) => Self::Detected(detector),
        }
    }
}

impl Scan {
    /// Every secret in a whole text, overlapping ones too, sorted. `hits` is emptied first. A JSON string is decoded
    /// before it is given here.
    pub fn find(&self, text: &[u8], hits: &mut Vec<Hit>) {
        hits.clear();
        self.each(text, &mut |hit| hits.push(hit));
        hits.sort_unstable();
        hits.dedup();
    }

    fn each(&self, text: &[u8], found: &mut impl FnMut(Hit)) {
        if let Some(values) = &self.values {
            values.find(text, &mut |start, end, id| found(Hit { start, end, reason: HitReason::Value(id) }));
        }
        if self.detectors {
            patterns::find(text, &mut |start, end, detector| {
                found(Hit { start, end, reason: HitReason::Detector(detector) });
            });
        }
    }

    /// Whether nothing is looked for.
    pub fn is_idle(&self) -> bool {
        !self.detectors && self.values.as_ref().is_none_or(|values| values.is_empty())
    }
}

impl FindSecrets for Scan {
    fn suspect(&self, json: &[u8], places: &mut Vec<usize>) -> bool {
        if let Some(values) = &self.values {
            values.find(json, &mut |start, _, _| places.push(start));
        }
        if self.detectors {
            patterns::keywords().find(json, 0, 0, &mut |keyword| places.push(keyword.start));
        }
        true
    }

    fn heeds(&self, name: &[u8]) -> bool {
        self.detectors && patterns::tells(name)
    }

    fn find(&self, name: &[u8], text: &[u8], found: &mut Vec<Found>) {
        self.each(text, &mut |Hit { start, end, reason }| found.push(Found { start, end, reason: reason.into() }));
        if self.detectors
            && let Some(detector) = patterns::named(name, text)
        {
            found.push(Found { start: 0, end: text.len(), reason: Reason::Detected(detector) });
        }
    }
}
