//! The index against Aho-Corasick, which finds every pattern at every place.

use aho_corasick::AhoCorasick;
use proptest::prelude::*;

use super::*;

fn label(key: &str) -> ValueLabel {
    ValueLabel { namespace: "shop".to_owned(), secret: "db".to_owned(), key: key.to_owned() }
}

fn index(values: &[Vec<u8>]) -> KnownValues {
    let mut builder = KnownValues::builder(ValueLimits::default());
    values.iter().for_each(|value| builder.add(label("password"), value));
    builder.build().0
}

fn found(values: &KnownValues, text: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    values.find(text, &mut |start, end, _| found.push((start, end)));
    found.sort_unstable();
    found.dedup();
    found
}

fn oracle(values: &KnownValues, text: &[u8]) -> Vec<(usize, usize)> {
    let patterns = (0..values.patterns.count()).map(|number| values.patterns.bytes(number));
    let automaton = AhoCorasick::new(patterns).unwrap();
    let mut found: Vec<_> = automaton.find_overlapping_iter(text).map(|hit| (hit.start(), hit.end())).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Values over few letters, so that they overlap, hold and continue each other.
fn values() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let value = prop_oneof![
        proptest::collection::vec(prop_oneof![Just(b'x'), Just(b'7'), Just(b'Q'), Just(b'$'), Just(b'k')], 8..40),
        proptest::collection::vec(any::<u8>(), 8..30),
    ];
    proptest::collection::vec(value, 1..12)
}

/// A text of pieces of spellings: whole, cut, one after another.
fn text(values: &KnownValues, picks: &[(u32, usize, usize)]) -> Vec<u8> {
    let mut text = Vec::new();
    for &(pattern, from, to) in picks {
        let count = values.patterns.count();
        if count == 0 {
            break;
        }
        let bytes = values.patterns.bytes(pattern % count);
        let from = if from % 3 == 0 { from % bytes.len() } else { 0 };
        let to = if to % 3 == 0 { from + to % (bytes.len() - from + 1) } else { bytes.len() };
        text.extend_from_slice(&bytes[from..to]);
        if to % 5 == 0 {
            text.extend_from_slice(b" x");
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn what_aho_corasick_finds_is_found(
        values in values(),
        picks in proptest::collection::vec((any::<u32>(), 0_usize..1000, 0_usize..1000), 0..12),
    ) {
        let values = index(&values);
        let text = text(&values, &picks);
        prop_assert_eq!(found(&values, &text), oracle(&values, &text));
    }

    #[test]
    fn a_cursor_knows_whether_a_spelling_goes_on(
        values in values(),
        pick in (any::<u32>(), 0_usize..1000, 0_usize..1000),
        cut in 0_usize..1000,
    ) {
        let values = index(&values);
        let text = text(&values, &[pick, (pick.0 + 1, 1, 1)]);
        prop_assume!(!text.is_empty());
        let cut = 1 + cut % text.len();
        let patterns: Vec<&[u8]> = (0..values.patterns.count()).map(|number| values.patterns.bytes(number)).collect();
        let goes_on = |read: &[u8]| patterns.iter().any(|bytes| bytes.len() > read.len() && bytes.starts_with(read));
        let mut cursor = values.begin(0, &text[..cut]);
        prop_assert_eq!(cursor.is_some(), goes_on(&text[..cut]));
        for to in cut + 1..=text.len() {
            let Some(cursor_now) = &mut cursor else { break };
            let mut complete = None;
            let more = values.advance(cursor_now, &text[..to], &mut |_, end, _| complete = Some(end));
            prop_assert_eq!(more, goes_on(&text[..to]));
            prop_assert_eq!(complete.is_some(), patterns.contains(&&text[..to]));
            if !more {
                cursor = None;
            }
        }
    }
}

#[test]
fn a_cursor_that_reads_on_in_one_step_names_the_longest_that_ended() {
    let values = index(&[b"k7Qx$k7Q".to_vec(), b"k7Qx$k7Qxx$$7".to_vec(), b"k7Qx$k7Qxx$$7kkkQQ$$x7x7".to_vec()]);
    let text = b"k7Qx$k7Qxx$$7kkkQQ!";
    let mut cursor = values.begin(0, &text[..3]).unwrap();
    let mut ends = Vec::new();
    assert!(!values.advance(&mut cursor, text, &mut |_, end, _| ends.push(end)));
    assert_eq!(ends, [13]);
}

#[test]
fn a_document_is_looked_for_by_its_parts() {
    let document = "{\n  \"user\": \"app\",\n  \"password\": \"Zr8Kw2Lx9Vb4Nt6Qm1Hs3Jd5\",\n  \"debug\": true\n}\n";
    let values = index(&[document.as_bytes().to_vec()]);
    assert_eq!(found(&values, document.as_bytes()), [(34, 58)]);
}

#[test]
fn what_is_left_out_is_reported_with_its_reason() {
    let mut builder =
        KnownValues::builder(ValueLimits { values_max: 2, value_bytes_max: 64, ..ValueLimits::default() });
    builder.add(label("enabled"), b"true");
    builder.add(label("host"), b"postgres.shop.svc");
    builder.add(label("count"), b"1234567890");
    builder.add(label("ca.crt"), b"-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n");
    builder.add(label("long"), &(0..200_u8).map(|byte| byte.wrapping_mul(37)).collect::<Vec<u8>>());
    builder.add(label("config.json"), br#"{"password": "short", "token": "Zr8Kw2Lx9Vb4Nt6Q"}"#);
    builder.add(label("password"), b"Tr0ub4dor&3\n");
    builder.add(label("another"), b"Tr0ub4dor&4\n");
    let (values, left_out) = builder.build();
    let reasons: Vec<_> =
        left_out.iter().map(|left| (left.label.key.as_str(), left.part.as_deref(), left.why)).collect();
    assert_eq!(
        reasons,
        [
            ("enabled", None, Why::TooShort),
            ("host", None, Why::Words),
            ("count", None, Why::TooPlain),
            ("ca.crt", None, Why::Public),
            ("long", None, Why::TooLong),
            ("config.json", Some("password"), Why::TooShort),
            ("another", None, Why::NoRoom),
        ]
    );
    assert_eq!(values.len(), 2);
    let mut owner = None;
    values.find(b"Tr0ub4dor&3", &mut |_, _, id| owner = values.label(id).cloned());
    assert_eq!(owner, Some(label("password")));
}

#[test]
fn nothing_of_a_value_shows_in_debug() {
    let values = index(&[b"Tr0ub4dor&3".to_vec()]);
    assert_eq!(format!("{values:?}"), format!("KnownValues {{ values: 1, spellings: {} }}", values.patterns.count()));
}

#[test]
fn many_values_with_one_long_beginning_are_told_apart_by_a_few_looks() {
    let value = |number: u64| {
        let tail = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("eyJhbGciOiJSUzI1NiIsImtpZCI6IlhZWiJ9.eyJpc3MiOiJrdWJlcm5ldGVzL3NlcnZpY2VhY2NvdW50{tail:016x}{number}")
    };
    let values = index(&(0..2000).map(|number| value(number).into_bytes()).collect::<Vec<_>>());
    let text = value(77).repeat(3);
    let mut candidates = 0;
    values.long.probe(text.as_bytes(), 0, &mut |_| candidates += 1);
    assert!(candidates < 100, "{candidates}");
    assert_eq!(found(&values, text.as_bytes()).len(), 3);
}
