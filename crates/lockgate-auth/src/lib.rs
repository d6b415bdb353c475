//! Credentials: tokens in, subjects out; clusters in, upstream credentials out.
//!
//! Owns every secret that Lockgate handles. Inward: [`Issuers::authenticate`] turns an `Authorization` header into a
//! [`Subject`](lockgate_core::Subject) or an error, and there is no third way (no anonymous access, never the gateway's
//! own rights). Outward: [`Cluster`] holds the TLS configuration and the credential for one API server.
//!
//! Refuses to know: what a subject may do, the audit log, Kubernetes' requests, and how people are sent through a browser
//! (`lockgate-console` asks; what comes back is checked here).
//!
//! **An agent's token is never read as a human's.** Agents and humans have separate audiences, which must not overlap
//! (a configuration where they do is refused), a token that names both is refused, and a token that a program got for
//! itself (`sub` is the client's own id) is never a human's whatever its audience says. See [`config`].

mod bearer;
mod claims;
pub mod cluster;
pub mod config;
mod discovery;
mod error;
mod http;
mod issuer;
mod jwk;
mod keys;

pub use claims::CLOCK_LEEWAY;
pub use cluster::{Cluster, ClusterConfig, CredentialError};
pub use config::{ConfigError, FileReference, IssuerConfig};
pub use discovery::{DiscoveryError, Metadata};
pub use error::{AuthError, Blame};
pub use http::HttpError;
pub use issuer::{Authenticated, Issuers};
pub use keys::{KEYS_AGE_MAX, KEYS_FRESH, KEYS_STALE_MAX, REFETCH_INTERVAL_MIN};

/// Largest bearer token, in bytes: 400 groups fit well below it.
pub const TOKEN_BYTES_MAX: usize = 64 * 1024;
