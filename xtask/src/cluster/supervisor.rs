//! Process 1 of a cluster. It starts everything in order, relays the API server to the host, and stays.
//!
//! It runs twice: as *init* (process 1 of the PID namespace, which records itself and reaps orphans, shims of containerd mostly) and as
//! init's child, the supervisor proper. Whoever kills init kills every process of the cluster with it: the kernel sees to that.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, WaitOptions};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::components::{ComponentFailed, Components, import_images};
use super::state::{self, NodePlan, Phase, Plan, Process, Report};
use super::{cgroup, config, probe, relay};
use crate::tools;

/// Directories whose paths containerd, kubelet and the CNI plugins have built in: private to the cluster, gone with it.
const PRIVATE_DIRECTORIES: [&str; 5] =
    ["/run/netns", "/run/containerd", "/var/lib/kubelet", "/var/lib/cni", "/var/log/containers"];
const CHECK_EVERY: Duration = Duration::from_secs(1);

pub(super) fn run(state_directory: &Path) -> Result<()> {
    if std::process::id() == 1 { init(state_directory) } else { supervise(state_directory) }
}

/// `/proc` is still the host's here: `/proc/self` is our number there, by which `down` will find us.
fn init(state_directory: &Path) -> Result<()> {
    let pid = fs::read_link("/proc/self")?.to_string_lossy().parse().context("/proc/self is no number")?;
    let reporter = Reporter { path: state_directory.join("report.json"), process: Process::observe(pid)? };
    reporter.starting("entering its namespaces")?;
    // Our own file, even if the path has been rebuilt meanwhile.
    let child = Command::new("/proc/self/exe").args(["cluster", "supervise"]).arg(state_directory).spawn()?;
    let supervisor = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
    loop {
        if let Some((ended, status)) = rustix::process::wait(WaitOptions::empty())?
            && ended == supervisor
        {
            bail!("the supervisor ended: {status:?}");
        }
    }
}

fn supervise(state_directory: &Path) -> Result<()> {
    let plan: Plan = state::read(&state_directory.join("plan.json"))?;
    let report: Report = state::read(&state_directory.join("report.json"))?;
    let reporter = Reporter { path: state_directory.join("report.json"), process: report.process };
    let mut components = Components::new(&plan);
    let no_node = match start(&plan, &reporter, &mut components) {
        Ok(no_node) => no_node,
        Err(error) => {
            reporter.failed(Phase::Failed, &error)?;
            return Err(error);
        }
    };
    match no_node {
        None => reporter.write(Phase::Ready, None, None)?,
        Some(reason) => reporter.write(Phase::ControlPlaneOnly, Some(reason), None)?,
    }
    // What ended is not started again: a test that lost its API server must hear of it.
    loop {
        std::thread::sleep(CHECK_EVERY);
        if let Err(error) = components.check() {
            reporter.failed(Phase::Degraded, &error)?;
            loop {
                std::thread::park();
            }
        }
    }
}

/// Brings the cluster up. Gives the reason when there is no node.
fn start(plan: &Plan, reporter: &Reporter, components: &mut Components<'_>) -> Result<Option<String>> {
    reporter.starting("network namespace")?;
    let listener = relay::listen(plan.cluster.api_port).with_context(|| {
        format!("port {} on 127.0.0.1 has been taken meanwhile: run it again", plan.cluster.api_port)
    })?;
    enter_namespace(&plan.cluster.netns)?;
    cover_private_directories()?;
    lay_network()?;
    relay::start(listener)?;

    reporter.starting("etcd and kube-apiserver")?;
    components.start_etcd()?;
    components.start_api_server()?;
    // While the API server starts, the node's images are loaded.
    let node = prepare_node(plan, reporter, components)?;
    reporter.starting("waiting for kube-apiserver")?;
    components.wait_for_api_server()?;
    let Some(built) = &plan.built else {
        let reason = match plan.scope {
            tools::Scope::ApiServer(_) => "only an API server was asked for",
            _ => "only the programs of KUBEBUILDER_ASSETS: an API server without controllers",
        };
        return Ok(Some(reason.to_owned()));
    };
    reporter.starting("controllers and scheduler")?;
    components.start_controllers(built)?;
    if let Node::Possible = node {
        reporter.starting("kubelet and kube-proxy")?;
        components.start_node(built)?;
        reporter.starting("waiting for the node")?;
        components.wait_for_node()?;
    }
    components.wait_for_controllers()?;
    Ok(match node {
        Node::Possible => None,
        Node::Impossible(reason) => Some(reason),
    })
}

