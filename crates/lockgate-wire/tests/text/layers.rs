//! Indexes on top of each other are one index.

use std::sync::Arc;

use super::{known, mask};
use lockgate_wire::mask::{Hit, HitReason, KnownValues, Scan, ValueLabel, ValueLimits};

const VALUES: [&[u8]; 6] = [
    b"Zr8Kw2Lx9Vb4Nt6Q",
    b"4Nt6Q-Hs7Jd5Pw3f",
    b"x$k7Qwx-k7Qx$",
    b"k7Qx$k7Qwx-k7Qx$k7Q+long",
    b"k7Qx$k7Qwx",
    b"-Hs7Jd5Pw3f",
];

/// The values from `cut` to `end` of [`VALUES`], labelled by their place there.
fn part(cut: usize, end: usize) -> KnownValues {
    let mut builder = KnownValues::builder(ValueLimits::default());
    for (index, value) in VALUES.iter().enumerate().take(end).skip(cut) {
        let label = ValueLabel { namespace: "shop".into(), secret: "db".into(), key: format!("value-{index}") };
        builder.add(label, value);
    }
    builder.build().0
}

#[test]
fn layers_find_in_every_stream_what_one_index_finds() {
    let one = Scan { values: Some(known(&VALUES)), detectors: false };
    let text = b". Zr8Kw2Lx9Vb4Nt6Q-Hs7Jd5Pw3f k7Qx$k7Qwx-k7Qx$k7Q+lonG k7Qx$k7Qwx-k7Qx$k7Q+long WnI4S3cyTHg5VmI0TnQ2UQ== 4Nt6Q-Hs7";
    let expected = mask(&one, text);
    for first in (0..=VALUES.len()).step_by(3) {
        for second in (first..=VALUES.len()).step_by(2) {
            let base = Arc::new(part(second, VALUES.len()));
            let layered = part(0, first).on(Arc::new(part(first, second).on(base)));
            assert_eq!(layered.len(), VALUES.len());
            assert_eq!(layered.longest_spelling_bytes(), known(&VALUES).longest_spelling_bytes());
            let scan = Scan { values: Some(Arc::new(layered)), detectors: false };
            assert_eq!(mask(&scan, text), expected, "cut at {first} and {second}");
        }
    }
}

#[test]
fn a_value_has_the_label_of_its_layer() {
    let base = Arc::new(part(2, 4));
    let layered = Arc::new(part(0, 2).on(Arc::clone(&base)));
    let key_of = |values: &Arc<KnownValues>, value: &[u8]| {
        let mut hits = Vec::new();
        Scan { values: Some(Arc::clone(values)), detectors: false }.find(value, &mut hits);
        let whole = hits.iter().find(|Hit { start, end, .. }| (*start, *end) == (0, value.len()));
        match whole.map(|hit| hit.reason) {
            Some(HitReason::Value(id)) => values.label(id).map(|label| label.key.clone()),
            _ => None,
        }
    };
    for (index, value) in VALUES.iter().enumerate().take(4) {
        assert_eq!(key_of(&layered, value), Some(format!("value-{index}")));
    }
    assert_eq!(key_of(&base, VALUES[0]), None);
    assert!(!layered.is_empty() && !KnownValues::builder(ValueLimits::default()).build().0.on(base).is_empty());
}
