//! The values of the clusters' Secrets, as far as they are known: an index for each cluster, replaced whole.
//!
//! Owns: reading the Secrets of a cluster that has a credential of Lockgate's own (`self`), keeping up with them
//! ([`follow`]), which values are kept and for how long (`kept`), and when an index is built of them (`index`). Values are
//! nowhere but in memory that is cleared behind them; no log, metric or error holds one.
//!
//! Refuses to know: how a secret is found in a text, and what becomes of what is found. Start at [`Values::of`].

mod follow;
mod index;
mod kept;
mod read;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use lockgate_wire::mask::{KnownValues, ValueLimits, Why};
use tokio::time::Instant;

pub use self::follow::follow;

/// How long a start waits for the first list of a cluster's Secrets before it counts as ready without it.
pub const FIRST_LIST_MAX: Duration = Duration::from_secs(30);

/// Limits on what is kept of one cluster, and how it is read.
#[derive(Debug, Clone)]
pub struct FollowLimits {
    /// What an index may use. More values are left out, and said to be: those that came last.
    pub values: ValueLimits,
    /// All values that are kept to be indexed, in bytes.
    pub kept_bytes_max: usize,
    /// Longest text that is kept for its parts, in bytes.
    pub document_bytes_max: usize,
    /// How long a value is known that is in no Secret any more: mounted files follow within two minutes, roll-outs take
    /// some more, and what was logged meanwhile is read a little later.
    pub retired: Duration,
    /// From the first change of a burst until it is indexed.
    pub settle: Duration,
    /// Secrets on one page of a list.
    pub page_objects_max: u32,
    /// Until the head of an answer must have arrived, and between two pieces of a list.
    pub answer_max: Duration,
    /// Length of one watch: a new one goes on where it ended.
    pub watch: Duration,
    /// Between two pieces of a watch. The API server sends a bookmark every minute.
    pub watch_idle_max: Duration,
    /// Before the second attempt after a failure; doubled for each further one.
    pub retry_min: Duration,
    /// Between two attempts, at most.
    pub retry_max: Duration,
}

impl Default for FollowLimits {
    fn default() -> Self {
        Self {
            values: ValueLimits::default(),
            kept_bytes_max: 64 * 1024 * 1024,
            document_bytes_max: 256 * 1024,
            retired: Duration::from_secs(600),
            settle: Duration::from_millis(50),
            page_objects_max: 500,
            answer_max: Duration::from_secs(30),
            watch: Duration::from_secs(300),
            watch_idle_max: Duration::from_secs(150),
            retry_min: Duration::from_millis(500),
            retry_max: Duration::from_secs(30),
        }
    }
}

/// The known values of every cluster that has a credential of Lockgate's own (`self`).
#[derive(Debug, Default)]
pub struct Values {
    clusters: BTreeMap<String, Slot>,
}

/// One cluster's.
#[derive(Debug)]
struct Slot {
    index: ArcSwapOption<KnownValues>,
    since: Instant,
    trouble: Mutex<Option<String>>,
}

/// An index to be put in force.
#[derive(Debug)]
pub struct Published {
    /// The index.
    pub index: Arc<KnownValues>,
    /// How many values, and parts of values, are not looked for.
    pub left_out: BTreeMap<Why, usize>,
}

impl Values {
    /// For these clusters, none of whose values are known yet.
    pub fn of_clusters(names: impl IntoIterator<Item = String>) -> Self {
        let slot = || Slot { index: ArcSwapOption::empty(), since: Instant::now(), trouble: Mutex::default() };
        Self { clusters: names.into_iter().map(|name| (name, slot())).collect() }
    }

    /// The values in force for a cluster; `None` where it has no `self`, and until its Secrets were listed for the first
    /// time. Cheap: call it for each answer, and keep what it gives for as long as the answer flows.
    pub fn of(&self, cluster: &str) -> Option<Arc<KnownValues>> {
        self.clusters.get(cluster)?.index.load_full()
    }

    /// Puts an index in force. Nothing happens for a cluster that is none of [`Values::of_clusters`].
    pub fn publish(&self, cluster: &str, values: Arc<KnownValues>) {
        if let Some(slot) = self.clusters.get(cluster) {
            slot.index.store(Some(values));
        }
    }

    /// What is worth saying about clusters whose values are not known, or not as they are now: a line for each.
    pub fn troubles(&self) -> Vec<String> {
        let line = |(cluster, slot): (&String, &Slot)| {
            let trouble = slot.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match (slot.index.load().is_some(), trouble) {
                (true, None) => None,
                (true, Some(trouble)) => Some(format!("known values of {cluster} are kept as they were: {trouble}")),
                (false, None) => Some(format!("known values of {cluster}: its Secrets are being listed")),
                (false, Some(trouble)) => Some(format!("known values of {cluster}: none, {trouble}")),
            }
        };
        self.clusters.iter().filter_map(line).collect()
    }

    /// Whether a cluster's Secrets may still be listed for the first time at any moment.
    pub fn is_starting(&self) -> bool {
        let is_awaited = |slot: &Slot| slot.index.load().is_none() && slot.since.elapsed() < FIRST_LIST_MAX;
        self.clusters.values().any(is_awaited)
    }

    fn trouble(&self, cluster: &str, trouble: Option<String>) {
        if let Some(slot) = self.clusters.get(cluster) {
            *slot.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        }
    }
}