enum Node {
    Possible,
    Impossible(String),
}

fn prepare_node(plan: &Plan, reporter: &Reporter, components: &mut Components<'_>) -> Result<Node> {
    let Some(node) = &plan.node else {
        return Ok(Node::Impossible("no node was asked for".to_owned()));
    };
    reporter.starting("trying whether this machine can run a container")?;
    if let Err(error) = probe::container(plan, node) {
        return Ok(Node::Impossible(format!("this machine cannot run containers: {error:#}")));
    }
    let snapshotter = probe::snapshotter(&plan.cluster.state_dir)?;
    write_node_configuration(plan, node, snapshotter)?;
    components.start_containerd(node)?;
    components.wait_for_containerd(node)?;
    reporter.starting("loading images")?;
    import_images(plan, node, snapshotter)?;
    Ok(Node::Possible)
}

fn write_node_configuration(plan: &Plan, node: &NodePlan, snapshotter: config::Snapshotter) -> Result<()> {
    let state = &plan.cluster.state_dir;
    let json = |value: &serde_json::Value| serde_json::to_vec_pretty(value);
    fs::write(state.join("containerd.toml"), config::containerd(state, node, snapshotter))?;
    fs::write(state.join("cni/10-pods.conflist"), json(&config::pod_network(state))?)?;
    fs::write(state.join("kubelet.json"), json(&config::kubelet(&plan.cluster.name, state, cgroup::version()))?)?;
    fs::write(state.join("kube-proxy.json"), json(&config::kube_proxy(state))?)?;
    Ok(())
}

/// Only this thread moves; threads and processes that it starts from now on are born inside.
fn enter_namespace(netns: &str) -> Result<()> {
    let path = Path::new("/run/netns").join(netns);
    let file = File::open(&path).with_context(|| format!("no network namespace {}", path.display()))?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .with_context(|| format!("cannot enter the network namespace {netns}"))
}

/// The mount namespace is our own (`unshare --mount`): the host sees none of this.
fn cover_private_directories() -> Result<()> {
    tools::quiet(Command::new("mount").args(["-t", "proc", "proc", "/proc"]))?;
    for directory in PRIVATE_DIRECTORIES {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {directory}"))?;
        tools::quiet(Command::new("mount").args(["-t", "tmpfs", "tmpfs", directory]))?;
    }
    Ok(())
}

/// Loopback, and a bridge with the node's address: the one device kind that every kernel has and that needs no peer.
fn lay_network() -> Result<()> {
    let ip = |arguments: &[&str]| tools::quiet(Command::new("ip").args(arguments));
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "add", "node0", "type", "bridge"])?;
    ip(&["address", "add", config::NODE_ADDRESS_WITH_PREFIX, "dev", "node0"])?;
    ip(&["link", "set", "node0", "up"])?;
    ip(&["route", "add", "default", "dev", "node0"])?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("cannot turn on forwarding in the network namespace")
}

struct Reporter {
    path: PathBuf,
    process: Process,
}

impl Reporter {
    fn starting(&self, step: &str) -> Result<()> {
        self.write(Phase::Starting, Some(step.to_owned()), None)
    }

    fn failed(&self, phase: Phase, error: &anyhow::Error) -> Result<()> {
        let log = error.downcast_ref::<ComponentFailed>().map(|failed| failed.log.clone());
        self.write(phase, Some(format!("{error:#}")), log)
    }

    fn write(&self, phase: Phase, detail: Option<String>, log: Option<PathBuf>) -> Result<()> {
        state::write(&self.path, &Report { process: self.process.clone(), phase, detail, log })
    }
}
