//! Streams: at every split the same as the whole text, and the same as Aho-Corasick's search for raw values.

use aho_corasick::AhoCorasick;
use proptest::prelude::*;

use super::{detectors, known, mask, scan, show, streamed, whole};
use lockgate_wire::mask::{Scan, TextLimits, TextMasker};

#[test]
fn a_match_whose_end_begins_another_value_is_masked() {
    // The first value's last bytes are the second's first ones, so they wait; they are the first's all the same.
    let scan = Scan { values: Some(known(&[b"Zr8Kw2Lx9Vb4Nt6Q", b"4Nt6Q-Hs7Jd5Pw3f"])), detectors: false };
    assert_eq!(mask(&scan, b"a Zr8Kw2Lx9Vb4Nt6Q b"), "a **************** b");
    assert_eq!(mask(&scan, b"a Zr8Kw2Lx9Vb4Nt6Q-Hs7Jd5Pw3f b"), "a *************************** b");
    assert_eq!(mask(&scan, b"a Zr8Kw2Lx9Vb4Nt6Q-Hs7Jd5Pw3! b"), "a ****************-Hs7Jd5Pw3! b");
    let mut masker = TextMasker::new(scan, TextLimits::default());
    let mut output = Vec::new();
    masker.push(b"Zr8Kw2Lx9Vb4Nt6Q", &mut output);
    assert_eq!(show(&output), "***********");
    masker.finish(&mut output);
    assert_eq!(show(&output), "****************");
}

#[test]
fn values_in_and_over_each_other_are_all_masked() {
    let scan = Scan {
        values: Some(known(&[b"k7Qx$k7Qwx", b"x$k7Qwx-k7Qx$", b"aaa k7Qx$k7Qwx bbb 1", b"k7Qx$k7Qwx-k7Qx$k7Q+long"])),
        detectors: false,
    };
    assert_eq!(mask(&scan, b". aaa k7Qx$k7Qwx bbb 2 ."), ". aaa ********** bbb 2 .");
    assert_eq!(mask(&scan, b". aaa k7Qx$k7Qwx bbb 1 ."), ". ******************** .");
    assert_eq!(mask(&scan, b". k7Qx$k7Qwx-k7Qx$k7Q+lonG"), ". ****************k7Q+lonG");
}

