//! A gateway of a test's own, beside the demo's: same binary, same identity provider, its own configuration, store and ports.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::environment::{Environment, read};
use crate::http::{Door, Protocol};
use crate::program::Said;
use crate::until;

/// A running gateway; it ends when dropped.
pub struct Gateway {
    pub url: String,
    /// Its console.
    pub console: String,
    pub child: Child,
    pub log: PathBuf,
}

/// The demo's gateway configuration with ports of its own and a store at `store`.
///
/// # Panics
/// If the demo's configuration is no JSON.
pub fn configuration(store: &Path) -> Value {
    let file = &Environment::get().demo.gateway_config;
    let mut config: Value = serde_json::from_str(&read(file)).expect("the demo's configuration");
    config["listen"] = json!({"gateway": free_port(), "console": free_port(), "metrics": free_port()});
    config["store"] = json!({"directory": store});
    config["policy"] = json!({"file": file.with_file_name("policy.yaml")});
    config
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

impl Gateway {
    /// Starts one in `directory` and waits until it answers.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(directory: &Path, config: &Value) -> Self {
        let file = directory.join("lockgate.yaml");
        std::fs::write(&file, config.to_string()).expect("lockgate.yaml");
        let log = directory.join("gateway.log");
        let output = std::fs::File::create(&log).expect("gateway.log");
        let mut command = serve(&file);
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("gateway.log")).stderr(output).kill_on_drop(true);
        let child = command.spawn().expect("lockgate");
        let address = config.pointer("/listen/gateway").and_then(Value::as_str).expect("an address").to_owned();
        until(&format!("the gateway of {} listens", directory.display()), || {
            let address = address.clone();
            async move { tokio::net::TcpStream::connect(&address).await.ok() }
        })
        .await;
        let console = config.pointer("/listen/console").and_then(Value::as_str).expect("an address");
        Self { url: format!("https://{address}"), console: format!("https://{console}"), child, log }
    }

    /// A door to one of its clusters.
    pub fn door(&self, cluster: &str, token: &str) -> Door {
        Door::to(&format!("{}/clusters/{cluster}", self.url), token, Protocol::Http1)
    }
}

/// `lockgate serve --config FILE`.
pub fn serve(config: &Path) -> Command {
    let mut command = Command::new(&Environment::get().demo.lockgate);
    command.args(["serve", "--config"]).arg(config);
    command
}

/// `lockgate check --config FILE`.
pub async fn check(config: &Path) -> Said {
    let mut command = Command::new(&Environment::get().demo.lockgate);
    command.args(["check", "--config"]).arg(config);
    crate::program::run(command).await
}
