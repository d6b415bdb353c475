//! Whether the agent of a live session is still free to act: a freeze, wherever it was written, ends its sessions.

use std::time::Duration;

use lockgate_core::Subject;
use lockgate_store::{Store, Topic};
use tokio::sync::watch;

/// Between two looks, should a notification be lost or come from another replica.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// One agent's standing, as the store has it.
pub(super) struct Standing {
    store: Store,
    subject: Subject,
    changes: watch::Receiver<u64>,
}

impl Standing {
    pub(super) fn new(store: Store, subject: Subject) -> Self {
        let changes = store.changes(Topic::Agents);
        Self { store, subject, changes }
    }

    /// Resolves once the agent is frozen. Notify plus poll. A store that cannot be asked is asked again: while it is down no
    /// new call passes anyway. Cancelled: nothing is lost.
    pub(super) async fn frozen(&mut self) {
        loop {
            match self.store.active_freeze(&self.subject).await {
                Ok(Some(_)) => return,
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "whether an agent is frozen cannot be read"),
            }
            tokio::select! {
                changed = self.changes.changed() => if changed.is_err() { tokio::time::sleep(LOOK_EVERY).await },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}
