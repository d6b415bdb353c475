//! The real binary as a child of the test: started, killed, started again, and looked at from outside.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::{CLUSTER, Certificate, Client, Issuer};

/// A busy machine may be slow; a gateway that takes longer does not start.
const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// After SIGKILL.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Everything is allowed; what is masked is masked.
const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: load}
rules:
- name: resources
  match: {resources: ['*']}
  allow: {mask: strict}
- name: paths
  match: {nonResourceURLs: ['*']}
  allow: {}
";

/// What a gateway is started with.
#[derive(Clone)]
pub struct Settings {
    /// The binary.
    pub program: PathBuf,
    /// The configuration.
    pub config: Value,
    /// Soft limit of open files that it is started with; the test's own where absent.
    pub open_files: Option<u32>,
}

/// A running gateway; killed when dropped.
pub struct Gateway {
    settings: Settings,
    directory: PathBuf,
    child: Child,
}

impl Settings {
    /// A gateway in front of the API server at the URL `api`, believing `issuer`; its files are in `directory`.
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn new(directory: &Path, certificate: &Certificate, issuer: &Issuer, api: &str) -> Self {
        let write = |name: &str, text: &str| {
            std::fs::write(directory.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
        };
        write("tls.crt", &certificate.certificate);
        write("tls.key", &certificate.key);
        write("policy.yaml", POLICY);
        let authority = STANDARD.encode(&certificate.certificate);
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": api, "certificate-authority-data": authority}}],
            "users": [{"name": "u", "user": {"token": "upstream-credential"}}],
        });
        write("kubeconfig", &kubeconfig.to_string());
        let url = issuer.server.url();
        let config = json!({
            "tls": {"certificate": {"file": "tls.crt"}, "key": {"file": "tls.key"}},
            "issuers": [{
                "url": url,
                "audiences": ["lockgate"],
                "certificateAuthority": {"file": "tls.crt"},
                "agents": {"id": "claims.sub", "owner": "claims.owner", "groups": "claims.groups"},
                "humans": {"audiences": ["lockgate-console"], "groups": "claims.groups"},
            }],
            "console": {
                "url": "https://127.0.0.1",
                "signIn": {"issuer": url, "clientId": "lockgate-console"},
                "auditors": {"groups": ["audit"]},
            },
            "clusters": [{
                "name": CLUSTER, "environment": "production", "impersonate": "agent",
                "credential": {"kubeconfig": {"file": "kubeconfig"}},
            }],
            "policy": {"file": "policy.yaml"},
        });
        Self { program: program(), config, open_files: None }
    }
}

/// The product's binary.
///
/// # Panics
/// If nobody said where it is.
pub fn program() -> PathBuf {
    let advice = "LOCKGATE_E2E_LOCKGATE is not set: run the end-to-end tests with `cargo xtask test --only e2e`";
    std::env::var_os("LOCKGATE_E2E_LOCKGATE").map_or_else(|| panic!("{advice}"), PathBuf::from)
}

/// Three different free ports.
fn listen() -> Value {
    let held = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("a port"));
    let [gateway, console, metrics] = held.each_ref().map(|one| one.local_addr().expect("an address").to_string());
    json!({"gateway": gateway, "console": console, "metrics": metrics})
}

