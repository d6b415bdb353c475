//! Why a policy decides as it does: every rule in order, with the field that kept it out or the condition that did not
//! hold. The verdict is [`Policy::decide`]'s own; what a rule covers is asked of the same matcher.

use std::cell::OnceCell;
use std::fmt;

use lockgate_core::{Action, Decision, Effect, Options, Subject, Timestamp};
use serde::Serialize;

use crate::condition::Scene;
use crate::decide::Facts;
use crate::matching::{Coverage, Direction, Mismatch, Request};
use crate::policy::{Policy, Rule, Verdict};
use crate::unknown;

/// A decision with everything that led to it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Who asked.
    pub subject: Subject,
    /// Where.
    pub cluster: ExplainedCluster,
    /// When, as far as it was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
    /// What the request would do.
    pub action: Action,
    /// The options in effect.
    pub options: Options,
    /// Whether its body was looked at.
    pub object: bool,
    /// Whether the object as it is in the cluster was looked at.
    pub old_object: bool,
    /// The verdict.
    pub decision: Decision,
    /// Every rule, in order.
    pub rules: Vec<RuleTrace>,
}

/// The cluster as rules see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedCluster {
    /// Its name.
    pub name: String,
    /// How it is marked.
    pub environment: String,
    /// Whether mass destruction takes two people.
    pub four_eyes: bool,
}

/// What one rule had to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleTrace {
    /// Its name.
    pub rule: String,
    /// Where it stands in its document, from 1.
    pub line: u64,
    /// What it does.
    pub effect: Effect,
    /// Whether it speaks about the request.
    pub outcome: RuleOutcome,
    /// The fields that the request does not meet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mismatches: Vec<Mismatch>,
    /// Its condition, where one was evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<ConditionTrace>,
    /// The labels of the object, which nobody has read, that would tell whether it covers it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_labels: Vec<String>,
    /// Whether a rule before it had already decided.
    pub too_late: bool,
}

/// Whether a rule speaks about the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RuleOutcome {
    /// About all of it.
    Matches,
    /// About a part of the collection.
    MatchesPart,
    /// Its fields do not fit.
    DoesNotMatch,
    /// Its fields fit, its condition does not hold.
    ConditionFails,
}

/// How a condition came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionTrace {
    /// The condition, as written.
    pub when: String,
    /// Its value; `None` where it could not be evaluated, which counts against the request.
    pub value: Option<bool>,
    /// Why it could not be evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether it looks at the one named object as it is in the cluster, which was not read: it may hold or not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unread: bool,
    /// What to write before it, so that it can be: `has(object.spec.template) && …`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Policy {
    /// Decides, and says why: for people, and slower than [`Self::decide`].
    pub fn explain(&self, subject: &Subject, cluster: &str, action: &Action, facts: &Facts<'_>) -> Explanation {
        let request = Request::new(subject, cluster, action, facts);
        let change = OnceCell::new();
        let scene = Scene::new(subject, cluster, action, facts, &change);
        let mut decided = false;
        let mut rules = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let trace = trace(rule, &request, &scene, decided);
            decided |= trace.outcome == RuleOutcome::Matches;
            rules.push(trace);
        }
        Explanation {
            subject: subject.clone(),
            cluster: ExplainedCluster {
                name: cluster.to_owned(),
                environment: facts.environment.to_owned(),
                four_eyes: facts.four_eyes,
            },
            now: facts.now,
            action: action.clone(),
            options: facts.options.clone(),
            object: facts.object.is_some(),
            old_object: facts.old_object.is_some(),
            decision: self.decide(subject, cluster, action, facts),
            rules,
        }
    }
}

