//! From a rule as written to a rule that can be matched: every mistake is told with its place and its fix.

use crate::condition::Looks;
use lockgate_core::{BlastLimit, BlastVerdict, Limits, Obligations, RateLimit, Risk, Terms, Verb};
use lockgate_expr::Expression;
use serde_saphyr::{Location, Spanned};

use crate::document::{
    ApprovalDocument, AskDocument, BlastDocument, LimitsDocument, List, MatchDocument, RuleDocument,
};
use crate::error::PolicyError;
use crate::matching::{Matcher, RiskSet, Sieves, VerbSet};
use crate::pattern::{Pattern, ResourcePattern};
use crate::policy::{Rule, Verdict};
use crate::{LIST_ENTRIES_MAX, condition};

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

/// Shortest window of a limit.
const WINDOW_SECONDS_MIN: u64 = 1;
/// Longest window of a limit: a day.
const WINDOW_SECONDS_MAX: u64 = 86_400;
/// Most requests and deletes that a limit may count up to.
const COUNTED_MAX: u32 = 100_000;

/// The risk classes, and their words.
pub(crate) const RISKS: [(Risk, &str); 8] = [
    (Risk::Read, "read"),
    (Risk::Masked, "masked"),
    (Risk::Write, "write"),
    (Risk::Ask, "ask"),
    (Risk::Destructive, "destructive"),
    (Risk::Mass, "mass"),
    (Risk::Stream, "stream"),
    (Risk::Escalation, "escalation"),
];

/// The verbs that a rule may name.
pub(crate) const VERBS: [Verb; 12] = [
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

/// Reads one rule, with the text at hand for errors.
pub(crate) struct Reader<'t> {
    pub(crate) text: &'t str,
}

