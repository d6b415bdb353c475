//! Filtering of API answers: every form of an answer, every split, a naive twin, and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

mod differential;
mod forms;
mod refusals;

use lockgate_wire::filter::{Filter, FilterError, FilterLimits, FilterSummary, Form, Item, Reads, Verdict};

/// Hides what is called `hidden…`, lives in a namespace called so, or has a label with that value.
fn judge(item: &Item<'_>) -> Verdict {
    let hidden = item.name.starts_with("hidden")
        || item.namespace.starts_with("hidden")
        || item.labels.iter().any(|(_, value)| value.starts_with("hidden"))
        || item.object.is_some_and(|object| object.to_string().contains("hidden"));
    if hidden { Verdict::Hide } else { Verdict::Show }
}

fn pieces<'i>(
    form: Form,
    reads: Reads,
    limits: FilterLimits,
    input: impl IntoIterator<Item = &'i [u8]>,
) -> Result<(String, FilterSummary), FilterError> {
    let mut filter = Filter::new(form, reads, limits);
    let mut output = Vec::new();
    for piece in input {
        filter.push(piece, &mut judge, &mut output)?;
    }
    let summary = filter.finish()?;
    Ok((String::from_utf8(output).unwrap(), summary))
}

/// Filters `input` whole, in two pieces at every split, and byte by byte; all must agree.
fn at_every_split(form: Form, reads: Reads, input: &str) -> Result<(String, FilterSummary), FilterError> {
    let limits = FilterLimits::default();
    let input = input.as_bytes();
    let expected = pieces(form, reads, limits, [input]);
    for split in 1..input.len() {
        let (head, tail) = input.split_at(split);
        assert_eq!(pieces(form, reads, limits, [head, tail]), expected, "split at {split}");
    }
    assert_eq!(pieces(form, reads, limits, input.chunks(1)), expected, "byte by byte");
    expected
}

fn filtered(form: Form, input: &str) -> String {
    let head = at_every_split(form, Reads::Head, input).unwrap();
    assert_eq!(at_every_split(form, Reads::Object, input).unwrap(), head, "judged whole");
    head.0
}
