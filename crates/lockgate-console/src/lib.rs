//! JSON API and web console.

pub mod asciicast;
pub mod inert;
pub mod oidc;
pub mod outbound;
pub mod recording;
pub mod yaml;
