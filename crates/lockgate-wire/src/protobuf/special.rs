//! The types whose JSON is written by hand in Go, each as its `MarshalJSON` does it.

use lockgate_core::Timestamp;
use serde_json::Value;

use super::decode::{Rendered, Slot, WRONG_WIRE_TYPE};
use super::reader::{Fault, Wire, next_field};
use super::table::Form;
use super::text;
use crate::body::from_json;

/// The years that RFC 3339 can write, in Unix seconds: 0001-01-01 (Go's zero time) to 9999-12-31.
const SECONDS: std::ops::RangeInclusive<i64> = ZERO_TIME..=253_402_300_799;

/// Go's zero time, 0001-01-01T00:00:00Z.
const ZERO_TIME: i64 = -62_135_596_800;

/// A type without fields of its own in the table.
pub(super) fn render(form: Form, bytes: &[u8]) -> Result<Rendered, Fault> {
    match form {
        Form::IntOrString => int_or_string(bytes),
        Form::Quantity => quantity(bytes),
        Form::Time => time(bytes, Precision::Seconds),
        Form::MicroTime => time(bytes, Precision::Microseconds),
        Form::Duration => duration(bytes),
        Form::Raw => raw(bytes),
        Form::Struct | Form::Items(_) | Form::SchemaOrBool | Form::SchemaOrSchemas | Form::SchemaOrStrings => {
            Err("its type has fields of its own")
        }
    }
}

/// `JSONSchemaPropsOr…`: the table has their two fields. {Allows, Schema}, {Schema, JSONSchemas}, {Schema, Property}.
pub(super) fn schema_or(form: Form, slots: Vec<Slot>) -> Rendered {
    let mut slots = slots.into_iter();
    let (first, second) = (slots.next().unwrap_or(Slot::Absent), slots.next().unwrap_or(Slot::Absent));
    let zero = matches!(
        (&first, &second),
        (Slot::Absent | Slot::One(Rendered { value: Value::Bool(false), .. }), Slot::Absent)
    );
    let value = match (form, first, second) {
        (Form::SchemaOrBool, _, Slot::One(schema)) => schema.value,
        (Form::SchemaOrBool, Slot::One(allows), _) => allows.value,
        (Form::SchemaOrBool, _, _) => false.into(),
        (_, _, Slot::List(list)) => list.into(),
        (_, Slot::One(schema), _) => schema.value,
        _ => Value::Null,
    };
    Rendered { value, zero }
}

/// The varints 1 and 2 and the bytes 3 of a small message, each at most once.
#[derive(Default)]
struct Small<'a> {
    first: Option<u64>,
    second: Option<u64>,
    bytes: Option<&'a [u8]>,
}

impl<'a> Small<'a> {
    fn read(mut bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut small = Self::default();
        while let Some((number, wire)) = next_field(&mut bytes)? {
            match (number, wire) {
                (1, Wire::Varint(value)) if small.first.is_none() => small.first = Some(value),
                (2, Wire::Varint(value)) if small.second.is_none() => small.second = Some(value),
                (3, Wire::Bytes(value)) if small.bytes.is_none() => small.bytes = Some(value),
                _ => return Err("an unknown or repeated field, or a wrong wire type"),
            }
        }
        Ok(small)
    }

    fn only_numbers(bytes: &'a [u8]) -> Result<Self, Fault> {
        let small = Self::read(bytes)?;
        if small.bytes.is_some() { Err("an unknown field") } else { Ok(small) }
    }
}

/// The only field of a message, 1, as bytes.
fn only_bytes(mut bytes: &[u8]) -> Result<Option<&[u8]>, Fault> {
    let mut only = None;
    while let Some((number, wire)) = next_field(&mut bytes)? {
        match (number, wire) {
            (1, Wire::Bytes(value)) if only.is_none() => only = Some(value),
            (1, Wire::Bytes(_)) => return Err("a field that is single is repeated"),
            (1, _) => return Err(WRONG_WIRE_TYPE),
            _ => return Err("an unknown field"),
        }
    }
    Ok(only)
}

fn int_or_string(bytes: &[u8]) -> Result<Rendered, Fault> {
    let small = Small::read(bytes)?;
    let number =
        i32::try_from(small.second.unwrap_or_default().cast_signed()).map_err(|_| "a number of more than 32 bits")?;
    let string = text(small.bytes.unwrap_or_default())?;
    let zero = small.first.unwrap_or_default() == 0 && number == 0 && string.is_empty();
    let value = match small.first.unwrap_or_default() {
        0 => number.into(),
        1 => string.into(),
        _ => return Err("an IntOrString that is neither"),
    };
    Ok(Rendered { value, zero })
}

/// The text as the client wrote it; the API server may write the same quantity differently, as it does with JSON. Text that
/// is no quantity is refused: the API server cannot decode such a body.
fn quantity(bytes: &[u8]) -> Result<Rendered, Fault> {
    match only_bytes(bytes)?.map(text).transpose()? {
        None => Ok(Rendered { zero: true, value: "0".into() }),
        Some(quantity) if is_quantity(&quantity) => Ok(Rendered { zero: false, value: quantity.into() }),
        Some(_) => Err("text that is no quantity"),
    }
}

