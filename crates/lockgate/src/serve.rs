//! The composition root: configuration in, a running gateway and console out.

use std::path::Path;

use anyhow::bail;

/// Runs until a signal ends it.
///
/// # Errors
/// When the configuration is not valid or a part cannot start.
#[expect(clippy::unused_async, reason = "awaits the listeners once they are composed here")]
pub(crate) async fn run(config: &Path) -> anyhow::Result<()> {
    bail!("{}: serve is not composed yet", config.display())
}

/// Validates a configuration and its policy.
///
/// # Errors
/// The first thing that is wrong, with its line and the fix.
#[expect(clippy::unused_async, reason = "awaits discovery once it is composed here")]
pub(crate) async fn check(config: &Path) -> anyhow::Result<()> {
    bail!("{}: check is not composed yet", config.display())
}
