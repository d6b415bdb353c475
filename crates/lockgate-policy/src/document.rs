//! The document as written. What it means is worked out in [`crate::policy`].

use std::collections::BTreeMap;

use lockgate_core::{MaskProfile, Risk, SubjectKind};
use serde::Deserialize;
use serde_saphyr::Spanned;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Document {
    pub(crate) api_version: Spanned<String>,
    pub(crate) kind: Spanned<String>,
    #[serde(default)]
    pub(crate) metadata: Metadata,
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
    pub(crate) subjects: Option<SubjectsDocument>,
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
    pub(crate) mask: MaskProfile,
    #[serde(default = "recorded")]
    pub(crate) record: bool,
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
    #[serde(default)]
    pub(crate) approvers: ApproversDocument,
    pub(crate) count: Option<Spanned<u32>>,
    #[serde(default)]
    pub(crate) four_eyes: bool,
    pub(crate) ttl: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) message: Option<String>,
    #[serde(default)]
    pub(crate) mask: MaskProfile,
    #[serde(default = "recorded")]
    pub(crate) record: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ApproversDocument {
    #[serde(default)]
    pub(crate) groups: Vec<String>,
}

const fn recorded() -> bool {
    true
}
