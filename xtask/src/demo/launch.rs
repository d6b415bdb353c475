//! Starting, attaching to, and ending a demo.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::place::{Demo, Place, Settings, read, remove, write};
use super::shop::{self, Upstream};
use super::supervisor::{self, Attachment, Phase, Plan, Report};
use super::{certificates, configuration, identity, sign_in};
use crate::cluster::Process;
use crate::tools::{self, Progress};

/// Above what the supervisor gives its programs.
const READY_WITHIN: Duration = Duration::from_secs(150);
/// Draining the gateway, then ending the cluster.
const ENDS_WITHIN: Duration = Duration::from_secs(120);
const KILLED_WITHIN: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// A demo that this command started. Dropped, the demo ends: the supervisor's standard input ends with it.
pub(super) struct Running {
    supervisor: Child,
}

/// The supervisor of this clone's demo, if one runs.
pub(super) fn running(place: &Place) -> Option<Report> {
    let report: Report = read(&supervisor::report_file(place)).ok()?;
    report.process.is_running().then_some(report)
}

/// Brings everything up; gives the demo and a handle on it.
pub(super) fn start(place: &Place, context: Option<&str>, attachment: Attachment) -> Result<(Demo, Running)> {
    clear_leftovers(place)?;
    let settings = place.settings()?;
    certificates::ensure(place)?;
    let lockgate = build_lockgate(place)?;
    let upstream = match context {
        Some(context) => Upstream::of_context(context, place)?,
        None => Upstream::own(&shop::own_cluster_name(place.directory()))?,
    };
    let program = identity::prepare(place, &settings)?;
    let lockgate = lockgate.wait()?;
    let prepared = prepare(place, &settings, upstream.clone(), lockgate, program);
    let started = prepared.and_then(|demo| {
        let running = launch(place, attachment)?;
        Ok((demo, running))
    });
    match started {
        Ok((demo, mut running)) => match greet(place, &demo, &mut running) {
            // The supervisor has written the gateway's process id meanwhile.
            Ok(()) => Ok((place.demo()?, running)),
            Err(error) => {
                running.abandon(place);
                Err(error)
            }
        },
        Err(error) => {
            // Nothing supervises yet: what was started is ours to end.
            upstream.clear()?;
            Err(error)
        }
    }
}

fn prepare(
    place: &Place,
    settings: &Settings,
    upstream: Upstream,
    lockgate: PathBuf,
    identity_provider: identity::Program,
) -> Result<Demo> {
    upstream.set_up()?;
    let lockgate_kubeconfigs = upstream.write_lockgate_kubeconfigs(place)?;
    let secret = identity::write_agent_secret(place, settings)?;
    let agent_client = configuration::write_agent_client(place, settings, &secret)?;
    let ports = &settings.ports;
    let demo = Demo {
        kubectl: upstream.kubectl.clone(),
        helm: helm(&upstream)?,
        agent_kubeconfig: configuration::write_agent_kubeconfig(place, settings, &lockgate, &agent_client)?,
        lockgate,
        admin_kubeconfig: upstream.admin_kubeconfig.clone(),
        agent_client,
        approver_client: configuration::person_client(place, identity::APPROVER),
        auditor_client: configuration::person_client(place, identity::AUDITOR),
        gateway_config: configuration::write_gateway(place, settings, &lockgate_kubeconfigs)?,
        gateway_url: ports.gateway_url(),
        console_url: ports.console_url(),
        sign_in_url: identity::sign_in_url(settings),
        metrics_url: ports.metrics_url(),
        issuer_url: ports.issuer_url(),
        ca_file: place.ca_file(),
        cluster: configuration::CLUSTER.to_owned(),
        namespace: shop::NAMESPACE.to_owned(),
        pod: shop::POD.to_owned(),
        image: upstream.image_shell.clone(),
        netns: upstream.own.as_ref().map(|own| own.netns.clone()),
        state_dir: place.root().to_owned(),
        cluster_audit_log: upstream.own.as_ref().map(|own| own.audit_log.clone()),
        gateway_pid: 0,
    };
    write(&place.demo_file(), &demo)?;
    write(&supervisor::plan_file(place), &Plan { identity_provider, upstream })?;
    Ok(demo)
}

