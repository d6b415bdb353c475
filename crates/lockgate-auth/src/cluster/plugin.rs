//! Credential plugins (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>).
//!
//! A plugin runs when there is no credential, shortly before the credential ends, and after a 401. It runs once for all
//! callers that wait, in a task of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use lockgate_core::{Secret, Timestamp};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use zeroize::{Zeroize as _, Zeroizing};

use super::bearer;
use super::tls::{Certificates, certified_key};

/// Longest run of a plugin.
const RUN_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest output of a plugin, in bytes.
const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;
/// How much of a plugin's complaint goes to the log, in bytes.
const COMPLAINT_BYTES_MAX: u64 = 4096;
/// How long before its end a credential is renewed.
const RENEW_BEFORE: Duration = Duration::from_secs(30);
/// Shortest time between two runs.
const RUN_INTERVAL_MIN: Duration = Duration::from_secs(1);

const API_VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// The `exec:` of a kubeconfig's user.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PluginConfig {
    api_version: String,
    command: String,
    #[serde(default)]
    args: Option<Vec<String>>,
    #[serde(default)]
    env: Option<Vec<Variable>>,
    #[serde(default)]
    install_hint: Option<String>,
    #[serde(default)]
    provide_cluster_info: bool,
    #[serde(default)]
    interactive_mode: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Variable {
    name: String,
    value: String,
}

/// What `provideClusterInfo` tells the plugin.
pub(super) struct ClusterInfo {
    pub(super) server: String,
    pub(super) tls_server_name: Option<String>,
    pub(super) certificate_authority_data: Option<String>,
    pub(super) config: Option<serde_json::Value>,
}

/// A plugin and its last credential.
pub(super) struct Plugin {
    config: PluginConfig,
    program: PathBuf,
    directory: PathBuf,
    exec_info: String,
    certificates: Arc<Certificates>,
    current: ArcSwapOption<Issued>,
    runs: Mutex<Runs>,
    tasks: TaskTracker,
}

/// What a plugin gave.
struct Issued {
    header: Option<HeaderValue>,
    expires_at: Option<Timestamp>,
}

#[derive(Default)]
struct Runs {
    last: Option<Timestamp>,
    failure: Option<String>,
    under_way: Option<watch::Receiver<()>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    api_version: String,
    kind: String,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<String>,
}

impl Drop for Status {
    fn drop(&mut self) {
        self.token.zeroize();
        self.client_key_data.zeroize();
    }
}

