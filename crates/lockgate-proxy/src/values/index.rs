//! The index of one cluster, kept as new as its values: a large one that is rebuilt now and then, and on top of it a small
//! one of what came since, which takes milliseconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lockgate_wire::mask::{KnownValues, LeftOut, ValueLimits, Why};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::kept::{Kept, Number, Value};
use super::{FollowLimits, Published};

/// With so many values all are indexed at once: it takes no longer than a wait that nobody notices.
const VALUES_FEW: usize = 256;

/// A rebuild begins at most once in so many times of what the last one took: a core is never more than a tenth busy.
const REST_FACTOR: u32 = 10;

/// ... and not before this, unless what came since is a lot.
const REST_MIN: Duration = Duration::from_secs(30);

/// A lot: so many values in the small index.
const NEWS_MAX: usize = 4_096;

/// Names in the log for each index, at most.
const NAMED_MAX: usize = 200;

/// What the watch and the indexer share: the values, and that something changed.
pub(super) struct Shared {
    kept: Mutex<Kept>,
    changed: Notify,
}

impl Shared {
    pub(super) fn new(limits: FollowLimits) -> Self {
        Self { kept: Mutex::new(Kept::new(limits)), changed: Notify::new() }
    }

    /// The values; never held while waiting.
    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There are values that no index has.
    pub(super) fn changed(&self) {
        self.changed.notify_one();
    }
}

/// An index of all values up to one.
struct Base {
    index: Arc<KnownValues>,
    through: Number,
    left_out: BTreeMap<Why, usize>,
    took: Duration,
    built: Instant,
    /// How many of its values have been forgotten since.
    forgotten: usize,
}

/// Builds the index whenever the values change, and gives it to `published`. Returns when stopped.
pub(super) struct Indexer<P> {
    pub(super) cluster: String,
    pub(super) limits: FollowLimits,
    pub(super) shared: Arc<Shared>,
    pub(super) publish: P,
    base: Option<Base>,
    building: Option<JoinHandle<Base>>,
    /// There is something that the large index does not have, or has no more to have.
    is_behind: bool,
}

impl<P: FnMut(Published)> Indexer<P> {
    pub(super) fn new(cluster: String, limits: FollowLimits, shared: Arc<Shared>, publish: P) -> Self {
        Self { cluster, limits, shared, publish, base: None, building: None, is_behind: false }
    }

    /// Runs until stopped. Cancel safe: an index that was being built is dropped, and with it its values.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let next = self.shared.kept().next_to_forget();
            let is_waiting = self.is_behind && self.building.is_none();
            let rebuild = self.base.as_ref().filter(|_| is_waiting).map(Base::may_be_rebuilt);
            let wake = [next, rebuild].into_iter().flatten().min();
            tokio::select! {
                () = stop.cancelled() => return,
                // Changes come in bursts: one index for each burst.
                () = self.shared.changed.notified() => tokio::time::sleep(self.limits.settle).await,
                base = built(&mut self.building) => self.take(base),
                () = until(wake) => {}
            }
            self.forget();
            self.refresh().await;
        }
    }

    fn take(&mut self, base: Option<Base>) {
        self.building = None;
        match base {
            Some(base) => self.base = Some(base),
            None => {
                tracing::error!(cluster = %self.cluster, "known values: an index could not be built; the last one stays");
                if let Some(base) = &mut self.base {
                    base.built = Instant::now();
                }
            }
        }
    }

    fn forget(&mut self) {
        let forgotten = self.shared.kept().forget(Instant::now());
        if let Some(base) = &mut self.base {
            base.forgotten += forgotten;
        }
    }

    /// Puts an index of everything that is known in force.
    async fn refresh(&mut self) {
        let count = self.shared.kept().len();
        if count <= VALUES_FEW {
            let building = self.build_all();
            let base = building.await.ok();
            self.take(base);
        } else if self.building.is_none() && self.is_due() {
            self.building = Some(self.build_all());
        }
        let Some(base) = &self.base else { return };
        let news: Vec<Value> = self.shared.kept().after(base.through).collect();
        self.is_behind = !news.is_empty() || base.forgotten > 0;
        let mut left_out = base.left_out.clone();
        let index = if news.is_empty() {
            Arc::clone(&base.index)
        } else {
            let limits = ValueLimits {
                values_max: self.limits.values.values_max.saturating_sub(base.index.len()),
                ..self.limits.values
            };
            let Ok((index, not_in_it)) = tokio::task::spawn_blocking(move || build(limits, news)).await else { return };
            count_left_out(&mut left_out, &not_in_it);
            name(&self.cluster, &not_in_it);
            Arc::new(index.on(Arc::clone(&base.index)))
        };
        count_left_out(&mut left_out, &self.shared.kept().refused());
        (self.publish)(Published { index, left_out });
    }

    fn is_due(&self) -> bool {
        let Some(base) = &self.base else { return true };
        let news = self.shared.kept().after(base.through).count();
        news >= NEWS_MAX || (news + base.forgotten > 0 && Instant::now() >= base.may_be_rebuilt())
    }

    fn build_all(&self) -> JoinHandle<Base> {
        let (cluster, limits, shared) = (self.cluster.clone(), self.limits.values, Arc::clone(&self.shared));
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let (values, through) = {
                let kept = shared.kept();
                (kept.after(0).collect(), kept.last())
            };
            let (index, not_in_it) = build(limits, values);
            let mut left_out = BTreeMap::new();
            count_left_out(&mut left_out, &not_in_it);
            name(&cluster, &not_in_it);
            let index = Arc::new(index);
            tracing::debug!(cluster, values = index.len(), took = ?begun.elapsed(), "known values: all are indexed");
            Base { index, through, left_out, took: begun.elapsed(), built: Instant::now(), forgotten: 0 }
        })
    }
}

impl Base {
    fn may_be_rebuilt(&self) -> Instant {
        self.built + (self.took * REST_FACTOR).max(REST_MIN)
    }
}

fn build(limits: ValueLimits, values: Vec<Value>) -> (KnownValues, Vec<LeftOut>) {
    let mut builder = KnownValues::builder(limits);
    for value in values {
        builder.add(value.label, &value.bytes);
    }
    builder.build()
}

fn count_left_out(counts: &mut BTreeMap<Why, usize>, left_out: &[LeftOut]) {
    for left_out in left_out {
        *counts.entry(left_out.why).or_default() += 1;
    }
}

/// Says by name what is not looked for, never what it is.
fn name(cluster: &str, left_out: &[LeftOut]) {
    for LeftOut { label, part, why } in left_out.iter().take(NAMED_MAX) {
        let what = if part.is_some() { "a part of the value" } else { "the value" };
        let (namespace, secret, key) = (&label.namespace, &label.secret, &label.key);
        tracing::debug!(cluster, namespace, secret, key, reason = %why, "known values: {what} is not looked for");
    }
    if let Some(more) = left_out.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        tracing::debug!(cluster, more, "known values: and more that are not looked for");
    }
}

/// The index that is being built, once it is; for ever where none is. `None`: building it failed.
async fn built(building: &mut Option<JoinHandle<Base>>) -> Option<Base> {
    match building {
        Some(building) => building.await.ok(),
        None => std::future::pending().await,
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
