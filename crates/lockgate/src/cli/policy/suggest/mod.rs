//! `lockgate policy suggest`: the least that would have let an agent do what it did. What was denied or refused is left out, and
//! listed. What is printed is tried on the same history before it is shown.

mod rbac;
mod rules;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use anyhow::bail;
use clap::{Args, ValueEnum};
use lockgate_console::{inert, yaml};
use lockgate_core::{AuditRecord, Effect, Subject, Terms};
use lockgate_policy::Policy;
use serde_json::{Value, json};

use super::judge::{Case, Scene};
use super::records::{History, Reader};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use seen::{Seen, happened};

/// Differences that are listed.
const DIFFERENCES_MAX: usize = 20;
/// Rules whose terms are looked up.
const TERMS_MAX: usize = 100;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lockgate policy suggest --agent deployer --since 7d
  lockgate policy suggest --agent deployer --only policy > deployer.yaml
  lockgate policy suggest --agent deployer --only rbac | kubectl apply -f -")]
pub(crate) struct Suggest {
    /// The agent, by its id
    #[arg(long, value_name = "ID")]
    agent: String,
    #[command(flatten)]
    history: History,
    /// Only what it did on this cluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Only this part
    #[arg(long, value_enum, value_name = "PART")]
    only: Option<Part>,
    /// The EKS cluster, for the access entry
    #[arg(long, value_name = "NAME", default_value = "CLUSTER")]
    eks_cluster: String,
    /// Its region
    #[arg(long, value_name = "NAME", default_value = "REGION")]
    region: String,
    /// The IAM role that the gateway uses
    #[arg(long, value_name = "ARN", default_value = "arn:aws:iam::ACCOUNT:role/lockgate")]
    principal_arn: String,
}

/// The parts of a suggestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Lockgate's policy
    Policy,
    /// Roles and bindings for the cluster
    Rbac,
    /// The access entry and the right to impersonate
    Eks,
}

/// What the suggested policy makes of the same history.
#[derive(Debug, Default)]
struct Trial {
    same: u64,
    differs: u64,
    examples: Vec<String>,
}

pub(crate) async fn run(global: &Global, out: &Output, command: &Suggest) -> anyhow::Result<Exit> {
    let mut seen = Seen::default();
    let mut history = command.history.open(global, Some(&command.agent)).await?;
    while let Some(page) = history.page().await? {
        for record in page.iter().filter(|record| command.is_wanted(record)) {
            seen.add(record);
            learn_terms(&mut seen, &history, record).await;
        }
    }
    let Some(subject) = seen.subject.clone() else {
        bail!("nothing was recorded of {} in that time: is the id right, and --since early enough?", command.agent)
    };
    if seen.overflowed {
        bail!("{} did more kinds of things than can be told apart: narrow --since or name a --cluster", command.agent)
    }
    let document = rules::policy(&seen, &subject);
    let text = rules::text(&document);
    let trial = try_out(global, command, &text, &seen).await?;
    let suggestion = Suggestion { seen: &seen, subject: &subject, document: &document, trial: &trial, command };
    out.report(&suggestion.as_json(), |_| suggestion.in_words())?;
    Ok(if trial.as_ref().is_none_or(|trial| trial.differs == 0) { Exit::Done } else { Exit::Failed })
}

impl Suggest {
    fn is_wanted(&self, record: &AuditRecord) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| record.cluster == *cluster)
    }
}

/// The terms on which a rule asked are not in the record, but in its ticket.
async fn learn_terms(seen: &mut Seen, history: &Reader, record: &AuditRecord) {
    let Some(rule) = record.decision.as_ref().and_then(|decision| decision.rule.clone()) else { return };
    let (Some(id), true) = (record.approval_id, happened(record) && seen.terms.len() < TERMS_MAX) else { return };
    if !seen.terms.contains_key(&rule)
        && let Some(approval) = history.approval(id).await
    {
        let terms: Terms = approval.terms;
        seen.terms.insert(rule, terms);
    }
}

/// Reads the history again, under the suggestion: what happened must be decided the same, what did not must not be allowed.
async fn try_out(global: &Global, command: &Suggest, text: &str, seen: &Seen) -> anyhow::Result<Option<Trial>> {
    if seen.did.is_empty() {
        return Ok(None);
    }
    let policy = Policy::parse(text).map_err(|error| anyhow::anyhow!("the suggestion is no policy: {error}"))?;
    let mut trial = Trial::default();
    let mut history = command.history.open(global, Some(&command.agent)).await?;
    while let Some(page) = history.page().await? {
        let tried = page.iter().filter(|record| command.is_wanted(record) && can_be_said(record));
        tried.for_each(|record| trial.add(&policy, record));
    }
    Ok(Some(trial))
}

/// One request for what no cluster can have is not worth a suggestion that fails.
fn can_be_said(record: &AuditRecord) -> bool {
    record.action.as_ref().is_none_or(lockgate_policy::nameable)
}