fn trace(rule: &Rule, request: &Request<'_>, scene: &Scene<'_>, too_late: bool) -> RuleTrace {
    let direction = rule.direction();
    let coverage = rule.matcher.coverage(request, direction);
    // What it looks at is known for each object of the answer, not for the request.
    let looks = rule.looks_beyond(request);
    let condition = rule.when.as_ref().filter(|_| coverage != Coverage::Nothing && !looks).map(|when| {
        let value = scene.evaluate(when);
        ConditionTrace {
            when: when.text().to_owned(),
            unread: unknown::is_unread(rule, when, request, scene),
            value: value.as_ref().ok().copied(),
            fix: value.as_ref().err().and_then(|error| unknown::guard(when.text(), &unknown::why(when, error))),
            error: value.err().map(|error| error.to_string()),
        }
    });
    let holds = condition.as_ref().is_none_or(|one| one.value.unwrap_or(direction == Direction::Restricts));
    let outcome = match coverage {
        Coverage::Nothing => RuleOutcome::DoesNotMatch,
        _ if !holds => RuleOutcome::ConditionFails,
        Coverage::Whole if looks => RuleOutcome::MatchesPart,
        Coverage::Part => RuleOutcome::MatchesPart,
        Coverage::Whole => RuleOutcome::Matches,
    };
    RuleTrace {
        rule: rule.name.clone(),
        line: rule.line,
        effect: match rule.verdict {
            Verdict::Allow { .. } => Effect::Allow,
            Verdict::Deny { .. } => Effect::Deny,
            Verdict::Ask { .. } => Effect::Ask,
        },
        outcome,
        mismatches: rule.matcher.mismatches(request, direction),
        condition,
        by_labels: if outcome == RuleOutcome::MatchesPart && request.hides_labels() {
            unknown::labels_of(rule)
        } else {
            Vec::new()
        },
        too_late,
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { effect, rule, reasons, terms, message, .. } = &self.decision;
        match rule {
            Some(rule) => writeln!(f, "{} by rule `{rule}`", effect.as_str())?,
            None => writeln!(f, "{}: no rule matches", effect.as_str())?,
        }
        for reason in reasons {
            writeln!(f, "  because {reason}")?;
        }
        if let Some(terms) = terms {
            writeln!(f, "  asks {}", crate::decide::terms_in_words(terms))?;
        }
        if let Some(message) = message {
            writeln!(f, "  the caller reads: {message}")?;
        }
        write!(f, "rules, in order:")?;
        let width = self.rules.iter().map(|trace| trace.rule.chars().count()).max().unwrap_or(0).min(40);
        for (index, trace) in self.rules.iter().enumerate() {
            let mark = if Some(&trace.rule) == rule.as_ref() { '*' } else { ' ' };
            write!(f, "\n{mark} {:>3}  {:width$}  {:5}  {trace}", index + 1, trace.rule, trace.effect.as_str())?;
        }
        Ok(())
    }
}

/// What came of the rule, without its name and effect.
impl fmt::Display for RuleTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.too_late {
            f.write_str("(comes too late) ")?;
        }
        match self.outcome {
            RuleOutcome::Matches => f.write_str("matches")?,
            RuleOutcome::MatchesPart if !self.by_labels.is_empty() => {
                write!(f, "matches if the object is labelled {}", self.by_labels.join(","))?;
            }
            RuleOutcome::MatchesPart => f.write_str("matches a part")?,
            RuleOutcome::ConditionFails => f.write_str("does not match")?,
            RuleOutcome::DoesNotMatch => f.write_str("does not match")?,
        }
        for (index, Mismatch { field, wanted, found }) in self.mismatches.iter().enumerate() {
            let joint = if index == 0 { ":" } else { ";" };
            write!(f, "{joint} {field} wants {wanted}, here is {found}")?;
        }
        match &self.condition {
            None => Ok(()),
            Some(ConditionTrace { when, unread: true, .. }) => {
                write!(f, ": `{when}` looks at the object as it is in the cluster, which was not read")
            }
            Some(ConditionTrace { when, value: Some(value), .. }) => write!(f, ": `{when}` is {value}"),
            Some(ConditionTrace { when, value: None, error, fix, .. }) => {
                let error = error.as_deref().unwrap_or_default();
                // The error begins with the expression.
                let error = error.strip_prefix(when.as_str()).map_or(error, |rest| rest.trim_start_matches([':', ' ']));
                write!(f, ": `{when}` cannot be evaluated ({error}), which counts against the request")?;
                fix.as_ref().map_or(Ok(()), |fix| write!(f, "; write `{fix}` before it"))
            }
        }
    }
}
