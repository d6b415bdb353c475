//! Ending a cluster, running or left over from a killed run, and removing exactly what it made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::state::{self, Process};
use super::{cgroup, up};
use crate::tools;

const DEAD_WITHIN: Duration = Duration::from_secs(30);

/// Removes the cluster `name` in whatever state it is. The caller holds the name's lock. Nothing there: nothing done.
pub(super) fn remove(name: &str) -> Result<()> {
    // Process first: while it lives, mounts, cgroups and files are in use.
    for process in state::recorded_processes(name) {
        end(&process)?;
    }
    let netns = up::netns(name);
    if Path::new("/run/netns").join(&netns).exists() {
        tools::quiet(Command::new("ip").args(["netns", "delete", &netns]))?;
    }
    cgroup::remove(name)?;
    let directory = state::directory(name);
    for mount in mounts_below(&fs::read_to_string("/proc/self/mounts")?, &directory) {
        tools::quiet(Command::new("umount").arg(&mount))
            .with_context(|| format!("cannot unmount {}", mount.display()))?;
    }
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    Ok(())
}

/// SIGKILL at once: a SIGTERM would have the API server drain its watches for a minute, and nothing here is worth saving.
fn end(process: &Process) -> Result<()> {
    if !process.is_running() {
        return Ok(());
    }
    let pid = Pid::from_raw(process.pid).context("no process id")?;
    kill_process(pid, Signal::KILL).with_context(|| format!("cannot end process {}", process.pid))?;
    // Process 1 of a PID namespace is a zombie only once all others in it are gone.
    let deadline = Instant::now() + DEAD_WITHIN;
    while process.is_running() {
        if Instant::now() > deadline {
            bail!("process {} does not end on SIGKILL: see `ps -o pid,stat,wchan {}`", process.pid, process.pid);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Mount points at or below `directory`, deepest first, from the text of `/proc/self/mounts`.
fn mounts_below(mounts: &str, directory: &Path) -> Vec<PathBuf> {
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
    let mut below: Vec<PathBuf> = points.filter(|point| point.starts_with(directory)).collect();
    below.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_mounts_are_taken_down_and_the_deepest_first() {
        let mounts = "/dev/vda / ext4 rw 0 0\n\
                      tmpfs /state/demo/kubelet tmpfs rw 0 0\n\
                      tmpfs /state/demo/kubelet/pods/1/volumes/token tmpfs rw 0 0\n\
                      tmpfs /state/demo-2/kubelet tmpfs rw 0 0\n\
                      tmpfs /state tmpfs rw 0 0\n";
        assert_eq!(
            mounts_below(mounts, Path::new("/state/demo")),
            [PathBuf::from("/state/demo/kubelet/pods/1/volumes/token"), PathBuf::from("/state/demo/kubelet")]
        );
    }

    #[test]
    fn a_process_that_took_over_the_number_is_left_alone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let recorded = Process::observe(i32::try_from(child.id()).unwrap()).unwrap();
        let mut other = serde_json::to_value(&recorded).unwrap();
        other["startTicks"] = 1.into();
        end(&serde_json::from_value(other).unwrap()).unwrap();
        assert!(recorded.is_running(), "a process that was not ours was killed");
        end(&recorded).unwrap();
        assert!(!recorded.is_running());
        child.wait().unwrap();
    }
}
