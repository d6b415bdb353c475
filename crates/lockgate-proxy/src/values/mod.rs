//! The values of the clusters' Secrets, as far as they are known: an index for each cluster, replaced whole.
//!
//! Owns: which index is in force. Refuses to know: how a secret is found in a text, and what becomes of what is found.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use lockgate_wire::mask::KnownValues;

/// The known values of every cluster that has a credential of Lockgate's own (`self`).
#[derive(Debug, Default)]
pub struct Values {
    clusters: BTreeMap<String, ArcSwapOption<KnownValues>>,
}

impl Values {
    /// For these clusters, none of whose values are known yet.
    pub fn of_clusters(names: impl IntoIterator<Item = String>) -> Self {
        Self { clusters: names.into_iter().map(|name| (name, ArcSwapOption::empty())).collect() }
    }

    /// The values in force for a cluster; `None` where it has no `self`, and until its Secrets were listed for the first
    /// time. Cheap: call it for each answer, and keep what it gives for as long as the answer flows.
    pub fn of(&self, cluster: &str) -> Option<Arc<KnownValues>> {
        self.clusters.get(cluster)?.load_full()
    }

    /// Puts an index in force. Nothing happens for a cluster that is none of [`Values::of_clusters`].
    pub fn publish(&self, cluster: &str, values: Arc<KnownValues>) {
        if let Some(slot) = self.clusters.get(cluster) {
            slot.store(Some(values));
        }
    }
}
