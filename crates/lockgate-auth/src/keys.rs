//! An issuer's signing keys, kept.
//!
//! - Keys younger than [`KEYS_FRESH`] are used as they are; until [`KEYS_AGE_MAX`] they are used while a refetch runs
//!   beside the request; older ones wait for it. So a key that the issuer removed is refused after at most
//!   [`KEYS_AGE_MAX`].
//! - A token with an unknown `kid` causes a refetch, at most one every [`REFETCH_INTERVAL_MIN`] and one at a time: a
//!   flood of invented `kid`s costs the issuer no more than that, and good tokens nothing.
//! - When the issuer fails, its last good keys are used for [`KEYS_STALE_MAX`], no longer, and nobody waits for it.
//!
//! A refetch runs in a task of its own, so that a caller who hangs up cannot cancel it for the others.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use lockgate_core::Timestamp;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::discovery::{DiscoveryError, discover};
use crate::http::HttpClient;
use crate::jwk::{Algorithm, KeySet, PublishedKeys, Verdict};

/// Keys younger than this are simply used.
pub const KEYS_FRESH: Duration = Duration::from_secs(30);
/// Keys older than this are fetched again before they are used, while the issuer answers.
pub const KEYS_AGE_MAX: Duration = Duration::from_secs(60);
/// Keys older than this are not used at all.
pub const KEYS_STALE_MAX: Duration = Duration::from_secs(3600);
/// Shortest time between two fetches from one issuer.
pub const REFETCH_INTERVAL_MIN: Duration = Duration::from_secs(5);

/// Keys and when they were fetched.
struct Kept {
    keys: KeySet,
    fetched_at: Timestamp,
}

/// The fetches.
#[derive(Default)]
struct Fetches {
    /// When the last one began.
    last: Option<Timestamp>,
    /// Whether the last one failed.
    failing: bool,
    /// The one that is under way; its channel closes when it ends.
    under_way: Option<watch::Receiver<()>>,
}

/// The keys of one issuer.
pub(crate) struct Keys {
    issuer: String,
    http: HttpClient,
    kept: ArcSwapOption<Kept>,
    fetches: Mutex<Fetches>,
    tasks: TaskTracker,
}

/// No keys that may be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unavailable;

impl Keys {
    pub(crate) fn new(issuer: String, http: HttpClient, tasks: TaskTracker) -> Arc<Self> {
        let (kept, fetches) = (ArcSwapOption::empty(), Mutex::default());
        Arc::new(Self { issuer, http, kept, fetches, tasks })
    }

    /// Checks a signature, fetching keys where the rules above say so.
    pub(crate) async fn verify(
        self: &Arc<Self>,
        key_id: Option<&str>,
        algorithm: &Algorithm,
        message: &[u8],
        signature: &[u8],
        now: Timestamp,
    ) -> Result<Verdict, Unavailable> {
        self.refresh_by_age(now).await;
        let verdict = self.usable(now)?.keys.verify(key_id, algorithm, message, signature);
        // Without a `kid` a rotated key shows as a signature that none of the kept keys made.
        let rotated = verdict == Verdict::UnknownKey || (verdict == Verdict::Bad && key_id.is_none());
        if !rotated {
            return Ok(verdict);
        }
        match self.fetch(now) {
            None => Ok(verdict),
            Some(fetch) => {
                ended(fetch).await;
                Ok(self.usable(now)?.keys.verify(key_id, algorithm, message, signature))
            }
        }
    }

    /// The kept keys, if they are young enough.
    fn usable(&self, now: Timestamp) -> Result<Arc<Kept>, Unavailable> {
        self.kept.load_full().filter(|kept| now.since(kept.fetched_at) <= KEYS_STALE_MAX).ok_or(Unavailable)
    }

    async fn refresh_by_age(self: &Arc<Self>, now: Timestamp) {
        let age = self.kept.load().as_ref().map(|kept| now.since(kept.fetched_at));
        match age {
            Some(age) if age <= KEYS_FRESH => {}
            Some(age) => {
                let fetch = self.fetch(now);
                let usable_meanwhile = age <= KEYS_AGE_MAX || (self.failing() && age <= KEYS_STALE_MAX);
                if let (Some(fetch), false) = (fetch, usable_meanwhile) {
                    ended(fetch).await;
                }
            }
            None => {
                if let Some(fetch) = self.fetch(now) {
                    ended(fetch).await;
                }
            }
        }
    }

    fn failing(&self) -> bool {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner).failing
    }

    /// The fetch that is under way, or a new one if the last is long enough ago.
    fn fetch(self: &Arc<Self>, now: Timestamp) -> Option<watch::Receiver<()>> {
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed channel is a fetch that ended without saying so: it panicked.
        if let Some(under_way) = fetches.under_way.as_ref().filter(|under_way| under_way.has_changed().is_ok()) {
            return Some(under_way.clone());
        }
        // A clock that was set back must not stop fetches for as long as it was wrong.
        let too_soon = fetches.last.is_some_and(|last| last <= now && now.since(last) < REFETCH_INTERVAL_MIN);
        if too_soon {
            return None;
        }
        let (ending, under_way) = watch::channel(());
        fetches.last = Some(now);
        fetches.under_way = Some(under_way.clone());
        let keys = Arc::clone(self);
        self.tasks.spawn(async move {
            let fetched = keys.fetch_now().await;
            keys.end_fetch(fetched, now);
            drop(ending);
        });
        Some(under_way)
    }

    async fn fetch_now(&self) -> Result<KeySet, DiscoveryError> {
        let metadata = discover(&self.http, &self.issuer).await?;
        let published: PublishedKeys = self.http.json(&metadata.jwks_uri).await?;
        Ok(KeySet::from_published(published))
    }

    fn end_fetch(&self, fetched: Result<KeySet, DiscoveryError>, now: Timestamp) {
        let failing = match fetched {
            Ok(keys) if keys.len() == 0 => {
                tracing::warn!(issuer = %self.issuer, "the issuer publishes no usable signing key; the last ones stay");
                true
            }
            Ok(keys) => {
                tracing::debug!(issuer = %self.issuer, keys = keys.len(), "signing keys fetched");
                self.kept.store(Some(Arc::new(Kept { keys, fetched_at: now })));
                false
            }
            Err(error) => {
                tracing::warn!(issuer = %self.issuer, %error, "signing keys could not be fetched; the last ones stay");
                true
            }
        };
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        fetches.failing = failing;
        fetches.under_way = None;
    }
}

/// Waits until a fetch has ended, well or not.
async fn ended(mut fetch: watch::Receiver<()>) {
    // Nothing is ever sent: the channel closes when the fetch ends, also by a panic.
    while fetch.changed().await.is_ok() {}
}
