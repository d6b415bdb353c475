//! `kind: PolicyTest`: what a policy must allow, ask, deny and mask, as a document that CI can run.
//!
//! Owns the document, the words of a request, and the report. Pure, like the decision itself. Refuses to know
//! Kubernetes' URLs: a case that gives a method and a path is read by the parser that the caller brings.
//!
//! Start at [`PolicyTest::parse`] and [`run`].

mod document;
mod report;
mod request;

use lockgate_core::{Decision, Effect, MaskProfile, Subject, Timestamp};

pub use report::{CaseReport, Miss, Report};
pub use request::{Asked, RawRequest, Understood};

use crate::decide::Facts;
use crate::policy::Policy;

/// A test document, read.
#[derive(Debug, Clone)]
pub struct PolicyTest {
    /// The name in `metadata`; empty when it has none.
    pub name: String,
    /// In the document's order; at least one.
    pub cases: Vec<Case>,
}

/// One request, and what must become of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name, or its request's words.
    pub name: String,
    /// Where it stands in the document, from 1.
    pub line: u64,
    /// The request, in the document's words.
    pub request: String,
    /// Who asks.
    pub subject: Subject,
    /// Where.
    pub connection: Connection,
    /// When, if the case says so.
    pub now: Option<Timestamp>,
    /// What.
    pub asked: Asked,
    /// The body, as JSON.
    pub object: Option<serde_json::Value>,
    /// The object as it is in the cluster.
    pub old_object: Option<serde_json::Value>,
    /// What must come of it.
    pub want: Want,
}

/// The cluster that a case is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// How it is marked.
    pub environment: String,
    /// Whether it wants two people for mass or cascading destruction.
    pub four_eyes: bool,
}

/// The list that a case stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Expectation {
    /// Goes through, without a human.
    Allow,
    /// A human decides.
    Ask,
    /// Refused.
    Deny,
    /// Goes through or asks, and the answer is masked.
    Mask,
}

/// What a case wants: its list, and what it says beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The list.
    pub expectation: Expectation,
    /// The rule that must decide.
    pub rule: Option<String>,
    /// How the answer must be masked.
    pub mask: Option<MaskProfile>,
    /// The groups that must be asked.
    pub approver_groups: Option<Vec<String>>,
    /// How many people must be asked.
    pub count: Option<u32>,
    /// Whether the agent's owner must be left out.
    pub four_eyes: Option<bool>,
}

impl Expectation {
    /// The word of the list: `allow`, `ask`, `deny`, `mask`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
            Self::Mask => "mask",
        }
    }
}

impl Want {
    fn is_about_approvers(&self) -> bool {
        self.approver_groups.is_some() || self.count.is_some() || self.four_eyes.is_some()
    }

    /// What is wanted and was not got: `(what, wanted, got)`.
    fn misses(&self, decision: &Decision) -> Vec<report::Miss> {
        let mut misses = Vec::new();
        let mut compare = |field: &'static str, wanted: Option<String>, got: String| {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != got) {
                misses.push(report::Miss { field, wanted, got });
            }
        };
        let passes = decision.effect != Effect::Deny;
        match self.expectation {
            Expectation::Mask => {
                let got = match (passes, decision.obligations.mask) {
                    (false, _) => "deny",
                    (true, MaskProfile::Strict) => "mask",
                    (true, MaskProfile::Off) => "no mask",
                };
                compare("verdict", Some("mask".into()), got.into());
            }
            other => compare("verdict", Some(other.as_str().into()), decision.effect.as_str().into()),
        }
        compare("rule", self.rule.clone(), decision.rule.clone().unwrap_or_else(|| "none".into()));
        let mask = |mask| if mask == MaskProfile::Strict { "strict" } else { "off" };
        compare("mask", self.mask.map(|wanted| mask(wanted).into()), mask(decision.obligations.mask).into());
        if let Some(terms) = &decision.terms {
            compare(
                "approvers",
                self.approver_groups.as_ref().map(|groups| groups.join(", ")),
                terms.approver_groups.join(", "),
            );
            compare("count", self.count.map(|count| count.to_string()), terms.count.to_string());
            compare("fourEyes", self.four_eyes.map(|eyes| eyes.to_string()), terms.four_eyes.to_string());
        }
        misses
    }
}

/// Decides every case. `read` turns a method and a path into what they mean; its error is the case's.
pub fn run(policy: &Policy, test: &PolicyTest, read: &dyn Fn(&RawRequest) -> Result<Understood, String>) -> Report {
    let cases = test.cases.iter().map(|case| one(policy, case, read)).collect();
    Report { name: test.name.clone(), policy: policy.name().to_owned(), cases }
}

fn one(policy: &Policy, case: &Case, read: &dyn Fn(&RawRequest) -> Result<Understood, String>) -> CaseReport {
    let raw;
    let understood = match &case.asked {
        Asked::Understood(understood) => Ok(understood.as_ref()),
        Asked::Raw(request) => {
            raw = read(request);
            raw.as_ref().map_err(Clone::clone)
        }
    };
    match understood {
        Err(reason) => CaseReport::unread(case, reason),
        Ok(understood) => {
            let facts = Facts {
                object: understood.object.as_ref(),
                old_object: case.old_object.as_ref(),
                environment: &case.connection.environment,
                four_eyes: case.connection.four_eyes,
                now: case.now,
                ..Facts::new(&understood.options)
            };
            let decision = policy.decide(&case.subject, &case.connection.name, &understood.action, &facts);
            let misses = case.want.misses(&decision);
            CaseReport::decided(case, &understood.action, decision, misses)
        }
    }
}
