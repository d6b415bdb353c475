//! The 32-bit numbers of objects (`replicas`, `hostPort`), as the API server stores them.
//!
//! What it converts without JSON in between (server-side apply, strategic merge patches) it cuts to 32 bits:
//! `4294967296` is stored as 0, `81.0` as 81 (`k8s.io/apimachinery/pkg/runtime/converter.go`, `fromUnstructured`).

use serde_json::Value;

/// A field that holds a 32-bit number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// It is left out, or null.
    Absent,
    /// It would be stored as this.
    Number(i32),
    /// It is there, and nobody can tell what it becomes: to be taken for the worst.
    Unreadable,
}

/// What the field holds once it is stored.
pub(crate) fn stored(value: Option<&Value>) -> Stored {
    /// The first float that is no `i64`.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    let number = match value {
        None | Some(Value::Null) => return Stored::Absent,
        Some(Value::Number(number)) => number,
        Some(_) => return Stored::Unreadable,
    };
    let whole = number.as_f64().filter(|float| float.fract() == 0.0 && (-BEYOND..BEYOND).contains(float));
    #[expect(clippy::cast_possible_truncation, reason = "whole and within an i64; then cut as the API server does")]
    let cut = number.as_i64().or(whole.map(|float| float as i64)).map(|integer| integer as i32);
    cut.map_or(Stored::Unreadable, Stored::Number)
}

impl Stored {
    /// A number of replicas: what cannot be read counts as none.
    pub(crate) fn replicas(self) -> Option<i64> {
        match self {
            Self::Absent => None,
            Self::Number(number) => Some(number.into()),
            Self::Unreadable => Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_what_the_api_server_stores() {
        let table = [
            (json!(81), Stored::Number(81)),
            (json!(81.0), Stored::Number(81)),
            (json!(8.1e1), Stored::Number(81)),
            (json!(-0.0), Stored::Number(0)),
            (json!(4_294_967_296_u64), Stored::Number(0)),
            (json!(4_294_967_377_u64), Stored::Number(81)),
            (json!(4_294_967_299.0), Stored::Number(3)),
            (json!(-4_294_967_296_i64), Stored::Number(0)),
            (json!(null), Stored::Absent),
            (json!(0.5), Stored::Unreadable),
            (json!(u64::MAX), Stored::Unreadable),
            (json!(1e300), Stored::Unreadable),
            (json!("0"), Stored::Unreadable),
            (json!([]), Stored::Unreadable),
            (json!(false), Stored::Unreadable),
        ];
        for (value, expected) in table {
            assert_eq!(stored(Some(&value)), expected, "{value}");
        }
        assert_eq!(stored(None), Stored::Absent);
        assert_eq!(Stored::Unreadable.replicas(), Some(0));
    }
}
