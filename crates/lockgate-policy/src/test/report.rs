//! What a test found, for people and for machines.

use std::fmt;

use lockgate_core::{Action, Decision, Effect};
use serde::Serialize;

use super::{Case, Expectation};

/// The outcome of a test document.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The test's name.
    pub name: String,
    /// The policy's name.
    pub policy: String,
    /// In the document's order.
    pub cases: Vec<CaseReport>,
}

/// The outcome of a case.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseReport {
    /// The case's name.
    pub name: String,
    /// Where it stands in the test's document, from 1.
    pub line: u64,
    /// The request, in the document's words.
    pub request: String,
    /// Who asked: `agent:bot`.
    pub subject: String,
    /// Where.
    pub cluster: String,
    /// How that cluster is marked.
    pub environment: String,
    /// What it would do, as far as it was understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The list it stands in.
    pub expected: Expectation,
    /// The verdict; `None` where the request could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// What was wanted and not got; empty: the case holds.
    pub misses: Vec<Miss>,
}

/// One thing that came out otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Miss {
    /// What: `verdict`, `rule`, `mask`, `approvers`, `count`, `fourEyes`, `request`.
    pub field: &'static str,
    /// As the test wants it.
    pub wanted: String,
    /// As it is.
    pub got: String,
}

impl CaseReport {
    pub(super) fn decided(case: &Case, action: &Action, decision: Decision, misses: Vec<Miss>) -> Self {
        Self { action: Some(action.clone()), decision: Some(decision), misses, ..Self::of(case) }
    }

    pub(super) fn unread(case: &Case, reason: String) -> Self {
        let miss = Miss { field: "request", wanted: "a request that can be read".into(), got: reason };
        Self { misses: vec![miss], ..Self::of(case) }
    }

    fn of(case: &Case) -> Self {
        Self {
            name: case.name.clone(),
            line: case.line,
            request: case.request.clone(),
            subject: case.subject.name(),
            cluster: case.connection.name.clone(),
            environment: case.connection.environment.clone(),
            action: None,
            expected: case.want.expectation,
            decision: None,
            misses: Vec::new(),
        }
    }

    /// Whether everything came out as wanted.
    pub fn holds(&self) -> bool {
        self.misses.is_empty()
    }
}

impl Report {
    /// Whether every case holds.
    pub fn holds(&self) -> bool {
        self.failed() == 0
    }

    /// How many cases do not hold.
    pub fn failed(&self) -> usize {
        self.cases.iter().filter(|case| !case.holds()).count()
    }
}

/// The failed cases as a diff (`-` wanted, `+` got), then one line of sums.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in self.cases.iter().filter(|case| !case.holds()) {
            writeln!(f, "{case}")?;
        }
        let failed = self.failed();
        let name = if self.name.is_empty() { "policy test" } else { &self.name };
        write!(f, "{name}: {} of {} cases hold", self.cases.len() - failed, self.cases.len())?;
        if failed > 0 { write!(f, ", {failed} do not") } else { Ok(()) }
    }
}

impl fmt::Display for CaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.holds() { "ok" } else { "FAIL" };
        write!(f, "{word} line {}: {}", self.line, self.name)?;
        write!(f, "\n  {} by {}", self.request, self.subject)?;
        match (self.cluster.as_str(), self.environment.as_str()) {
            ("", "") => {}
            (cluster, "") => write!(f, " on {cluster}")?,
            (cluster, environment) => write!(f, " on {cluster} ({environment})")?,
        }
        if let Some(action) = &self.action {
            let risk = serde_json::to_value(action.risk).ok();
            if let Some(risk) = risk.as_ref().and_then(serde_json::Value::as_str) {
                write!(f, ", risk {risk}")?;
            }
        }
        for Miss { field, wanted, got } in &self.misses {
            write!(f, "\n- {field}: {wanted}\n+ {field}: {got}")?;
        }
        if let (false, Some(decision)) = (self.holds(), &self.decision) {
            for reason in &decision.reasons {
                write!(f, "\n  because {reason}")?;
            }
            if let (Effect::Deny, Some(message)) = (decision.effect, &decision.message) {
                write!(f, "\n  the caller reads: {message}")?;
            }
        }
        Ok(())
    }
}
