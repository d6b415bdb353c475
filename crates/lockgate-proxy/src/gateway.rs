//! What every stage of the pipeline may use: the explicit context, made once by the composition root.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use async_trait::async_trait;
use lockgate_auth::{AuthError, Authenticated, Issuers};
use lockgate_core::{Clock, RateLimit, Timestamp};
use lockgate_policy::Policy;
use lockgate_store::Store;
use lockgate_wire::protobuf::Protobuf;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::upstream::Upstream;
use crate::values::Values;

/// Limits on the way of a request, as the configuration sets them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a request that needs approval is held before its ticket is the answer.
    pub hold: Duration,
    /// Between two looks at a ticket, should a notification be lost.
    pub hold_poll: Duration,
    /// How many requests one agent may send through this replica, all clusters together; `None`: as many as it likes.
    pub agent_rate: Option<RateLimit>,
    /// Request bodies read whole, all requests together.
    pub body_budget_bytes: usize,
    /// Until a request's body must have arrived.
    pub body_read_max: Duration,
    /// A session without a byte in either direction for this long is ended.
    pub session_idle_max: Duration,
    /// A session is ended after this long in any case.
    pub session_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(45),
            hold_poll: Duration::from_secs(1),
            agent_rate: None,
            body_budget_bytes: 256 * 1024 * 1024,
            body_read_max: Duration::from_secs(60),
            session_idle_max: Duration::from_secs(4 * 3600),
            session_max: Duration::from_secs(12 * 3600),
        }
    }
}

/// Who knows callers: the trusted issuers, or a test's.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// One caller from the values of all `Authorization` headers.
    async fn authenticate(&self, authorization: &[&[u8]], now: Timestamp) -> Result<Authenticated, AuthError>;
}

#[async_trait]
impl Authenticate for Issuers {
    async fn authenticate(&self, authorization: &[&[u8]], now: Timestamp) -> Result<Authenticated, AuthError> {
        Self::authenticate(self, authorization, now).await
    }
}

/// The data path's context.
pub struct Gateway {
    /// Who may call.
    pub issuers: Arc<dyn Authenticate>,
    /// The clusters behind the door, by the name in the path.
    pub clusters: BTreeMap<String, Arc<Upstream>>,
    /// The policy in force; swapped whole.
    pub policy: ArcSwap<Policy>,
    /// A candidate that is evaluated beside it (shadow mode): it never influences a decision.
    pub shadow: ArcSwapOption<Policy>,
    /// Durable truth.
    pub store: Store,
    /// Tables that read Kubernetes protobuf.
    pub protobuf: Protobuf,
    /// Limits.
    pub limits: Limits,
    /// Bytes of request bodies that may still be read.
    pub body_budget: Arc<Semaphore>,
    /// How fast agents are.
    pub pace: Pace,
    /// What the clusters' Secrets hold, as far as it is known.
    pub values: Values,
    /// Counters.
    pub metrics: Metrics,
    /// Every task of the data path.
    pub tasks: TaskTracker,
    /// No new work: held requests get their ticket, watches end.
    pub draining: CancellationToken,
    /// The drain deadline has passed: live sessions are sealed and ended.
    pub ending: CancellationToken,
}

impl Gateway {
    /// The only way to learn the time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.store.clock()
    }
}
