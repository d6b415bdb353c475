//! The document as written. What it means is worked out in [`crate::policy`].

use std::collections::BTreeMap;

use lockgate_core::{MaskProfile, Risk, SubjectKind};
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::POLICY_BYTES_MAX;
use crate::error::PolicyError;
use crate::policy::Preset;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Document {
    pub(crate) api_version: Spanned<String>,
    pub(crate) kind: Spanned<String>,
    #[serde(default)]
    pub(crate) metadata: Metadata,
    /// Whose rules come after these.
    pub(crate) preset: Option<Preset>,
    pub(crate) rules: Vec<RuleDocument>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Metadata {
    #[serde(default)]
    pub(crate) name: String,
    /// For people; not read.
    #[serde(default, rename = "labels")]
    pub(crate) _labels: BTreeMap<String, String>,
    /// For people; only [`crate::AUTHOR_ANNOTATION`] is read.
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RuleDocument {
    pub(crate) name: Spanned<String>,
    #[serde(default, rename = "match")]
    pub(crate) matches: MatchDocument,
    pub(crate) when: Option<Spanned<String>>,
    pub(crate) allow: Option<AllowDocument>,
    pub(crate) deny: Option<DenyDocument>,
    pub(crate) ask: Option<AskDocument>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MatchDocument {
    pub(crate) subjects: Option<Spanned<SubjectsDocument>>,
    pub(crate) clusters: Option<List>,
    pub(crate) environments: Option<List>,
    pub(crate) namespaces: Option<List>,
    pub(crate) api_groups: Option<List>,
    pub(crate) resources: Option<List>,
    pub(crate) verbs: Option<List>,
    pub(crate) names: Option<List>,
    pub(crate) label_selector: Option<Spanned<BTreeMap<String, String>>>,
    pub(crate) risk: Option<Spanned<Vec<Risk>>>,
    #[serde(rename = "nonResourceURLs")]
    pub(crate) non_resource_urls: Option<List>,
}

/// A list whose place in the text is known, and that of each entry.
pub(crate) type List = Spanned<Vec<Spanned<String>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SubjectsDocument {
    pub(crate) groups: Option<List>,
    pub(crate) ids: Option<List>,
    pub(crate) kinds: Option<Spanned<Vec<SubjectKind>>>,
    pub(crate) owners: Option<List>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AllowDocument {
    #[serde(default)]
    pub(crate) message: Option<String>,
    #[serde(default)]
    pub(crate) mask: MaskProfile,
    #[serde(default = "recorded")]
    pub(crate) record: bool,
    pub(crate) limits: Option<Spanned<LimitsDocument>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DenyDocument {
    #[serde(default)]
    pub(crate) message: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AskDocument {
    pub(crate) approvers: Option<ApproversDocument>,
    pub(crate) count: Option<Spanned<u32>>,
    #[serde(default)]
    pub(crate) four_eyes: bool,
    pub(crate) ttl: Option<Spanned<String>>,
    /// What an approval may cover; `request` is all that is offered.
    pub(crate) scopes: Option<List>,
    #[serde(default)]
    pub(crate) message: Option<String>,
    #[serde(default)]
    pub(crate) mask: MaskProfile,
    #[serde(default = "recorded")]
    pub(crate) record: bool,
    pub(crate) limits: Option<Spanned<LimitsDocument>>,
}

/// The terms alone: what a blast limit asks on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ApprovalDocument {
    pub(crate) approvers: Option<ApproversDocument>,
    pub(crate) count: Option<Spanned<u32>>,
    #[serde(default)]
    pub(crate) four_eyes: bool,
    pub(crate) ttl: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ApproversDocument {
    pub(crate) groups: List,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LimitsDocument {
    pub(crate) rate: Option<RateDocument>,
    pub(crate) blast: Option<Spanned<BlastDocument>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RateDocument {
    pub(crate) requests: Spanned<u32>,
    pub(crate) per: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BlastDocument {
    pub(crate) deletes: Spanned<u32>,
    pub(crate) per: Spanned<String>,
    pub(crate) ask: Option<ApprovalDocument>,
    pub(crate) deny: Option<NothingDocument>,
}

/// `{}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NothingDocument {}

const fn recorded() -> bool {
    true
}

/// A document that is empty, or longer than [`POLICY_BYTES_MAX`], is not looked at.
pub(crate) fn check_length(text: &str) -> Result<(), PolicyError> {
    let says_nothing = |line: &str| matches!(line.trim(), "" | "---" | "...") || line.trim_start().starts_with('#');
    if text.lines().all(says_nothing) {
        return Err(PolicyError::whole("the document is empty", "begin with `apiVersion: lockgate.dev/v1`"));
    }
    if text.len() <= POLICY_BYTES_MAX {
        return Ok(());
    }
    let message = format!("the document is longer than {POLICY_BYTES_MAX} bytes");
    Err(PolicyError::whole(message, "merge rules that differ in one list"))
}

pub(crate) fn expect(text: &str, found: &Spanned<String>, field: &str, wanted: &str) -> Result<(), PolicyError> {
    if found.value == wanted {
        return Ok(());
    }
    let message = format!("{field} is `{}`", found.value.chars().take(64).collect::<String>());
    Err(PolicyError::at(text, found.referenced, message, format!("write `{field}: {wanted}`")))
}
