//! What is on disk about a cluster, and whether its process still is the one that was recorded.
//!
//! The place is the same for every clone on this machine: a cluster's name is the machine's, as its network namespace's is. It is
//! short, since socket paths end at 108 bytes, and `cargo clean` does not pull it from under a running cluster.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Cluster;
use crate::tools;

const ROOT: &str = "/var/lib/lockgate-cluster";
/// `kubelet/pod-resources/…sock` and the like must fit in a socket address together with the name.
const NAME_BYTES_MAX: usize = 30;

/// What `up` decided before the supervisor starts; never changed afterwards.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plan {
    pub(super) cluster: Cluster,
    #[serde(default)]
    pub(super) scope: tools::Scope,
    pub(super) etcd: PathBuf,
    pub(super) kube_apiserver: PathBuf,
    /// The other programs; None: an API server and nothing else.
    pub(super) built: Option<PathBuf>,
    pub(super) api_server_flags: Vec<String>,
    /// None: no node was asked for.
    pub(super) node: Option<NodePlan>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodePlan {
    pub(super) containerd: PathBuf,
    pub(super) ctr: PathBuf,
    pub(super) runc: PathBuf,
    pub(super) busybox: PathBuf,
    pub(super) image_archives: Vec<PathBuf>,
}

/// What the supervisor says of itself, rewritten at each step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) process: Process,
    pub(super) phase: Phase,
    /// What it is doing, or why there is no node, or what failed.
    pub(super) detail: Option<String>,
    /// The log that tells more about a failure.
    pub(super) log: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Phase {
    Starting,
    Ready,
    /// Everything asked for runs, but for a node, which this machine cannot have.
    ControlPlaneOnly,
    /// A component ended after the cluster was ready.
    Degraded,
    Failed,
    /// The supervisor is gone: killed, or the machine was restarted.
    Stopped,
}

impl Phase {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::ControlPlaneOnly => "no node",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// A cluster's coordinates and state.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    #[serde(flatten)]
    pub(crate) cluster: Cluster,
    pub(crate) phase: Phase,
    pub(crate) detail: Option<String>,
    /// The host's id of the process whose end is the cluster's end; None when it does not run.
    pub(crate) supervisor_pid: Option<i32>,
}

/// A process that cannot be mistaken for another that got its number later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// Field 22 of `/proc/PID/stat`: clock ticks from boot to the process's start.
    start_ticks: u64,
    boot_id: String,
}

impl Process {
    /// The process `pid` as it is now, seen through the host's `/proc`.
    pub(crate) fn observe(pid: i32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("no process {pid}"))?;
        let (_, start_ticks) = state_and_start(&stat).with_context(|| format!("cannot read {stat:?}"))?;
        Ok(Self { pid, start_ticks, boot_id: boot_id()? })
    }

    /// Whether exactly this process runs. A zombie does not.
    pub(crate) fn is_running(&self) -> bool {
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.pid)) else {
            return false;
        };
        let same_boot = boot_id().is_ok_and(|boot| boot == self.boot_id);
        same_boot
            && state_and_start(&stat)
                .is_some_and(|(state, ticks)| state != 'Z' && state != 'X' && ticks == self.start_ticks)
    }
}

fn boot_id() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// State letter and start time of a `/proc/PID/stat` line. The command's name may hold blanks and brackets: count from the last one.
fn state_and_start(stat: &str) -> Option<(char, u64)> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// Names end up in paths, cgroups and a network namespace.
pub(super) fn check_name(name: &str) -> Result<()> {
    let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let ends_well =
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if name.len() > NAME_BYTES_MAX || !ends_well || !name.bytes().all(is_legal) {
        bail!("{name:?} is no name for a cluster: a-z, 0-9 and - inside, at most {NAME_BYTES_MAX} bytes");
    }
    Ok(())
}

