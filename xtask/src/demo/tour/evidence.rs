//! What is kept: recordings that equal what was received, a log that joins the cluster's own, and both after a crash.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::super::identity::AUDIT_USER;
use super::stage::{Said, Stage, Who, until};

/// More than the tour makes.
const RECORDS_MAX: &str = "10000";
const SCRIPT: &str = "echo hello from the toolbox; echo and a complaint >&2; exit 3";
/// Bytes that no text tool leaves alone.
const NOISE: &str = "head -c 100000 /dev/urandom";

pub(super) async fn recording(stage: &mut Stage<'_>) -> Result<()> {
    stage.scene(
        "A shell is recorded, byte for byte",
        "Every channel with its time, in the path: what is not recorded is not delivered.",
    );
    let (received, id) = recorded(stage, SCRIPT).await?;
    stage.show(&received);
    stage.check("kubectl exec works, exit code and all", received.code == Some(3));
    let stderr = export(stage, &id, "stderr").await?;
    // kubectl adds a line of its own about the exit code.
    let delivered = received.stderr.starts_with(&stderr.stdout) && !stderr.stdout.is_empty();
    stage.check("what the recording has on stderr is what kubectl received", stderr.worked() && delivered);
    let play = stage.lockgate(Who::Auditor, &["sessions", "play", &id, "--speed", "100"]).await?;
    stage.check("it can be played", play.text().contains("hello from the toolbox"));

    let (received, id) = recorded(stage, NOISE).await?;
    stage.note(&format!("({} bytes of noise)", received.stdout.len()));
    let stdout = export(stage, &id, "stdout").await?;
    stage.check(
        "stdout too, byte for byte",
        stdout.worked() && stdout.stdout == received.stdout && stdout.stdout.len() == 100_000,
    );
    let session = stage.json(Who::Auditor, &["sessions", "show", &id]).await?;
    let digest = session.pointer("/channels/stdout/sha256").and_then(Value::as_str).unwrap_or_default();
    stage.check("and the recording's SHA-256 is that of the received bytes", digest == sha256(&received.stdout));
    Ok(())
}

/// Runs a script in the pod; gives what kubectl received, and the recording once it is closed.
async fn recorded(stage: &Stage<'_>, script: &str) -> Result<(Said, String)> {
    let before = sessions(stage).await?;
    let received = stage.wait(stage.start_kubectl(&["exec", &stage.demo.pod, "--", "sh", "-c", script])?).await?;
    let id = until("the recording is closed", async || {
        let is_new = |session: &Value| !before.iter().any(|old| id_of(old) == id_of(session));
        let new = sessions(stage).await?.into_iter().find(is_new);
        Ok(new.filter(|new| new.get("endedAt").is_some_and(|at| !at.is_null())).map(|new| id_of(&new)))
    })
    .await?;
    Ok((received, id))
}

pub(super) async fn crash(stage: &mut Stage<'_>) -> Result<()> {
    stage.scene(
        "The gateway is killed in the middle of it",
        "kill -9. The supervisor starts it again; the log has lost nothing.",
    );
    let before = audit_ids(&records(stage).await?);
    let pid = stage.place.demo()?.gateway_pid;
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw).context("demo.json has no gatewayPid")?;
    kill_process(process, Signal::KILL).context("the gateway cannot be killed")?;
    stage.note(&format!("killed process {pid}"));
    let new = until("the gateway runs again", async || {
        let new = stage.place.demo()?.gateway_pid;
        let answers = new != pid && stage.cluster_through_lockgate(&["get", "pods"]).await?.worked();
        Ok(answers.then_some(new))
    })
    .await?;
    let pods = stage.kubectl(&["get", "pods"]).await?;
    stage.check(&format!("it is back as process {new}, and kubectl works"), pods.worked());
    let after = audit_ids(&records(stage).await?);
    stage.check(&format!("all {} records are still there", before.len()), before.is_subset(&after));
    Ok(())
}

pub(super) async fn log(stage: &mut Stage<'_>) -> Result<()> {
    stage.scene(
        "Every call is in the log",
        "And joins the cluster's own: our record's id is the Audit-ID that the API server writes.",
    );
    stage.lockgate(Who::Auditor, &["audit", "list", "--limit", "8"]).await?;
    let Some(cluster_log) = &stage.demo.cluster_audit_log else {
        stage.note("(your cluster's own log is not in reach from here: not compared)");
        return Ok(());
    };
    let theirs: BTreeSet<String> = cluster_events(cluster_log)?
        .iter()
        .filter(|event| event.pointer("/impersonatedUser/username").and_then(Value::as_str) == Some(AUDIT_USER))
        .filter_map(|event| event.get("auditID")?.as_str().map(str::to_owned))
        .collect();
    let all = records(stage).await?;
    let ours = audit_ids(&all);
    let unknown = theirs.difference(&ours).count();
    stage.check(
        &format!("each of the {} calls that the cluster saw from the agent has a record", theirs.len()),
        unknown == 0 && !theirs.is_empty(),
    );
    let reached = |record: &&Value| record.pointer("/upstream/status").is_some_and(|status| !status.is_null());
    let dispatched: Vec<Value> = all.iter().filter(reached).cloned().collect();
    let dispatched = audit_ids(&dispatched);
    let joined = until("the cluster's log has what we sent", async || {
        let events = cluster_events(cluster_log)?;
        let theirs: BTreeSet<&str> = events.iter().filter_map(|event| event.get("auditID")?.as_str()).collect();
        Ok(dispatched.iter().all(|id| theirs.contains(id.as_str())).then_some(()))
    })
    .await;
    stage.check(
        &format!("each of our {} calls that were forwarded is in the cluster's log", dispatched.len()),
        joined.is_ok(),
    );
    let refused = all.iter().filter(|record| record.get("outcome").and_then(Value::as_str) == Some("refused")).count();
    stage.check(
        &format!("the {refused} refusals are in ours alone"),
        refused > 0 && theirs.len() + refused <= ours.len(),
    );
    Ok(())
}

/// The API server's audit log. A last line that is still being written is left for the next look.
pub(super) fn cluster_events(log: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

async fn records(stage: &Stage<'_>) -> Result<Vec<Value>> {
    let list = stage.json(Who::Auditor, &["audit", "list", "--limit", RECORDS_MAX]).await?;
    list.as_array().cloned().context("audit list is no array")
}

async fn sessions(stage: &Stage<'_>) -> Result<Vec<Value>> {
    let list = stage.json(Who::Auditor, &["sessions", "list"]).await?;
    list.as_array().cloned().context("sessions list is no array")
}

async fn export(stage: &Stage<'_>, id: &str, channel: &str) -> Result<Said> {
    stage.raw(Who::Auditor, &["sessions", "export", id, "--format", "raw", "--channel", channel]).await
}

/// Ids without their prefix: what the cluster calls `auditID`.
fn audit_ids(records: &[Value]) -> BTreeSet<String> {
    records.iter().map(id_of).map(|id| id.trim_start_matches("aud_").to_owned()).collect()
}

fn id_of(value: &Value) -> String {
    value.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
