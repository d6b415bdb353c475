//! The data path: listeners, the pipeline, upstreams, interactive sessions.
//!
//! Owns every byte between an agent and a cluster. Refuses to know: SQL, the policy's language, Kubernetes' formats
//! (it asks `lockgate-wire`), who may approve (it asks `lockgate-store`). Start at [`pipeline`], which is the life of
//! a request on one page; [`listener`] feeds it, [`upstream`] and [`session`](crate) are where it leads.

mod answer;
pub mod gateway;
pub mod listener;
pub mod metrics;
pub mod pace;
pub mod pipeline;
mod reading;
mod review;
mod session;
mod sieve;
pub mod upstream;
pub mod values;
mod veil;

pub use answer::{AnswerBody, AnswerError};
pub use gateway::{Gateway, Limits};
pub use listener::ListenerLimits;
pub use reading::Reading;
pub use upstream::{Upstream, UpstreamLimits};
pub use values::Values;
