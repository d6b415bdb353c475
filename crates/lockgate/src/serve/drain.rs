//! Shutdown in three phases, each with a deadline: no new work (held requests get their ticket, watches end); then live
//! sessions are sealed and ended; then whatever is left is dropped. A second signal skips to the end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lockgate_proxy::gateway::Gateway;
use tokio::signal::unix::{SignalKind, signal};

/// How long live sessions may go on by themselves.
const DRAIN: Duration = Duration::from_secs(25);

/// How long sealing may take after that.
const SEAL: Duration = Duration::from_secs(5);

/// Returns at SIGTERM or SIGINT.
pub(super) async fn until_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Ends the data path.
pub(super) async fn drain(gateway: &Arc<Gateway>, drain: Option<Duration>) {
    let drain = drain.unwrap_or(DRAIN);
    tracing::info!(seconds = drain.as_secs(), "draining: no new work; a second signal ends it at once");
    gateway.draining.cancel();
    gateway.tasks.close();
    tokio::select! {
        () = gateway.tasks.wait() => return,
        () = tokio::time::sleep(drain) => tracing::info!("the drain deadline has passed: sessions are sealed and ended"),
        _ = until_signal() => tracing::info!("second signal: sessions are sealed and ended"),
    }
    gateway.ending.cancel();
    if tokio::time::timeout(SEAL, gateway.tasks.wait()).await.is_err() {
        tracing::warn!(
            tasks = gateway.tasks.len(),
            "some calls did not end in time; the log closes them at the next start"
        );
    }
}
