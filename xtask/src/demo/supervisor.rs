//! Keeps the identity provider and the gateway running, as systemd would, until it is told to end; then ends everything in order.
//!
//! It is a process of its own, started by `cargo xtask demo` (`launch.rs`). Without `--detach` its standard input is a pipe from that
//! command: when the command goes, however it goes, the pipe ends and so does the demo. It knows nothing of policies or manifests.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::http::Browser;
use super::identity;
use super::place::{Demo, Place, read, remove, write};
use super::shop::{TOKEN_HOURS, Upstream};
use crate::cluster::Process;
use crate::tools;

/// The first pause after a crash; it doubles while the program does not even become ready.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
const READY_WITHIN: Duration = Duration::from_secs(60);
const READY_POLL_EVERY: Duration = Duration::from_millis(50);
/// How long a program may take to end by itself: the gateway drains live sessions.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const TOKEN_RENEWED_EVERY: Duration = Duration::from_secs(TOKEN_HOURS * 3600 / 4);

/// What the supervisor is to do; written before it starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plan {
    pub(super) identity_provider: identity::Program,
    pub(super) upstream: Upstream,
}

/// What the supervisor says of itself (`supervisor.json`), and what a successor needs to clear up after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) process: Process,
    pub(super) phase: Phase,
    /// What it is doing, or what failed.
    pub(super) detail: String,
    /// The programs that it started and that may still run.
    pub(super) children: Vec<Process>,
    /// How often each program had to be started again.
    pub(super) restarts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Phase {
    Starting,
    Ready,
    Ending,
    Failed,
}

/// Whether the demo goes on without the command that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attachment {
    /// Ends when standard input ends.
    Attached,
    Detached,
}

pub(super) fn report_file(place: &Place) -> PathBuf {
    place.join("supervisor.json")
}

pub(super) fn plan_file(place: &Place) -> PathBuf {
    place.join("plan.json")
}

/// Runs until told to end.
pub(super) fn run(place: &Place, attachment: Attachment) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut supervisor = Supervisor::new(place)?;
        let done = supervisor.supervise(attachment).await;
        let cleared = supervisor.end(done.as_ref().err()).await;
        done.and(cleared)
    })
}

struct Supervisor<'p> {
    place: &'p Place,
    plan: Plan,
    demo: Demo,
    report: Report,
    identity_provider: Option<Child>,
    /// Held, not written to: the identity provider ends when it ends. (`Child::wait` would close it.)
    identity_provider_input: Option<ChildStdin>,
    gateway: Option<Child>,
}

