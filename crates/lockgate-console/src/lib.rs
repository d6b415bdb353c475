//! JSON API and web console.

pub mod inert;
pub mod oidc;
pub mod outbound;
pub mod yaml;