impl Gateway {
    /// Starts one whose store is in `directory`, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn start(directory: &Path, mut settings: Settings) -> Self {
        settings.config["listen"] = listen();
        settings.config["store"] = json!({"directory": directory.join("store")});
        std::fs::write(directory.join("lockgate.yaml"), settings.config.to_string()).expect("lockgate.yaml");
        let child = spawn(directory, &settings);
        let mut gateway = Self { settings, directory: directory.to_owned(), child };
        gateway.ready().await;
        gateway
    }

    /// Ends it with SIGKILL, as a crash would, and waits until it is gone.
    ///
    /// # Panics
    /// If it ended by itself before.
    pub async fn kill(&mut self) {
        let ended = self.child.try_wait().expect("the gateway's state");
        assert!(ended.is_none(), "the gateway ended by itself with {ended:?}:\n{}", self.log());
        self.child.kill().await.expect("SIGKILL");
    }

    /// Starts it again on the same store and ports, and gives the time until it was ready.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn start_again(&mut self) -> Duration {
        let from = Instant::now();
        self.child = spawn(&self.directory, &self.settings);
        self.ready().await;
        from.elapsed()
    }

    async fn ready(&mut self) {
        let metrics = self.address("metrics");
        let deadline = Instant::now() + READY_WITHIN;
        while !is_ready(metrics).await {
            let ended = self.child.try_wait().expect("the gateway's state");
            assert!(ended.is_none() && Instant::now() < deadline, "not ready, {ended:?}:\n{}", self.log());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What it wrote on standard error, all starts together.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.directory.join("gateway.log")).expect("gateway.log");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// `gateway`, `console` or `metrics`.
    ///
    /// # Panics
    /// If there is no such listener.
    pub fn address(&self, listener: &str) -> SocketAddr {
        let address = self.settings.config.pointer(&format!("/listen/{listener}")).and_then(Value::as_str);
        address.and_then(|address| address.parse().ok()).expect("a listener")
    }

    /// A client of the cluster behind it.
    pub fn client(&self, authority: &str, token: &str) -> Client {
        Client::new(self.address("gateway"), authority, token, &format!("/clusters/{CLUSTER}"))
    }

    /// Every record of its log, newest first.
    ///
    /// # Panics
    /// If it does not give them.
    pub async fn records(&self, authority: &str, auditor: &str) -> Vec<Value> {
        let client = Client::new(self.address("console"), authority, auditor, "/api/v1");
        let mut console = client.connect(super::Protocol::Http1).await.expect("the console");
        let (mut records, mut before) = (Vec::<Value>::new(), String::new());
        loop {
            let answer = console.send("GET", &format!("/audit?limit=1000{before}"), b"").await;
            let (status, body) = answer.expect("the log");
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            let page: Vec<Value> = serde_json::from_slice(&body).expect("a list");
            let Some(last) = page.last() else { return records };
            before = format!("&before={}", last.get("id").and_then(Value::as_str).expect("an id"));
            records.extend(page);
        }
    }

    /// The process's id.
    ///
    /// # Panics
    /// If it ended.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("a running gateway")
    }

    /// A field of `/proc/PID/status` that is in kB, such as `VmRSS`, in bytes.
    ///
    /// # Panics
    /// If there is none.
    pub fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("/proc/PID/status");
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).expect("the field");
        line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number of kB") * 1024
    }

    /// Sets `VmHWM`, the peak of resident memory, back to what is resident now.
    ///
    /// # Panics
    /// If the kernel does not let it.
    pub fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").expect("/proc/PID/clear_refs");
    }
}

impl Drop for Gateway {
    /// Waits for its end, so that nobody writes any more into the directory that goes next.
    fn drop(&mut self) {
        let deadline = std::time::Instant::now() + END_WITHIN;
        if self.child.start_kill().is_ok() {
            while matches!(self.child.try_wait(), Ok(None)) && std::time::Instant::now() < deadline {
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }
}

fn spawn(directory: &Path, settings: &Settings) -> Child {
    let mut options = std::fs::OpenOptions::new();
    let log = options.create(true).append(true).open(directory.join("gateway.log")).expect("gateway.log");
    let mut command = match settings.open_files {
        None => Command::new(&settings.program),
        Some(limit) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -Sn {limit} && exec \"$0\" \"$@\"")]).arg(&settings.program);
            shell
        }
    };
    command.args(["serve", "--config"]).arg(directory.join("lockgate.yaml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
    command.spawn().expect("lockgate")
}

async fn is_ready(metrics: SocketAddr) -> bool {
    let asked = async {
        let mut socket = TcpStream::connect(metrics).await?;
        socket.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    asked.await.unwrap_or(false)
}
