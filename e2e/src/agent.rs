//! An agent of a test's own: what humans say of it (denials that stand, a freeze) touches no other test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::environment::{Environment, read};
use crate::gateway::Gateway;
use crate::person::{lockgate_with, text};
use crate::program::{Said, admin, run};
use crate::{token, unique};

/// How long its token lives, in seconds: longer than any test.
const TOKEN_SECONDS: i64 = 3600;

/// An agent like the demo's, by a name of its own.
pub struct Agent {
    /// Its id, and part of the names of what it has in the cluster.
    pub name: String,
    pub token: String,
    directory: PathBuf,
    kubeconfig: PathBuf,
    client: PathBuf,
}

impl Agent {
    /// Makes one: a token, a kubeconfig through this gateway, a client file for its console, and leave for Lockgate's own identity
    /// to speak as it in the cluster.
    ///
    /// # Panics
    /// If that does not work.
    pub async fn new(gateway: &Gateway) -> Self {
        Self::at(&gateway.url, &gateway.console).await
    }

    /// The same at the demo's gateway.
    pub async fn at_the_demos() -> Self {
        let demo = &Environment::get().demo;
        Self::at(&demo.gateway_url, &demo.console_url).await
    }

    async fn at(gateway: &str, console: &str) -> Self {
        let name = format!("agent-{}", unique());
        let directory = Environment::get().directory(&name);
        let mut claims = token::claims(&token::agent().await);
        claims["sub"] = name.as_str().into();
        let now = claims["iat"].as_i64().expect("iat");
        claims["exp"] = json!(now + TOKEN_SECONDS);
        let token = token::signed(&claims, "at+jwt");
        let user = format!("--resource-name=agent:{name}");
        admin(["create", "clusterrole", &name, "--verb=impersonate", "--resource=users", &user]).await;
        let role = format!("--clusterrole={name}");
        admin(["create", "clusterrolebinding", &name, &role, "--serviceaccount=lockgate:lockgate"]).await;
        let kubeconfig = directory.join("kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_of(gateway, &token).to_string()).expect("kubeconfig");
        std::fs::write(directory.join("token"), &token).expect("token");
        let client = directory.join("client.yaml");
        let file = json!({
            "server": console, "gateway": gateway, "caFile": Environment::get().demo.ca_file, "tokenFile": "token",
        });
        std::fs::write(&client, file.to_string()).expect("client.yaml");
        Self { name, token, directory, kubeconfig, client }
    }

    /// kubectl as this agent.
    pub fn kubectl<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new(&Environment::get().demo.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig).arg("--cache-dir").arg(self.directory.join("cache"));
        command.args(arguments).env_remove("KUBECONFIG");
        command
    }

    /// helm as this agent, in the demo's namespace.
    pub fn helm<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new(&Environment::get().demo.helm);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, self.directory.join("helm"));
        }
        command
    }

    /// Its kubeconfig, for other clients.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `lockgate ARGUMENTS --output json` as this agent.
    pub async fn lockgate(&self, arguments: &[&str]) -> Said {
        run(lockgate_with(&self.client, arguments)).await
    }

    /// Takes back its leave in the cluster.
    pub async fn remove(self) {
        admin(["delete", "clusterrole,clusterrolebinding", &self.name]).await;
    }
}

/// The agent's kubeconfig of the demo with another server and a token.
fn kubeconfig_of(gateway: &str, token: &str) -> Value {
    let demo = &Environment::get().demo;
    let mut config: Value = serde_json::from_str(&read(&demo.agent_kubeconfig)).expect("the agent's kubeconfig");
    let server = format!("{gateway}/clusters/{}", demo.cluster);
    *config.pointer_mut("/clusters/0/cluster/server").expect("a server") = server.into();
    *config.pointer_mut("/users/0/user").expect("a user") = json!({"token": token});
    assert_eq!(text(&config, "/contexts/0/context/namespace"), demo.namespace);
    config
}
