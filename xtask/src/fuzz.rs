//! `cargo xtask fuzz`: the fuzz targets on a stable toolchain, for as long as one likes. What they check is in
//! `fuzz/README.md`, and how to run them with coverage.

use std::process::Command;

use anyhow::{Context, bail};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// head, path, query, protobuf, patch, policy or text; all of them without it
    target: Option<String>,
    /// For how long each target runs, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The seed that an earlier run printed, to try the same inputs again
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    command.args(["run", "--quiet", "--package", "fuzz-targets", "--"]).args(arguments.target);
    command.args(["--seconds", &arguments.seconds.to_string()]);
    if let Some(seed) = arguments.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    let status = command.status().context("cargo cannot run")?;
    if !status.success() {
        bail!("a target failed; put the input that it names into fuzz/corpus with its fix (fuzz/README.md)");
    }
    Ok(())
}
