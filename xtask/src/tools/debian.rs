//! Debian packages: checked, and installed where this process may (root and apt), else named with the command.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Progress, output, quiet};

/// Where programs of Debian's packages live, whatever `PATH` says.
const PROGRAM_DIRECTORIES: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// An executable by name: on `PATH` first, then in the usual directories (`sbin` is often not on `PATH`).
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = PROGRAM_DIRECTORIES.iter().map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|directory| directory.join(name)).find(|program| program.is_file())
}

/// Makes sure that each package's file exists; installs what is missing. `needed` pairs a package with a file that proves it.
///
/// Files rather than package names are checked, so that another distribution, or a program installed by hand, is as good.
pub(crate) fn packages(needed: &[(&str, &str)], what_for: &str) -> Result<()> {
    let missing: Vec<&str> = needed.iter().filter(|(_, proof)| !is_there(proof)).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if find_program("apt-get").is_none() || !is_root()? {
        bail!(
            "{what_for} needs {}. Install it, on Debian as root with:\n  apt-get update && {command}",
            missing.join(", ")
        );
    }
    let progress = Progress::start(format!("Debian packages {}", missing.join(", ")), Some("under a minute"));
    let lock_wait = "-oDPkg::Lock::Timeout=300";
    quiet(Command::new("apt-get").args(["update", "-q", lock_wait])).context("apt-get update")?;
    quiet(
        Command::new("apt-get")
            .args(["install", "-q", "-y", "--no-install-recommends", lock_wait])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .with_context(|| format!("{what_for} needs Debian packages; run `{command}` by hand and see what it says"))?;
    progress.done("installed");
    let still: Vec<&str> = needed.iter().filter(|(_, proof)| !is_there(proof)).map(|(package, _)| *package).collect();
    if !still.is_empty() {
        bail!("{} installed, but what it should bring is not there", still.join(", "));
    }
    Ok(())
}

fn is_there(proof: &str) -> bool {
    if proof.starts_with('/') { PathBuf::from(proof).exists() } else { find_program(proof).is_some() }
}

/// Whether this process is root, the one who may make network namespaces, mounts and cgroups.
pub(crate) fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))? == "0")
}
