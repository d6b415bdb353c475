//! The policy's way into force: a file becomes a revision in the store when its digest is new, and every replica
//! evaluates the newest stored revision. A file that does not compile changes nothing, and says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use lockgate_policy::{Policy, Preset};
use lockgate_proxy::gateway::Gateway;
use lockgate_store::Topic;
use tokio_util::sync::CancellationToken;

use crate::config::{Loaded, PolicySource, PresetName};

/// Between two looks at the file, and at the store should a notification be lost.
const LOOK: Duration = Duration::from_secs(1);

/// The policy's file, if it is one.
pub(super) fn source(loaded: &Loaded) -> Option<PathBuf> {
    match &loaded.config.policy {
        PolicySource::File(path) => Some(loaded.path(path)),
        PolicySource::Preset(_) => None,
    }
}

/// Text and compiled policy.
pub(super) fn read(loaded: &Loaded) -> anyhow::Result<(String, Policy)> {
    match &loaded.config.policy {
        PolicySource::File(path) => read_file(&loaded.path(path)),
        PolicySource::Preset(name) => {
            let preset = match name {
                PresetName::Observe => Preset::Observe,
                PresetName::Operate => Preset::Operate,
                PresetName::Admin => Preset::Admin,
            };
            let policy = preset.policy().map_err(|error| anyhow!("policy.preset: {error}"))?;
            Ok((preset.text().to_owned(), policy))
        }
    }
}

fn read_file(path: &Path) -> anyhow::Result<(String, Policy)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("policy.file: cannot read {}", path.display()))?;
    let policy = Policy::parse(&text).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    Ok((text, policy))
}

/// Inserts a changed file as a revision; keeps the old one when it is bad.
pub(super) async fn follow_file(path: Option<PathBuf>, gateway: Arc<Gateway>, stop: CancellationToken) {
    let Some(path) = path else { return };
    let mut seen = std::fs::read_to_string(&path).ok();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
        let now = tokio::fs::read_to_string(&path).await.ok();
        if now == seen {
            continue;
        }
        seen = now;
        let stored = match read_file(&path) {
            Ok((text, policy)) => gateway
                .store
                .insert_policy(&text, policy.revision(), "file")
                .await
                .map_err(anyhow::Error::from)
                .map(|_| policy.short_revision().to_owned()),
            Err(error) => Err(error),
        };
        match stored {
            Ok(revision) => tracing::info!(%revision, "the policy file changed; it is in force"),
            Err(error) => {
                gateway.metrics.policy_error();
                tracing::error!("the policy file is not taken, the old policy stays in force: {error:#}");
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
        let newest = match gateway.store.newest_policy().await {
            Ok(Some(newest)) if newest.digest != gateway.policy.load().revision() => newest,
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot look for a newer policy");
                continue;
            }
        };
        match Policy::parse(&newest.text) {
            Ok(policy) => gateway.policy.store(Arc::new(policy)),
            Err(error) => {
                gateway.metrics.policy_error();
                tracing::error!(%error, "the newest stored policy does not compile here, the old one stays in force");
            }
        }
    }
}
