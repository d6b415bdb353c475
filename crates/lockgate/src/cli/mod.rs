//! The command line: a client of the console's JSON API.
//!
//! Owns arguments, the client file, sign-in, output and exit codes. Refuses to know the store, the policy and the
//! cluster: what it shows is what the API said.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0
    Done,
    /// 1
    Failed,
    /// 2
    WrongUse,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::WrongUse => 2,
        })
    }
}

/// Arguments that make no sense together, found after parsing; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Wrong(pub(crate) String);

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people; the default on a terminal
    Table,
    /// One JSON value, or JSON lines for `watch` and `tail`
    Json,
    /// The same as YAML
    Yaml,
}

/// Options of every client command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The client file: which server, and how to sign in [default: ~/.config/lockgate/client.yaml]
    #[arg(long, global = true, env = "LOCKGATE_CLIENT", value_name = "FILE")]
    pub(crate) client: Option<PathBuf>,
    /// How to print data [default: table on a terminal, json otherwise]
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
    /// No colours; `NO_COLOR` does the same
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// The commands that talk to the console.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {}

/// Runs one client command.
///
/// # Errors
/// Whatever stopped it; the message names the next step.
#[expect(clippy::unused_async, reason = "the commands await the console")]
pub(crate) async fn run(_global: &Global, command: &Command) -> anyhow::Result<Exit> {
    match *command {}
}