/// `resource.ParseQuantity`, but for a sign alone, which Go takes for zero.
fn is_quantity(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number_end = unsigned.find(|character: char| !character.is_ascii_digit() && character != '.');
    let (number, suffix) = unsigned.split_at(number_end.unwrap_or(unsigned.len()));
    let is_number = number.bytes().any(|byte| byte.is_ascii_digit()) && number.matches('.').count() <= 1;
    let is_suffix = match suffix {
        "" | "n" | "u" | "m" | "k" | "M" | "G" | "T" | "P" | "E" | "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei" => true,
        // Rust reads the same decimal integers as Go here: an optional sign and digits.
        exponent => exponent.strip_prefix(['e', 'E']).is_some_and(|digits| digits.parse::<i32>().is_ok()),
    };
    is_number && is_suffix
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Precision {
    Seconds,
    Microseconds,
}

fn time(bytes: &[u8], precision: Precision) -> Result<Rendered, Fault> {
    let small = Small::only_numbers(bytes)?;
    let seconds = if bytes.is_empty() { ZERO_TIME } else { small.first.unwrap_or_default().cast_signed() };
    let nanoseconds = small.second.unwrap_or_default();
    if !SECONDS.contains(&seconds) || nanoseconds > 999_999_999 {
        return Err("a time that RFC 3339 cannot write");
    }
    let microseconds = match precision {
        Precision::Seconds => 0,
        Precision::Microseconds => i64::try_from(nanoseconds / 1_000).unwrap_or_default(),
    };
    if seconds == ZERO_TIME && microseconds == 0 {
        return Ok(Rendered { value: Value::Null, zero: true });
    }
    let text = Timestamp::from_microseconds(seconds.saturating_mul(1_000_000).saturating_add(microseconds)).to_string();
    let value = match precision {
        Precision::Seconds => text.replace(".000000Z", "Z").into(),
        Precision::Microseconds => text.into(),
    };
    Ok(Rendered { value, zero: false })
}

fn duration(bytes: &[u8]) -> Result<Rendered, Fault> {
    let small = Small::only_numbers(bytes)?;
    if small.second.is_some() {
        return Err("an unknown field");
    }
    let nanoseconds = small.first.unwrap_or_default().cast_signed();
    Ok(Rendered { value: go_duration(nanoseconds).into(), zero: nanoseconds == 0 })
}

/// Go's `Duration.String`: `1h2m0.5s`, `1.5ms`, `0s`.
fn go_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let fraction = |unit: u64| {
        let width = unit.ilog10() as usize;
        let digits = format!("{:0width$}", total % unit);
        match digits.trim_end_matches('0') {
            "" => String::new(),
            digits => format!(".{digits}"),
        }
    };
    let text = match total {
        0 => return "0s".into(),
        1..1_000 => format!("{total}ns"),
        1_000..1_000_000 => format!("{}{}µs", total / 1_000, fraction(1_000)),
        1_000_000..1_000_000_000 => format!("{}{}ms", total / 1_000_000, fraction(1_000_000)),
        _ => {
            let seconds = total / 1_000_000_000;
            let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
            let rest = format!("{rest}{}s", fraction(1_000_000_000));
            match (hours, minutes) {
                (0, 0) => rest,
                (0, minutes) => format!("{minutes}m{rest}"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}"),
            }
        }
    };
    format!("{sign}{text}")
}

fn raw(bytes: &[u8]) -> Result<Rendered, Fault> {
    match only_bytes(bytes)? {
        None => Ok(Rendered { value: Value::Null, zero: true }),
        Some(b"") => Ok(Rendered { value: Value::Null, zero: false }),
        Some(json) => from_json(json)
            .map(|value| Rendered { value, zero: false })
            .map_err(|_| "a nested object that is not JSON, or is ambiguous"),
    }
}

#[cfg(test)]
mod tests {
    use super::{go_duration, is_quantity};

    #[test]
    fn quantities_are_read_as_in_go() {
        for text in
            ["0", "1", "+1", "-1.5", "100m", "1Gi", "0.5", ".5", "1.", "1.G", "12e6", "1E", "1E3", "1e-3", "1e+3", "5n"]
        {
            assert!(is_quantity(text), "{text}");
        }
        for text in [
            "",
            "+",
            "-",
            ".",
            "m",
            "Ki",
            "1Kim",
            "1 m",
            " 1",
            "1K",
            "1ki",
            "1..5",
            "1.5.5",
            "1e",
            "1e1.5",
            "0x10",
            "--1",
            "1m1",
            "9e99999999999",
        ] {
            assert!(!is_quantity(text), "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_in_go() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (3_600_000_000_000, "1h0m0s"),
            (480_000_000_001, "8m0.000000001s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(go_duration(nanoseconds), text);
        }
    }
}
