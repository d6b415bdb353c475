//! The API server as the oracle of what a request is: a large corpus of requests through a gateway, and the cluster's own audit log.
//!
//! `stand` starts an API server of a release and a gateway before it, `corpus` makes the requests, `send` sends them, `judge` compares
//! what the gateway's log and the cluster's log say of each; `twins` sends bodies in protobuf and in JSON, `spellings` in YAML. Nothing here knows how the gateway reads a request.

pub mod corpus;
mod judge;
mod send;
mod spellings;
mod stand;
mod twins;

pub use self::judge::{Differences, Judgement, judge};
pub use self::send::send;
pub use self::spellings::{Spellings, compare_spellings};
pub use self::stand::{Agent, Release, Stand, prepare};
pub use self::twins::{Twins, compare_twins, corrupt_protobuf_does_not_reach_the_cluster};
