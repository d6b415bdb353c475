//! `cargo xtask test`: everything that must hold before a change lands, in one command, each step with its duration.
//!
//! Slow things that are not Rust (Kubernetes, helm, k9s, clients) are built beside the first steps with low priority. The end-to-end
//! step brings a cluster of its own up and takes it down again, also on failure and on Ctrl-C. What the tests are told is in `e2e.rs`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::tools;

mod e2e;
mod jobs;

pub(crate) use e2e::run_example;
use jobs::Jobs;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this step; may be given several times
    #[arg(long, value_enum, value_name = "STEP")]
    only: Vec<Step>,
    /// All but this step; may be given several times
    #[arg(long, value_enum, value_name = "STEP")]
    skip: Vec<Step>,
    /// Nothing that needs a cluster: no root, no Go, minutes less
    #[arg(long)]
    no_e2e: bool,
    /// Go on after a step that failed, to see all that is wrong
    #[arg(long)]
    keep_going: bool,
    /// Leave the end-to-end cluster running, for a look or the next run
    #[arg(long)]
    keep: bool,
    /// Handed to the end-to-end tests' runner, for example a test's name: `cargo xtask test --only e2e -- masking`
    #[arg(last = true)]
    e2e_arguments: Vec<String>,
}

/// In the order in which they run: what fails fastest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// cargo fmt --check
    Fmt,
    /// The architecture's rules
    Tidy,
    /// cargo clippy, warnings denied
    Clippy,
    /// Unit and property tests of the whole workspace
    Unit,
    /// The product and the end-to-end tests' binaries
    Build,
    /// Kubernetes, helm, k9s and the other real clients
    Tools,
    /// Black-box tests: the real binary, a real cluster, real clients
    E2e,
}

const STEPS: [Step; 7] = [Step::Fmt, Step::Tidy, Step::Clippy, Step::Unit, Step::Build, Step::Tools, Step::E2e];

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let steps = arguments.steps();
    if steps.is_empty() {
        bail!("no step left to run");
    }
    if arguments.only == [Step::Tools] {
        return e2e::prepare_tools();
    }
    let started = Instant::now();
    let was_warm = e2e::tools_are_there()?;
    let jobs = Arc::new(Jobs::default());
    jobs.watch_signals()?;
    let run = Run { arguments, workspace: workspace()?, jobs };
    let results = run.all(&steps)?;
    summary(&results, started.elapsed(), was_warm)
}

impl Arguments {
    fn steps(&self) -> Vec<Step> {
        let is_wanted = |step: &Step| {
            let needs_cluster = matches!(step, Step::Build | Step::Tools | Step::E2e);
            (self.only.is_empty() || self.only.contains(step))
                && !self.skip.contains(step)
                && !(self.no_e2e && needs_cluster)
        };
        STEPS.into_iter().filter(is_wanted).collect()
    }
}

struct Run {
    arguments: Arguments,
    workspace: PathBuf,
    jobs: Arc<Jobs>,
}

struct StepResult {
    step: Step,
    took: Duration,
    error: Option<anyhow::Error>,
}

impl Run {
    fn all(&self, steps: &[Step]) -> Result<Vec<StepResult>> {
        // Beside the Rust steps: they need one core each at best, and minutes.
        let mut beside = match steps.contains(&Step::Tools) && steps.len() > 1 {
            true => Some(self.jobs.start_beside("tools", xtask()?.args(["test", "--only", "tools"]))?),
            false => None,
        };
        let mut results = Vec::new();
        for step in steps {
            println!("==> {}", step.name());
            let started = Instant::now();
            let outcome = match (step, beside.take()) {
                (Step::Tools, Some(tools)) => tools.wait(),
                (step, running) => {
                    beside = running;
                    self.step(*step)
                }
            };
            let took = started.elapsed();
            let failed = outcome.is_err();
            let word = if failed { "FAILED" } else { "ok" };
            println!("<== {} {word} ({})", step.name(), tools::duration(took));
            results.push(StepResult { step: *step, took, error: outcome.err() });
            if self.jobs.is_interrupted() || (failed && !self.arguments.keep_going) {
                break;
            }
        }
        if let Some(unfinished) = beside {
            unfinished.end();
        }
        Ok(results)
    }

