//! Running a command in front of an audience: what is typed, what comes back, what must hold.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::super::place::{Demo, Place};
use super::super::summary::Ink;

/// No command of the tour takes longer than a hold and what follows it.
const COMMAND_WITHIN: Duration = Duration::from_secs(120);
/// How long something that must come about may take.
const COMES_WITHIN: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Lines of an answer that are shown.
const LINES_SHOWN: usize = 14;
const WIDTH_SHOWN: usize = 220;

/// Who types.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// kubectl with the agent's kubeconfig: nothing but its token.
    Agent,
    Approver,
    Auditor,
    /// kubectl direct to the cluster: only to check, never shown.
    Administrator,
}

/// What a command gave.
pub(super) struct Said {
    pub(super) code: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Said {
    pub(super) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Both streams, for searching.
    pub(super) fn text(&self) -> String {
        format!("{}{}", self.out(), String::from_utf8_lossy(&self.stderr))
    }

    pub(super) fn worked(&self) -> bool {
        self.code == Some(0)
    }

    pub(super) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.stdout).with_context(|| format!("no JSON: {}", self.text()))
    }

    fn of(output: Output) -> Self {
        Self { code: output.status.code(), stdout: output.stdout, stderr: output.stderr }
    }
}

pub(super) struct Stage<'d> {
    pub(super) demo: &'d Demo,
    pub(super) place: &'d Place,
    ink: Ink,
    scene: usize,
    held: usize,
    broken: Vec<String>,
}

impl<'d> Stage<'d> {
    pub(super) fn new(demo: &'d Demo, place: &'d Place) -> Self {
        Self { demo, place, ink: Ink::for_stdout(), scene: 0, held: 0, broken: Vec::new() }
    }

    pub(super) fn scene(&mut self, title: &str, why: &str) {
        self.scene += 1;
        println!("\n{}  {}", self.ink.bold(&self.scene.to_string()), self.ink.bold(title));
        println!("   {}", self.ink.dim(why));
    }

    /// Something must hold. What does not is remembered; the tour goes on.
    pub(super) fn check(&mut self, what: &str, holds: bool) {
        if holds {
            self.held += 1;
            println!("   {} {what}", self.ink.good("✓"));
        } else {
            println!("   {} {what}", self.ink.bad("✗"));
            self.broken.push(format!("{}: {what}", self.scene));
        }
    }

    pub(super) fn note(&self, text: &str) {
        println!("   {}", self.ink.dim(text));
    }

    /// The verdict on the whole.
    pub(super) fn finish(self) -> Result<()> {
        println!();
        if self.broken.is_empty() {
            println!("{}", self.ink.bold(&format!("{} checks, all of them held.", self.held)));
            return Ok(());
        }
        bail!(
            "{} of {} checks did not hold:\n  {}",
            self.broken.len(),
            self.broken.len() + self.held,
            self.broken.join("\n  ")
        )
    }

    /// Runs kubectl and shows it.
    pub(super) async fn kubectl(&self, arguments: &[&str]) -> Result<Said> {
        self.show_command(Who::Agent, "kubectl", arguments);
        let said = self.wait(self.spawn_kubectl(Who::Agent, arguments)?).await?;
        self.show(&said);
        Ok(said)
    }

    /// Starts kubectl, shows what is typed, and leaves it running.
    pub(super) fn start_kubectl(&self, arguments: &[&str]) -> Result<Child> {
        self.show_command(Who::Agent, "kubectl", arguments);
        self.spawn_kubectl(Who::Agent, arguments)
    }

    /// kubectl as the administrator, direct to the cluster: to check, unseen.
    pub(super) async fn cluster(&self, arguments: &[&str]) -> Result<Said> {
        self.wait(self.spawn_kubectl(Who::Administrator, arguments)?).await
    }

    /// kubectl as the agent, unseen.
    pub(super) async fn cluster_through_lockgate(&self, arguments: &[&str]) -> Result<Said> {
        self.wait(self.spawn_kubectl(Who::Agent, arguments)?).await
    }

