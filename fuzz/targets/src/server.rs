//! What the API server makes of a patch, by another library and by what was seen at a real API server where the two differ.

use json_patch::{AddOperation, Patch, PatchOperation};
use lockgate_core::{Options, PatchType};
use serde_json::Value;

/// The object after the patch; `None` when it is refused, or this form is not known here.
pub(crate) fn patched(options: &Options, patch: &Value, old: &Value) -> Option<Value> {
    let mut after = old.clone();
    match options.patch_type {
        Some(PatchType::Json) => {
            let Patch(operations) = serde_json::from_value(patch.clone()).ok()?;
            operations.into_iter().try_for_each(|operation| operate(&mut after, operation))?;
        }
        Some(PatchType::Merge) => json_patch::merge(&mut after, patch),
        _ => return None,
    }
    // An object stays an object, or the API server refuses.
    after.is_object().then_some(after)
}

fn operate(object: &mut Value, operation: PatchOperation) -> Option<()> {
    let is_there = |pointer: &str| object.pointer(pointer).is_some();
    let in_object = |pointer: &str| {
        let parent = pointer.rsplit_once('/').and_then(|(parent, _)| object.pointer(parent));
        parent.is_some_and(Value::is_object)
    };
    let adds = |path, value| PatchOperation::Add(AddOperation { path, value });
    let operation = match operation {
        // The whole document is only ever replaced.
        PatchOperation::Add(ref add) if add.path.as_str().is_empty() => return None,
        PatchOperation::Copy(ref copy) if copy.path.as_str().is_empty() || copy.from.as_str().is_empty() => {
            return None;
        }
        PatchOperation::Move(ref from) if from.path.as_str().is_empty() || from.from.as_str().is_empty() => {
            return None;
        }
        // A field that is not there is null, or added.
        PatchOperation::Copy(copy) if !is_there(copy.from.as_str()) && in_object(copy.from.as_str()) => {
            adds(copy.path, Value::Null)
        }
        PatchOperation::Replace(replace) if !is_there(replace.path.as_str()) && in_object(replace.path.as_str()) => {
            adds(replace.path, replace.value)
        }
        other => other,
    };
    json_patch::patch(object, &[operation]).ok()
}

/// As [`patched`]; of the forms that are not known here, what they say of `spec.replicas` alone.
pub(crate) fn scaled(options: &Options, patch: &Value, old: &Value) -> Option<Value> {
    if !matches!(options.patch_type, Some(PatchType::Strategic | PatchType::Apply)) {
        return patched(options, patch, old);
    }
    let directs = |part: &Value| part.as_object().is_none_or(|fields| fields.keys().any(|name| name.starts_with('$')));
    let spec = patch.get("spec").filter(|spec| !directs(patch) && !directs(spec))?;
    let mut after = old.clone();
    *after.pointer_mut("/spec/replicas")? = spec.get("replicas").filter(|replicas| replicas.is_number())?.clone();
    Some(after)
}

/// `spec.replicas` as it is stored: 32 bits of it.
pub(crate) fn replicas(object: &Value) -> Option<i32> {
    let number = object.pointer("/spec/replicas")?.as_i64()?;
    i32::try_from(number & 0xffff_ffff).or_else(|_| i32::try_from((number & 0xffff_ffff) - 0x1_0000_0000)).ok()
}

/// The same JSON with its integers spelled otherwise.
pub(crate) fn spellings(value: &Value) -> [String; 3] {
    let written = |spell: fn(i64) -> String| {
        let mut text = String::new();
        write(value, spell, &mut text);
        text
    };
    [
        written(|number| format!("{number}.0")),
        written(|number| format!("{number}e0")),
        written(|number| if number == 0 { "-0".to_owned() } else { format!("{number}0E-1") }),
    ]
}

fn write(value: &Value, spell: fn(i64) -> String, text: &mut String) {
    /// Integers that a float holds exactly.
    const EXACT: std::ops::RangeInclusive<i64> = -9_007_199_254_740_992..=9_007_199_254_740_992;
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                write(item, spell, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (index, (name, field)) in fields.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(field, spell, text);
            }
            text.push('}');
        }
        Value::Number(number) => match number.as_i64().filter(|number| EXACT.contains(number)) {
            Some(number) => text.push_str(&spell(number)),
            None => text.push_str(&value.to_string()),
        },
        other => text.push_str(&other.to_string()),
    }
}
