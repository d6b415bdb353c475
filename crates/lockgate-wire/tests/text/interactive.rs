//! A person at a terminal: prompts come at once, and what had to be let go does not give the rest away.

use super::{detectors, known, scan, show};
use lockgate_wire::mask::{Scan, TextLimits, TextMasker};

fn typed(scan: Scan, text: &str) -> (String, usize) {
    let mut masker = TextMasker::new(scan, TextLimits::default());
    let mut output = Vec::new();
    let mut withheld_max = 0;
    for byte in text.bytes() {
        masker.push(&[byte], &mut output);
        masker.idle(&mut output);
        withheld_max = withheld_max.max(masker.withheld_bytes());
    }
    masker.finish(&mut output);
    (show(&output), withheld_max)
}

#[test]
fn a_prompt_is_never_delayed() {
    let scan = scan(&[b"Zr8Kw2Lx9Vb4Nt6Qm1Hs", b"$ k7Qx$k7Qwx"]);
    for prompt in ["$ ", "root@api:/# ", "Password: ", "mysql> ", "password for shop: ", "Token: Zr8", ">>> "] {
        let mut masker = TextMasker::new(scan.clone(), TextLimits::default());
        let mut output = Vec::new();
        masker.push(prompt.as_bytes(), &mut output);
        masker.idle(&mut output);
        assert_eq!(show(&output), prompt);
    }
}

#[test]
fn what_was_let_go_does_not_give_the_rest_away() {
    let scan = Scan { values: Some(known(&[b"Zr8Kw2Lx9Vb4Nt6Q"])), detectors: false };
    assert_eq!(typed(scan, "a Zr8Kw2Lx9Vb4Nt6Q b"), ("a Zr8K************ b".to_owned(), 11));
    assert_eq!(typed(detectors(), "DB_PASSWORD=hunter22 b").0, "DB_PASSWORD=hunt**** b");
    assert_eq!(typed(detectors(), "redis://:hunter22@h b").0, "redis://:hunt****@h b");
    // All of it was let go before it was known.
    assert_eq!(typed(detectors(), "redis://:&p@h b").0, "redis://:&p@h b");
}

#[test]
fn a_longer_beginning_waits() {
    let scan = Scan { values: Some(known(&[b"Zr8Kw2Lx9Vb4Nt6Q"])), detectors: false };
    let mut masker = TextMasker::new(scan, TextLimits::default());
    let mut output = Vec::new();
    masker.push(b"Zr8Kw", &mut output);
    masker.idle(&mut output);
    assert_eq!((show(&output).as_str(), masker.withheld_bytes()), ("", 5));
    masker.push(b"!", &mut output);
    assert_eq!(show(&output), "Zr8Kw!");
}

#[test]
fn a_long_value_typed_slowly_is_masked_and_memory_is_let_go() {
    let value: String =
        (0..4000_u32).map(|at| char::from(b'!' + (at.wrapping_mul(2_654_435_761) >> 25) as u8 % 90)).collect();
    let scan = Scan { values: Some(known(&[value.as_bytes()])), detectors: true };
    let longest = scan.values.as_ref().unwrap().longest_spelling_bytes();
    let mut masker = TextMasker::new(scan, TextLimits::default());
    let mut output = Vec::new();
    for _ in 0..3 {
        for byte in format!("{value} ").bytes() {
            masker.push(&[byte], &mut output);
            assert!(masker.withheld_bytes() <= longest);
        }
    }
    masker.finish(&mut output);
    let expected = format!("{} ", "*".repeat(value.len())).repeat(3);
    assert_eq!(show(&output), expected);
}
