//! What must hold for any bytes that a client, or the author of a policy, may write.
//!
//! Each target is one function that panics when its property does not hold. libFuzzer calls them (`fuzz/fuzz_targets`, with
//! a nightly toolchain and cargo-fuzz); on stable, `cargo test` runs the committed corpora and a bounded loop of mutations
//! from a fixed seed, and `cargo xtask fuzz` runs that loop for as long as it is told to.

pub mod head;
pub mod helm;
pub mod mask_json;
pub mod mutate;
pub mod patch;
pub mod path;
pub mod policy;
pub mod protobuf;
pub mod query;
pub mod restore;
mod sample;
mod server;
pub mod text;

/// A target: its name, which is also that of its corpus, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 10] = [
    ("head", head::run),
    ("path", path::run),
    ("query", query::run),
    ("protobuf", protobuf::run),
    ("patch", patch::run),
    ("policy", policy::run),
    ("text", text::run),
    ("mask_json", mask_json::run),
    ("helm", helm::run),
    ("restore", restore::run),
];