pub(super) fn directory(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

/// One `up` or `down` of a name at a time.
pub(super) fn lock(name: &str) -> Result<File> {
    fs::create_dir_all(ROOT).with_context(|| format!("cannot make {ROOT}: clusters need root"))?;
    tools::lock(&Path::new(ROOT).join(format!(".{name}.lock")), &format!("the cluster {name}"))
}

/// Held from the choice of a port until the plan that reserves it is written.
pub(super) fn lock_ports() -> Result<File> {
    tools::lock(&Path::new(ROOT).join(".ports.lock"), "the clusters' ports")
}

/// The names of all clusters that left something on this machine.
pub(super) fn names() -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(ROOT) else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The plan of a cluster; None when there is none, or one that another version wrote.
pub(super) fn plan(name: &str) -> Option<Plan> {
    read(&directory(name).join("plan.json")).ok()
}

pub(super) fn report(name: &str) -> Option<Report> {
    read(&directory(name).join("report.json")).ok()
}

/// The processes on record for `name`, whose end is the cluster's: the supervisor, and the launcher for the moment before that has
/// recorded itself. Read field by field, so that the state of another version of this program can be cleared too.
pub(super) fn recorded_processes(name: &str) -> Vec<Process> {
    let directory = directory(name);
    let report = read::<serde_json::Value>(&directory.join("report.json")).ok();
    let supervisor = report.and_then(|report| report.get("process").cloned());
    let launcher = read::<serde_json::Value>(&directory.join("launcher.json")).ok();
    let recorded = supervisor.into_iter().chain(launcher);
    recorded.filter_map(|process| serde_json::from_value(process).ok()).collect()
}

/// Ports of the host that clusters of other names have, or will have when they start.
pub(super) fn reserved_ports(name: &str) -> Result<Vec<u16>> {
    let others = names()?.into_iter().filter(|other| other != name);
    Ok(others.filter_map(|other| plan(&other)).map(|plan| plan.cluster.api_port).collect())
}

/// Records the process that makes the supervisor's namespaces; its end is the supervisor's.
pub(super) fn record_launcher(state_directory: &Path, pid: i32) -> Result<()> {
    write(&state_directory.join("launcher.json"), &Process::observe(pid)?)
}

pub(super) fn status(name: &str) -> Result<Option<Status>> {
    let Some(plan) = plan(name) else {
        return Ok(None);
    };
    Ok(Some(match report(name) {
        Some(report) if report.process.is_running() => Status {
            cluster: plan.cluster,
            phase: report.phase,
            detail: report.detail,
            supervisor_pid: Some(report.process.pid),
        },
        _ => Status {
            cluster: plan.cluster,
            phase: Phase::Stopped,
            detail: Some(format!(
                "left by a run that was killed: cargo xtask cluster up --name {name} clears it, down too"
            )),
            supervisor_pid: None,
        },
    }))
}

pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not what this version writes", path.display()))
}

/// Readers see the old document or the new one, never half of it.
pub(super) fn write<T: Serialize>(path: &Path, document: &T) -> Result<()> {
    let part = path.with_extension("part");
    fs::write(&part, serde_json::to_vec_pretty(document)?)
        .with_context(|| format!("cannot write {}", part.display()))?;
    Ok(fs::rename(part, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_from_its_last_bracket() {
        let rest = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 1";
        assert_eq!(state_and_start(&format!("12 (kubelet) {rest}")), Some(('S', 987_654)));
        assert_eq!(state_and_start(&format!("12 (a) b ) (c) {rest}")), Some(('S', 987_654)));
        assert_eq!(state_and_start("12 (cut off) S 1"), None);
        assert_eq!(state_and_start(""), None);
    }

    #[test]
    fn a_process_is_itself_and_nobody_else() {
        let me = Process::observe(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.is_running());
        assert!(!Process { start_ticks: me.start_ticks + 1, ..me.clone() }.is_running(), "same number, another start");
        assert!(
            !Process { boot_id: "another boot".to_owned(), ..me.clone() }.is_running(),
            "same number, another boot"
        );
    }

    #[test]
    fn an_ended_process_does_not_run_even_before_it_is_reaped() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::observe(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(process.is_running());
        child.kill().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while process.is_running() {
            assert!(std::time::Instant::now() < deadline, "a killed process still counts as running");
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!process.is_running());
    }

    #[test]
    fn names_that_would_leave_their_directory_are_refused() {
        for name in ["demo", "e2e-1a2b3c4d", "a", "0"] {
            check_name(name).unwrap();
        }
        for name in ["", "-a", "a-", "..", "a/b", "Demo", "a b", &"a".repeat(31)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
