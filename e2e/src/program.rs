//! Running real clients, with a deadline: kubectl straight to the cluster and through the gateway, and anything else.

use std::ffi::OsStr;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::environment::Environment;
use crate::within;

/// No command takes longer than a hold and what follows it.
const COMMAND_WITHIN: Duration = Duration::from_secs(120);

/// Which way to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Straight to the API server, as the agent (impersonated by the administrator).
    Direct,
    /// Through the gateway, with the agent's token.
    Through,
}

/// What a program gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// None if a signal ended it.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Said {
    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Both streams, for searching.
    pub fn text(&self) -> String {
        self.out() + &self.err()
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The same, if the program ended well.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.text());
        self
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self { code: output.status.code(), stdout: output.stdout, stderr: output.stderr }
    }
}

/// kubectl as the agent, one way or the other; namespace `shop` is the default of both kubeconfigs.
pub fn kubectl<I: AsRef<OsStr>>(way: Way, arguments: impl IntoIterator<Item = I>) -> Command {
    let environment = Environment::get();
    let kubeconfig = match way {
        Way::Direct => &environment.direct_kubeconfig,
        Way::Through => &environment.demo.agent_kubeconfig,
    };
    let mut command = Command::new(&environment.demo.kubectl);
    command.arg("--kubeconfig").arg(kubeconfig).arg("--cache-dir").arg(environment.file(&format!("cache-{way:?}")));
    command.args(arguments).env_remove("KUBECONFIG");
    command
}

/// kubectl as the cluster's administrator: to prepare, to check, to clean up.
pub fn administrator<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let environment = Environment::get();
    let mut command = Command::new(&environment.demo.kubectl);
    command.arg("--kubeconfig").arg(&environment.demo.admin_kubeconfig);
    command.arg("--cache-dir").arg(environment.file("cache-administrator"));
    command.args(["--namespace", &environment.demo.namespace]).args(arguments).env_remove("KUBECONFIG");
    command
}

/// Runs the administrator's kubectl; it must end well.
pub async fn admin<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Said {
    run(administrator(arguments)).await.ok()
}

/// Runs a program with no input to its end.
pub async fn run(command: Command) -> Said {
    run_with_input(command, b"").await
}

/// Runs a program with this input to its end.
///
/// # Panics
/// If it cannot be started, or does not end in time.
pub async fn run_with_input(mut command: Command, input: &[u8]) -> Said {
    command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
    let mut child = spawn_piped(command);
    let stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program may end without reading it all: what it says of that is the test's business.
            drop(stdin.write_all(input).await);
        }
    };
    let both = async { tokio::join!(feed, child.wait_with_output()).1 };
    match tokio::time::timeout(COMMAND_WITHIN, both).await {
        Ok(output) => output.expect("the program's output").into(),
        Err(_) => panic!("a command did not end within {} s", COMMAND_WITHIN.as_secs()),
    }
}

/// Starts a program without input, its output in pipes. It ends when the handle is dropped.
///
/// # Panics
/// If it cannot be started.
pub fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::null());
    spawn_piped(command)
}

/// As `spawn`; standard input is the caller's to set.
///
/// # Panics
/// If it cannot be started.
pub fn spawn_piped(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("cannot run {:?}: {error}", command.as_std().get_program()),
    }
}

/// Waits for a program that was started.
///
/// # Panics
/// If it does not end in time.
pub async fn end_of(child: Child) -> Said {
    match tokio::time::timeout(COMMAND_WITHIN, child.wait_with_output()).await {
        Ok(output) => output.expect("the program's output").into(),
        Err(_) => panic!("a command did not end within {} s", COMMAND_WITHIN.as_secs()),
    }
}

/// The lines of a running program's standard output.
///
/// # Panics
/// If they were taken before.
pub fn lines_of(child: &mut Child) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().expect("standard output in a pipe")).lines()
}

/// The next line of a running program.
///
/// # Panics
/// If none comes in time.
pub async fn next_line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    within("the next line", lines.next_line()).await.expect("standard output").expect("another line before the end")
}

/// Runs a program in a terminal of its own at which nobody types.
///
/// # Panics
/// If it cannot be started, or does not end in time.
pub async fn run_in_terminal(command: &Command) -> Said {
    let mut script = in_terminal(command);
    script.stdin(Stdio::piped());
    let mut child = spawn_piped(script);
    // Held to the end: a terminal whose input has ended types the end-of-file character.
    let typing = child.stdin.take();
    let said = end_of(child).await;
    drop(typing);
    said
}

/// Wraps a program so that it runs in a terminal of its own; what the terminal shows comes on standard output.
pub fn in_terminal(command: &Command) -> Command {
    let words = std::iter::once(command.as_std().get_program()).chain(command.as_std().get_args());
    let quoted: Vec<String> =
        words.map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"))).collect();
    let line = format!("stty rows 40 cols 160; exec {}", quoted.join(" "));
    let mut script = Command::new("script");
    script.args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"]);
    for (key, value) in command.as_std().get_envs() {
        match value {
            Some(value) => script.env(key, value),
            None => script.env_remove(key),
        };
    }
    script.env("TERM", "xterm-256color");
    script
}
