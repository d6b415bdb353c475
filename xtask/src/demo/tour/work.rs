//! What goes through, what is masked, and what is refused.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::identity::AGENT;
use super::super::shop::SECRET;
use super::stage::Stage;

pub(super) async fn reads(stage: &mut Stage<'_>) -> Result<()> {
    stage.scene(
        "Reading works, and Secrets keep their values",
        "The agent uses plain kubectl; the gateway masks in the stream.",
    );
    let pods = stage.kubectl(&["get", "pods"]).await?;
    stage.check("the agent sees the shop's pods", pods.worked() && pods.out().contains(&stage.demo.pod));

    let path = ["get", "secret", SECRET, "-n", &stage.demo.namespace, "-o", "jsonpath={.data.password}"];
    let encoded = stage.cluster(&path).await?.out();
    let password = String::from_utf8(STANDARD.decode(encoded.trim()).context("the shop's password")?)?;
    let mut seen = String::new();
    let secret = stage.kubectl(&["get", "secret", SECRET, "-o", "yaml"]).await?;
    stage.check("the Secret's keys are there", secret.worked() && secret.out().contains("password:"));
    seen.push_str(&secret.text());
    for form in ["json", "wide", "go-template={{range .data}}{{.}} {{end}}"] {
        seen.push_str(&stage.kubectl(&["get", "secret", SECRET, "-o", form]).await?.text());
    }
    seen.push_str(&stage.kubectl(&["describe", "secret", SECRET]).await?.text());
    let hidden = !password.is_empty() && !seen.contains(&password) && !seen.contains(encoded.trim());
    stage.check("no value of it, neither plain nor in base64, in any of these forms", hidden);
    Ok(())
}

pub(super) async fn routine(stage: &mut Stage<'_>) -> Result<()> {
    stage.scene("Routine work goes through at once", "The policy allows it in this namespace; nobody is bothered.");
    let scaled = stage.kubectl(&["scale", "deployment", "web", "--replicas=3"]).await?;
    let path = ["get", "deployment", "web", "-n", &stage.demo.namespace, "-o", "jsonpath={.spec.replicas}"];
    let replicas = stage.cluster(&path).await?.out();
    stage.check("the cluster says three replicas", scaled.worked() && replicas.trim() == "3");
    let labelled = stage.kubectl(&["label", "pod", &stage.demo.pod, "tour=seen", "--overwrite"]).await?;
    stage.check("a label is set", labelled.worked());
    let logs = stage.kubectl(&["logs", "deployment/api", "--tail=3"]).await?;
    stage.check("logs can be read", logs.worked() && logs.out().contains("order"));
    Ok(())
}

pub(super) async fn refused(stage: &mut Stage<'_>) -> Result<()> {
    stage.scene("What would gain rights is refused", "No human can wave it through, and the refusal names its rule.");
    let user = format!("--user=agent:{AGENT}");
    let binding = ["create", "clusterrolebinding", "mine", "--clusterrole=cluster-admin", &user];
    let refused = stage.kubectl(&binding).await?;
    let named = refused.text().contains("escalation");
    stage.check("refused, by name", !refused.worked() && named);
    let there = stage.cluster(&["get", "clusterrolebinding", "mine", "--ignore-not-found", "-o", "name"]).await?;
    stage.check("nothing reached the cluster", there.worked() && there.out().is_empty());
    Ok(())
}
