//! The policy's verdict.

use serde::{Deserialize, Serialize};

use crate::approval::Terms;

/// How often, and how much, before a rule's verdict changes. Counted for one caller (issuer, id and owner), one cluster
/// and one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// How many requests the rule lets through in a window; what is above gets 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateLimit>,
    /// How many objects may be deleted in a window before the verdict changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blast: Option<BlastLimit>,
}

/// Requests in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// How many; at least 1.
    pub requests: u32,
    /// Length of the window.
    pub per_seconds: u64,
}

/// Deletions in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlastLimit {
    /// How many go through under the rule's own verdict; at least 1. A collection delete is always beyond.
    pub deletes: u32,
    /// Length of the window.
    pub per_seconds: u64,
    /// What becomes of the next one.
    pub then: BlastVerdict,
}

/// What becomes of a deletion beyond [`BlastLimit::deletes`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BlastVerdict {
    /// It is refused until the window has room again.
    Deny,
    /// A human decides, on these terms.
    Ask(Terms),
}

/// The verdict's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Goes through.
    Allow,
    /// Refused; no human can change it.
    Deny,
    /// A human decides.
    Ask,
}

impl Effect {
    /// The word that JSON and SQL use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Ask => "ask",
        }
    }
}

/// How much of an answer is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum MaskProfile {
    /// The default: Secret values everywhere they are known to stand.
    #[default]
    Strict,
    /// A named exception: nothing is masked (helm's release Secrets, say).
    Off,
}

/// What goes with an allowed request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Obligations {
    /// How the answer is masked.
    pub mask: MaskProfile,
    /// Whether an interactive stream is recorded. Exec, attach and port-forward always are.
    pub record: bool,
    /// Whether items that the policy would not show one by one are taken out of the answer (a list or watch).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub filter: bool,
    /// The rule's limits in time, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

impl Default for Obligations {
    fn default() -> Self {
        Self { mask: MaskProfile::Strict, record: true, filter: false, limits: None }
    }
}

/// The policy that decided, as the log names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyFacts {
    /// The store's number of this revision, from 1; each change of the policy in force has a higher one.
    pub revision: u64,
    /// Hex SHA-256 of the document's text.
    pub digest: String,
    /// Who wrote it, as the document says (`metadata.annotations["lockgate.dev/author"]`), or who owns its file.
    pub author: String,
}

/// What stood around a decision, for its record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecidedBy {
    /// The policy that decided; `None` for one that was never stored.
    pub policy: Option<PolicyFacts>,
    /// What a candidate would have decided, where it differs.
    pub shadow: Option<ShadowFacts>,
    /// How the cluster was marked; empty when it was not.
    pub environment: String,
    /// What the policy said of the request, where something else overruled it: a limit, a freeze, a human's earlier no.
    pub policy_effect: Option<Effect>,
}

/// What a candidate policy in shadow mode would have decided, where that is not what was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShadowFacts {
    /// Allow, deny or ask.
    pub effect: Effect,
    /// The candidate's rule; `None` when none matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The candidate's digest.
    pub policy_revision: String,
    /// What differs: `effect`, `terms` (who is asked), `obligations` (how the answer is masked, say).
    #[serde(default)]
    pub differs: Vec<String>,
}

/// The verdict on one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Allow, deny or ask.
    pub effect: Effect,
    /// The rule that decided; `None` when no rule matched (then the effect is deny).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The revision (digest) of the policy that decided.
    pub policy_revision: String,
    /// Why, for people; at least one sentence.
    pub reasons: Vec<String>,
    /// What goes with it.
    pub obligations: Obligations,
    /// For [`Effect::Ask`]: who may decide, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// The rule's own words to the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
