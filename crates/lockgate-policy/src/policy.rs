//! From the document to rules that can be matched.

use aws_lc_rs::digest;
use lockgate_core::{Obligations, PolicyFacts, Terms, Verb};
use lockgate_expr::Expression;
use serde_saphyr::{Location, Spanned};

use crate::condition;
use crate::document::{AskDocument, Document, List, MatchDocument, Metadata, RuleDocument};
use crate::error::PolicyError;
use crate::matching::{Direction, Matcher, RiskSet, Sieves, VerbSet};
use crate::pattern::{Pattern, ResourcePattern};
use crate::{AUTHOR_ANNOTATION, LIST_ENTRIES_MAX, POLICY_BYTES_MAX, RULES_MAX};

/// Seconds that a ticket lives where the rule does not say: 10 minutes.
const TTL_SECONDS_DEFAULT: u64 = 600;
/// Shortest ticket: a human needs a moment.
const TTL_SECONDS_MIN: u64 = 30;
/// Longest ticket: a day.
const TTL_SECONDS_MAX: u64 = 86_400;
/// Most people who must agree.
const APPROVERS_MAX: u32 = 5;
/// Longest rule name and message, in characters.
const RULE_NAME_CHARACTERS_MAX: usize = 100;
const MESSAGE_CHARACTERS_MAX: usize = 500;

/// A compiled policy.
#[derive(Debug)]
pub struct Policy {
    name: String,
    revision: String,
    author: Option<String>,
    provenance: Option<PolicyFacts>,
    pub(crate) rules: Vec<Rule>,
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
    pub(crate) sieves: Sieves,
    pub(crate) matcher: Matcher,
    pub(crate) when: Option<Expression>,
    pub(crate) verdict: Verdict,
}

#[derive(Debug)]
pub(crate) enum Verdict {
    Allow { obligations: Obligations },
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

    /// The compiled document.
    pub fn policy(self) -> Result<Policy, PolicyError> {
        Policy::parse(self.text())
    }
}

impl Policy {
    /// Compiles a document. Nothing unknown is skipped: a field that was not understood might have been the one that
    /// restricts.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::whole(
                format!("the policy is longer than {POLICY_BYTES_MAX} bytes"),
                "merge rules that differ in one list",
            ));
        }
        let document: Document = serde_saphyr::from_str(text).map_err(|error| PolicyError::yaml(text, &error))?;
        expect(text, &document.api_version, "apiVersion", "lockgate.dev/v1")?;
        expect(text, &document.kind, "kind", "Policy")?;
        if document.rules.len() > RULES_MAX {
            return Err(PolicyError::whole(
                format!("the policy has more than {RULES_MAX} rules"),
                "merge rules that differ in one list",
            ));
        }
        let mut rules: Vec<Rule> = Vec::with_capacity(document.rules.len());
        let mut names = std::collections::HashSet::new();
        for written in document.rules {
            let place = written.name.referenced;
            let rule = Reader { text }.rule(written)?;
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
        Ok(Self { name, revision: revision(text), author, provenance: None, rules })
    }

    /// The name in `metadata`; empty when it has none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hex SHA-256 of the document's text.
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

