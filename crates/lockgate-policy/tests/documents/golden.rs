//! What people get wrong, and the words that they are told: reviewed as snapshots; the place is checked against a mark in
//! the document.
use std::fmt::Write as _;

use crate::mistakes::{self, Mistake};

fn shown(mistakes: &[Mistake]) -> String {
    let mut all = String::new();
    let mut astray = Vec::new();
    for mistake in mistakes {
        let error = mistake.kind.parse(&mistake.text()).expect_err(mistake.what);
        if (error.line, error.column) != mistake.place() {
            astray.push(format!("{}: wanted {:?}\n{error}", mistake.what, mistake.place()));
        }
        assert!(!error.message.is_empty() && !error.fix.is_empty(), "{error}");
        writeln!(all, "# {}\n{error}\n", mistake.what).unwrap();
    }
    assert!(astray.is_empty(), "{}", astray.join("\n\n"));
    all
}

#[test]
fn of_documents() {
    insta::assert_snapshot!(shown(&mistakes::OF_DOCUMENTS));
}

#[test]
fn of_values_left_empty() {
    insta::assert_snapshot!(shown(&mistakes::OF_EMPTY_VALUES));
}

#[test]
fn of_tags_and_anchors() {
    insta::assert_snapshot!(shown(&mistakes::OF_TAGS));
}

#[test]
fn of_words_that_match_nothing() {
    insta::assert_snapshot!(shown(&mistakes::OF_DEAD_WORDS));
}

#[test]
fn of_fields_out_of_place() {
    insta::assert_snapshot!(shown(&mistakes::OF_PLACES));
}

#[test]
fn of_matches() {
    insta::assert_snapshot!(shown(&mistakes::OF_MATCHES));
}

#[test]
fn of_effects() {
    insta::assert_snapshot!(shown(&mistakes::OF_EFFECTS));
}

#[test]
fn of_conditions() {
    insta::assert_snapshot!(shown(&mistakes::OF_CONDITIONS));
}

#[test]
fn of_tests() {
    insta::assert_snapshot!(shown(&mistakes::OF_TESTS));
}