    fn step(&self, step: Step) -> Result<()> {
        match step {
            Step::Fmt => self.cargo(&["fmt", "--all", "--check"]),
            Step::Tidy => self.jobs.run(xtask()?.arg("tidy").current_dir(&self.workspace)),
            Step::Clippy => self.cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
            Step::Unit => self.cargo(&["test", "--workspace", "--exclude", "e2e"]),
            Step::Build => {
                self.cargo(&["build", "--package", "lockgate"])?;
                self.cargo(&["test", "--package", "e2e", "--no-run"])
            }
            Step::Tools => e2e::prepare_tools(),
            Step::E2e => e2e::run(self),
        }
    }

    fn cargo(&self, arguments: &[&str]) -> Result<()> {
        self.jobs.run(cargo().args(arguments).current_dir(&self.workspace))
    }
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Clippy => "clippy",
            Self::Unit => "unit",
            Self::Build => "build",
            Self::Tools => "tools",
            Self::E2e => "e2e",
        }
    }
}

fn summary(results: &[StepResult], total: Duration, was_warm: bool) -> Result<()> {
    println!("\n{:<8} {:<7} DURATION", "STEP", "RESULT");
    for result in results {
        let word = if result.error.is_some() { "FAILED" } else { "ok" };
        println!("{:<8} {word:<7} {}", result.step.name(), tools::duration(result.took));
    }
    let failed: Vec<&str> =
        results.iter().filter(|result| result.error.is_some()).map(|result| result.step.name()).collect();
    let minutes = total.as_secs_f64() / 60.0;
    let start = if was_warm { "warm" } else { "cold" };
    println!("{} steps, {} failed, {minutes:.1} minutes ({start})", results.len(), failed.len());
    for result in results {
        if let Some(error) = &result.error {
            eprintln!("{}: {error:#}", result.step.name());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}; again with `cargo xtask test --only {}`", failed.join(", "), failed.join(" --only "))
}

/// The cargo that runs us, so that toolchain and settings are the same.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn xtask() -> Result<Command> {
    Ok(Command::new(std::env::current_exe()?))
}

fn workspace() -> Result<PathBuf> {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(manifest.parent().context("xtask lies in no workspace")?.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn steps(line: &str) -> Vec<Step> {
        CommandLine::parse_from(std::iter::once("test").chain(line.split_whitespace())).arguments.steps()
    }

    #[test]
    fn without_flags_everything_runs() {
        assert_eq!(steps(""), STEPS);
    }

    #[test]
    fn steps_are_chosen_and_left_out() {
        assert_eq!(steps("--only fmt --only e2e"), [Step::Fmt, Step::E2e]);
        assert_eq!(steps("--no-e2e"), [Step::Fmt, Step::Tidy, Step::Clippy, Step::Unit]);
        assert_eq!(steps("--skip clippy --no-e2e"), [Step::Fmt, Step::Tidy, Step::Unit]);
        assert!(steps("--only e2e --no-e2e").is_empty());
    }

    #[test]
    fn one_failed_step_fails_the_run() {
        let result = |step, error: Option<&str>| StepResult {
            step,
            took: Duration::from_secs(1),
            error: error.map(|text| anyhow::anyhow!("{text}")),
        };
        assert!(summary(&[result(Step::Fmt, None)], Duration::from_secs(1), true).is_ok());
        let failed = summary(&[result(Step::Fmt, None), result(Step::Unit, Some("x"))], Duration::from_secs(1), true);
        assert!(failed.unwrap_err().to_string().contains("--only unit"));
    }
}
