//! The console at its boundary: its router over a real store, with people and agents who say who they are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    unreachable_pub,
    reason = "tests"
)]

mod agents;
mod authorisation;
mod decide;
mod pages;
mod preview;
mod seed;
mod sign_in;
mod support;
