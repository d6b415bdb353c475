//! Credentials: tokens in, subjects out; clusters in, upstream credentials out.
