//! What Lockgate and its clients are told: gateway configuration and policy, the agent's kubeconfig, a client file for each person.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::identity::{AGENT, APPROVERS_GROUP, AUDIENCE, AUDITORS_GROUP, CONSOLE_CLIENT};
use super::place::{Demo, Place, Settings, remove, write, write_private};
use super::shop::{LockgateKubeconfigs, NAMESPACE};
use super::sign_in;

/// The cluster's name at Lockgate.
pub(super) const CLUSTER: &str = "shop";
const POLICY: &str = include_str!("shop/policy.yaml");

/// Writes `gateway/lockgate.yaml` and the policy beside it, with an empty store. JSON is YAML, and easier to write right.
pub(super) fn write_gateway(place: &Place, settings: &Settings, kubeconfigs: &LockgateKubeconfigs) -> Result<PathBuf> {
    let store = place.join("gateway/store");
    if store.exists() {
        fs::remove_dir_all(&store).with_context(|| format!("cannot clear {}", store.display()))?;
    }
    let console_secret = place.join("gateway/console-client-secret");
    write_private(&console_secret, settings.console_secret.as_bytes())?;
    write_private(&place.join("gateway/policy.yaml"), POLICY.as_bytes())?;
    let file = place.join("gateway/lockgate.yaml");
    let configuration = gateway(place, settings, &store, kubeconfigs, &console_secret);
    write_private(&file, format!("{configuration:#}\n").as_bytes())?;
    Ok(file)
}

fn gateway(
    place: &Place,
    settings: &Settings,
    store: &Path,
    kubeconfigs: &LockgateKubeconfigs,
    console_secret: &Path,
) -> serde_json::Value {
    let ports = &settings.ports;
    let listen = |port: u16| format!("127.0.0.1:{port}");
    json!({
        "listen": {"gateway": listen(ports.gateway), "console": listen(ports.console), "metrics": listen(ports.metrics)},
        "tls": {"certificate": {"file": place.join("pki/server.crt")}, "key": {"file": place.join("pki/server.key")}},
        "store": {"directory": store},
        "replica": "demo",
        "issuers": [{
            "url": ports.issuer_url(),
            "certificateAuthority": {"file": place.ca_file()},
            "audiences": [AUDIENCE],
            "agents": {"id": "claims.sub", "owner": "claims.owner", "groups": "claims.groups"},
            "humans": {"audiences": [CONSOLE_CLIENT, sign_in::CLIENT_ID], "id": "claims.sub", "groups": "claims.groups"},
        }],
        "clusters": [{
            "name": CLUSTER,
            "environment": "production",
            "credential": {"kubeconfig": {"file": kubeconfigs.upstream}},
            "self": {"credential": {"kubeconfig": {"file": kubeconfigs.own}}},
            "impersonate": "agent",
        }],
        "policy": {"file": "policy.yaml"},
        "console": {
            "url": ports.console_url(),
            "signIn": {
                "issuer": ports.issuer_url(), "clientId": CONSOLE_CLIENT, "clientSecret": {"file": console_secret},
            },
            "approvers": {"groups": [APPROVERS_GROUP]},
            "auditors": {"groups": [AUDITORS_GROUP]},
        },
        // Ctrl-C means now: a shell that is still open gets a moment, not half a minute.
        "limits": {"drain": "3s"},
    })
}

/// The agent's kubeconfig: the gateway, its authority, and a plugin that fetches a short-lived token. No credential of the cluster.
pub(super) fn write_agent_kubeconfig(
    place: &Place,
    settings: &Settings,
    lockgate: &Path,
    client: &Path,
) -> Result<PathBuf> {
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": lockgate,
        "args": ["token", "--client", client],
        "interactiveMode": "Never",
    });
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": CLUSTER,
        "clusters": [{"name": CLUSTER, "cluster": {
            "server": format!("{}/clusters/{CLUSTER}", settings.ports.gateway_url()),
            "certificate-authority": place.ca_file(),
        }}],
        "users": [{"name": AGENT, "user": {"exec": exec}}],
        "contexts": [{"name": CLUSTER, "context": {"cluster": CLUSTER, "user": AGENT, "namespace": NAMESPACE}}],
    });
    let file = place.join("agent.kubeconfig");
    write_private(&file, format!("{kubeconfig:#}\n").as_bytes())?;
    Ok(file)
}

/// The agent's client file: a program's own credential, from which `lockgate token` gets a short-lived token.
pub(super) fn write_agent_client(place: &Place, settings: &Settings, secret: &Path) -> Result<PathBuf> {
    let login = json!({"clientId": AGENT, "clientSecret": {"file": secret}, "flow": "clientCredentials"});
    let (console, gateway, issuer) =
        (settings.ports.console_url(), settings.ports.gateway_url(), settings.ports.issuer_url());
    remove(&place.join("agent/tokens.json"))?;
    write_client(place, "agent", [&console, &gateway, &issuer], login)
}

/// Where a person's client file is.
pub(super) fn person_client(place: &Place, person: &str) -> PathBuf {
    place.join(person).join("client.yaml")
}

/// A person's client file, with the tokens of a fresh sign-in beside it. `lockgate login` does the same with a browser.
pub(super) fn write_person_client(place: &Place, demo: &Demo, person: &str, tokens: &sign_in::Tokens) -> Result<()> {
    let cache = json!({"idToken": tokens.id_token, "refreshToken": tokens.refresh_token});
    write(&place.join(person).join("tokens.json"), &cache)?;
    let login = json!({"clientId": sign_in::CLIENT_ID, "flow": "code"});
    write_client(place, person, [&demo.console_url, &demo.gateway_url, &demo.issuer_url], login)?;
    Ok(())
}

fn write_client(
    place: &Place,
    who: &str,
    [console, gateway, issuer]: [&str; 3],
    mut login: serde_json::Value,
) -> Result<PathBuf> {
    login.as_object_mut().context("a login is an object")?.insert("issuer".to_owned(), issuer.into());
    let client = json!({
        "server": console, "gateway": gateway, "caFile": place.ca_file(), "tokens": "tokens.json", "login": login,
    });
    let file = place.join(who).join("client.yaml");
    write_private(&file, format!("{client:#}\n").as_bytes())?;
    Ok(file)
}
