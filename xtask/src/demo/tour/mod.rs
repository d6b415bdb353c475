//! The story, played by itself: a real kubectl that holds only the agent's token, and people who decide, read and check.
//!
//! Every scene prints what is typed and what came back, and checks it against the cluster itself. It uses only what a person could use.

mod approval;
mod evidence;
mod stage;
mod work;

use anyhow::Result;

use super::place::{Demo, Place};
use stage::Stage;

/// Plays the whole story; an error names every check that did not hold.
pub(super) fn play(demo: &Demo, place: &Place) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stage = Stage::new(demo, place);
        work::reads(&mut stage).await?;
        work::routine(&mut stage).await?;
        work::refused(&mut stage).await?;
        approval::denied(&mut stage).await?;
        approval::approved(&mut stage).await?;
        evidence::recording(&mut stage).await?;
        evidence::crash(&mut stage).await?;
        evidence::log(&mut stage).await?;
        stage.finish()
    })
}
