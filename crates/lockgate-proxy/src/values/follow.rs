//! Keeps up with a cluster's Secrets: lists them, watches from there, goes on where a watch ended, and lists again when the
//! cluster has forgotten where that was.

use std::sync::Arc;
use std::time::Duration;

use lockgate_wire::secrets::{ListEnd, ListReader, Version, WatchEvent, WatchReader};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::index::{Indexer, Shared};
use super::read::{self, Answer, ReadError};
use super::{FollowLimits, Published};
use crate::gateway::Gateway;
use crate::upstream::SelfUpstream;

/// All Secrets but Helm's releases: those are packed copies of everything a chart was given, and have rules of their own.
const SECRETS: &str = "/api/v1/secrets?fieldSelector=type%21%3Dhelm.sh%2Frelease.v1";

/// Pages of one list, at most: with more the cluster gives the same ones again.
const PAGES_MAX: usize = 100_000;

/// A watch that ends earlier and said nothing was refused in other words.
const WATCH_MIN: Duration = Duration::from_secs(1);

/// Keeps the known values of one cluster current until stopped. Whatever goes wrong is said in the log, counted and tried
/// again; meanwhile the last index stays in force.
pub async fn follow(gateway: Arc<Gateway>, upstream: SelfUpstream, limits: FollowLimits, stop: CancellationToken) {
    let cluster = upstream.cluster().name.clone();
    let shared = Arc::new(Shared::new(limits.clone()));
    let publish = publisher(Arc::clone(&gateway), cluster.clone());
    let indexer = Indexer::new(cluster.clone(), limits.clone(), Arc::clone(&shared), publish);
    let follower =
        Follower { gateway, upstream, cluster, limits, shared, stop: stop.clone(), failures: 0, trouble: None };
    tokio::join!(indexer.run(stop), follower.run());
}

fn publisher(gateway: Arc<Gateway>, cluster: String) -> impl FnMut(Published) {
    let mut is_full = false;
    let mut is_first = true;
    move |Published { index, left_out }| {
        let no_room = left_out.get(&lockgate_wire::mask::Why::NoRoom).copied().unwrap_or_default();
        if std::mem::take(&mut is_first) {
            let left_out: usize = left_out.values().sum();
            tracing::info!(cluster, values = index.len(), left_out, "known values: the cluster's Secrets are known");
        }
        if no_room > 0 && !is_full {
            tracing::warn!(
                cluster,
                values = index.len(),
                no_room,
                "known values: the limits are reached; the values that came last are not looked for"
            );
        }
        is_full = no_room > 0;
        gateway.metrics.known_values(&cluster, index.len(), &left_out);
        gateway.values.publish(&cluster, index);
    }
}

struct Follower {
    gateway: Arc<Gateway>,
    upstream: SelfUpstream,
    cluster: String,
    limits: FollowLimits,
    shared: Arc<Shared>,
    stop: CancellationToken,
    /// In a row.
    failures: u32,
    /// What was said about the last one.
    trouble: Option<String>,
}

