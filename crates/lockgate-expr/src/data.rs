//! Data as CEL values. Whole numbers become `int` where they fit, so that `claims.level > 3` means what it says. Texts
//! are borrowed, so that a value is made once and every expression of a policy looks at the same one.

use std::collections::HashMap;

use cel::common::types::{CelBool, CelList, CelMap, CelMapKey, CelNull, CelString, CelTimestamp};
use cel::common::value::Val;

use crate::DATA_DEPTH_MAX;
use crate::error::EvaluationError;
use crate::lazy;

/// A value that expressions can look at.
#[derive(Debug)]
pub struct Datum<'d> {
    pub(crate) value: Box<dyn Val + 'd>,
    /// The most items in any one list or map.
    pub(crate) longest: usize,
}

/// A field of a map that is made without JSON.
#[derive(Debug, Clone, Copy)]
pub enum Field<'d> {
    /// A string.
    Text(&'d str),
    /// A list of strings.
    Texts(&'d [String]),
    /// A boolean.
    Flag(bool),
}

impl<'d> Datum<'d> {
    /// A map of fields that are at hand.
    pub fn map<const N: usize>(fields: [(&'static str, Field<'d>); N]) -> Self {
        let mut longest = N;
        let mut text = |field: Field<'d>| -> Box<dyn Val + 'd> {
            match field {
                Field::Text(text) => Box::new(CelString::from(text)),
                Field::Flag(flag) => Box::new(CelBool::from(flag)),
                Field::Texts(texts) => {
                    longest = texts.len().max(longest);
                    let texts = texts.iter().map(|text| Box::new(CelString::from(text.as_str())) as Box<dyn Val + 'd>);
                    Box::new(CelList::from(texts.collect::<Vec<_>>()))
                }
            }
        };
        let fields: HashMap<_, _> =
            fields.into_iter().map(|(name, field)| (CelMapKey::from(name), text(field))).collect();
        Self { value: Box::new(CelMap::from(fields)), longest }
    }

    /// A JSON value. What no expression looks at is never made.
    pub fn json(json: &'d serde_json::Value) -> Result<Self, EvaluationError> {
        let mut longest = 0;
        measure(json, &mut longest, DATA_DEPTH_MAX)?;
        Ok(Self { value: lazy::value(json), longest })
    }

    /// A CEL `timestamp`, from microseconds since 1970-01-01T00:00:00Z; null where CEL has no such time.
    pub fn instant(microseconds: i64) -> Self {
        let value: Box<dyn Val> = match chrono::DateTime::from_timestamp_micros(microseconds) {
            Some(instant) => Box::new(CelTimestamp::from(instant.fixed_offset())),
            None => Box::new(CelNull),
        };
        Self { value, longest: 0 }
    }
}

// Recursion is bounded by DATA_DEPTH_MAX (and by serde_json's own 128 levels).
fn measure(json: &serde_json::Value, longest: &mut usize, depth: usize) -> Result<(), EvaluationError> {
    let below = depth.checked_sub(1).ok_or(EvaluationError::DataTooDeep)?;
    match json {
        serde_json::Value::Array(items) => {
            *longest = items.len().max(*longest);
            items.iter().try_for_each(|item| measure(item, longest, below))
        }
        serde_json::Value::Object(fields) => {
            *longest = fields.len().max(*longest);
            fields.values().try_for_each(|field| measure(field, longest, below))
        }
        _ => Ok(()),
    }
}
