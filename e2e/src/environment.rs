//! Where everything is: `demo.json` of the demo that the tests run against, and the programs that are not part of it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::{Value, json};

/// How the cluster knows the demo's agent; the gateway impersonates exactly this.
pub const AGENT_USER: &str = "agent:shop-agent";
pub const AGENT_GROUP: &str = "lockgate:deployers";
pub const AGENT_OWNER: &str = "owner@example.com";
const OWNER_KEY: &str = "lockgate.dev/owner";

const ADVICE: &str = "run the end-to-end tests with `cargo xtask test --only e2e`; see e2e/README.md";

/// `demo.json`, as `interfaces` of the demo promise it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Demo {
    pub kubectl: PathBuf,
    pub lockgate: PathBuf,
    pub helm: PathBuf,
    pub agent_kubeconfig: PathBuf,
    pub admin_kubeconfig: PathBuf,
    pub agent_client: PathBuf,
    pub approver_client: PathBuf,
    pub auditor_client: PathBuf,
    pub gateway_config: PathBuf,
    pub gateway_url: String,
    pub console_url: String,
    pub sign_in_url: String,
    pub metrics_url: String,
    pub issuer_url: String,
    pub ca_file: PathBuf,
    pub cluster: String,
    pub namespace: String,
    pub pod: String,
    pub image: String,
    pub netns: String,
    pub state_dir: PathBuf,
    pub cluster_audit_log: PathBuf,
    pub gateway_pid: u32,
}

/// The running demo and a directory for what tests write.
#[derive(Debug)]
pub struct Environment {
    pub demo: Demo,
    /// kubeconfig straight to the cluster with the identity that the gateway impersonates, so that the cluster's RBAC is the same.
    pub direct_kubeconfig: PathBuf,
    /// The administrator's kubeconfig, resolved: cluster and user of its only context.
    pub admin: AdminConfig,
    scratch: PathBuf,
}

/// What it takes to reach the API server directly as the administrator.
#[derive(Debug)]
pub struct AdminConfig {
    pub server: String,
    /// PEM.
    pub authority: Vec<u8>,
    /// PEM.
    pub certificate: Vec<u8>,
    /// PEM.
    pub key: Vec<u8>,
}

impl Environment {
    /// The environment of this run.
    ///
    /// # Panics
    /// If there is none, with how to get one.
    pub fn get() -> &'static Self {
        static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
        ENVIRONMENT.get_or_init(Self::load)
    }

    fn load() -> Self {
        let file = program("LOCKGATE_E2E_DEMO");
        let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; {ADVICE}", file.display()));
        let demo: Demo =
            serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}; {ADVICE}", file.display()));
        let scratch = demo.state_dir.join(format!("e2e/{}", std::process::id()));
        std::fs::create_dir_all(&scratch).expect("a directory for what the tests write");
        let config = raw_config(&demo);
        let direct_kubeconfig = scratch.join("direct.kubeconfig");
        std::fs::write(&direct_kubeconfig, direct(config.clone(), &demo.namespace).to_string())
            .expect("direct.kubeconfig");
        Self { admin: AdminConfig::of(&config), demo, direct_kubeconfig, scratch }
    }

    /// A new, empty directory of this name.
    ///
    /// # Panics
    /// If it cannot be made, or was made before.
    pub fn directory(&self, name: &str) -> PathBuf {
        let directory = self.scratch.join(name);
        std::fs::create_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        directory
    }

    /// The path of a file that a test writes.
    pub fn file(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// The gateway's URL of the demo's cluster, as kubeconfigs name it.
    pub fn cluster_url(&self) -> String {
        format!("{}/clusters/{}", self.demo.gateway_url, self.demo.cluster)
    }

    /// The cluster's own audit log; a last line that is still being written is left out.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn cluster_events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.demo.cluster_audit_log).expect("the cluster's audit log");
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// A path that the run's environment variables name.
///
/// # Panics
/// If there is none, with how to get one.
pub fn program(variable: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| panic!("{variable} is not set: {ADVICE}"), PathBuf::from)
}

fn raw_config(demo: &Demo) -> Value {
    let mut kubectl = std::process::Command::new(&demo.kubectl);
    kubectl.arg("--kubeconfig").arg(&demo.admin_kubeconfig);
    let output =
        kubectl.args(["config", "view", "--raw", "--flatten", "--minify", "-o", "json"]).output().expect("kubectl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("kubectl config view")
}

/// The same cluster and credential, as the agent.
fn direct(mut config: Value, namespace: &str) -> Value {
    let user = config.pointer_mut("/users/0/user").and_then(Value::as_object_mut).expect("a user");
    user.insert("as".to_owned(), AGENT_USER.into());
    user.insert("as-groups".to_owned(), json!([AGENT_GROUP]));
    user.insert("as-user-extra".to_owned(), json!({OWNER_KEY: [AGENT_OWNER]}));
    let context = config.pointer_mut("/contexts/0/context").and_then(Value::as_object_mut).expect("a context");
    context.insert("namespace".to_owned(), namespace.into());
    config
}

impl AdminConfig {
    fn of(config: &Value) -> Self {
        let text = |pointer: &str| {
            let text = config.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_else(|| panic!("the admin kubeconfig has no {pointer}")).to_owned()
        };
        let pem = |pointer: &str| {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.decode(text(pointer)).expect("base64 in the admin kubeconfig")
        };
        Self {
            server: text("/clusters/0/cluster/server").trim_end_matches('/').to_owned(),
            authority: pem("/clusters/0/cluster/certificate-authority-data"),
            certificate: pem("/users/0/user/client-certificate-data"),
            key: pem("/users/0/user/client-key-data"),
        }
    }
}

/// Headers that make a direct request the agent's, for requests that are not made through a kubeconfig.
pub fn impersonation() -> [(&'static str, &'static str); 3] {
    [
        ("impersonate-user", AGENT_USER),
        ("impersonate-group", AGENT_GROUP),
        ("impersonate-extra-lockgate.dev%2fowner", AGENT_OWNER),
    ]
}

/// The file's text.
///
/// # Panics
/// If it cannot be read.
pub fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
