//! The end-to-end step: a cluster, the real clients, and environment variables that name them for `cargo test -p e2e`.
//!
//! | variable | names |
//! |---|---|
//! | `LOCKGATE_E2E_LOCKGATE` | the product's binary |
//! | `LOCKGATE_E2E_XTASK` | this program, for tests that start clusters or the demo themselves |
//! | `LOCKGATE_E2E_CLUSTER` | the cluster's name |
//! | `LOCKGATE_E2E_KUBECONFIG` | kubeconfig of the cluster's administrator, direct; works on the host and inside the network namespace |
//! | `LOCKGATE_E2E_API_SERVER` | the API server's URL, direct |
//! | `LOCKGATE_E2E_CA_FILE` | the authority that signed the API server's certificate |
//! | `LOCKGATE_E2E_NETNS` | the cluster's network namespace: `nsenter --net=/run/netns/NAME` |
//! | `LOCKGATE_E2E_NODE_READY` | `true`; `false` where the machine cannot run containers: tests that need a pod skip loudly |
//! | `LOCKGATE_E2E_AUDIT_LOG` | the API server's own audit log, level Metadata, JSON lines |
//! | `LOCKGATE_E2E_IMAGE` | an image with a shell that the node can start |
//! | `LOCKGATE_E2E_AGNHOST_IMAGE` | Kubernetes' test image |
//! | `LOCKGATE_E2E_KUBECTL`, `_HELM`, `_K9S`, `_NODE` | programs |
//! | `LOCKGATE_E2E_PYTHON` | an interpreter that has the `kubernetes` client |
//! | `LOCKGATE_E2E_CHROMIUM`, `_CHROMIUM_DRIVER` | browser and its WebDriver server |

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Run, cargo};
use crate::cluster::{self, Cluster, Phase};
use crate::tools;

/// Everything slow that is not Rust. Later calls take it from the cache.
pub(super) fn prepare_tools() -> Result<()> {
    // Quick ones first: a machine that lacks something says so before minutes are spent.
    tools::node()?;
    tools::python_client()?;
    tools::chromium()?;
    let programs = tools::programs(tools::Scope::Whole)?;
    if let Some(built) = &programs.built {
        tools::images(built)?;
    }
    tools::helm()?;
    tools::k9s()?;
    Ok(())
}

/// Whether the slow builds are in the cache already.
pub(super) fn tools_are_there() -> Result<bool> {
    let cache = tools::cache_directory()?;
    Ok(tools::slow_entries().iter().all(|entry| cache.join(entry).is_dir()))
}

/// Brings the cluster up, runs the tests, takes it down whatever they say.
pub(super) fn run(run: &Run) -> Result<()> {
    let name = cluster_name(&run.workspace);
    let outcome = with_cluster(run, &name);
    if run.arguments.keep {
        println!("the cluster is left running: cargo xtask cluster down --name {name}");
        return outcome;
    }
    let down = cluster::down(&name).with_context(|| format!("taking cluster {name} down"));
    outcome.and(down)
}

/// One cluster per clone: runs from two clones do not meet.
fn cluster_name(workspace: &Path) -> String {
    format!("test-{:.8}", tools::sha256(workspace.as_os_str().as_encoded_bytes()))
}

fn with_cluster(run: &Run, name: &str) -> Result<()> {
    // From the cache, unless the step before was left out.
    prepare_tools()?;
    let cluster = cluster::up(name, &cluster::Options::default())?;
    let mut command = cargo();
    command.args(["test", "--package", "e2e"]).current_dir(&run.workspace).envs(environment(&cluster)?);
    if !run.arguments.e2e_arguments.is_empty() {
        command.arg("--").args(&run.arguments.e2e_arguments);
    }
    run.jobs.run(&mut command)
}

fn environment(cluster: &Cluster) -> Result<Vec<(&'static str, OsString)>> {
    let xtask = std::env::current_exe()?;
    let status = cluster::status(&cluster.name)?.context("the cluster is gone")?;
    let node_ready = status.phase == Phase::Ready;
    Ok(vec![
        // Built into the same directory as this program.
        ("LOCKGATE_E2E_LOCKGATE", xtask.with_file_name("lockgate").into()),
        ("LOCKGATE_E2E_XTASK", xtask.into()),
        ("LOCKGATE_E2E_CLUSTER", cluster.name.clone().into()),
        ("LOCKGATE_E2E_KUBECONFIG", cluster.admin_kubeconfig.clone().into()),
        ("LOCKGATE_E2E_API_SERVER", cluster.api_server.clone().into()),
        ("LOCKGATE_E2E_CA_FILE", cluster.ca_file.clone().into()),
        ("LOCKGATE_E2E_NETNS", cluster.netns.clone().into()),
        ("LOCKGATE_E2E_NODE_READY", node_ready.to_string().into()),
        ("LOCKGATE_E2E_AUDIT_LOG", cluster.audit_log.clone().into()),
        ("LOCKGATE_E2E_IMAGE", cluster.image.clone().into()),
        ("LOCKGATE_E2E_AGNHOST_IMAGE", cluster.agnhost_image.clone().into()),
        ("LOCKGATE_E2E_KUBECTL", cluster.kubectl.clone().into()),
        ("LOCKGATE_E2E_HELM", tools::helm()?.into()),
        ("LOCKGATE_E2E_K9S", tools::k9s()?.into()),
        ("LOCKGATE_E2E_NODE", tools::node()?.into()),
        ("LOCKGATE_E2E_PYTHON", tools::python_client()?.into()),
        ("LOCKGATE_E2E_CHROMIUM", tools::chromium()?.into()),
        ("LOCKGATE_E2E_CHROMIUM_DRIVER", tools::chromium_driver()?.into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_clone_has_its_own_cluster() {
        let one = cluster_name(Path::new("/home/one/lockgate"));
        assert_eq!(one, cluster_name(Path::new("/home/one/lockgate")));
        assert_ne!(one, cluster_name(Path::new("/home/two/lockgate")));
        assert_eq!(one.len(), "test-".len() + 8);
    }
}
