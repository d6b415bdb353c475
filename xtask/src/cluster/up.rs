//! Starting a cluster: what is there already, what it needs, the plan, and following the supervisor until it is ready.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::state::{self, NodePlan, Phase, Plan, Report};
use super::{Cluster, config, pki, relay, teardown};
use crate::tools::{self, Progress, Scope};

/// Above the sum of what the supervisor gives its components: it reports first.
const SUPERVISOR_WITHIN: Duration = Duration::from_secs(900);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// Debian packages and a file that proves each.
const PACKAGES_NETWORK: [(&str, &str); 2] = [("iproute2", "ip"), ("util-linux", "unshare")];
const PACKAGES_NODE: [(&str, &str); 6] = [
    ("busybox-static", "busybox"),
    ("conntrack", "conntrack"),
    ("containerd", "containerd"),
    ("containernetworking-plugins", "/usr/lib/cni/ptp"),
    ("nftables", "nft"),
    ("runc", "runc"),
];

/// What kind of cluster.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) scope: Scope,
    /// Appended to kube-apiserver's own: feature gates, an authentication configuration.
    pub(crate) api_server_flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { scope: Scope::Whole, api_server_flags: Vec::new() }
    }
}

/// The cluster `name`, ready. At once if it already runs; otherwise what a killed run left is cleared first.
///
/// Where this machine cannot run containers, says so and gives the control plane alone; `status` tells the two apart.
pub(crate) fn up(name: &str, options: &Options) -> Result<Cluster> {
    state::check_name(name)?;
    if !tools::is_root()? {
        bail!(
            "a cluster needs root, for its network namespace, mounts and cgroups: run as root, or use a cluster that you have"
        );
    }
    let _lock = state::lock(name)?;
    if let Some(cluster) = running(name, options)? {
        return Ok(cluster);
    }
    teardown::remove(name)?;
    tools::packages(&PACKAGES_NETWORK, "a cluster")?;
    let plan = plan(name, options)?;
    let progress = Progress::start(format!("starting cluster {name}"), Some("10 to 20 s"));
    let supervisor = launch(&plan)?;
    let report = follow(name, supervisor, &progress)?;
    finish(plan.cluster, &report, progress)
}

/// The cluster's network namespace.
pub(super) fn netns(name: &str) -> String {
    format!("lockgate-{name}")
}

/// The cluster if it runs and is whole. One that is degraded or failed is not: it is to be made anew.
fn running(name: &str, options: &Options) -> Result<Option<Cluster>> {
    let (Some(plan), Some(report)) = (state::plan(name), state::report(name)) else {
        return Ok(None);
    };
    if !report.process.is_running() {
        eprintln!("· clearing what a killed run of {name} left");
        return Ok(None);
    }
    if plan.api_server_flags != options.api_server_flags || plan.scope != options.scope {
        bail!("cluster {name} runs with other options: cargo xtask cluster down --name {name}, or use another name");
    }
    match report.phase {
        Phase::Ready | Phase::ControlPlaneOnly => Ok(Some(plan.cluster)),
        // An `up` that was interrupted; the name's lock is ours, so nobody else follows it.
        Phase::Starting => {
            let progress = Progress::start(format!("cluster {name} is starting already"), Some("10 to 20 s"));
            let report = wait(name, &progress, || None)?;
            finish(plan.cluster, &report, progress).map(Some)
        }
        Phase::Degraded | Phase::Failed | Phase::Stopped => {
            eprintln!(
                "· cluster {name} is {}: {}; making it anew",
                report.phase.word(),
                report.detail.unwrap_or_default()
            );
            Ok(None)
        }
    }
}