impl Trial {
    fn add(&mut self, policy: &Policy, record: &AuditRecord) {
        let (Some(subject), Some(action), Some(before)) = (&record.subject, &record.action, &record.decision) else {
            return;
        };
        let scene = Scene {
            subject: subject.clone(),
            cluster: record.cluster.clone(),
            environment: before.environment.clone(),
            four_eyes: false,
            now: Some(record.started_at),
        };
        let object = record.request.payload.as_ref();
        let now = scene.decide(policy, Case { action, options: &record.options, object, old_object: None });
        let as_it_was = now.effect == before.effect && now.obligations.mask == before.mask;
        // What overruled the policy then (a limit, a freeze, a human's no, the cluster) would overrule the suggestion too.
        let overruled = before.policy_effect.is_some() || before.effect == Effect::Allow;
        let right = if happened(record) { as_it_was } else { overruled || now.effect != Effect::Allow };
        if right {
            self.same += 1;
            return;
        }
        self.differs += 1;
        if self.examples.len() < DIFFERENCES_MAX {
            let (before, now) = (before.effect.as_str(), now.effect.as_str());
            self.examples.push(format!("{}: was {before}, would be {now}", record.id));
        }
    }
}

/// Everything that is printed.
struct Suggestion<'s> {
    seen: &'s Seen,
    subject: &'s Subject,
    document: &'s Value,
    trial: &'s Option<Trial>,
    command: &'s Suggest,
}

impl Suggestion<'_> {
    fn clusters(&self) -> BTreeSet<&str> {
        self.seen.grants.keys().map(|grant| grant.cluster.as_str()).collect()
    }

    fn eks(&self) -> rbac::Eks<'_> {
        let Suggest { eks_cluster, region, principal_arn, .. } = self.command;
        rbac::Eks { cluster: eks_cluster, region, principal: principal_arn }
    }

    fn as_json(&self) -> Value {
        let rbac: Vec<Value> = self
            .clusters()
            .into_iter()
            .map(|cluster| json!({"cluster": cluster, "objects": rbac::objects(self.seen, self.subject, cluster)}))
            .collect();
        let left_out: Vec<Value> =
            self.seen.left_out.iter().map(|(what, count)| json!({"what": what, "count": count})).collect();
        let checked = self
            .trial
            .as_ref()
            .map(|trial| json!({"same": trial.same, "differs": trial.differs, "examples": trial.examples}));
        json!({
            "agent": self.subject.name(), "requests": self.seen.requests, "policy": self.document, "rbac": rbac,
            "eks": {"objects": rbac::eks(self.seen, self.subject, &self.eks()), "command": self.eks().command()},
            "leftOut": left_out, "checked": checked,
        })
    }

    fn in_words(&self) -> String {
        let wants = |part: Part| self.command.only.is_none_or(|only| only == part);
        let mut text = String::new();
        if wants(Part::Policy) {
            text.push_str(&self.policy());
        }
        if wants(Part::Rbac) {
            text.push_str(&self.rbac());
        }
        if wants(Part::Eks) {
            text.push_str(
                "---\n# On EKS: Lockgate's access entry, and the right to speak as this agent and nobody else.\n",
            );
            text.push_str(&comment(&format!("Without eksctl: {}", self.eks().command())));
            text.push_str(&documents(&rbac::eks(self.seen, self.subject, &self.eks())));
        }
        text
    }

    fn policy(&self) -> String {
        let mut text = comment(&format!(
            "What {} did in {}. Names are kept where there were few; nothing else is wider than seen.",
            self.subject.name(),
            super::count(usize::try_from(self.seen.requests).unwrap_or(usize::MAX), "recorded request")
        ));
        if !self.seen.left_out.is_empty() {
            text.push_str(&comment("Not in it, because it did not happen or cannot be said:"));
            for (what, times) in &self.seen.left_out {
                text.push_str(&comment(&format!(
                    "  {what}{}",
                    if *times > 1 { format!("  ({times} times)") } else { String::new() }
                )));
            }
        }
        match self.trial {
            None => return text + &comment("Nothing reached the cluster: there is nothing to suggest."),
            Some(trial) if trial.differs == 0 => {
                text.push_str(&comment(&format!(
                    "Tried on the same history: {same} of {same} decisions come out as they were.",
                    same = trial.same
                )));
            }
            Some(trial) => {
                text.push_str(&comment(&format!(
                    "Tried on the same history: {} decisions come out otherwise, since the rules then in force looked at \
                     something that this policy cannot tell apart:",
                    trial.differs
                )));
                trial.examples.iter().for_each(|example| text.push_str(&comment(&format!("  {example}"))));
            }
        }
        text + &rules::text(self.document)
    }

    fn rbac(&self) -> String {
        let mut text = String::new();
        for cluster in self.clusters() {
            text.push_str("---\n");
            text.push_str(&comment(&format!("For the cluster {cluster}: what the impersonated user needs there.")));
            text.push_str(&documents(&rbac::objects(self.seen, self.subject, cluster)));
        }
        text
    }
}

fn documents(objects: &[Value]) -> String {
    objects.iter().map(yaml::document).collect::<Vec<_>>().join("---\n")
}

fn comment(text: &str) -> String {
    format!("# {}\n", inert::line(text))
}

/// Lower-case letters, digits and dashes: a name that Kubernetes takes.
fn slug(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let slug: String = text.chars().take(40).map(plain).collect();
    slug.trim_matches('-').to_owned()
}