/// helm is for the person and the tests, not for the demo: with somebody's own cluster it is not worth a build.
fn helm(upstream: &Upstream) -> Result<Option<PathBuf>> {
    match upstream.own {
        Some(_) => tools::helm().map(Some),
        None => Ok(tools::find_program("helm")),
    }
}

/// A build of the gateway that goes on beside the cluster's start.
struct Build {
    cargo: Child,
    program: PathBuf,
}

fn build_lockgate(place: &Place) -> Result<Build> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "lockgate"]).current_dir(place.clone_directory());
    let program = std::env::current_exe()?.with_file_name("lockgate");
    if !program.exists() {
        eprintln!("· building lockgate beside the cluster (about 3 minutes, once)");
    }
    let cargo = command.stdin(Stdio::null()).spawn().context("cannot run cargo to build lockgate")?;
    Ok(Build { cargo, program })
}

impl Build {
    fn wait(mut self) -> Result<PathBuf> {
        let progress = Progress::start("lockgate, from this clone", None);
        if !self.cargo.wait()?.success() {
            bail!("lockgate does not compile: see above");
        }
        if !self.program.is_file() {
            bail!("cargo built lockgate, but not at {}", self.program.display());
        }
        progress.done("built");
        Ok(self.program)
    }
}

fn launch(place: &Place, attachment: Attachment) -> Result<Running> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["demo", "supervise", "--state"]).arg(place.directory());
    // Ctrl-C is for this command, which then tells the supervisor.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let log = std::fs::File::create(place.log("supervisor"))?;
    match attachment {
        Attachment::Attached => command.arg("--attached").stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log),
        Attachment::Detached => command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log),
    };
    Ok(Running { supervisor: command.spawn().context("cannot start the supervisor")? })
}

fn follow(place: &Place, running: &mut Running) -> Result<()> {
    let progress = Progress::start("identity provider, gateway, console", Some("3 s"));
    let deadline = Instant::now() + READY_WITHIN;
    let id = i32::try_from(running.supervisor.id())?;
    loop {
        let ended = running.supervisor.try_wait()?;
        let report = read::<Report>(&supervisor::report_file(place)).ok().filter(|report| report.process.pid == id);
        match &report {
            Some(report) if report.phase == Phase::Ready => break,
            Some(report) if report.phase == Phase::Failed && ended.is_some() => bail!("{}", report.detail),
            _ => {}
        }
        if let Some(status) = ended {
            let log = place.log("supervisor");
            bail!("the supervisor ended ({status}). The end of {}:\n{}", log.display(), tools::log_tail(&log));
        }
        if Instant::now() > deadline {
            bail!(
                "the demo is not ready after {} s; logs are in {}",
                READY_WITHIN.as_secs(),
                place.join("log").display()
            );
        }
        std::thread::sleep(POLL_EVERY);
    }
    progress.done("ready");
    Ok(())
}

/// Waits until everything is ready, and signs the people in.
fn greet(place: &Place, demo: &Demo, running: &mut Running) -> Result<()> {
    follow(place, running)?;
    for person in [identity::APPROVER, identity::AUDITOR] {
        sign_person_in(place, demo, person)?;
    }
    Ok(())
}

/// Signs `person` in afresh and writes the client file.
pub(super) fn sign_person_in(place: &Place, demo: &Demo, person: &str) -> Result<PathBuf> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(sign_in_afresh(place, demo, person))
}

/// As `sign_person_in`, for those who have a runtime.
pub(super) async fn sign_in_afresh(place: &Place, demo: &Demo, person: &str) -> Result<PathBuf> {
    let tokens = sign_in::fresh(&demo.issuer_url, &demo.ca_file, person)
        .await
        .with_context(|| format!("cannot sign {person} in"))?;
    configuration::write_person_client(place, demo, person, &tokens)?;
    Ok(configuration::person_client(place, person))
}

