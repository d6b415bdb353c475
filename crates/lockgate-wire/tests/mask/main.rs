//! Masking of API answers: every form of an answer, every split, a naive twin, and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

mod canary;
mod differential;
mod fields;
mod forms;
mod found;
mod oracle;
mod refusals;
mod releases;
mod typed;
mod typed_twin;

use lockgate_wire::mask::{MaskError, MaskLimits, MaskPlan, MaskSummary, Masker, Profile};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn secrets() -> MaskPlan {
    MaskPlan::for_resource("", "secrets", false, Profile::Secrets)
}

fn pods() -> MaskPlan {
    MaskPlan::for_resource("", "pods", false, Profile::Secrets)
}

fn custom() -> MaskPlan {
    MaskPlan::for_resource("example.com", "widgets", false, Profile::Secrets)
}

fn pieces<'i>(
    plan: MaskPlan,
    limits: MaskLimits,
    input: impl IntoIterator<Item = &'i [u8]>,
) -> Result<(Vec<u8>, MaskSummary), MaskError> {
    let mut masker = Masker::new(plan, limits);
    let mut output = Vec::new();
    for piece in input {
        masker.push(piece, &mut output)?;
    }
    let summary = masker.finish(&mut output)?;
    Ok((output, summary))
}

fn whole(plan: MaskPlan, input: &[u8]) -> Result<(Vec<u8>, MaskSummary), MaskError> {
    pieces(plan, MaskLimits::default(), [input])
}

/// Masks `input` whole, in two pieces at every split, and byte by byte; all must agree.
fn at_every_split(plan: MaskPlan, input: &[u8]) -> Result<(Vec<u8>, MaskSummary), MaskError> {
    let expected = whole(plan, input);
    for split in 1..input.len() {
        let (head, tail) = input.split_at(split);
        assert_eq!(pieces(plan, MaskLimits::default(), [head, tail]), expected, "split at {split}");
    }
    assert_eq!(pieces(plan, MaskLimits::default(), input.chunks(1)), expected, "byte by byte");
    expected
}

fn masked(plan: MaskPlan, input: &str) -> String {
    String::from_utf8(at_every_split(plan, input.as_bytes()).unwrap().0).unwrap()
}

fn unchanged(plan: MaskPlan, input: &str) {
    assert_eq!(masked(plan, input), input);
}

/// `text` as a JSON string with its quotes.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}
