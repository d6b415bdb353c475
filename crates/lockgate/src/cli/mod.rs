//! The command line: a client of the console's JSON API.
//!
//! Owns arguments, the client file, sign-in, output and exit codes. Refuses to know the store and the cluster: what it shows
//! is what the API said. Only [`policy`] and [`mask`] work on files.

mod agents;
mod api;
mod approvals;
mod audit;
mod client_file;
mod mask;
mod output;
mod policy;
mod sessions;
mod sign_in;
mod tokens;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Subcommand, ValueEnum};

use client_file::Client;
use output::Output;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0
    Done,
    /// 1
    Failed,
    /// 2
    WrongUse,
    /// 3
    Denied,
    /// 75
    Pending,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::WrongUse => 2,
            Exit::Denied => 3,
            Exit::Pending => 75,
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
pub(crate) enum Command {
    /// Sign in
    Login(sign_in::LoginArgs),
    /// Print a token for kubectl (exec credential plugin)
    Token,
    /// Print a kubeconfig whose cluster is reached through Lockgate
    Kubeconfig {
        /// The cluster, as Lockgate names it
        #[arg(long, value_name = "NAME")]
        cluster: String,
        /// The context's namespace
        #[arg(long, default_value = "default")]
        namespace: String,
    },
    /// Held requests
    #[command(subcommand)]
    Approvals(approvals::Approvals),
    /// Agents: who calls, who is frozen
    #[command(subcommand)]
    Agents(agents::Agents),
    /// Recorded sessions
    #[command(subcommand)]
    Sessions(sessions::Sessions),
    /// The audit log
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Check, explain, test and try policies
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Show what an agent would see of a file: JSON objects or YAML manifests
    Mask(mask::Mask),
    /// Print a completion script
    Completion {
        /// For which shell
        shell: Shell,
    },
}

/// The shells that completions are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// Runs one client command.
///
/// # Errors
/// Whatever stopped it; the message names the next step.
pub(crate) async fn run(global: &Global, command: &Command) -> anyhow::Result<Exit> {
    if let Command::Completion { shell } = command {
        return completion(*shell);
    }
    if let Command::Mask(command) = command {
        return mask::run(command);
    }
    let out = Output::new(global);
    if let Command::Policy(command) = command {
        return policy::run(global, &out, command).await;
    }
    let client = Client::load(global.client.as_deref())?;
    match command {
        Command::Login(args) => sign_in::login(&client, args).await,
        Command::Token => sign_in::token(&client).await,
        Command::Kubeconfig { cluster, namespace } => sign_in::kubeconfig(&client, &out, cluster, namespace),
        Command::Approvals(command) => approvals::run(&api::Api::connect(&client).await?, &out, command).await,
        Command::Agents(command) => agents::run(&api::Api::connect(&client).await?, &out, command).await,
        Command::Sessions(command) => sessions::run(&api::Api::connect(&client).await?, &out, command).await,
        Command::Audit(command) => audit::run(&api::Api::connect(&client).await?, &out, command).await,
        Command::Policy(command) => policy::run(global, &out, command).await,
        Command::Mask(command) => mask::run(command),
        Command::Completion { shell } => completion(*shell),
    }
}

fn completion(shell: Shell) -> anyhow::Result<Exit> {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::Lockgate::command(), "lockgate", &mut script);
    output::data(&String::from_utf8(script)?)?;
    Ok(Exit::Done)
}

/// `90s`, `10m`, `2h`, `1d`
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: use 90s, 10m, 2h or 1d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for wrong in ["", "s", "10", "-1s", "1.5h", "10ms", "1é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
