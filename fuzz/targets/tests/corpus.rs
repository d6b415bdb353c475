//! Every committed input, and as many mutations of them as a test run has time for, from a fixed seed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use fuzz_targets::TARGETS;
use fuzz_targets::mutate::{Numbers, corpus, mutated};

const SEED: u64 = 0x10c4_6a7e;

fn hold(target: &str, mutations: u32) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let inputs = corpus(target).unwrap();
    assert!(inputs.len() >= 5, "{target} has a corpus of {}", inputs.len());
    for (file, bytes) in &inputs {
        assert!(catch_unwind(AssertUnwindSafe(|| run(bytes))).is_ok(), "{}", file.display());
    }
    let mut numbers = Numbers::new(SEED);
    for tried in 0..mutations {
        let input = mutated(&inputs, &mut numbers);
        assert!(
            catch_unwind(AssertUnwindSafe(|| run(&input))).is_ok(),
            "mutation {tried}: {:?}",
            String::from_utf8_lossy(&input)
        );
    }
}

#[test]
fn head() {
    hold("head", 20_000);
}

#[test]
fn path() {
    hold("path", 10_000);
}

#[test]
fn query() {
    hold("query", 10_000);
}

#[test]
fn protobuf() {
    hold("protobuf", 5_000);
}

#[test]
fn patch() {
    hold("patch", 5_000);
}

#[test]
fn policy() {
    hold("policy", 1_000);
}

#[test]
fn text() {
    hold("text", 3_000);
}

#[test]
fn mask_json() {
    hold("mask_json", 5_000);
}

#[test]
fn helm() {
    hold("helm", 1_000);
}

#[test]
fn restore() {
    hold("restore", 1_000);
}