/// Gathers everything that is needed, slow things first, and writes it down.
fn plan(name: &str, options: &Options) -> Result<Plan> {
    if options.scope == Scope::Whole {
        tools::packages(&PACKAGES_NODE, "a cluster's node")?;
    }
    let programs = tools::programs(options.scope)?;
    let node = match (options.scope, &programs.built) {
        (Scope::Whole, Some(built)) => Some(NodePlan {
            containerd: program("containerd")?,
            ctr: program("ctr")?,
            runc: program("runc")?,
            busybox: program("busybox")?,
            image_archives: tools::images(built)?,
        }),
        _ => None,
    };
    let state = state::directory(name);
    for directory in ["pki", "log", "run", "cni", "pod-logs", "audit"] {
        fs::create_dir_all(state.join(directory))?;
    }
    let _ports = state::lock_ports()?;
    let api_port = relay::free_port(&state::reserved_ports(name)?)?;
    let api_server = format!("https://127.0.0.1:{api_port}");
    pki::write(&state.join("pki"), name, &api_server)?;
    fs::write(state.join("audit-policy.yaml"), config::AUDIT_POLICY)?;
    let plan = Plan {
        cluster: Cluster {
            name: name.to_owned(),
            admin_kubeconfig: state.join("pki/admin.kubeconfig"),
            netns: netns(name),
            api_port,
            api_server,
            ca_file: state.join("pki/ca.crt"),
            kubectl: programs.kubectl,
            audit_log: state.join("audit/audit.log"),
            image: tools::IMAGE_BUSYBOX.to_owned(),
            agnhost_image: tools::IMAGE_AGNHOST.to_owned(),
            version: options.scope.release().version().to_owned(),
            state_dir: state.clone(),
        },
        scope: options.scope,
        etcd: programs.etcd,
        kube_apiserver: programs.kube_apiserver,
        built: programs.built,
        api_server_flags: options.api_server_flags.clone(),
        node,
    };
    state::write(&state.join("plan.json"), &plan)?;
    Ok(plan)
}

fn program(name: &str) -> Result<PathBuf> {
    tools::find_program(name).with_context(|| format!("{name} is installed but not found"))
}

/// Starts process 1 of the cluster, free of this terminal.
fn launch(plan: &Plan) -> Result<Child> {
    tools::quiet(Command::new("ip").args(["netns", "add", &plan.cluster.netns]))?;
    let log = File::create(supervisor_log(&plan.cluster.state_dir))?;
    let mut command = Command::new("unshare");
    // Should the parent inside unshare be killed, the cluster goes with it.
    command.args(["--pid", "--fork", "--kill-child", "--mount", "--propagation", "private", "--"]);
    command.arg(std::env::current_exe()?).args(["cluster", "supervise"]).arg(&plan.cluster.state_dir);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // Ctrl-C here must not end a cluster that others may use.
    command.process_group(0);
    let launcher = command.spawn().context("cannot run unshare")?;
    // Known even if this process is killed before the supervisor has recorded itself.
    state::record_launcher(&plan.cluster.state_dir, i32::try_from(launcher.id())?)?;
    Ok(launcher)
}

fn follow(name: &str, mut supervisor: Child, progress: &Progress) -> Result<Report> {
    wait(name, progress, || supervisor.try_wait().ok().flatten().map(|status| status.to_string()))
}

/// Until the cluster is ready or failed; shows each step.
fn wait(name: &str, progress: &Progress, mut ended: impl FnMut() -> Option<String>) -> Result<Report> {
    let deadline = Instant::now() + SUPERVISOR_WITHIN;
    let mut shown = String::new();
    loop {
        // Asked before the report is read: what it wrote last is then seen.
        let ended = ended();
        let report = state::report(name);
        match &report {
            Some(report) if report.phase != Phase::Starting => return Ok(report.clone()),
            Some(report) => {
                let step = report.detail.clone().unwrap_or_default();
                if step != shown {
                    progress.part(&step);
                    shown = step;
                }
            }
            None => {}
        }
        let is_gone = report.as_ref().is_some_and(|report| !report.process.is_running());
        if ended.is_some() || is_gone {
            let log = supervisor_log(&state::directory(name));
            let status = ended.unwrap_or_else(|| "killed".to_owned());
            bail!(
                "the cluster's supervisor ended ({status}) at: {shown}\n{}:\n{}",
                log.display(),
                tools::log_tail(&log)
            );
        }
        if Instant::now() > deadline {
            bail!("cluster {name} is not ready after {} s, at: {shown}", SUPERVISOR_WITHIN.as_secs());
        }
        std::thread::sleep(POLL_EVERY);
    }
}

fn finish(cluster: Cluster, report: &Report, progress: Progress) -> Result<Cluster> {
    let detail = report.detail.clone().unwrap_or_default();
    match report.phase {
        Phase::Ready => progress.done("ready"),
        Phase::ControlPlaneOnly => progress.done(&format!("ready WITHOUT A NODE: {detail}. Pods will stay pending")),
        Phase::Starting | Phase::Degraded | Phase::Failed | Phase::Stopped => {
            let log = report.log.clone().unwrap_or_else(|| supervisor_log(&cluster.state_dir));
            drop(progress);
            bail!(
                "cluster {} failed: {detail}\nThe end of {}:\n{}\nAll logs are in {}; running `up` again starts anew.",
                cluster.name,
                log.display(),
                tools::log_tail(&log),
                cluster.state_dir.join("log").display()
            );
        }
    }
    Ok(cluster)
}

fn supervisor_log(state: &Path) -> PathBuf {
    state.join("log/supervisor.log")
}
