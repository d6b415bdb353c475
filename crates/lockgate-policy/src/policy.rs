//! From the document to rules that can be matched.

use aws_lc_rs::digest;
use lockgate_core::{Obligations, PolicyFacts, Terms};
use lockgate_expr::Expression;

use crate::condition::Looks;
use crate::document::{self, Document, Metadata};
use crate::error::PolicyError;
use crate::matching::{Direction, Matcher, Sieves};
use crate::reader::Reader;
use crate::{API_VERSION, AUTHOR_ANNOTATION, RULES_MAX, order, yaml};

/// A compiled policy.
#[derive(Debug)]
pub struct Policy {
    name: String,
    revision: String,
    author: Option<String>,
    provenance: Option<PolicyFacts>,
    pub(crate) rules: Vec<Rule>,
    /// Words in it that may be mistakes.
    pub(crate) doubts: Vec<PolicyError>,
}

/// A policy that ships with Lockgate (`policy: {preset: operate}`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Reads only, answers masked.
    Observe,
    /// The default for agents: reads, routine writes; a human decides the rest; escalation is denied.
    Operate,
    /// For humans: reads and writes; destruction asks; escalation is denied.
    Admin,
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    /// Where it stands in its document, from 1.
    pub(crate) line: u64,
    pub(crate) column: u64,
    pub(crate) sieves: Sieves,
    pub(crate) matcher: Matcher,
    pub(crate) when: Option<Expression>,
    pub(crate) looks: Looks,
    pub(crate) verdict: Verdict,
}

#[derive(Debug)]
pub(crate) enum Verdict {
    Allow { obligations: Obligations, message: Option<String> },
    Deny { message: Option<String> },
    Ask { terms: Terms, obligations: Obligations, message: Option<String> },
}

impl Rule {
    pub(crate) const fn direction(&self) -> Direction {
        match self.verdict {
            Verdict::Allow { .. } => Direction::Allows,
            Verdict::Ask { .. } | Verdict::Deny { .. } => Direction::Restricts,
        }
    }

    /// The rule as part of another document: `operate/read`, so that the log says whose it is.
    fn of_preset(self, preset: Preset) -> Self {
        Self { name: format!("{}/{}", preset.as_str(), self.name), ..self }
    }
}

impl Preset {
    /// The document, as an operator would write it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Observe => include_str!("../presets/observe.yaml"),
            Self::Operate => include_str!("../presets/operate.yaml"),
            Self::Admin => include_str!("../presets/admin.yaml"),
        }
    }

    /// Its word: `operate`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    /// The compiled document.
    pub fn policy(self) -> Result<Policy, PolicyError> {
        Policy::parse(self.text())
    }
}

impl Policy {
    /// Compiles a document. Nothing unknown is skipped: a field that was not understood might have been the one that
    /// restricts.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        document::check_length(text)?;
        let document: Document = yaml::read(text, &[])?;
        document::expect(text, &document.api_version, "apiVersion", API_VERSION)?;
        document::expect(text, &document.kind, "kind", "Policy")?;
        if document.rules.len() > RULES_MAX {
            return Err(PolicyError::whole(
                format!("the policy has more than {RULES_MAX} rules"),
                "merge rules that differ in one list",
            ));
        }
        let mut rules: Vec<Rule> = Vec::with_capacity(document.rules.len());
        let mut names = std::collections::HashSet::new();
        let mut reader = Reader { text, doubts: Vec::new() };
        for written in document.rules {
            let place = written.name.referenced;
            let rule = reader.rule(written)?;
            if !names.insert(rule.name.clone()) {
                let message = format!("a second rule is named `{}`", rule.name);
                return Err(PolicyError::at(
                    text,
                    place,
                    message,
                    "give each rule a name of its own: the log cites it",
                ));
            }
            rules.push(rule);
        }
        let Metadata { name, mut annotations, .. } = document.metadata;
        let author = annotations.remove(AUTHOR_ANNOTATION).filter(|author| !author.trim().is_empty());
        let mut texts = vec![text];
        if let Some(preset) = document.preset {
            texts.push(preset.text());
            rules.extend(preset.policy()?.rules.into_iter().map(|rule| rule.of_preset(preset)));
        }
        let doubts = reader.doubts;
        Ok(Self { name, revision: digest_of(&texts), author, provenance: None, rules, doubts })
    }

    /// What is no mistake for certain and may well be one: words that name nothing that is built in, rules that allow too
    /// much before a later one can ask. `text` is the document's own.
    pub fn warnings(&self, text: &str) -> Vec<PolicyError> {
        let mut warnings = self.doubts.clone();
        warnings.extend(order::warnings(text, &self.rules));
        warnings.sort_by_key(|warning| (warning.line, warning.column));
        warnings
    }

    /// The windows of the limits on removals (`limits.blast`), in seconds.
    pub fn blast_windows(&self) -> std::collections::BTreeSet<u64> {
        let obligations = self.rules.iter().filter_map(|rule| match &rule.verdict {
            Verdict::Allow { obligations, .. } | Verdict::Ask { obligations, .. } => Some(obligations),
            Verdict::Deny { .. } => None,
        });
        let limits = obligations.filter_map(|obligations| obligations.limits.as_ref());
        limits.filter_map(|limits| limits.blast.as_ref()).map(|blast| blast.per_seconds).collect()
    }

    /// The name in `metadata`; empty when it has none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hex SHA-256 of the document's text (and of the preset's, where it takes one in).
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The first 12 digits of [`Self::revision`], for people.
    pub fn short_revision(&self) -> &str {
        self.revision.get(..12).unwrap_or(&self.revision)
    }

    /// Who wrote it, in the document's own word.
    pub fn author(&self) -> Option<&str> {
        self.author.as_deref()
    }

    /// The same policy, with what the store knows of it: decisions are recorded with it.
    #[must_use]
    pub fn stored_as(self, provenance: PolicyFacts) -> Self {
        Self { provenance: Some(provenance), ..self }
    }

    /// What the store knows of it; `None` for a policy that was never stored.
    pub const fn provenance(&self) -> Option<&PolicyFacts> {
        self.provenance.as_ref()
    }

    /// How many rules there are.
    pub const fn rule_count(&self) -> usize {
        self.rules.len()
    }
}

/// Hex SHA-256 of texts, one after the other.
fn digest_of(texts: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    texts.iter().for_each(|text| context.update(text.as_bytes()));
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
