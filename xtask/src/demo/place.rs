//! Where the demo keeps what, which ports it uses, and what it tells the world (`demo.json`).
//!
//! Everything is under `target/demo/` of this clone. Ports, certificates, keys and client secrets stay from one start to the next, so
//! that links, kubeconfigs and a browser's decision to trust survive; records and recordings do not: they speak of a cluster that is gone.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Tried first; another port is taken where somebody else has one of these.
const PORT_GATEWAY: u16 = 8443;
const PORT_CONSOLE: u16 = 8444;
const PORT_ISSUER: u16 = 8445;
const PORT_METRICS: u16 = 9464;

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// The directory of the demo of this clone.
#[derive(Clone, Debug)]
pub(super) struct Place {
    root: PathBuf,
    clone: PathBuf,
}

impl Place {
    /// `target/demo` of the clone that this program was built from, or another directory. Made if missing, for this user alone.
    pub(super) fn of_this_clone(elsewhere: Option<&Path>) -> Result<Self> {
        let clone = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask stands in no workspace")?.to_owned();
        let root = match elsewhere {
            Some(directory) => std::path::absolute(directory)?.components().collect(),
            None => clone.join("target/demo"),
        };
        let place = Self { root, clone };
        for directory in ["", "pki", "idp", "gateway", "agent", "approver", "auditor", "log"] {
            fs::create_dir_all(place.root.join(directory))
                .with_context(|| format!("cannot make {}", place.root.join(directory).display()))?;
        }
        Ok(place)
    }

    pub(super) fn clone_directory(&self) -> &Path {
        &self.clone
    }

    pub(super) fn directory(&self) -> &Path {
        &self.root
    }

    pub(super) fn join(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn demo_file(&self) -> PathBuf {
        self.join("demo.json")
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.join("pki/ca.crt")
    }

    pub(super) fn log(&self, of: &str) -> PathBuf {
        self.join("log").join(format!("{of}.log"))
    }

    /// The demo that runs, as `demo.json` says.
    pub(super) fn demo(&self) -> Result<Demo> {
        read(&self.demo_file()).context("no demo runs here: cargo xtask demo")
    }

    /// What stays from one start to the next, made on the first. A port that somebody else has taken meanwhile is replaced.
    pub(super) fn settings(&self) -> Result<Settings> {
        let file = self.join("settings.json");
        let mut settings = if file.exists() { read(&file)? } else { Settings::new()? };
        settings.ports.move_out_of_the_way()?;
        write_private(&file, &serde_json::to_vec_pretty(&settings)?)?;
        Ok(settings)
    }
}

/// What stays from one start to the next.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    pub(super) ports: Ports,
    pub(super) agent_secret: String,
    pub(super) console_secret: String,
}

impl Settings {
    fn new() -> Result<Self> {
        let ports = Ports { gateway: PORT_GATEWAY, console: PORT_CONSOLE, issuer: PORT_ISSUER, metrics: PORT_METRICS };
        Ok(Self { ports, agent_secret: random_word()?, console_secret: random_word()? })
    }
}

/// All on 127.0.0.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ports {
    pub(super) gateway: u16,
    pub(super) console: u16,
    pub(super) issuer: u16,
    pub(super) metrics: u16,
}

impl Ports {
    /// Called while no demo of ours runs: whoever holds one of these ports is somebody else.
    fn move_out_of_the_way(&mut self) -> Result<()> {
        for port in [&mut self.gateway, &mut self.console, &mut self.issuer, &mut self.metrics] {
            if TcpListener::bind(("127.0.0.1", *port)).is_err() {
                *port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            }
        }
        Ok(())
    }

    pub(super) fn issuer_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.issuer)
    }

    pub(super) fn gateway_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.gateway)
    }

    pub(super) fn console_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.console)
    }

    pub(super) fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.metrics)
    }
}

/// `target/demo/demo.json`: what scripts, tests and people rely on. Keys are never renamed; see the table in the README.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Demo {
    pub(super) kubectl: PathBuf,
    pub(super) lockgate: PathBuf,
    /// None with somebody's own cluster on a machine without helm.
    pub(super) helm: Option<PathBuf>,
    /// Through Lockgate, with nothing but the agent's token.
    pub(super) agent_kubeconfig: PathBuf,
    /// Direct to the cluster.
    pub(super) admin_kubeconfig: PathBuf,
    pub(super) agent_client: PathBuf,
    pub(super) approver_client: PathBuf,
    pub(super) auditor_client: PathBuf,
    pub(super) gateway_config: PathBuf,
    pub(super) gateway_url: String,
    pub(super) console_url: String,
    /// Leads to the console, signed in as the approver.
    pub(super) sign_in_url: String,
    pub(super) metrics_url: String,
    pub(super) issuer_url: String,
    pub(super) ca_file: PathBuf,
    /// The cluster's name at Lockgate: the path is `/clusters/NAME`.
    pub(super) cluster: String,
    pub(super) namespace: String,
    /// A pod that has a shell.
    pub(super) pod: String,
    /// An image with a shell that the cluster can start.
    pub(super) image: String,
    /// None with somebody's own cluster.
    pub(super) netns: Option<String>,
    pub(super) state_dir: PathBuf,
    /// The API server's own audit log, level Metadata, JSON lines. None with somebody's own cluster.
    pub(super) cluster_audit_log: Option<PathBuf>,
    /// The gateway that runs now; 0 while none does. Rewritten whenever the supervisor starts it again.
    pub(super) gateway_pid: u32,
}

/// Reads a JSON document of ours.
pub(super) fn read<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not what this version writes", file.display()))
}

/// Writes a JSON document; readers see the old one or the new one, never half of it.
pub(super) fn write<T: Serialize>(file: &Path, document: &T) -> Result<()> {
    write_private(file, &serde_json::to_vec_pretty(document)?)
}

/// Writes a file that only this user may read, whole or not at all.
pub(super) fn write_private(file: &Path, bytes: &[u8]) -> Result<()> {
    let name = file.file_name().with_context(|| format!("{} names no file", file.display()))?.to_string_lossy();
    let part = file.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let write = || -> Result<()> {
        let mut open = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&part)?;
        open.write_all(bytes)?;
        Ok(fs::rename(&part, file)?)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// Removes a file that may not be there.
pub(super) fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// A random word in base64url: a secret, a PKCE verifier.
pub(super) fn random_word() -> Result<String> {
    use base64::Engine;
    let mut bytes = [0; SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).ok().context("the system gives no random bytes")?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced_and_a_free_one_stays() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let taken_port = taken.local_addr().unwrap().port();
        let mut ports = Ports { gateway: taken_port, console: free, issuer: free, metrics: free };
        ports.move_out_of_the_way().unwrap();
        assert_ne!(ports.gateway, taken_port);
        assert_eq!((ports.console, ports.issuer, ports.metrics), (free, free, free));
    }

    #[test]
    fn documents_are_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let file = std::env::temp_dir().join(format!("lockgate-demo-private-{}", std::process::id()));
        write(&file, &vec![1, 2]).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read::<Vec<u8>>(&file).unwrap(), [1, 2]);
        remove(&file).unwrap();
        remove(&file).unwrap();
    }

    #[test]
    fn random_words_are_long_enough_for_pkce_and_differ() {
        let (one, other) = (random_word().unwrap(), random_word().unwrap());
        assert!(one.len() >= 43, "RFC 7636 asks for 43 characters");
        assert_ne!(one, other);
    }
}