/// Hex SHA-256 of a policy document's text: what [`Policy::revision`] will be.
pub(crate) fn revision(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn expect(text: &str, found: &Spanned<String>, field: &str, wanted: &str) -> Result<(), PolicyError> {
    if found.value == wanted {
        return Ok(());
    }
    let message = format!("{field} is `{}`", found.value.chars().take(64).collect::<String>());
    Err(PolicyError::at(text, found.referenced, message, format!("write `{field}: {wanted}`")))
}

/// Reads one rule, with the text at hand for errors.
struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn rule(&self, written: RuleDocument) -> Result<Rule, PolicyError> {
        let place = written.name.referenced;
        let name = written.name.value;
        if name.is_empty() || name.chars().count() > RULE_NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
            let message = format!("a rule's name has 1 to {RULE_NAME_CHARACTERS_MAX} printable characters");
            return Err(self.error(place, message, "name the rule after what it is for, such as `read`"));
        }
        let when = match &written.when {
            None => None,
            Some(when) => Some(condition::compile(&when.value).map_err(|error| {
                self.error(
                    when.referenced,
                    format!("`when` of rule `{name}`: {error}"),
                    "see the CEL language's definition",
                )
            })?),
        };
        let verdict = match (written.allow, written.deny, written.ask) {
            (Some(allow), None, None) => Verdict::Allow {
                obligations: Obligations { mask: allow.mask, record: allow.record, ..Obligations::default() },
            },
            (None, Some(deny), None) => Verdict::Deny { message: self.message(place, deny.message)? },
            (None, None, Some(ask)) => self.ask(place, ask)?,
            _ => {
                let message = format!("rule `{name}` needs exactly one of allow, deny and ask");
                return Err(self.error(place, message, "add `allow: {}`, `deny: {}` or `ask: {}`"));
            }
        };
        if let (Some(selector), false) = (&written.matches.label_selector, matches!(verdict, Verdict::Allow { .. })) {
            let message =
                format!("rule `{name}` restricts by labelSelector, which a request without one would walk around");
            return Err(self.error(selector.referenced, message, "use labelSelector only in a rule that allows"));
        }
        let matcher = self.matcher(place, written.matches)?;
        Ok(Rule { sieves: Sieves::of(&matcher), matcher, name, when, verdict })
    }

    fn ask(&self, place: Location, ask: AskDocument) -> Result<Verdict, PolicyError> {
        let count = ask.count.as_ref().map_or(1, |count| count.value);
        if !(1..=APPROVERS_MAX).contains(&count) {
            let place = ask.count.as_ref().map_or(place, |count| count.referenced);
            return Err(self.error(place, format!("count is {count}"), format!("write 1 to {APPROVERS_MAX}")));
        }
        let ttl_seconds = match &ask.ttl {
            None => TTL_SECONDS_DEFAULT,
            Some(ttl) => self.ttl(ttl)?,
        };
        if let Some(empty) = ask.approvers.groups.iter().find(|group| group.trim().is_empty()) {
            return Err(self.error(place, format!("an approver group is {empty:?}"), "name the group"));
        }
        let terms = Terms { approver_groups: ask.approvers.groups, count, four_eyes: ask.four_eyes, ttl_seconds };
        let obligations = Obligations { mask: ask.mask, record: ask.record, ..Obligations::default() };
        Ok(Verdict::Ask { terms, obligations, message: self.message(place, ask.message)? })
    }

    fn ttl(&self, ttl: &Spanned<String>) -> Result<u64, PolicyError> {
        let fix = format!("write a duration of {TTL_SECONDS_MIN}s to 24h, such as 90s, 10m or 2h");
        let wrong = |message: String| self.error(ttl.referenced, message, fix.clone());
        let text = ttl.value.trim();
        let unit = |suffix: &str, seconds: u64| {
            text.strip_suffix(suffix).and_then(|digits| digits.parse::<u64>().ok()?.checked_mul(seconds))
        };
        let seconds = unit("s", 1)
            .or_else(|| unit("m", 60))
            .or_else(|| unit("h", 3600))
            .ok_or_else(|| wrong(format!("ttl is `{}`", text.chars().take(32).collect::<String>())))?;
        if (TTL_SECONDS_MIN..=TTL_SECONDS_MAX).contains(&seconds) {
            Ok(seconds)
        } else {
            Err(wrong(format!("ttl is {seconds} seconds")))
        }
    }

    fn message(&self, place: Location, message: Option<String>) -> Result<Option<String>, PolicyError> {
        match message {
            Some(message) if message.chars().count() > MESSAGE_CHARACTERS_MAX => {
                let what = format!("the rule's message is longer than {MESSAGE_CHARACTERS_MAX} characters");
                Err(self.error(place, what, "say it shorter: agents act on the first sentence"))
            }
            other => Ok(other),
        }
    }

    fn matcher(&self, place: Location, written: MatchDocument) -> Result<Matcher, PolicyError> {
        let subjects = written.subjects.unwrap_or_default();
        let resource_fields = written.resources.is_some()
            || written.api_groups.is_some()
            || written.namespaces.is_some()
            || written.names.is_some()
            || written.label_selector.is_some();
        if written.non_resource_urls.is_some() && resource_fields {
            let message = "a rule is for nonResourceURLs or for resources, never for both";
            return Err(self.error(place, message, "split it into two rules"));
        }
        let risks = match written.risk {
            None => None,
            Some(risks) if risks.value.is_empty() => return Err(self.empty("risk", risks.referenced)),
            Some(risks) => {
                Some(risks.value.into_iter().fold(RiskSet::default(), |set, risk| set.with(RiskSet::of(risk))))
            }
        };
        let kinds = match subjects.kinds {
            Some(kinds) if kinds.value.is_empty() => return Err(self.empty("kinds", kinds.referenced)),
            kinds => kinds.map(|kinds| kinds.value),
        };
        let label_selector = match written.label_selector {
            Some(labels) if labels.value.is_empty() => return Err(self.empty("labelSelector", labels.referenced)),
            labels => labels.map(|labels| labels.value.into_iter().collect()),
        };
        Ok(Matcher {
            verbs: self.verbs(written.verbs)?,
            risks,
            resources: self.list("resources", written.resources, resource)?,
            api_groups: self.list("apiGroups", written.api_groups, Pattern::parse)?,
            namespaces: self.list("namespaces", written.namespaces, named)?,
            names: self.list("names", written.names, named)?,
            label_selector,
            non_resource_urls: self.list("nonResourceURLs", written.non_resource_urls, url)?,
            clusters: self.list("clusters", written.clusters, named)?,
            environments: self.list("environments", written.environments, named)?,
            groups: self.list("groups", subjects.groups, named)?,
            ids: self.list("ids", subjects.ids, named)?,
            owners: self.list("owners", subjects.owners, named)?,
            kinds,
        })
    }

    fn verbs(&self, list: Option<List>) -> Result<Option<VerbSet>, PolicyError> {
        let verbs = self.list("verbs", list, verb)?;
        Ok(verbs.map(|verbs| verbs.into_iter().fold(VerbSet::default(), VerbSet::with)))
    }

    fn list<T>(
        &self,
        field: &str,
        list: Option<List>,
        parse: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Result<Option<Vec<T>>, PolicyError> {
        let Some(list) = list else { return Ok(None) };
        if list.value.is_empty() {
            return Err(self.empty(field, list.referenced));
        }
        if list.value.len() > LIST_ENTRIES_MAX {
            let message = format!("{field} has more than {LIST_ENTRIES_MAX} entries");
            return Err(self.error(list.referenced, message, "use a prefix such as `team-*`"));
        }
        let entries = list.value.iter().map(|entry| {
            parse(&entry.value).map_err(|fix| {
                let shown: String = entry.value.chars().take(64).collect();
                self.error(entry.referenced, format!("`{shown}` is no entry for {field}"), fix)
            })
        });
        entries.collect::<Result<Vec<T>, PolicyError>>().map(Some)
    }

    fn empty(&self, field: &str, place: Location) -> PolicyError {
        let fix = format!("remove `{field}:` to match everything, or list what it should match");
        self.error(place, format!("{field} is an empty list"), fix)
    }

    fn error(&self, place: Location, message: impl Into<String>, fix: impl Into<String>) -> PolicyError {
        PolicyError::at(self.text, place, message, fix)
    }
}

