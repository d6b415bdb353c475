//! Who there is in the demo, and the identity provider that says so (npm `oidc-provider`, see `idp/`).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use super::place::{Place, Settings, remove, write, write_private};
use super::sign_in;
use crate::tools::{self, Progress};

/// The agent: the client's id is the token's `sub`, so the cluster sees `agent:shop-agent`.
pub(super) const AGENT: &str = "shop-agent";
/// Under which name the cluster knows it.
pub(super) const AUDIT_USER: &str = "agent:shop-agent";
pub(super) const AGENT_GROUP: &str = "deployers";
pub(super) const AGENT_OWNER: &str = "owner@example.com";
/// What an agent's token is for.
pub(super) const AUDIENCE: &str = "lockgate";
pub(super) const APPROVERS_GROUP: &str = "sre";
pub(super) const AUDITORS_GROUP: &str = "audit";
/// The console's client at the identity provider.
pub(super) const CONSOLE_CLIENT: &str = "lockgate-console";
/// Names of the people, as `demo sign-in` takes them.
pub(super) const APPROVER: &str = "approver";
pub(super) const AUDITOR: &str = "auditor";

const RESOURCE: &str = "urn:lockgate:gateway";
const PROGRAM: &str = include_str!("idp/idp.mjs");
const PAGES: &str = include_str!("idp/pages.mjs");
const PACKAGE: &str = include_str!("idp/package.json");
const PACKAGE_LOCK: &str = include_str!("idp/package-lock.json");
/// Hex digits of the lock file's digest in the cache entry's name.
const DIGEST_DIGITS: usize = 12;

/// What it takes to start the provider.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Program {
    pub(super) node: PathBuf,
    pub(super) script: PathBuf,
    pub(super) config: PathBuf,
}

/// Installs the provider (once per version, outside the clone) and writes its configuration.
pub(super) fn prepare(place: &Place, settings: &Settings) -> Result<Program> {
    let node = tools::node()?;
    let modules = install(&node)?.join("node_modules");
    let directory = place.join("idp");
    fs::write(directory.join("idp.mjs"), PROGRAM)?;
    fs::write(directory.join("pages.mjs"), PAGES)?;
    fs::write(directory.join("package.json"), PACKAGE)?;
    remove(&directory.join("node_modules"))?;
    symlink(modules, directory.join("node_modules")).context("linking the identity provider's modules")?;
    let config = directory.join("config.json");
    write(&config, &configuration(place, settings))?;
    Ok(Program { node, script: directory.join("idp.mjs"), config })
}

fn install(node: &Path) -> Result<PathBuf> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, PACKAGE_LOCK.as_bytes());
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).take(DIGEST_DIGITS / 2).collect();
    tools::cached(&format!("demo-idp-{digest}"), |directory| {
        let progress = Progress::start("identity provider (npm oidc-provider)", Some("a few seconds"));
        fs::write(directory.join("package.json"), PACKAGE)?;
        fs::write(directory.join("package-lock.json"), PACKAGE_LOCK)?;
        let mut npm = Command::new(node.with_file_name("npm"));
        npm.args(["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(directory);
        // npm is a script that looks for node on the path.
        npm.env("PATH", path_with(node)?);
        tools::quiet(&mut npm).context("installing the identity provider from npm")?;
        progress.done("installed");
        Ok(())
    })
}

fn path_with(node: &Path) -> Result<std::ffi::OsString> {
    let own = node.parent().map(Path::to_owned).into_iter();
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(own.chain(std::env::split_paths(&path)))?)
}

fn configuration(place: &Place, settings: &Settings) -> serde_json::Value {
    let ports = &settings.ports;
    let console = ports.console_url();
    json!({
        "issuer": ports.issuer_url(),
        "port": ports.issuer,
        "certificateFile": place.join("pki/server.crt"),
        "keyFile": place.join("pki/server.key"),
        "keysFile": place.join("idp/keys.json"),
        "agent": {
            "clientId": AGENT, "clientSecret": settings.agent_secret, "resource": RESOURCE, "audience": AUDIENCE,
            "claims": {"owner": AGENT_OWNER, "groups": [AGENT_GROUP]},
        },
        "console": {
            "clientId": CONSOLE_CLIENT, "clientSecret": settings.console_secret, "signInUrl": format!("{console}/sign-in/start?fresh=1&next=%2Fapprovals"),
            "redirectUris": [format!("{console}/sign-in/callback")], "postLogoutRedirectUris": [format!("{console}/")],
        },
        "cli": {"clientId": sign_in::CLIENT_ID, "redirectUris": ["http://127.0.0.1/callback"]},
        "people": {
            APPROVER: {
                "label": "Approver", "does": "Site reliability: decides what the agent asks for",
                "name": "Robin Approver", "email": "approver@example.com", "groups": [APPROVERS_GROUP],
            },
            AUDITOR: {
                "label": "Auditor", "does": "Reads the log and the recordings, decides nothing",
                "name": "Sam Auditor", "email": "auditor@example.com", "groups": [AUDITORS_GROUP],
            },
        },
    })
}

/// The link that signs the approver in to the console without a click.
pub(super) fn sign_in_url(settings: &Settings) -> String {
    format!("{}/demo/sign-in/{APPROVER}", settings.ports.issuer_url())
}

/// The agent's own secret, from which its short-lived tokens come.
pub(super) fn write_agent_secret(place: &Place, settings: &Settings) -> Result<PathBuf> {
    let file = place.join("agent/client-secret");
    write_private(&file, settings.agent_secret.as_bytes())?;
    Ok(file)
}
