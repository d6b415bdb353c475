//! `lockgate` as one of the demo's people, or as the agent.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::environment::{Environment, program, read};
use crate::program::{Said, run};
use crate::until;

/// More than a run makes; the API gives no more than this.
const LIST_MAX: &str = "1000";

/// Whose client file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Agent,
    Approver,
    Auditor,
}

/// `lockgate ARGUMENTS --output json`, as one of them.
pub async fn lockgate(who: Who, arguments: &[&str]) -> Said {
    let demo = &Environment::get().demo;
    let client = match who {
        Who::Agent => &demo.agent_client,
        Who::Approver => &demo.approver_client,
        Who::Auditor => &demo.auditor_client,
    };
    run(lockgate_with(client, arguments)).await
}

/// The command of `lockgate`, with any client file.
pub fn lockgate_with(client: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(&Environment::get().demo.lockgate);
    command.arg("--client").arg(client).args(["--output", "json"]).args(arguments).env_remove("LOCKGATE_CLIENT");
    command
}

/// Signs the approver in afresh, once per test program: within the five minutes that deciding needs.
pub async fn sign_approver_in() {
    static FRESH: OnceCell<()> = OnceCell::const_new();
    FRESH
        .get_or_init(|| async {
            let mut xtask = Command::new(program("LOCKGATE_E2E_XTASK"));
            xtask.args(["demo", "sign-in", "approver", "--state"]).arg(&Environment::get().demo.state_dir);
            drop(run(xtask).await.ok());
        })
        .await;
}

/// Approves or denies as the approver, freshly signed in. Tests share the demo's agent, and three denials in a row freeze an
/// agent: a denial is reopened at once, which leaves the ticket denied and counts for nothing. What denials do in the long run
/// is tested on agents of a test's own.
pub async fn decide(word: &str, id: &str, note: &str) -> Said {
    sign_approver_in().await;
    let said = lockgate(Who::Approver, &["approvals", word, id, "--note", note]).await;
    if word == "deny" && said.code == Some(0) {
        reopen(id).await;
    }
    said
}

/// Makes a denial count for nothing.
pub async fn reopen(id: &str) {
    drop(lockgate(Who::Approver, &["approvals", "reopen", id, "--note", "denied by a test"]).await.ok());
}

/// The approver's client file for another gateway's console, in `directory`.
///
/// # Panics
/// If the demo's is no JSON.
pub async fn approver_at(console: &str, directory: &Path) -> PathBuf {
    sign_approver_in().await;
    let own = &Environment::get().demo.approver_client;
    let mut client: Value = serde_json::from_str(&read(own)).expect("the approver's client file");
    client["server"] = console.into();
    client["tokens"] = own.with_file_name("tokens.json").to_str().expect("UTF-8").into();
    let file = directory.join("approver.yaml");
    std::fs::write(&file, client.to_string()).expect("approver.yaml");
    file
}

/// Waits for the held request of this agent on the object `name` that is none of `known`, and gives its ticket.
pub async fn pending(name: &str, known: &[&str]) -> String {
    until(&format!("the request on {name} is held"), || async {
        let list =
            lockgate(Who::Approver, &["approvals", "list", "--state", "pending", "--limit", LIST_MAX]).await.ok();
        let is_it =
            |approval: &&Value| text(approval, "/action/name") == name && !known.contains(&text(approval, "/id"));
        list.json().as_array()?.iter().find(is_it).map(|approval| text(approval, "/id").to_owned())
    })
    .await
}

/// An approval, as the approver sees it.
pub async fn approval(id: &str) -> Value {
    lockgate(Who::Approver, &["approvals", "show", id]).await.ok().json()
}

/// Records of the audit log that match these filters, newest first.
///
/// # Panics
/// If the answer is no list.
pub async fn records(filters: &[&str]) -> Vec<Value> {
    let arguments = [&["audit", "list", "--limit", LIST_MAX], filters].concat();
    lockgate(Who::Auditor, &arguments).await.ok().json().as_array().expect("a list").clone()
}

/// Sessions, newest first.
///
/// # Panics
/// If the answer is no list.
pub async fn sessions() -> Vec<Value> {
    let said = lockgate(Who::Auditor, &["sessions", "list", "--limit", LIST_MAX]).await.ok();
    said.json().as_array().expect("a list").clone()
}

/// A text in a document; empty if there is none.
pub fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
