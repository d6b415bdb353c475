//! A one-second look at whether this machine can run a container at all, before a kubelet finds out in its own long-winded way.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::cgroup;
use super::config::{CNI_PLUGINS, Snapshotter};
use super::state::{NodePlan, Plan};
use crate::tools;

const SAID: &str = "lockgate probe";

/// Runs `echo` in a container of busybox, with namespaces and a cgroup as a pod has them.
pub(super) fn container(plan: &Plan, node: &NodePlan) -> Result<()> {
    if !Path::new(CNI_PLUGINS).join("ptp").is_file() {
        bail!("there is no {CNI_PLUGINS}/ptp (Debian's containernetworking-plugins)");
    }
    cgroup::create(&plan.cluster.name)?;
    let bundle = plan.cluster.state_dir.join("probe");
    let bin = bundle.join("rootfs/bin");
    fs::create_dir_all(&bin)?;
    for directory in ["proc", "dev", "sys"] {
        fs::create_dir_all(bundle.join("rootfs").join(directory))?;
    }
    fs::copy(&node.busybox, bin.join("busybox")).context("busybox")?;
    symlink("/bin/busybox", bin.join("echo"))?;
    fs::write(bundle.join("config.json"), serde_json::to_vec(&specification(&plan.cluster.name))?)?;

    let id = format!("probe-{}", plan.cluster.name);
    let mut runc = Command::new(&node.runc);
    runc.arg("--root").arg(bundle.join("runc")).args(["run", "--bundle"]).arg(&bundle).arg(id);
    let said = tools::output(&mut runc)?;
    fs::remove_dir_all(&bundle)?;
    if said.trim() != SAID {
        bail!("a container was to say {SAID:?} and said {said:?}");
    }
    Ok(())
}

fn specification(name: &str) -> serde_json::Value {
    let namespaces: Vec<_> =
        ["pid", "mount", "ipc", "uts", "network"].iter().map(|kind| json!({"type": kind})).collect();
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/echo", SAID],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs"},
        "hostname": "probe",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
        ],
        "linux": {"namespaces": namespaces, "cgroupsPath": format!("{}/probe", cgroup::path(name)), "resources": {"pids": {"limit": 64}}},
    })
}

/// Which way of stacking image layers works where the state lies: tried, not guessed from the file system's name.
pub(super) fn snapshotter(state: &Path) -> Result<Snapshotter> {
    let scratch = state.join("overlay-probe");
    for directory in ["lower", "upper", "work", "merged"] {
        fs::create_dir_all(scratch.join(directory))?;
    }
    let layers = format!("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", scratch.display());
    let merged = scratch.join("merged");
    let mounted =
        tools::quiet(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &layers]).arg(&merged)).is_ok();
    if mounted {
        tools::quiet(Command::new("umount").arg(&merged))?;
    }
    fs::remove_dir_all(&scratch)?;
    Ok(if mounted { Snapshotter::Overlay } else { Snapshotter::Copy })
}