/// What can happen to a running demo.
enum Event {
    Ended(&'static str, std::io::Result<ExitStatus>),
    Stop(&'static str),
    TokenIsOld,
}

impl<'p> Supervisor<'p> {
    fn new(place: &'p Place) -> Result<Self> {
        let process = Process::observe(i32::try_from(std::process::id())?)?;
        let report =
            Report { process, phase: Phase::Starting, detail: String::new(), children: Vec::new(), restarts: 0 };
        let plan = read(&plan_file(place))?;
        Ok(Self {
            place,
            plan,
            demo: place.demo()?,
            report,
            identity_provider: None,
            identity_provider_input: None,
            gateway: None,
        })
    }

    async fn supervise(&mut self, attachment: Attachment) -> Result<()> {
        let stop = stop_signal(attachment)?;
        tokio::pin!(stop);
        tokio::select! {
            reason = &mut stop => bail!("told to end while starting ({reason})"),
            started = self.start() => started?,
        }
        let mut pause = PAUSE_FIRST;
        let mut renewal = tokio::time::interval(TOKEN_RENEWED_EVERY);
        renewal.tick().await;
        loop {
            let event = tokio::select! {
                reason = &mut stop => Event::Stop(reason),
                ended = ended(self.gateway.as_mut()) => Event::Ended("gateway", ended),
                ended = ended(self.identity_provider.as_mut()) => Event::Ended("identity provider", ended),
                _ = renewal.tick() => Event::TokenIsOld,
            };
            match event {
                Event::Stop(reason) => {
                    self.say(Phase::Ending, reason)?;
                    return Ok(());
                }
                Event::TokenIsOld => self.renew_token().await,
                Event::Ended(what, status) => {
                    self.say(Phase::Ready, &format!("the {what} ended ({}); starting it again", shown(status)))?;
                    self.report.restarts += 1;
                    tokio::select! {
                        reason = &mut stop => {
                            self.say(Phase::Ending, reason)?;
                            return Ok(());
                        }
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = match self.start_again(what).await {
                        Ok(()) => PAUSE_FIRST,
                        Err(error) => {
                            self.say(Phase::Ready, &format!("the {what} does not start: {error:#}"))?;
                            (pause * 2).min(PAUSE_MAX)
                        }
                    };
                }
            }
        }
    }

    async fn start(&mut self) -> Result<()> {
        self.say(Phase::Starting, "identity provider")?;
        self.start_identity_provider().await?;
        self.say(Phase::Starting, "gateway and console")?;
        self.start_gateway().await?;
        self.say(Phase::Ready, "ready")
    }

    async fn start_again(&mut self, what: &str) -> Result<()> {
        if what == "gateway" {
            self.start_gateway().await?
        } else {
            self.start_identity_provider().await?
        }
        self.say(Phase::Ready, &format!("the {what} runs again"))
    }

    async fn start_identity_provider(&mut self) -> Result<()> {
        let program = &self.plan.identity_provider;
        let mut command = Command::new(&program.node);
        // It ends with its standard input, which is ours to hold.
        command.arg(&program.script).arg(&program.config).stdin(Stdio::piped()).env("NODE_NO_WARNINGS", "1");
        let mut child = self.spawn(command, "identity-provider")?;
        self.identity_provider_input = child.stdin.take();
        let child = self.identity_provider.insert(child);
        let url = format!("{}/.well-known/openid-configuration", self.demo.issuer_url);
        wait_until_ready(child, &url, &self.demo.ca_file, &self.place.log("identity-provider")).await
    }

    async fn start_gateway(&mut self) -> Result<()> {
        let mut command = Command::new(&self.demo.lockgate);
        command.arg("serve").arg("--config").arg(&self.demo.gateway_config).stdin(Stdio::null());
        let child = self.spawn(command, "gateway")?;
        self.demo.gateway_pid = child.id().unwrap_or_default();
        write(&self.place.demo_file(), &self.demo)?;
        let child = self.gateway.insert(child);
        let log = self.place.log("gateway");
        let gateway = self.demo.metrics_url.replace("/metrics", "/readyz");
        wait_until_ready(child, &gateway, &self.demo.ca_file, &log).await?;
        wait_until_ready(child, &format!("{}/sign-in", self.demo.console_url), &self.demo.ca_file, &log).await
    }

    /// Starts a program away from the terminal's Ctrl-C, and writes down that it is ours.
    fn spawn(&mut self, mut command: Command, log: &str) -> Result<Child> {
        let file = OpenOptions::new().create(true).append(true).open(self.place.log(log))?;
        command.stdout(file.try_clone()?).stderr(file).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {:?}", command.as_std().get_program()))?;
        self.report.children.retain(Process::is_running);
        if let Some(pid) = child.id() {
            self.report.children.push(Process::observe(i32::try_from(pid)?)?);
        }
        write(&report_file(self.place), &self.report)?;
        Ok(child)
    }

    /// The old token is good for a while yet: a failure is said, and tried again at the next turn.
    async fn renew_token(&mut self) {
        let (upstream, place) = (self.plan.upstream.clone(), self.place.clone());
        let renewed = tokio::task::spawn_blocking(move || upstream.renew_tokens(&place)).await;
        if let Err(error) = renewed.map_err(anyhow::Error::from).and_then(std::convert::identity) {
            eprintln!("· Lockgate's own token could not be renewed: {error:#}");
        }
    }

    /// The gateway first, so that it can still reach the cluster while it ends; then who it trusts; then the cluster.
    async fn end(&mut self, failure: Option<&anyhow::Error>) -> Result<()> {
        let failure = failure.map(|error| format!("{error:#}"));
        let phase = if failure.is_some() { Phase::Failed } else { Phase::Ending };
        let detail = |step: &str| failure.clone().unwrap_or_else(|| step.to_owned());
        self.say(phase, &detail("ending the gateway"))?;
        end_child(self.gateway.take()).await?;
        self.say(phase, &detail("ending the identity provider"))?;
        end_child(self.identity_provider.take()).await?;
        self.say(phase, &detail("ending the cluster"))?;
        let upstream = self.plan.upstream.clone();
        tokio::task::spawn_blocking(move || upstream.clear()).await??;
        remove(&self.place.demo_file())?;
        remove(&plan_file(self.place))?;
        if failure.is_none() {
            remove(&report_file(self.place))?;
        }
        Ok(())
    }

    fn say(&mut self, phase: Phase, detail: &str) -> Result<()> {
        eprintln!("· {detail}");
        detail.clone_into(&mut self.report.detail);
        self.report.phase = phase;
        write(&report_file(self.place), &self.report)
    }
}

/// Resolves when somebody wants the demo to end; gives why.
fn stop_signal(attachment: Attachment) -> Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let input_ended = match attachment {
        Attachment::Attached => Some(end_of_input()),
        Attachment::Detached => None,
    };
    Ok(async move {
        let input_ends = async {
            match input_ended {
                // The sender's end, by whatever cause, means that nobody holds the other end of the pipe any more.
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => "told to end",
            _ = interrupt.recv() => "interrupted",
            () = input_ends => "the command that started the demo is gone",
        }
    })
}

/// Resolves when standard input ends. A thread of its own: a blocked read must not keep the runtime from ending.
fn end_of_input() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop((ended, sender));
    });
    receiver
}

/// Resolves when the child ends; never without one.
async fn ended(child: Option<&mut Child>) -> std::io::Result<ExitStatus> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

/// Waits until `url` answers 200, the program ends, or time is up.
async fn wait_until_ready(child: &mut Child, url: &str, ca_file: &Path, log: &Path) -> Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    let mut browser = Browser::trusting(ca_file)?;
    loop {
        let answer = browser.load(url).await;
        if answer.as_ref().is_ok_and(|answer| answer.status.is_success()) {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            bail!("it ended at once ({status}). The end of {}:\n{}", log.display(), tools::log_tail(log));
        }
        if Instant::now() > deadline {
            let last = answer.map_or_else(|error| format!("{error:#}"), |answer| answer.status.to_string());
            bail!(
                "{url} is not ready after {} s ({last}). The end of {}:\n{}",
                READY_WITHIN.as_secs(),
                log.display(),
                tools::log_tail(log)
            );
        }
        tokio::time::sleep(READY_POLL_EVERY).await;
    }
}

async fn end_child(child: Option<Child>) -> Result<()> {
    let Some(mut child) = child else {
        return Ok(());
    };
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        kill_process(pid, Signal::TERM).context("a child that is ours cannot be signalled")?;
    }
    match tokio::time::timeout(ENDS_WITHIN, child.wait()).await {
        Ok(status) => drop(status?),
        Err(_) => child.kill().await?,
    }
    Ok(())
}

fn shown(status: std::io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}
