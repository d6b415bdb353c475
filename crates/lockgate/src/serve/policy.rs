//! The policy's way into force: a file becomes a revision in the store when its digest is new, and every replica
//! evaluates the newest stored revision. A file that does not compile changes nothing, and says so. A candidate in shadow
//! mode never comes into force: it is read from its file and is nowhere else.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use lockgate_core::PolicyFacts;
use lockgate_policy::{Policy, Preset};
use lockgate_proxy::gateway::Gateway;
use lockgate_store::{PolicyRevision, Store, StoreError, Topic};
use tokio_util::sync::CancellationToken;

use crate::config::{Loaded, PolicySource, PresetName};

/// Between two looks at the file, and at the store should a notification be lost.
const LOOK: Duration = Duration::from_secs(1);
/// Longest author that is recorded, in characters.
const AUTHOR_CHARACTERS_MAX: usize = 200;

/// A policy that was read and is not in force yet.
pub(crate) struct Read {
    pub(crate) text: String,
    pub(crate) policy: Policy,
    pub(crate) author: String,
}

/// The policy's file, if it is one.
pub(super) fn source(loaded: &Loaded) -> Option<PathBuf> {
    file(loaded, &loaded.config.policy.source().ok()?)
}

/// The candidate's file, if there is one.
pub(super) fn shadow_source(loaded: &Loaded) -> Option<PathBuf> {
    file(loaded, loaded.config.policy.shadow.as_ref()?)
}

fn file(loaded: &Loaded, source: &PolicySource) -> Option<PathBuf> {
    match source {
        PolicySource::File(path) => Some(loaded.path(path)),
        PolicySource::Preset(_) => None,
    }
}

/// The policy that the configuration names.
pub(crate) fn read(loaded: &Loaded) -> anyhow::Result<Read> {
    read_source(loaded, &loaded.config.policy.source()?, "policy")
}

/// The candidate that the configuration names. At the start a bad one is an error like any other in the configuration.
pub(super) fn read_shadow(loaded: &Loaded) -> anyhow::Result<Option<Policy>> {
    let source = loaded.config.policy.shadow.as_ref();
    source.map(|source| read_source(loaded, source, "policy.shadow").map(|read| read.policy)).transpose()
}

fn read_source(loaded: &Loaded, source: &PolicySource, field: &str) -> anyhow::Result<Read> {
    match source {
        PolicySource::File(path) => read_file(&loaded.path(path)).with_context(|| format!("{field}.file")),
        PolicySource::Preset(name) => {
            let preset = match name {
                PresetName::Observe => Preset::Observe,
                PresetName::Operate => Preset::Operate,
                PresetName::Admin => Preset::Admin,
            };
            let policy = preset.policy().map_err(|error| anyhow!("{field}.preset: {error}"))?;
            let author = concat!("lockgate ", env!("CARGO_PKG_VERSION"), " (preset)").to_owned();
            Ok(Read { text: preset.text().to_owned(), policy, author })
        }
    }
}

fn read_file(path: &Path) -> anyhow::Result<Read> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let policy = Policy::parse(&text).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let author = match policy.author() {
        Some(author) => author.chars().take(AUTHOR_CHARACTERS_MAX).collect(),
        None => owner(path)?,
    };
    Ok(Read { text, policy, author })
}

/// Who owns the file: the only word about its author when the document has none.
fn owner(path: &Path) -> anyhow::Result<String> {
    let uid = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.uid();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    Ok(format!("{} (owner of the file)", name.unwrap_or_else(|| format!("uid {uid}"))))
}

/// Makes the policy the newest stored revision, unless it is; returns it with what the store knows.
pub(super) async fn store(store: &Store, read: Read) -> Result<Policy, StoreError> {
    let newest = store.insert_policy(&read.text, read.policy.revision(), &read.author).await?;
    Ok(read.policy.stored_as(facts(newest)))
}

fn facts(stored: PolicyRevision) -> PolicyFacts {
    PolicyFacts { revision: stored.revision, digest: stored.digest, author: stored.author }
}

/// Inserts a changed file as a revision; keeps the old one when it is bad.
pub(super) async fn follow_file(path: Option<PathBuf>, gateway: Arc<Gateway>, stop: CancellationToken) {
    let Some(mut file) = path.map(Followed::new) else { return };
    while file.changed(&stop).await {
        let stored = match read_file(&file.path) {
            Ok(read) => store(&gateway.store, read).await.map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        match stored {
            Ok(policy) => {
                tracing::info!(revision = %policy.short_revision(), "the policy file changed; it comes into force");
            }
            Err(error) => {
                gateway.metrics.policy_error();
                tracing::error!("the policy file is not taken, the old policy stays in force: {error:#}");
            }
        }
    }
}

/// Takes a changed candidate; one that is bad is evaluated no more and no less than before: the old one stays.
pub(super) async fn follow_shadow(path: Option<PathBuf>, gateway: Arc<Gateway>, stop: CancellationToken) {
    let Some(mut file) = path.map(Followed::new) else { return };
    while file.changed(&stop).await {
        match read_file(&file.path) {
            Ok(read) => {
                tracing::info!(revision = %read.policy.short_revision(), "the candidate changed; it is in shadow mode");
                gateway.shadow.store(Some(Arc::new(read.policy)));
            }
            Err(error) => {
                gateway.metrics.shadow_error();
                tracing::error!("the candidate in shadow mode is not taken, the old one stays: {error:#}");
            }
        }
    }
}

/// A file that is looked at again and again.
struct Followed {
    path: PathBuf,
    seen: Option<String>,
}

impl Followed {
    fn new(path: PathBuf) -> Self {
        let seen = std::fs::read_to_string(&path).ok();
        Self { path, seen }
    }

    /// Waits until its text is another; false when it is time to stop.
    async fn changed(&mut self, stop: &CancellationToken) -> bool {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return false,
            }
            let now = tokio::fs::read_to_string(&self.path).await.ok();
            if now != self.seen {
                self.seen = now;
                return true;
            }
        }
    }
}

/// Puts the newest stored revision into force: notify plus poll.
pub(super) async fn follow_store(gateway: Arc<Gateway>, stop: CancellationToken) {
    let mut changes = gateway.store.changes(Topic::Policy);
    loop {
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
        let current = gateway.policy.load().provenance().map(|facts| facts.revision);
        let newest = match gateway.store.newest_policy().await {
            Ok(Some(newest)) if Some(newest.revision) != current => newest,
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot look for a newer policy");
                continue;
            }
        };
        match Policy::parse(&newest.text) {
            Ok(policy) => gateway.policy.store(Arc::new(policy.stored_as(facts(newest)))),
            Err(error) => {
                gateway.metrics.policy_error();
                tracing::error!(%error, "the newest stored policy does not compile here, the old one stays in force");
            }
        }
    }
}
