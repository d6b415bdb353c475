//! A real Kubernetes cluster without a container engine: its own programs, one node, one network namespace, parallel by name.
//!
//! A cluster is one process tree. `up` writes a plan (`state.rs`, `pki.rs`, `config.rs`) and starts a *supervisor* (`supervisor.rs`) as
//! process 1 of a PID namespace with private mounts; it starts and watches every component (`components.rs`) and relays the API server to
//! 127.0.0.1 on the host (`relay.rs`). So one SIGKILL of one verified process ends the whole cluster, mounts included, and what a killed run leaves
//! behind is short and known: the name of a network namespace, empty cgroups, a directory (`teardown.rs`).
//!
//! This module knows nothing of Lockgate: it is any cluster.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::tools;

mod cgroup;
mod components;
mod config;
mod pki;
mod probe;
mod relay;
mod state;
mod supervisor;
mod teardown;
mod up;

pub(crate) use state::{Phase, Process, Status};
pub(crate) use up::{Options, up};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Start a cluster and wait until it is ready; at once when it already runs
    Up {
        #[command(flatten)]
        name: Name,
        /// No node: API server and controllers only, nothing can run pods
        #[arg(long)]
        control_plane_only: bool,
        /// No node and no controllers: etcd and the API server, of the current release or of an older one
        #[arg(long, value_name = "RELEASE", num_args = 0..=1, default_missing_value = "current", conflicts_with = "control_plane_only")]
        api_server_only: Option<tools::Release>,
        /// A further flag for kube-apiserver, for example --feature-gates=ExtendWebSocketsToKubelet=false
        #[arg(long = "api-server-flag", value_name = "FLAG", allow_hyphen_values = true)]
        api_server_flags: Vec<String>,
        #[command(flatten)]
        output: OutputFormat,
    },
    /// End a cluster and remove everything it left; only what was started by `up`
    Down {
        #[command(flatten)]
        name: Name,
    },
    /// The clusters of this machine, or one by name
    Status {
        /// Only this cluster
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        output: OutputFormat,
    },
    /// Process 1 of a cluster; started by `up`
    #[command(hide = true)]
    Supervise { state_directory: PathBuf },
}

#[derive(clap::Args)]
struct Name {
    /// Which cluster: several run side by side
    #[arg(long, default_value = "lockgate")]
    name: String,
}

#[derive(clap::Args)]
struct OutputFormat {
    /// How to print
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
}

/// A cluster's coordinates: all that its users need. Serialised in the plan, and printed by `-o json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cluster {
    pub(crate) name: String,
    /// Everything that belongs to this cluster, logs in `log/` too.
    pub(crate) state_dir: PathBuf,
    /// Cluster administrator; certificates embedded; works on the host and inside the network namespace.
    pub(crate) admin_kubeconfig: PathBuf,
    /// Name of the network namespace: `nsenter --net=/run/netns/NAME`. (`ip netns exec` hides the cgroups.)
    pub(crate) netns: String,
    /// The API server on the host and, same number, inside the network namespace.
    pub(crate) api_port: u16,
    pub(crate) api_server: String,
    pub(crate) ca_file: PathBuf,
    /// The kubectl of the cluster's version.
    pub(crate) kubectl: PathBuf,
    /// The API server's audit log, level Metadata, JSON lines.
    pub(crate) audit_log: PathBuf,
    /// An image with a shell (busybox) that the node can start.
    pub(crate) image: String,
    /// Kubernetes' own test image: servers, clients, and busybox's shell.
    pub(crate) agnhost_image: String,
    pub(crate) version: String,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Up { name, control_plane_only, api_server_only, api_server_flags, output } => {
            let scope = match api_server_only {
                Some(release) => tools::Scope::ApiServer(release),
                None if control_plane_only => tools::Scope::ControlPlane,
                None => tools::Scope::Whole,
            };
            let cluster = up(&name.name, &Options { scope, api_server_flags })?;
            match output.format {
                Format::Json => println!("{}", serde_json::to_string_pretty(&cluster)?),
                Format::Table => print_cluster(&cluster),
            }
            Ok(())
        }
        Command::Down { name } => down(&name.name),
        Command::Status { name, output } => print_status(name.as_deref(), output.format),
        Command::Supervise { state_directory } => supervisor::run(&state_directory),
    }
}

/// Ends the cluster `name` and removes what it left. A cluster that does not exist is already down.
pub(crate) fn down(name: &str) -> Result<()> {
    state::check_name(name)?;
    let _lock = state::lock(name)?;
    teardown::remove(name)
}

/// What is known of the cluster `name`; None if there is nothing of that name.
pub(crate) fn status(name: &str) -> Result<Option<Status>> {
    state::check_name(name)?;
    state::status(name)
}

fn print_cluster(cluster: &Cluster) {
    let kubectl = format!("{} --kubeconfig {}", cluster.kubectl.display(), cluster.admin_kubeconfig.display());
    println!("cluster     {} (Kubernetes {})", cluster.name, cluster.version);
    println!("kubectl     {kubectl} get pods -A");
    println!("api server  {}", cluster.api_server);
    println!("netns       {}", cluster.netns);
    println!("audit log   {}", cluster.audit_log.display());
    println!("images      {}\n            {}", cluster.image, cluster.agnhost_image);
    println!("end it      cargo xtask cluster down --name {}", cluster.name);
}

fn print_status(name: Option<&str>, format: Format) -> Result<()> {
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => state::names()?,
    };
    let mut statuses = Vec::new();
    for name in &names {
        statuses.extend(status(name)?);
    }
    if let (Some(name), true) = (name, statuses.is_empty()) {
        bail!("there is no cluster {name}: cargo xtask cluster up --name {name}");
    }
    if format == Format::Json {
        // One object for one name, an array for all: as `kubectl` would.
        let json = match (name, statuses.first()) {
            (Some(_), Some(status)) => serde_json::to_string_pretty(status)?,
            _ => serde_json::to_string_pretty(&statuses)?,
        };
        println!("{json}");
        return Ok(());
    }
    if statuses.is_empty() {
        println!("no clusters: cargo xtask cluster up");
        return Ok(());
    }
    println!("{:<20} {:<10} {:<26} KUBECONFIG", "NAME", "STATE", "API SERVER");
    for status in statuses {
        let cluster = &status.cluster;
        let kubeconfig = cluster.admin_kubeconfig.display();
        println!("{:<20} {:<10} {:<26} {kubeconfig}", cluster.name, status.phase.word(), cluster.api_server);
        if let Some(detail) = &status.detail {
            println!("  {detail}");
        }
    }
    Ok(())
}