impl Running {
    /// Waits for Ctrl-C, or until the supervisor ends by itself; then ends everything.
    pub(super) fn until_interrupted(mut self, place: &Place) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ended = runtime.block_on(async {
            let interrupted = tokio::signal::ctrl_c();
            tokio::pin!(interrupted);
            loop {
                tokio::select! {
                    interrupted = &mut interrupted => return interrupted.map(|()| None),
                    () = tokio::time::sleep(POLL_EVERY) => {}
                }
                if let Some(status) = self.supervisor.try_wait()? {
                    return Ok(Some(status));
                }
            }
        })?;
        match ended {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the supervisor ended ({status}): see {}", place.log("supervisor").display()),
            None => self.end(place),
        }
    }

    /// Ends the demo and waits until it is gone.
    pub(super) fn end(self, place: &Place) -> Result<()> {
        let report =
            running(place).context("the supervisor is gone already: cargo xtask demo --stop clears what it left")?;
        end_supervisor(&report, place, Some(self.supervisor))
    }

    /// Ends a demo that did not come up; what goes wrong with that is said beside the error that matters.
    fn abandon(self, place: &Place) {
        if running(place).is_some()
            && let Err(error) = self.end(place)
        {
            eprintln!("· and then: {error:#}");
        }
    }

    /// Leaves it running.
    pub(super) fn leave(self) {
        drop(self.supervisor);
    }
}

/// Ends the demo that runs, or clears what a killed one left.
pub(super) fn stop(place: &Place) -> Result<bool> {
    let Some(report) = running(place) else {
        return clear_leftovers(place);
    };
    end_supervisor(&report, place, None)?;
    Ok(true)
}

fn end_supervisor(report: &Report, place: &Place, mut child: Option<Child>) -> Result<()> {
    let progress = Progress::start("ending the demo", Some("a few seconds"));
    signal(&report.process, Signal::TERM)?;
    let deadline = Instant::now() + ENDS_WITHIN;
    let mut shown = String::new();
    loop {
        // A child of ours would stay a zombie, and look as if it ran.
        if let Some(child) = &mut child {
            child.try_wait()?;
        }
        let Some(report) = running(place) else {
            break;
        };
        if report.detail != shown {
            progress.part(&report.detail);
            shown = report.detail;
        }
        if Instant::now() > deadline {
            bail!(
                "the supervisor does not end (process {}); log: {}",
                report.process.pid,
                place.log("supervisor").display()
            );
        }
        std::thread::sleep(POLL_EVERY);
    }
    if supervisor::report_file(place).exists() {
        let log = place.log("supervisor");
        bail!("the demo ended, but not cleanly. The end of {}:\n{}", log.display(), tools::log_tail(&log));
    }
    progress.done("everything is gone");
    Ok(())
}

/// Finds and ends what a killed demo left: its programs, its cluster, its files. Gives whether there was anything.
fn clear_leftovers(place: &Place) -> Result<bool> {
    let report = read::<Report>(&supervisor::report_file(place)).ok();
    let plan = read::<Plan>(&supervisor::plan_file(place)).ok();
    if report.is_none() && plan.is_none() {
        return Ok(false);
    }
    let progress = Progress::start("clearing what an earlier demo left", None);
    for process in report.iter().flat_map(|report| &report.children).filter(|process| process.is_running()) {
        signal(process, Signal::KILL)?;
        wait_until_gone(process)?;
    }
    if let Some(plan) = plan {
        plan.upstream.clear()?;
    }
    for file in [place.demo_file(), supervisor::plan_file(place), supervisor::report_file(place)] {
        remove(&file)?;
    }
    progress.done("gone");
    Ok(true)
}

/// Signals exactly this process: `is_running` knows it by more than its number.
fn signal(process: &Process, signal: Signal) -> Result<()> {
    match Pid::from_raw(process.pid).filter(|_| process.is_running()) {
        Some(pid) => kill_process(pid, signal).with_context(|| format!("cannot signal process {}", process.pid)),
        None => Ok(()),
    }
}

fn wait_until_gone(process: &Process) -> Result<()> {
    let deadline = Instant::now() + KILLED_WITHIN;
    while process.is_running() {
        if Instant::now() > deadline {
            bail!("process {} does not end", process.pid);
        }
        std::thread::sleep(POLL_EVERY);
    }
    Ok(())
}

/// Shown in messages: how to run this program's commands.
pub(super) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
