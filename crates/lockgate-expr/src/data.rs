//! JSON as CEL values. Whole numbers become `int` where they fit, so that `claims.level > 3` means what it says.

use std::collections::HashMap;
use std::sync::Arc;

use cel::Value;
use cel::objects::{Key, Map};

use crate::expression::EvaluationError;
use crate::{DATA_DEPTH_MAX, LOOP_ITEMS_MAX};

/// Converts JSON; `loops` says whether lists and maps must be short enough to loop over.
pub(crate) fn value(json: &serde_json::Value, loops: bool) -> Result<Value, EvaluationError> {
    convert(json, loops, DATA_DEPTH_MAX)
}

// Recursion is bounded by DATA_DEPTH_MAX (and by serde_json's own 128 levels).
fn convert(json: &serde_json::Value, loops: bool, depth: usize) -> Result<Value, EvaluationError> {
    let below = depth.checked_sub(1).ok_or(EvaluationError::DataTooDeep)?;
    Ok(match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(boolean) => Value::Bool(*boolean),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(signed), _) => Value::Int(signed),
            (None, Some(unsigned)) => Value::UInt(unsigned),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::String(Arc::new(text.clone())),
        serde_json::Value::Array(items) => {
            bounded(items.len(), loops)?;
            let items = items.iter().map(|item| convert(item, loops, below)).collect::<Result<Vec<_>, _>>()?;
            Value::List(Arc::new(items))
        }
        serde_json::Value::Object(fields) => {
            bounded(fields.len(), loops)?;
            let fields = fields
                .iter()
                .map(|(name, field)| Ok((Key::String(Arc::new(name.clone())), convert(field, loops, below)?)))
                .collect::<Result<HashMap<_, _>, EvaluationError>>()?;
            Value::Map(Map { map: Arc::new(fields) })
        }
    })
}

const fn bounded(items: usize, loops: bool) -> Result<(), EvaluationError> {
    if loops && items > LOOP_ITEMS_MAX { Err(EvaluationError::TooManyItems) } else { Ok(()) }
}
