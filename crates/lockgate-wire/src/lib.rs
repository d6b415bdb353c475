//! Everything Kubernetes on the wire, sans-IO: functions and state machines over bytes.
//!
//! Owns the one canonical reading of a request: its head as bytes ([`http1`]), target and query ([`target`]), what it
//! asks for ([`request_info`]), the options in effect ([`options`]), its body as JSON ([`body`], [`protobuf`]), what makes
//! two requests the same ([`fingerprint`]), our own answers ([`status`]), what passes through on the way back
//! ([`filter`], [`mask`], [`review`], [`channel`]), and what Lockgate itself reads ([`secrets`]).
//! Refuses to know sockets, clocks, policy and identity providers. Start at [`Target::parse`] and [`RequestInfo::of`].

pub mod accept;
pub mod body;
pub mod channel;
mod error;
pub mod filter;
pub mod fingerprint;
pub mod http1;
pub mod mask;
pub mod options;
pub mod payload;
pub mod protobuf;
pub mod request_info;
pub mod review;
pub mod secrets;
pub mod status;
mod subresource;
pub mod target;

pub use error::WireError;
pub use request_info::RequestInfo;
pub use status::{Reason, Status};
pub use target::Target;

/// What stands in place of a masked value: base64 of `**masked by lockgate**`, so that typed clients and
/// `kubectl describe secret`, which decode `data`, still can. Always the same, so that neither equality nor length of
/// two values shows.
pub const PLACEHOLDER: &str = "KiptYXNrZWQgYnkgbG9ja2dhdGUqKg==";