impl Reader<'_> {
    pub(crate) fn rule(&self, written: RuleDocument) -> Result<Rule, PolicyError> {
        let place = written.name.referenced;
        let name = written.name.value;
        if name.is_empty() || name.chars().count() > RULE_NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
            let message = format!("a rule's name has 1 to {RULE_NAME_CHARACTERS_MAX} printable characters");
            return Err(self.error(place, message, "name the rule after what it is for, such as `read`"));
        }
        let when = match &written.when {
            None => None,
            Some(when) => {
                self.untagged(when)?;
                Some(self.condition(&name, when)?)
            }
        };
        let verdict = match (written.allow, written.deny, written.ask) {
            (Some(allow), None, None) => {
                let limits = self.limits(allow.limits)?;
                let obligations =
                    Obligations { mask: allow.mask, record: allow.record, limits, ..Obligations::default() };
                Verdict::Allow { obligations }
            }
            (None, Some(deny), None) => Verdict::Deny { message: self.message(place, deny.message)? },
            (None, None, Some(ask)) => self.ask(place, ask)?,
            _ => {
                let message = format!("rule `{name}` needs exactly one of allow, deny and ask");
                return Err(self.error(place, message, "add `allow: {}`, `deny: {}` or `ask: {}`"));
            }
        };
        let matcher = self.matcher(place, written.matches)?;
        Ok(Rule {
            sieves: Sieves::of(&matcher),
            matcher,
            name,
            line: place.line(),
            looks: Looks::of(when.as_ref()),
            when,
            verdict,
        })
    }

    fn condition(&self, rule: &str, when: &Spanned<String>) -> Result<Expression, PolicyError> {
        condition::compile(&when.value)
            .map_err(|error| PolicyError::expression(self.text, when, &format!("`when` of rule `{rule}`"), &error))
    }

    /// Where `!…` stands before the value, YAML takes it for a tag, and the condition would lose it.
    fn untagged(&self, when: &Spanned<String>) -> Result<(), PolicyError> {
        let line = when.referenced.line();
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let written = self.text.lines().nth(index).unwrap_or_default();
        let Some((before, value)) = written.split_once("when:") else { return Ok(()) };
        if !value.trim_start().starts_with('!') {
            return Ok(());
        }
        let spaces = value.chars().take_while(|character| character.is_whitespace()).count();
        let column = before.chars().count() + "when:".len() + spaces + 1;
        let message = "YAML takes the `!` at the beginning for itself";
        let fix = "put the condition in double quotes: `when: \"!('sre' in subject.groups)\"`";
        Err(PolicyError::in_line(self.text, line, column, message, fix))
    }

    fn ask(&self, place: Location, ask: AskDocument) -> Result<Verdict, PolicyError> {
        let AskDocument { approvers, count, four_eyes, ttl, scopes, message, mask, record, limits } = ask;
        if let Some(scope) = scopes.iter().flatten().find(|scope| scope.value != "request") {
            let shown: String = scope.value.chars().take(32).collect();
            let message = format!("the scope `{shown}` is not offered: an approval covers one request");
            return Err(self.error(scope.referenced, message, "write `scopes: [request]`, or leave it out"));
        }
        let terms = self.terms(place, ApprovalDocument { approvers, count, four_eyes, ttl })?;
        let limits = self.limits(limits)?;
        let obligations = Obligations { mask, record, limits, ..Obligations::default() };
        Ok(Verdict::Ask { terms, obligations, message: self.message(place, message)? })
    }

    fn terms(&self, place: Location, written: ApprovalDocument) -> Result<Terms, PolicyError> {
        let count = written.count.as_ref().map_or(1, |count| count.value);
        if !(1..=APPROVERS_MAX).contains(&count) {
            let place = written.count.as_ref().map_or(place, |count| count.referenced);
            return Err(self.error(place, format!("count is {count}"), format!("write 1 to {APPROVERS_MAX}")));
        }
        let ttl_seconds = match &written.ttl {
            None => TTL_SECONDS_DEFAULT,
            Some(ttl) => self.duration("ttl", ttl, TTL_SECONDS_MIN..=TTL_SECONDS_MAX)?,
        };
        let groups = written.approvers.groups;
        if let Some(empty) = groups.iter().find(|group| group.value.trim().is_empty()) {
            return Err(self.error(
                empty.referenced,
                format!("an approver group is {:?}", empty.value),
                "name the group",
            ));
        }
        let approver_groups = groups.into_iter().map(|group| group.value).collect();
        Ok(Terms { approver_groups, count, four_eyes: written.four_eyes, ttl_seconds })
    }

    fn limits(&self, written: Option<Spanned<LimitsDocument>>) -> Result<Option<Limits>, PolicyError> {
        let Some(Spanned { value: LimitsDocument { rate, blast }, referenced: place, .. }) = written else {
            return Ok(None);
        };
        if rate.is_none() && blast.is_none() {
            let fix = "write `limits: {rate: {requests: 120, per: 1m}}`, say, or remove it";
            return Err(self.error(place, "limits is empty", fix));
        }
        let window = WINDOW_SECONDS_MIN..=WINDOW_SECONDS_MAX;
        let rate = match rate {
            None => None,
            Some(rate) => Some(RateLimit {
                requests: self.counted("requests", &rate.requests)?,
                per_seconds: self.duration("per", &rate.per, window.clone())?,
            }),
        };
        let blast = match blast {
            None => None,
            Some(Spanned { value: BlastDocument { deletes, per, ask, deny }, referenced: place, .. }) => {
                Some(BlastLimit {
                    deletes: self.counted("deletes", &deletes)?,
                    per_seconds: self.duration("per", &per, window)?,
                    then: match (ask, deny) {
                        (Some(ask), None) => BlastVerdict::Ask(self.terms(place, ask)?),
                        (None, Some(_)) => BlastVerdict::Deny,
                        _ => {
                            let message = "blast needs exactly one of ask and deny: what becomes of the next delete";
                            let fix = "write `blast: {deletes: 10, per: 10m, ask: {count: 2}}` or `deny: {}` in it";
                            return Err(self.error(place, message, fix));
                        }
                    },
                })
            }
        };
        Ok(Some(Limits { rate, blast }))
    }

    fn counted(&self, field: &str, count: &Spanned<u32>) -> Result<u32, PolicyError> {
        if (1..=COUNTED_MAX).contains(&count.value) {
            return Ok(count.value);
        }
        Err(self.error(count.referenced, format!("{field} is {}", count.value), format!("write 1 to {COUNTED_MAX}")))
    }

    /// Seconds.
    fn duration(
        &self,
        field: &str,
        written: &Spanned<String>,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, PolicyError> {
        let fix = format!("write a duration of {}s to 24h, such as 90s, 10m or 2h", range.start());
        let wrong = |message: String| self.error(written.referenced, message, fix.clone());
        let text = written.value.trim();
        let unit = |suffix: &str, seconds: u64| {
            text.strip_suffix(suffix).and_then(|digits| digits.parse::<u64>().ok()?.checked_mul(seconds))
        };
        let seconds = unit("s", 1)
            .or_else(|| unit("m", 60))
            .or_else(|| unit("h", 3600))
            .ok_or_else(|| wrong(format!("{field} is `{}`", text.chars().take(32).collect::<String>())))?;
        if range.contains(&seconds) { Ok(seconds) } else { Err(wrong(format!("{field} is {seconds} seconds"))) }
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
    if text == "*" {
        return Ok(VerbSet::ALL);
    }
    VERBS.into_iter().find(|verb| verb.as_str() == text).map(VerbSet::of).ok_or(
        "use get, list, watch, create, update, patch, delete, deletecollection (head, options, post, put for \
         nonResourceURLs) or `*`; exec, attach, port-forward and proxy are `create` on their subresource",
    )
}