impl Follower {
    async fn run(mut self) {
        let mut version = None;
        loop {
            let step = match &mut version {
                None => self.list().await.map(|listed| version = Some(listed)),
                Some(version) => self.watch(version).await,
            };
            let Err(error) = step else { continue };
            match error {
                ReadError::Stopped => return,
                // What the stream said last cannot be told: begin anew.
                ReadError::Expired | ReadError::Unreadable(_) => version = None,
                _ => {}
            }
            self.failed(&error);
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(self.pause()) => {}
            }
        }
    }

    /// Lists all Secrets and says from where to watch.
    async fn list(&mut self) -> Result<Version, ReadError> {
        self.shared.kept().list();
        let mut target = format!("{SECRETS}&limit={}", self.limits.page_objects_max);
        for _ in 0..PAGES_MAX {
            let ListEnd { resource_version, continue_token } = self.page(&target).await?;
            let Some(token) = continue_token else {
                self.shared.kept().listed(Instant::now());
                self.shared.changed();
                self.is_current();
                return Ok(resource_version);
            };
            target = format!("{SECRETS}&limit={}&continue={}", self.limits.page_objects_max, escaped(&token));
        }
        Err(ReadError::Expired)
    }

    async fn page(&self, target: &str) -> Result<ListEnd, ReadError> {
        let mut answer = self.open(target).await?;
        let mut reader = ListReader::new();
        let read = async {
            while let Some(bytes) = self.next(&mut answer, self.limits.answer_max).await? {
                reader.push(&bytes, &mut |secret| {
                    self.shared.kept().set(secret, Instant::now());
                })?;
            }
            Ok(())
        };
        match read.await {
            Ok(()) => match reader.finish() {
                Ok(end) => answer.close().await.map(|()| end),
                Err(error) => answer.fail(error.into()).await,
            },
            Err(error) => answer.fail(error).await,
        }
    }

    /// Watches until the watch ends; `version` is where to go on, whatever happens.
    async fn watch(&mut self, version: &mut Version) -> Result<(), ReadError> {
        let begun = Instant::now();
        let target = format!(
            "{SECRETS}&watch=true&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}",
            self.limits.watch.as_secs().max(1),
            escaped(version),
        );
        let mut answer = self.open(&target).await?;
        let mut is_news = false;
        match self.events(&mut answer, version, &mut is_news).await {
            Ok(()) => answer.close().await?,
            Err(error) => return answer.fail(error).await,
        }
        if !is_news && begun.elapsed() < WATCH_MIN { Err(ReadError::Silent(Duration::ZERO)) } else { Ok(()) }
    }

    async fn events(
        &mut self,
        answer: &mut Answer,
        version: &mut Version,
        is_news: &mut bool,
    ) -> Result<(), ReadError> {
        let mut reader = WatchReader::new();
        while let Some(bytes) = self.next(answer, self.limits.watch_idle_max).await? {
            let mut failure = None;
            let mut is_changed = false;
            let read = reader.push(&bytes, &mut |event| match event {
                WatchEvent::Set(secret, at) => {
                    is_changed |= self.shared.kept().set(secret, Instant::now());
                    *version = at;
                }
                WatchEvent::Gone { namespace, name, version: at } => {
                    self.shared.kept().gone(&namespace, &name, Instant::now());
                    is_changed = true;
                    *version = at;
                }
                WatchEvent::Bookmark(at) => *version = at,
                WatchEvent::Failed { code, .. } => failure = Some(code),
            });
            if is_changed {
                self.shared.changed();
            }
            read?;
            match failure.map(http::StatusCode::from_u16) {
                None => {}
                Some(Ok(http::StatusCode::GONE)) => return Err(ReadError::Expired),
                Some(Ok(status)) => return Err(ReadError::Status(status)),
                Some(Err(_)) => return Err(ReadError::Status(http::StatusCode::INTERNAL_SERVER_ERROR)),
            }
            *is_news = true;
            self.is_current();
        }
        Ok(())
    }

    async fn open(&self, target: &str) -> Result<Answer, ReadError> {
        tokio::select! {
            answer = read::open(&self.gateway, &self.upstream, target, self.limits.answer_max) => answer,
            () = self.stop.cancelled() => Err(ReadError::Stopped),
        }
    }

    async fn next(&self, answer: &mut Answer, silent_max: Duration) -> Result<Option<bytes::Bytes>, ReadError> {
        tokio::select! {
            next = answer.next(silent_max) => next,
            () = self.stop.cancelled() => Err(ReadError::Stopped),
        }
    }

    /// What is known is what the cluster has.
    fn is_current(&mut self) {
        self.failures = 0;
        self.gateway.metrics.known_values_current(&self.cluster, self.gateway.clock().now());
        if self.trouble.take().is_some() {
            self.gateway.values.trouble(&self.cluster, None);
            tracing::info!(cluster = %self.cluster, "known values: current again");
        }
    }

    fn failed(&mut self, error: &ReadError) {
        self.failures = self.failures.saturating_add(1);
        self.gateway.metrics.known_values_failed(&self.cluster);
        let text = chain(error);
        if self.trouble.as_ref() == Some(&text) {
            tracing::debug!(cluster = %self.cluster, failures = self.failures, "known values: {text}");
            return;
        }
        // A watch that began too far back is nothing to wake anybody for.
        if matches!(error, ReadError::Expired) {
            tracing::info!(cluster = %self.cluster, "known values: {text}; the Secrets are listed again");
        } else {
            tracing::warn!(
                cluster = %self.cluster,
                "known values: {text}; tried again, and until then masked as they were known last"
            );
        }
        self.gateway.values.trouble(&self.cluster, Some(text.clone()));
        self.trouble = Some(text);
    }

    /// Doubled for each failure in a row, and somewhere in the upper half of that: many gateways do not come back at once.
    fn pause(&self) -> Duration {
        let doubled = self.limits.retry_min.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        let whole = doubled.min(self.limits.retry_max);
        let mut random = [0; 1];
        // Without randomness it is the whole of it.
        let part = aws_lc_rs::rand::fill(&mut random).map_or(u8::MAX, |()| random[0]);
        whole / 2 + whole.saturating_mul(u32::from(part)) / 510
    }
}

/// The error and its causes. None of them holds a byte of an answer.
fn chain(error: &ReadError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// As a value in a query.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to memory does not fail.
            write!(escaped, "%{byte:02X}").unwrap_or_default();
        }
        escaped
    })
}
