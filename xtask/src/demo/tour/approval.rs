//! A request that a human decides on, held on the wire.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Child;

use super::super::identity::{APPROVER, AUDIT_USER};
use super::super::launch;
use super::super::place::random_word;
use super::evidence::cluster_events;
use super::stage::{Stage, Who, until};

const MADE_BY_US: &str = "app.kubernetes.io/managed-by=lockgate-demo";
const NOTE: &str = "not while the sale is on";

pub(super) async fn denied(stage: &mut Stage<'_>) -> Result<()> {
    stage.scene(
        "Deleting a namespace waits for a human",
        "One raw request, held: kubectl hangs, and has no idea that somebody is being asked.",
    );
    let namespace = new_namespace(stage).await?;
    let (kubectl, id) = held(stage, &namespace, &[]).await?;
    let list = stage.lockgate(Who::Approver, &["approvals", "list", "--state", "pending"]).await?;
    stage.check("the approver sees it", list.worked() && list.out().contains(&id));
    stage.check("the namespace is untouched meanwhile", uid(stage, &namespace).await?.is_some());

    let own = stage.lockgate(Who::Agent, &["approvals", "approve", &id]).await?;
    let state = stage.json(Who::Approver, &["approvals", "show", &id]).await?;
    stage.check("the agent cannot approve its own request", !own.worked() && word(&state, "state") == "pending");
    let auditor = stage.lockgate(Who::Auditor, &["approvals", "approve", &id]).await?;
    let state = stage.json(Who::Approver, &["approvals", "show", &id]).await?;
    stage.check("nor can somebody who only reads", !auditor.worked() && word(&state, "state") == "pending");

    sign_in(stage).await?;
    let deny = stage.lockgate(Who::Approver, &["approvals", "deny", &id, "--note", NOTE]).await?;
    let answer = stage.wait(kubectl).await?;
    stage.note("and kubectl, which waited:");
    stage.show(&answer);
    stage.check("kubectl is refused, and told why", deny.worked() && !answer.worked() && answer.text().contains(NOTE));
    let again = stage.kubectl(&["delete", "namespace", &namespace]).await?;
    stage.check("a no stays a no: asked again at once, nobody is bothered again", again.text().contains(NOTE));
    stage.check("the namespace is still there", uid(stage, &namespace).await?.is_some());
    remove_namespace(stage, &namespace).await
}

pub(super) async fn approved(stage: &mut Stage<'_>) -> Result<()> {
    stage.scene(
        "Approved, it goes through exactly once",
        "What was reviewed is what is sent: those bytes, that very namespace.",
    );
    let namespace = new_namespace(stage).await?;
    let old_uid = uid(stage, &namespace).await?.context("the namespace is gone")?;
    let (kubectl, id) = held(stage, &namespace, &[]).await?;
    sign_in(stage).await?;
    let approve = stage.lockgate(Who::Approver, &["approvals", "approve", &id, "--note", "go ahead"]).await?;
    let answer = stage.wait(kubectl).await?;
    stage.note("and kubectl, which waited:");
    stage.show(&answer);
    stage.check("kubectl never noticed: the namespace is deleted", approve.worked() && answer.worked());
    until("the namespace is gone", async || {
        Ok((uid(stage, &namespace).await?.as_deref() != Some(&*old_uid)).then_some(()))
    })
    .await?;
    let ticket = stage.json(Who::Approver, &["approvals", "show", &id]).await?;
    let dispatches = ticket.get("dispatches").and_then(Value::as_array).map_or(0, Vec::len);
    stage.check("the ticket is used up, by one request", word(&ticket, "state") == "consumed" && dispatches == 1);
    if let Some(log) = &stage.demo.cluster_audit_log {
        let deletes = cluster_events(log)?.into_iter().filter(|event| {
            let is = |pointer: &str, value: &str| event.pointer(pointer).and_then(Value::as_str) == Some(value);
            is("/verb", "delete")
                && is("/objectRef/resource", "namespaces")
                && is("/objectRef/name", &namespace)
                && is("/impersonatedUser/username", AUDIT_USER)
                && is("/stage", "ResponseComplete")
        });
        stage.check("the cluster's own log has one delete, by the agent", deletes.count() == 1);
    }
    anew(stage, &namespace, &id).await?;
    remove_namespace(stage, &namespace).await
}

/// A namespace of the same name is another namespace: nothing of the old approval counts.
async fn anew(stage: &mut Stage<'_>, namespace: &str, used: &str) -> Result<()> {
    stage.note("somebody makes a namespace of the same name again …");
    make_namespace(stage, namespace).await?;
    let (kubectl, id) = held(stage, namespace, &[used]).await?;
    stage.check("and the agent is asked anew", id != used);
    let deny = stage.lockgate(Who::Approver, &["approvals", "deny", &id, "--note", "one was enough"]).await?;
    let answer = stage.wait(kubectl).await?;
    stage.check("denied, it stays", deny.worked() && !answer.worked() && uid(stage, namespace).await?.is_some());
    Ok(())
}

/// Starts the delete and waits for its ticket, which is none of `known`.
async fn held(stage: &Stage<'_>, namespace: &str, known: &[&str]) -> Result<(Child, String)> {
    let kubectl = stage.start_kubectl(&["delete", "namespace", namespace])?;
    let id = until("the request is held", async || {
        let pending = stage.json(Who::Approver, &["approvals", "list", "--state", "pending"]).await?;
        let ours = |approval: &&Value| approval.pointer("/action/name").and_then(Value::as_str) == Some(namespace);
        let mut ids =
            pending.as_array().into_iter().flatten().filter(ours).map(|approval| word(approval, "id").to_owned());
        Ok(ids.rfind(|id| !known.contains(&id.as_str())))
    })
    .await?;
    Ok((kubectl, id))
}

/// A namespace of this scene's own: what a human said of an earlier one is not to count here.
async fn new_namespace(stage: &Stage<'_>) -> Result<String> {
    let letters = random_word()?.to_ascii_lowercase();
    let suffix: String = letters.chars().filter(char::is_ascii_alphanumeric).take(5).collect();
    let name = format!("sandbox-{suffix}");
    make_namespace(stage, &name).await?;
    Ok(name)
}

async fn make_namespace(stage: &Stage<'_>, name: &str) -> Result<()> {
    for command in [["create", "namespace", name].as_slice(), &["label", "namespace", name, MADE_BY_US]] {
        let said = stage.cluster(command).await?;
        if !said.worked() {
            bail!("the administrator cannot make namespace {name}: {}", said.text());
        }
    }
    Ok(())
}

async fn remove_namespace(stage: &Stage<'_>, name: &str) -> Result<()> {
    let removed = stage.cluster(&["delete", "namespace", name, "--ignore-not-found", "--wait=false"]).await?;
    if !removed.worked() {
        bail!("the administrator cannot remove namespace {name}: {}", removed.text());
    }
    Ok(())
}

async fn uid(stage: &Stage<'_>, namespace: &str) -> Result<Option<String>> {
    let get = ["get", "namespace", namespace, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}"];
    let uid = stage.cluster(&get).await?.out();
    Ok((!uid.is_empty()).then_some(uid))
}

/// Deciding needs a sign-in of the last minutes.
async fn sign_in(stage: &Stage<'_>) -> Result<()> {
    stage.note("the approver signs in: deciding needs a fresh sign-in, a cached token never decides");
    launch::sign_in_afresh(stage.place, stage.demo, APPROVER).await.map(drop)
}

fn word<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
