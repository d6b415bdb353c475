//! The cgroup under which a cluster's pods live, on version 1 and version 2 alike.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

const MOUNT: &str = "/sys/fs/cgroup";
/// Killed containers leave their cgroup within moments; longer means that something is wrong.
const EMPTY_WITHIN: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// Which version this machine's controllers are mounted as.
pub(super) fn version() -> Version {
    if Path::new(MOUNT).join("cgroup.controllers").exists() { Version::Two } else { Version::One }
}

/// The cgroup of the cluster `name`, as a path from the root of each hierarchy: `/lockgate-NAME`.
pub(super) fn path(name: &str) -> String {
    format!("/lockgate-{name}")
}

/// Makes the cluster's cgroup in every hierarchy.
pub(super) fn create(name: &str) -> Result<()> {
    match version() {
        Version::Two => create_v2(name),
        Version::One => hierarchies(Path::new(MOUNT))?.iter().try_for_each(|hierarchy| create_v1(hierarchy, name)),
    }
}

fn create_v1(hierarchy: &Path, name: &str) -> Result<()> {
    let directory = hierarchy.join(relative(name));
    fs::create_dir_all(&directory).with_context(|| format!("cannot make the cgroup {}", directory.display()))?;
    // A cpuset without CPUs takes no process; children inherit nothing by themselves.
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(inherited) = fs::read_to_string(hierarchy.join(file)) {
            fs::write(directory.join(file), inherited)
                .with_context(|| format!("cannot set {file} of {}", directory.display()))?;
        }
    }
    Ok(())
}

fn create_v2(name: &str) -> Result<()> {
    let root = Path::new(MOUNT);
    let directory = root.join(relative(name));
    fs::create_dir_all(&directory).with_context(|| format!("cannot make the cgroup {}", directory.display()))?;
    let controllers = fs::read_to_string(root.join("cgroup.controllers"))?;
    let enable: Vec<String> = controllers.split_whitespace().map(|controller| format!("+{controller}")).collect();
    fs::write(root.join("cgroup.subtree_control"), enable.join(" ")).context(
        "cannot hand cgroup controllers down: this looks like a container whose cgroup has processes of its own. \
         Run it with a private cgroup namespace under an init that moves them aside, or use --control-plane-only",
    )
}

/// Removes the cluster's cgroups, whose processes are dead or dying.
pub(super) fn remove(name: &str) -> Result<()> {
    let mut roots = vec![PathBuf::from(MOUNT)];
    if version() == Version::One {
        roots.extend(hierarchies(Path::new(MOUNT))?);
    }
    let deadline = Instant::now() + EMPTY_WITHIN;
    for directory in roots.iter().map(|root| root.join(relative(name))).filter(|directory| directory.is_dir()) {
        while let Err(error) = remove_tree(&directory) {
            if Instant::now() > deadline {
                return Err(error).with_context(|| format!("the cgroup {} is not empty", directory.display()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Children first: a cgroup is removed by `rmdir` alone, its files are no files.
fn remove_tree(directory: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(directory)
}

/// The mounted hierarchies of version 1, one per controller. Links (`cpu` → `cpu,cpuacct`) lead to the same place and do no harm.
fn hierarchies(mount: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(mount).with_context(|| format!("{} is not mounted", mount.display()))?;
    let mut hierarchies: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.join("cgroup.procs").exists() {
            hierarchies.push(path);
        }
    }
    hierarchies.sort();
    Ok(hierarchies)
}

fn relative(name: &str) -> String {
    path(name).trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_removed_from_its_leaves() {
        let root = std::env::temp_dir().join(format!("lockgate-cgroup-{}", std::process::id()));
        fs::create_dir_all(root.join("kubepods/burstable/pod1/container")).unwrap();
        fs::create_dir_all(root.join("kubepods/besteffort")).unwrap();
        remove_tree(&root).unwrap();
        assert!(!root.exists());
    }

    #[test]
    fn only_mounted_hierarchies_count() {
        let root = std::env::temp_dir().join(format!("lockgate-hierarchies-{}", std::process::id()));
        for controller in ["cpu", "memory"] {
            fs::create_dir_all(root.join(controller)).unwrap();
            fs::write(root.join(controller).join("cgroup.procs"), "").unwrap();
        }
        fs::create_dir_all(root.join("something-else")).unwrap();
        assert_eq!(hierarchies(&root).unwrap(), [root.join("cpu"), root.join("memory")]);
        fs::remove_dir_all(root).unwrap();
    }
}
