//! The way to an API server for Lockgate's own reads, with a credential of its own (`clusters[].self`).

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use lockgate_auth::Cluster;
use lockgate_core::Clock;
use lockgate_store::{Receipt, Ticket};
use tokio_util::task::TaskTracker;

use super::dial::Dial;
use super::headers::UnwritableIdentity;
use super::{Exchange, SendError, Speaker, Upstream, UpstreamLimits};

/// A list or a watch, and the next one while the last one closes.
const CONNECTIONS_MAX: usize = 4;

/// One API server, as Lockgate itself is known there. A type of its own, so that no agent's request goes this way: what is
/// sent here is sent without impersonation.
pub struct SelfUpstream(Upstream);

impl SelfUpstream {
    /// What a ticket says in place of a user to impersonate.
    pub const USER: &str = "self";

    /// The way to `cluster`, which was loaded with the credential in `self`; connections are made by `dial`.
    ///
    /// # Errors
    /// When the server's host can stand in no HTTP request.
    pub fn new(
        cluster: Arc<Cluster>,
        dial: Arc<dyn Dial>,
        clock: Arc<dyn Clock>,
        tasks: &TaskTracker,
    ) -> Result<Self, SendError> {
        Upstream::new(cluster, dial, limits(), clock, tasks).map(Self)
    }

    /// The same over TCP and TLS.
    ///
    /// # Errors
    /// When the server's host can stand in no HTTP request.
    pub fn over_tls(cluster: Arc<Cluster>, clock: Arc<dyn Clock>, tasks: &TaskTracker) -> Result<Self, SendError> {
        Upstream::over_tls(cluster, limits(), clock, tasks).map(Self)
    }

    /// The cluster that this leads to.
    pub fn cluster(&self) -> &Cluster {
        self.0.cluster()
    }

    /// Sends a read of Lockgate's own over a connection of its own, and waits for the head of its answer. Cancelled, the
    /// request may or may not have been sent, and the sweeper closes the call.
    ///
    /// # Errors
    /// The receipt comes back with the error. A ticket that is not for [`SelfUpstream::USER`] or reads nothing is refused.
    pub async fn send(&self, ticket: Ticket, head_max: Duration) -> Result<Exchange, (Receipt, SendError)> {
        let is_own = ticket.user() == Self::USER && ticket.request().method == Method::GET;
        let (request, receipt) = ticket.into_parts();
        if !is_own {
            return Err((receipt, UnwritableIdentity::NOT_OWN.into()));
        }
        let sent = async {
            let request = self.0.request(request, &receipt, Speaker::Lockgate).await?;
            self.0.send_alone(request).await
        };
        match tokio::time::timeout(head_max, sent).await {
            Ok(Ok(response)) => Ok(Exchange { response, receipt }),
            Ok(Err(error)) => Err((receipt, error)),
            Err(_) => Err((receipt, SendError::Timeout { limit: head_max })),
        }
    }
}

fn limits() -> UpstreamLimits {
    UpstreamLimits { http1_connections_max: CONNECTIONS_MAX, ..UpstreamLimits::default() }
}
