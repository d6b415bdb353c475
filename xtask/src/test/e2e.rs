//! The end-to-end step: a demo of its own (`target/e2e`, beside the developer's), the real clients, and environment variables that
//! name them for `cargo test -p e2e`.
//!
//! | variable | names |
//! |---|---|
//! | `LOCKGATE_E2E_DEMO` | `demo.json` of the demo that runs: cluster, gateway, console, identity provider, clients |
//! | `LOCKGATE_E2E_XTASK` | this program, to sign people in and for tests that start clusters or demos themselves |
//! | `LOCKGATE_E2E_LOCKGATE` | the product's binary |
//! | `LOCKGATE_E2E_AGNHOST_IMAGE` | Kubernetes' test image |
//! | `LOCKGATE_E2E_HELM`, `_K9S`, `_NODE` | programs |
//! | `LOCKGATE_E2E_PYTHON` | an interpreter that has the `kubernetes` client |
//! | `LOCKGATE_E2E_CHROMIUM`, `_CHROMIUM_DRIVER` | browser and its WebDriver server |

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Run, cargo, xtask};
use crate::tools;

/// Everything slow that is not Rust. Later calls take it from the cache.
pub(super) fn prepare_tools() -> Result<()> {
    // Quick ones first: a machine that lacks something says so before minutes are spent.
    tools::node()?;
    tools::python_client()?;
    tools::chromium()?;
    tools::packages(&[("strace", "strace")], "the test of the flush before the first upstream byte")?;
    tools::programs(tools::Scope::ApiServer(tools::Release::Older))?;
    let programs = tools::programs(tools::Scope::Whole)?;
    if let Some(built) = &programs.built {
        tools::images(built)?;
    }
    tools::helm()?;
    tools::k9s()?;
    Ok(())
}

/// Whether the slow builds are in the cache already.
pub(super) fn tools_are_there() -> Result<bool> {
    let cache = tools::cache_directory()?;
    Ok(tools::slow_entries().iter().all(|entry| cache.join(entry).is_dir()))
}

/// Brings the demo up, runs the tests, ends it whatever they say.
pub(super) fn run(run: &Run) -> Result<()> {
    let state = run.workspace.join("target/e2e");
    let outcome = with_demo(run, &state);
    if run.arguments.keep {
        println!("the demo is left running: cargo xtask demo --stop --state {}", state.display());
        return outcome;
    }
    outcome.and(stop(&state))
}

fn with_demo(run: &Run, state: &Path) -> Result<()> {
    // From the cache, unless the step before was left out.
    prepare_tools()?;
    if runs(state)? {
        println!("the demo of an earlier run is used");
    } else {
        run.jobs.run(xtask()?.args(["demo", "--detach", "--state"]).arg(state).current_dir(&run.workspace))?;
    }
    let mut command = cargo();
    command.args(["test", "--package", "e2e"]).current_dir(&run.workspace).envs(environment(state)?);
    if run.arguments.keep_going {
        command.arg("--no-fail-fast");
    }
    if !run.arguments.e2e_arguments.is_empty() {
        command.arg("--").args(&run.arguments.e2e_arguments);
    }
    run.jobs.run(&mut command)
}

fn runs(state: &Path) -> Result<bool> {
    let mut status = xtask()?;
    status.args(["demo", "status", "--state"]).arg(state);
    Ok(status.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?.success())
}

/// Not one of the run's jobs: an interrupt ends those, and this is what comes after it.
fn stop(state: &Path) -> Result<()> {
    let mut stop: Command = xtask()?;
    stop.args(["demo", "--stop", "--state"]).arg(state).stdin(Stdio::null()).process_group(0);
    let status = stop.status().context("ending the demo")?;
    if !status.success() {
        bail!("the demo did not end ({status}): cargo xtask demo --stop --state {}", state.display());
    }
    Ok(())
}

/// Runs an example of the end-to-end tests against the demo of this directory.
pub(crate) fn run_example(name: &str, state: &Path, argument: Option<&Path>) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "e2e", "--example", name, "--"]).args(argument);
    let status =
        command.current_dir(super::workspace()?).envs(environment(state)?).status().context("cannot run cargo")?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

fn environment(state: &Path) -> Result<Vec<(&'static str, OsString)>> {
    let xtask: PathBuf = std::env::current_exe()?;
    Ok(vec![
        ("LOCKGATE_E2E_DEMO", state.join("demo.json").into()),
        // Built into the same directory as this program.
        ("LOCKGATE_E2E_LOCKGATE", xtask.with_file_name("lockgate").into()),
        ("LOCKGATE_E2E_XTASK", xtask.into()),
        ("LOCKGATE_E2E_AGNHOST_IMAGE", tools::IMAGE_AGNHOST.into()),
        ("LOCKGATE_E2E_HELM", tools::helm()?.into()),
        ("LOCKGATE_E2E_K9S", tools::k9s()?.into()),
        ("LOCKGATE_E2E_NODE", tools::node()?.into()),
        ("LOCKGATE_E2E_PYTHON", tools::python_client()?.into()),
        ("LOCKGATE_E2E_CHROMIUM", tools::chromium()?.into()),
        ("LOCKGATE_E2E_CHROMIUM_DRIVER", tools::chromium_driver()?.into()),
    ])
}