fn named(text: &str) -> Result<Pattern, &'static str> {
    if text.is_empty() { Err("write a name, a beginning such as `team-*`, or `*`") } else { Pattern::parse(text) }
}

fn resource(text: &str) -> Result<ResourcePattern, &'static str> {
    if text.chars().any(|character| character.is_ascii_uppercase() || character == '.') {
        return Err("write the resource in lower case and the plural, such as `deployments`, without its group");
    }
    ResourcePattern::parse(text)
}

fn url(text: &str) -> Result<Pattern, &'static str> {
    match text {
        "*" => Ok(Pattern::Any),
        _ if text.starts_with('/') => Pattern::parse(text),
        _ => Err("write a path that begins with `/`, such as `/healthz` or `/api*`, or `*`"),
    }
}

fn verb(text: &str) -> Result<VerbSet, &'static str> {
    const VERBS: [Verb; 12] = [
        Verb::Get,
        Verb::List,
        Verb::Watch,
        Verb::Create,
        Verb::Update,
        Verb::Patch,
        Verb::Delete,
        Verb::DeleteCollection,
        Verb::Head,
        Verb::Options,
        Verb::Post,
        Verb::Put,
    ];
    if text == "*" {
        return Ok(VerbSet::ALL);
    }
    VERBS.into_iter().find(|verb| verb.as_str() == text).map(VerbSet::of).ok_or(
        "use get, list, watch, create, update, patch, delete, deletecollection (head, options, post, put for \
         nonResourceURLs) or `*`; exec, attach, port-forward and proxy are `create` on their subresource",
    )
}
