//! Limits that more than one crate must agree on. Each has its unit in its name.

/// The API server caps request bodies of resources at 3 MiB; so do we (413 above).
pub const REQUEST_BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// hyper's largest request target (414 above).
pub const REQUEST_TARGET_BYTES_MAX: usize = 65_534;

/// Largest note of an approver, in bytes of UTF-8.
pub const NOTE_BYTES_MAX: usize = 2_000;

/// Longest word of a client on which invocation a request belongs to, in bytes.
pub const INVOCATION_BYTES_MAX: usize = 128;

/// Longest stated reason of an agent, in bytes of UTF-8.
pub const REASON_BYTES_MAX: usize = 2_000;