    /// Runs `lockgate` and shows what is typed, but not the bytes that come back.
    pub(super) async fn raw(&self, who: Who, arguments: &[&str]) -> Result<Said> {
        self.show_command(who, "lockgate", arguments);
        self.ask(who, arguments, "json").await
    }

    /// Runs `lockgate` and shows it, as a table.
    pub(super) async fn lockgate(&self, who: Who, arguments: &[&str]) -> Result<Said> {
        self.show_command(who, "lockgate", arguments);
        let said = self.ask(who, arguments, "table").await?;
        self.show(&said);
        Ok(said)
    }

    /// Runs `lockgate` unseen, for what it says in JSON.
    pub(super) async fn json(&self, who: Who, arguments: &[&str]) -> Result<Value> {
        let said = self.ask(who, arguments, "json").await?;
        if !said.worked() {
            bail!("lockgate {} failed: {}", arguments.join(" "), said.text().trim());
        }
        said.json()
    }

    async fn ask(&self, who: Who, arguments: &[&str], format: &str) -> Result<Said> {
        let client = match who {
            Who::Agent | Who::Administrator => &self.demo.agent_client,
            Who::Approver => &self.demo.approver_client,
            Who::Auditor => &self.demo.auditor_client,
        };
        let mut command = Command::new(&self.demo.lockgate);
        command.arg("--client").arg(client).args(["--output", format]).args(arguments);
        self.wait(spawn(command)?).await
    }

    fn spawn_kubectl(&self, who: Who, arguments: &[&str]) -> Result<Child> {
        let mut command = Command::new(&self.demo.kubectl);
        let kubeconfig = if who == Who::Agent { &self.demo.agent_kubeconfig } else { &self.demo.admin_kubeconfig };
        command.arg("--kubeconfig").arg(kubeconfig).arg("--cache-dir").arg(self.place.join("agent/kubectl-cache"));
        command.args(arguments).env_remove("KUBECONFIG");
        spawn(command)
    }

    /// Waits for a command that was started.
    pub(super) async fn wait(&self, child: Child) -> Result<Said> {
        match tokio::time::timeout(COMMAND_WITHIN, child.wait_with_output()).await {
            Ok(output) => Ok(Said::of(output?)),
            Err(_) => bail!("a command did not end within {} s", COMMAND_WITHIN.as_secs()),
        }
    }

    pub(super) fn show(&self, said: &Said) {
        let text = said.text();
        let lines: Vec<&str> = text.lines().collect();
        for line in lines.iter().take(LINES_SHOWN) {
            let inert = line.chars().map(|c| if c.is_control() && c != '\t' { '·' } else { c });
            let shown: String = inert.take(WIDTH_SHOWN).collect();
            println!("     {}", shown.trim_end());
        }
        if lines.len() > LINES_SHOWN {
            println!("     {}", self.ink.dim(&format!("… {} more lines", lines.len() - LINES_SHOWN)));
        }
        if !said.worked() {
            let code = said.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
            println!("     {}", self.ink.dim(&format!("(exit code {code})")));
        }
    }

    fn show_command(&self, who: Who, program: &str, arguments: &[&str]) {
        let name = match who {
            Who::Agent => "agent",
            Who::Approver => "approver",
            Who::Auditor => "auditor",
            Who::Administrator => "administrator",
        };
        let quoted = |argument: &&str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.:,{}".contains(c);
            if argument.chars().all(plain) { (*argument).to_owned() } else { format!("'{argument}'") }
        };
        let line: Vec<String> = arguments.iter().map(quoted).collect();
        println!(
            "   {} {}",
            self.ink.dim(&format!("{name} $")),
            self.ink.accent(&format!("{program} {}", line.join(" ")))
        );
    }
}

/// Asks until the answer is there; what it was waiting for is the error.
pub(super) async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + COMES_WITHIN;
    loop {
        let seen = look().await;
        if let Ok(Some(seen)) = seen {
            return Ok(seen);
        }
        if Instant::now() > deadline {
            let last = seen.err().map(|error| format!(" ({error:#})")).unwrap_or_default();
            bail!("{what}: not within {} s{last}", COMES_WITHIN.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn spawn(mut command: Command) -> Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().with_context(|| format!("cannot run {:?}", command.as_std().get_program()))
}
