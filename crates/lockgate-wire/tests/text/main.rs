//! Masking of text: known values in every spelling, detectors, streams at every split, a naive twin, and a corpus of
//! true and false examples.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

mod corpus;
mod interactive;
mod layers;
mod spellings;
mod stream;

use std::sync::Arc;

use lockgate_wire::mask::{Hit, KnownValues, Scan, TextLimits, TextMasker, ValueLabel, ValueLimits};

fn known(values: &[&[u8]]) -> Arc<KnownValues> {
    let mut builder = KnownValues::builder(ValueLimits::default());
    for (index, value) in values.iter().enumerate() {
        let label = ValueLabel { namespace: "shop".into(), secret: "db".into(), key: format!("value-{index}") };
        builder.add(label, value);
    }
    let (values, left_out) = builder.build();
    assert_eq!(left_out, [], "every value of these tests is looked for");
    Arc::new(values)
}

fn scan(values: &[&[u8]]) -> Scan {
    Scan { values: Some(known(values)), detectors: true }
}

fn detectors() -> Scan {
    Scan { values: None, detectors: true }
}

/// The text with every hit masked, and how many runs that makes: what a stream must come to.
fn whole(scan: &Scan, text: &[u8]) -> (Vec<u8>, u64) {
    let mut hits = Vec::new();
    scan.find(text, &mut hits);
    let mut secret = vec![false; text.len()];
    for Hit { start, end, .. } in hits {
        secret[start..end].fill(true);
    }
    let runs = (0..text.len()).filter(|&at| secret[at] && (at == 0 || !secret[at - 1])).count();
    let mask = |(&byte, secret): (&u8, bool)| if secret && byte != b'\n' && byte != b'\r' { b'*' } else { byte };
    (text.iter().zip(secret).map(mask).collect(), runs as u64)
}

fn streamed<'p>(scan: &Scan, limits: TextLimits, pieces: impl IntoIterator<Item = &'p [u8]>) -> (Vec<u8>, u64) {
    let mut masker = TextMasker::new(scan.clone(), limits);
    let mut output = Vec::new();
    pieces.into_iter().for_each(|piece| masker.push(piece, &mut output));
    let summary = masker.finish(&mut output);
    (output, summary.masked)
}

/// Masks the text whole, at every split, byte by byte and in small pieces, and checks that all come to the same.
fn mask(scan: &Scan, text: &[u8]) -> String {
    let expected = whole(scan, text);
    let limits = TextLimits::default();
    for split in 0..=text.len() {
        let (head, tail) = text.split_at(split);
        let found = streamed(scan, limits, [head, tail]);
        assert!(found == expected, "split at {split}\n{}\n{}", show(&found.0), show(&expected.0));
    }
    for size in [1, 2, 3, 7, 16] {
        let found = streamed(scan, TextLimits { piece_bytes_max: 5 }, text.chunks(size));
        assert!(found == expected, "pieces of {size}\n{}\n{}", show(&found.0), show(&expected.0));
    }
    assert_eq!(expected.0.len(), text.len());
    show(&expected.0)
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