impl Plugin {
    pub(super) fn new(config: PluginConfig, cluster: ClusterInfo, directory: &Path) -> Result<Arc<Self>, String> {
        if !API_VERSIONS.contains(&config.api_version.as_str()) {
            return Err(format!("exec: apiVersion {:?} is not one of {}", config.api_version, API_VERSIONS.join(", ")));
        }
        if config.interactive_mode.as_deref() == Some("Always") {
            return Err("exec: interactiveMode Always needs a terminal, which a gateway does not have".into());
        }
        if config.command.is_empty() {
            return Err("exec: command is empty".into());
        }
        // As in client-go: a relative path is relative to the kubeconfig, a bare name is looked up in PATH.
        let program = match config.command.contains('/') {
            true => directory.join(&config.command),
            false => PathBuf::from(&config.command),
        };
        let mut spec = serde_json::json!({ "interactive": false });
        if config.provide_cluster_info
            && let Some(spec) = spec.as_object_mut()
        {
            spec.insert("cluster".into(), cluster.json());
        }
        let exec_info =
            serde_json::json!({ "apiVersion": config.api_version, "kind": "ExecCredential", "spec": spec }).to_string();
        Ok(Arc::new(Self {
            config,
            program,
            directory: directory.into(),
            exec_info,
            certificates: Arc::default(),
            current: ArcSwapOption::empty(),
            runs: Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    pub(super) fn certificates(&self) -> Arc<Certificates> {
        Arc::clone(&self.certificates)
    }

    pub(super) fn forget(&self) {
        self.current.store(None);
    }

    /// The header, from the last run or a new one.
    pub(super) async fn authorization(self: &Arc<Self>, now: Timestamp) -> Result<Option<HeaderValue>, String> {
        let fresh = |issued: &Issued| issued.expires_at.is_none_or(|end| now.plus(RENEW_BEFORE) < end);
        let valid = |issued: &Issued| issued.expires_at.is_none_or(|end| now < end);
        if let Some(issued) = self.current.load_full().filter(|issued| fresh(issued)) {
            return Ok(issued.header.clone());
        }
        if let Some(mut run) = self.run(now) {
            // Nothing is ever sent: the channel closes when the run ends.
            while run.changed().await.is_ok() {}
        }
        match self.current.load_full().filter(|issued| valid(issued)) {
            Some(issued) => Ok(issued.header.clone()),
            None => Err(self.failure()),
        }
    }

    fn failure(&self) -> String {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.failure.clone().unwrap_or_else(|| {
            format!("the plugin {} gave a credential that has already expired; check the clocks", self.config.command)
        })
    }

    /// The run that is under way, or a new one if the last is long enough ago.
    fn run(self: &Arc<Self>, now: Timestamp) -> Option<watch::Receiver<()>> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = runs.under_way.as_ref().filter(|under_way| under_way.has_changed().is_ok()) {
            return Some(under_way.clone());
        }
        if runs.last.is_some_and(|last| last <= now && now.since(last) < RUN_INTERVAL_MIN) {
            return None;
        }
        let (ending, under_way) = watch::channel(());
        runs.last = Some(now);
        runs.under_way = Some(under_way.clone());
        let plugin = Arc::clone(self);
        // Bounded by RUN_TIMEOUT and kill_on_drop; its result is read from `runs`, its end from the channel.
        self.tasks.spawn(async move {
            let issued = plugin.issue().await;
            let mut runs = plugin.runs.lock().unwrap_or_else(PoisonError::into_inner);
            runs.failure = match issued {
                Ok(issued) => {
                    plugin.current.store(Some(Arc::new(issued)));
                    None
                }
                Err(reason) => {
                    tracing::warn!(plugin = %plugin.config.command, %reason, "the credential plugin failed");
                    Some(reason)
                }
            };
            runs.under_way = None;
            drop(ending);
        });
        Some(under_way)
    }

    async fn issue(&self) -> Result<Issued, String> {
        let output = self.output().await?;
        self.read(&output)
    }

    /// Runs the program. Its standard output is a secret; its complaints go to the log.
    async fn output(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let command = &self.config.command;
        let hint = self.config.install_hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default();
        let variables = self.config.env.iter().flatten();
        let mut child = Command::new(&self.program)
            .args(self.config.args.iter().flatten())
            .envs(variables.map(|variable| (OsString::from(&variable.name), OsString::from(&variable.value))))
            .env("KUBERNETES_EXEC_INFO", &self.exec_info)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                format!("the plugin {command} cannot be started (from {}): {error}{hint}", self.directory.display())
            })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let run =
            async { tokio::join!(child.wait(), read(stdout, OUTPUT_BYTES_MAX), read(stderr, COMPLAINT_BYTES_MAX)) };
        let (status, output, complaint) = tokio::time::timeout(RUN_TIMEOUT, run)
            .await
            .map_err(|_| format!("the plugin {command} ran longer than {} seconds", RUN_TIMEOUT.as_secs()))?;
        if !complaint.is_empty() {
            tracing::warn!(plugin = %command, stderr = %String::from_utf8_lossy(&complaint), "the plugin says");
        }
        match status {
            Ok(status) if status.success() => Ok(output),
            Ok(status) => Err(format!("the plugin {command} failed ({status}); Lockgate's log has its words")),
            Err(error) => Err(format!("the plugin {command}: {error}")),
        }
    }

    fn read(&self, output: &[u8]) -> Result<Issued, String> {
        let command = &self.config.command;
        let wrong = |what: &str| format!("the plugin {command} {what}");
        let credential: ExecCredential =
            serde_json::from_slice(output).map_err(|_| wrong("did not print an ExecCredential in JSON"))?;
        if credential.kind != "ExecCredential" || credential.api_version != self.config.api_version {
            return Err(wrong(&format!("did not answer with {}", self.config.api_version)));
        }
        let status = credential.status.ok_or_else(|| wrong("gave no status"))?;
        let expires_at = status
            .expiration_timestamp
            .as_deref()
            .map(|text| text.parse::<Timestamp>().map_err(|_| wrong("gave an expirationTimestamp that is no time")))
            .transpose()?;
        let header = status.token.as_deref().filter(|token| !token.is_empty()).map(bearer).transpose()?;
        match (&status.client_certificate_data, &status.client_key_data) {
            (Some(chain), Some(key)) => {
                let key = Secret::new(key.as_bytes().to_vec());
                self.certificates.replace(Some(certified_key(chain.as_bytes(), &key)?));
            }
            (None, None) if header.is_some() => self.certificates.replace(None),
            (None, None) => return Err(wrong("gave neither a token nor a certificate")),
            _ => return Err(wrong("gave a certificate without key or a key without certificate")),
        }
        Ok(Issued { header, expires_at })
    }
}

impl ClusterInfo {
    fn json(self) -> serde_json::Value {
        let mut cluster = serde_json::Map::new();
        cluster.insert("server".into(), self.server.into());
        if let Some(name) = self.tls_server_name {
            cluster.insert("tls-server-name".into(), name.into());
        }
        if let Some(data) = self.certificate_authority_data {
            cluster.insert("certificate-authority-data".into(), data.into());
        }
        if let Some(config) = self.config {
            cluster.insert("config".into(), config);
        }
        cluster.into()
    }
}

/// Reads up to `bytes_max` and lets the rest go by, so that the writer is not stopped. Read errors end it, too.
async fn read(from: Option<impl AsyncRead + Unpin>, bytes_max: u64) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::new());
    if let Some(mut from) = from {
        let whole = (&mut from).take(bytes_max).read_to_end(&mut bytes).await;
        if whole.is_ok() && tokio::io::copy(&mut from, &mut tokio::io::sink()).await.is_err() {
            bytes.clear();
        }
    }
    bytes
}
