//! An API server without controllers and without a node, and a gateway before it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

use super::corpus::NAMESPACE;
use crate::environment::program;
use crate::program::{Said, run};
use crate::standalone::{CLUSTER, Certificate, Client, Directory, Gateway, Issuer, Settings};
use crate::{unique, until};

/// The cluster's own rights say who may do what.
const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: oracle}
rules:
- {name: administrators, match: {subjects: {groups: [administrators]}, resources: ['*']}, allow: {mask: off}}
- {name: resources, match: {resources: ['*']}, allow: {mask: strict}}
- {name: paths, match: {nonResourceURLs: ['*']}, allow: {}}
";

/// Which API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The release that clusters consist of.
    Current,
    /// The older one that `cargo xtask` builds beside it.
    Older,
}

/// Who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Agent {
    /// Has no rights in the cluster but those of everybody: what it sends does no harm and is in the log all the same.
    Stranger,
    /// May do everything in one namespace and read everywhere.
    Resident,
    /// May do everything, and no value is masked for it.
    Administrator,
}

impl Agent {
    /// Those who send the corpus.
    pub const OF_CORPUS: [Self; 2] = [Self::Stranger, Self::Resident];

    fn id(self) -> &'static str {
        match self {
            Self::Stranger => "oracle-stranger",
            Self::Resident => "oracle-resident",
            Self::Administrator => "oracle-administrator",
        }
    }

    fn groups(self) -> &'static [&'static str] {
        match self {
            Self::Stranger => &["strangers"],
            Self::Resident => &["residents"],
            Self::Administrator => &["administrators"],
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    name: String,
    admin_kubeconfig: PathBuf,
    api_server: String,
    ca_file: PathBuf,
    kubectl: PathBuf,
    audit_log: PathBuf,
    version: String,
}

/// A running API server and a gateway before it; both end with it.
pub struct Stand {
    cluster: RunningCluster,
    gateway: Gateway,
    issuer: Issuer,
    certificate: Certificate,
    // Last: the gateway writes into it.
    directory: Directory,
}

/// Ends the cluster when dropped.
struct RunningCluster(Cluster);

impl Stand {
    /// Starts both; `flags` are further ones of the API server.
    ///
    /// # Panics
    /// If they do not become ready.
    pub async fn start(release: Release, flags: &[String]) -> Self {
        let cluster = RunningCluster::start(release, flags).await;
        let (directory, certificate) = (Directory::new("oracle"), Certificate::new());
        let issuer = Issuer::start(&certificate).await;
        let mut settings = Settings::new(directory.path(), &certificate, &issuer, &cluster.0.api_server);
        settings.config["clusters"][0]["credential"] = json!({"kubeconfig": {"file": cluster.0.admin_kubeconfig}});
        std::fs::write(directory.path().join("policy.yaml"), POLICY).expect("policy.yaml");
        let gateway = Gateway::start(directory.path(), settings).await;
        Self { cluster, gateway, issuer, certificate, directory }
    }

    /// The API server's version, such as `v1.36.4`.
    pub fn version(&self) -> &str {
        &self.cluster.0.version
    }

    /// The name of the cluster, which no other of this machine has.
    pub fn name(&self) -> &str {
        &self.cluster.0.name
    }

    /// kubectl as the administrator, straight to the API server.
    ///
    /// # Panics
    /// If it fails.
    pub async fn admin(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(&self.cluster.0.kubectl);
        command.arg("--kubeconfig").arg(&self.cluster.0.admin_kubeconfig).args(arguments);
        run(command).await.ok()
    }

    /// kubectl with this kubeconfig.
    pub fn kubectl(&self, kubeconfig: &Path) -> Command {
        let mut command = Command::new(&self.cluster.0.kubectl);
        command.arg("--kubeconfig").arg(kubeconfig).arg("--cache-dir").arg(self.directory.path().join("cache"));
        command
    }

    /// An agent's kubeconfig to the cluster through the gateway, in a directory that goes with `self`.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn kubeconfig(&self, agent: Agent) -> PathBuf {
        let server = format!("https://{}/clusters/{CLUSTER}", self.gateway.address("gateway"));
        let authority = STANDARD.encode(&self.certificate.certificate);
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}}],
            "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority-data": authority}}],
            "users": [{"name": "u", "user": {"token": self.token(agent)}}],
        });
        let path = self.directory.path().join(format!("{}.kubeconfig", agent.id()));
        std::fs::write(&path, kubeconfig.to_string()).expect("a kubeconfig");
        path
    }

    /// A client of the cluster through the gateway.
    pub fn client(&self, agent: Agent) -> Client {
        self.gateway.client(&self.certificate.certificate, &self.token(agent))
    }

    /// A client of the API server itself, which may do everything there.
    ///
    /// # Panics
    /// If there is no token for it.
    pub async fn direct(&self) -> Client {
        let token = self.admin(&["create", "token", "direct", "--namespace", NAMESPACE]).await.out();
        let address = self.cluster.0.api_server.trim_start_matches("https://").parse().expect("an address");
        let authority = std::fs::read_to_string(&self.cluster.0.ca_file).expect("the cluster's authority");
        Client::new(address, &authority, token.trim(), "")
    }

    fn token(&self, agent: Agent) -> String {
        let groups = agent.groups();
        self.issuer.sign(&json!({"aud": "lockgate", "sub": agent.id(), "owner": "owner@example.com", "groups": groups}))
    }

    /// Both logs, once all that was asked for has come to its end in both: the gateway's records and the cluster's events.
    pub async fn logs(&self) -> (Vec<Value>, Vec<Value>) {
        until("the end of every request in both logs", || async {
            let records = self.records().await;
            let open = records.iter().filter(|record| record.get("outcome").is_none_or(Value::is_null));
            if open.count() > 0 {
                return None;
            }
            let events = self.events();
            let ids: HashSet<&str> = events.iter().filter_map(|event| event.get("auditID")?.as_str()).collect();
            let forwarded = records.iter().filter(|one| one.pointer("/upstream/status").is_some_and(Value::is_u64));
            let mut forwarded = forwarded.filter_map(|one| one.get("id")?.as_str()?.strip_prefix("aud_"));
            forwarded.all(|id| ids.contains(id)).then_some((records, events))
        })
        .await
    }

    /// Every record of the gateway's log.
    pub async fn records(&self) -> Vec<Value> {
        self.gateway.records(&self.certificate.certificate, &self.issuer.auditor()).await
    }

    /// Every event of the cluster's log; a last line that is still being written is left out.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.cluster.0.audit_log).expect("the cluster's audit log");
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// Makes what `tests/oracle/*.yaml` hold: a namespace, custom resources, the agents' rights, one object of the usual kinds.
///
/// # Panics
/// If the API server does not take it.
pub async fn prepare(stand: &Stand) {
    let file = |name: &str| format!("{}/tests/oracle/{name}", env!("CARGO_MANIFEST_DIR"));
    stand.admin(&["create", "--validate=false", "-f", &file("cluster.yaml")]).await;
    let wait = ["wait", "--for=condition=Established", "--timeout=60s"];
    stand.admin(&[&wait[..], &["crd/widgets.example.com", "crd/gadgets.example.com"]].concat()).await;
    until("the custom resources in discovery", || async {
        let served = stand.admin(&["get", "--raw", "/apis/example.com/v1"]).await.out();
        (served.contains("widgets/scale") && served.contains("gadgets")).then_some(())
    })
    .await;
    stand.admin(&["create", "--validate=false", "-f", &file("custom-resources.yaml")]).await;
}

impl RunningCluster {
    async fn start(release: Release, flags: &[String]) -> Self {
        let word = match release {
            Release::Current => "current",
            Release::Older => "older",
        };
        // Its own directory and network namespace go by this name.
        let name = format!("oracle-{word}-{}", unique());
        let mut command = Command::new(program("LOCKGATE_E2E_XTASK"));
        command.args(["cluster", "up", "--name", &name, "--api-server-only", word, "-o", "json"]);
        for flag in flags {
            command.args(["--api-server-flag", flag]);
        }
        let said = run(command).await.ok();
        Self(serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}", said.text())))
    }
}

impl Drop for RunningCluster {
    fn drop(&mut self) {
        let mut command = std::process::Command::new(program("LOCKGATE_E2E_XTASK"));
        let ended = command.args(["cluster", "down", "--name", &self.0.name]).status();
        if !ended.is_ok_and(|status| status.success()) {
            eprintln!("the cluster stays: cargo xtask cluster down --name {}", self.0.name);
        }
    }
}
