//! The store's promises. `conformance` holds for every backend; `faults` and `directory` are about what breaks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod agents;
mod conformance;
mod directory;
mod faults;
mod sample;
mod sessions;