#[test]
fn detectors_give_the_same_at_every_split() {
    for (text, masked) in [
        ("user=a&password=Zr8Kw2Lx9Vb4&x=1\": refused", "user=a&password=************&x=1\": refused"),
        ("postgres://app:s3cr@t@db:5432/x", "postgres://app:******@db:5432/x"),
        ("http://host:8080/x://y:z", "http://host:8080/x://y:z"),
        (r#"{"password":"a\"b\\","x":"y"}"#, r#"{"password":"******","x":"y"}"#),
        (r#""{\"password\":\"a\\\"b1\",\"x\":1}""#, r#""{\"password\":\"*******\",\"x\":1}""#),
        ("DB_PASSWORD=a&b,c;d x", "DB_PASSWORD=******* x"),
        ("password: hunter\nname: x", "password: ******\nname: x"),
        ("the password: hunter\nname: x", "the password: hunter\nname: x"),
        ("a ghp_0123456789abcdefghijABCDEFGHIJ012345 b", "a ghp_************************************ b"),
        ("a ghp_0123456789abcdefghijABCDEFGHIJ01234 b", "a ghp_0123456789abcdefghijABCDEFGHIJ01234 b"),
        ("AKIAABCDEFGHIJKLMNOP", "AKIA****************"),
        ("AKIAABCDEFGHIJKLMNOPQ", "AKIAABCDEFGHIJKLMNOPQ"),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2ln x",
            "eyJhbGciOiJIUzI1NiJ9.******************************** x",
        ),
        ("Bearer abc1.def2/ghi3+jkl4= x", "Bearer ******************** x"),
        (r"PASSWORD=\\\\x9y8 x", "PASSWORD=******** x"),
        ("{\"name\":\"X_TOKEN\",\"value\":\"ab12cd34ef56\"}", "{\"name\":\"X_TOKEN\",\"value\":\"************\"}"),
    ] {
        assert_eq!(mask(&detectors(), text.as_bytes()), masked);
    }
}

#[test]
fn a_private_key_is_masked_up_to_its_end() {
    let key = "x -----BEGIN EC PRIVATE KEY-----\nMHcC\nAQEE ==\n-----END EC PRIVATE KEY-----\nafter";
    let masked = "x -----BEGIN EC PRIVATE KEY-----\n****\n*******\n****************************\nafter";
    assert_eq!(mask(&detectors(), key.as_bytes()), masked);
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n";
    assert_eq!(mask(&detectors(), certificate.as_bytes()), certificate);
    let torn = "-----BEGIN PRIVATE KEY-----\nMHcC";
    assert_eq!(mask(&detectors(), torn.as_bytes()), "-----BEGIN PRIVATE KEY-----\n****");
}

/// Values with everything that makes a stream wait, and the pieces that texts are put together from.
fn pieces() -> Vec<&'static [u8]> {
    vec![
        b"Zr8Kw2Lx9Vb4Nt6Q",
        b"4Nt6Q-Hs7Jd5Pw3f",
        b"Zr8Kw2Lx",
        b"-Hs7Jd5Pw3f",
        b"k7Qx$k7Qwx",
        b"k7Qx$",
        b"\n",
        b" ",
        b"\"",
        b"\\\"",
        b"password",
        b"PASSWORD=",
        b"\": \"",
        b"=",
        b": ",
        b"token=",
        b"://",
        b"user:",
        b"@host/",
        b"&",
        b"Bearer ",
        b"eyJhbGciOiJIUzI1NiJ9.",
        b"eyJzdWIiOiIxMjM0NTY3ODkwIn0",
        b".c2ln",
        b"-----BEGIN ",
        b"EC PRIVATE KEY-----",
        b"-----END ",
        b"-----",
        b"AKIA",
        b"ABCDEFGHIJKLMNOP",
        b"ghp_",
        b"0123456789abcdefghijABCDEFGHIJ012345",
        b"\xff\x00",
        b"\\",
        b"--password ",
        b"<password>",
        b"</",
        b"LS0tLS1CRUdJTiBQUklWQVRFIEtFW",
        b"name: X_TOKEN\n  value: ",
        b"sk-",
        b"s3cr3t-V4lue",
        b"true",
        b"Authorization: Basic ",
        b"dXNlcjpwYXNz",
        b"8Q~",
        b"SG.",
        b"+",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn a_stream_comes_to_the_same_however_it_is_cut(
        picks in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..80), 1..24),
        cuts in proptest::collection::vec(1_usize..24, 1..40),
        piece_bytes_max in 1_usize..64,
    ) {
        let scan = scan(&[b"Zr8Kw2Lx9Vb4Nt6Q", b"4Nt6Q-Hs7Jd5Pw3f", b"k7Qx$k7Qwx", b"s3cr3t-V4lue"]);
        let pieces = pieces();
        let mut text = Vec::new();
        for (pick, cut) in &picks {
            let piece = pick.get(&pieces);
            text.extend_from_slice(piece.get(..*cut).unwrap_or(piece));
        }
        let mut rest = text.as_slice();
        let mut cut = Vec::new();
        for &size in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (head, tail) = rest.split_at(size.min(rest.len()));
            cut.push(head);
            rest = tail;
        }
        let found = streamed(&scan, TextLimits { piece_bytes_max }, cut);
        let expected = whole(&scan, &text);
        prop_assert_eq!(show(&found.0), show(&expected.0));
        prop_assert_eq!(found.1, expected.1);
        prop_assert_eq!(found, streamed(&scan, TextLimits::default(), [text.as_slice()]));
    }

    #[test]
    fn raw_values_are_masked_where_aho_corasick_finds_them(
        values in proptest::collection::vec("[a-f0-9$!A-D]{8,24}", 1..6),
        picks in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..30, "[a-f$ ]{0,4}"), 1..10),
        size in 1_usize..20,
    ) {
        let mut builder = lockgate_wire::mask::KnownValues::builder(Default::default());
        for value in &values {
            let label = lockgate_wire::mask::ValueLabel { namespace: "n".into(), secret: "s".into(), key: "k".into() };
            builder.add(label, value.as_bytes());
        }
        let (known, left_out) = builder.build();
        prop_assume!(left_out.is_empty());
        let scan = Scan { values: Some(std::sync::Arc::new(known)), detectors: false };
        let mut text = String::new();
        for (pick, cut, filler) in &picks {
            let value = pick.get(&values);
            text.push_str(value.get(..*cut).unwrap_or(value));
            text.push_str(filler);
        }
        let (masked, _) = streamed(&scan, TextLimits::default(), text.as_bytes().chunks(size));
        let mut expected = text.clone().into_bytes();
        for hit in AhoCorasick::new(&values).unwrap().find_overlapping_iter(&text) {
            expected[hit.start()..hit.end()].fill(b'*');
        }
        // Other spellings of a value are masked too: never less than its own.
        for (at, (masked, expected)) in masked.iter().zip(&expected).enumerate() {
            prop_assert!(*expected != b'*' || *masked == b'*', "byte {}", at);
            prop_assert!(*masked == b'*' || *masked == text.as_bytes()[at]);
        }
    }
}
