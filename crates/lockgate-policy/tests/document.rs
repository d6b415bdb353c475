//! Documents that are refused as a whole. (Mistakes, and what is said of each: `documents/golden.rs`.)
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use lockgate_policy::Policy;

const HEAD: &str = "apiVersion: lockgate.dev/v1\nkind: Policy\nrules:\n";

#[test]
fn another_kind_or_version_is_refused() {
    for (text, fix) in [
        ("apiVersion: v1\nkind: Policy\nrules: []\n", "write `apiVersion: lockgate.dev/v1`"),
        ("apiVersion: lockgate.dev/v1\nkind: Role\nrules: []\n", "write `kind: Policy`"),
    ] {
        assert_eq!(Policy::parse(text).expect_err(text).fix, fix);
    }
    for garbage in ["", "rules", "- a\n- b\n", "apiVersion: [", "a: &a [*a]\n", "\u{0}"] {
        assert!(Policy::parse(garbage).is_err(), "{garbage:?}");
    }
}

#[test]
fn a_policy_too_large_is_refused() {
    let text = format!("{HEAD}{}", "# padding\n".repeat(200_000));
    assert!(Policy::parse(&text).is_err());
    let many: String = (0..2_001).map(|index| format!("- name: r{index}\n  allow: {{}}\n")).collect();
    assert!(Policy::parse(&format!("{HEAD}{many}")).expect_err("too many").message.contains("2000 rules"));
}
