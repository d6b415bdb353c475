//! Kubernetes on the wire, sans-IO.

pub mod channel;
pub mod mask;

/// What stands in place of a masked value: base64 of `**masked by lockgate**`, so that typed clients and
/// `kubectl describe secret`, which decode `data`, still can. Always the same, so that neither equality nor length of
/// two values shows.
pub const PLACEHOLDER: &str = "KiptYXNrZWQgYnkgbG9ja2dhdGUqKg==";
