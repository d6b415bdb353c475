//! The gateway and its command line.
//!
//! `serve` and `check` are the composition root ([`serve`]); everything else is a client of the console's JSON API
//! ([`cli`]) and never opens the store.

mod cli;
mod config;
mod serve;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The one door between AI agents and production Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "lockgate", version, about, propagate_version = true, disable_help_subcommand = true)]
struct Lockgate {
    #[command(flatten)]
    global: cli::Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one per process")]
enum Command {
    /// Run the gateway and the console
    Serve {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Validate a configuration and its policy; says line, column and fix
    Check {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    #[command(flatten)]
    Client(cli::Command),
}

fn main() -> ExitCode {
    let lockgate = Lockgate::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::from(error).context("cannot start the async runtime")),
    };
    let done = match &lockgate.command {
        Command::Serve { config } => runtime.block_on(serve::run(config)).map(|()| cli::Exit::Done),
        Command::Check { config } => runtime.block_on(serve::check(config)).map(|()| cli::Exit::Done),
        Command::Client(command) => runtime.block_on(cli::run(&lockgate.global, command)),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => fail(&error),
    }
}

/// Says the whole chain once, on stderr; exit code 1 unless the error carries another.
fn fail(error: &anyhow::Error) -> ExitCode {
    let exit = error.downcast_ref::<cli::Wrong>().map_or(cli::Exit::Failed, |_| cli::Exit::WrongUse);
    // Nothing is left to do when even stderr is gone: the exit code still tells.
    if writeln!(std::io::stderr(), "lockgate: {error:#}").is_err() {
        return exit.into();
    }
    exit.into()
}
