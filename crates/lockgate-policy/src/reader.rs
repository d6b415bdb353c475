//! From a rule as written to a rule that can be matched: every mistake is told with its place and its fix.

use crate::condition::Looks;
use lockgate_core::{BlastLimit, BlastVerdict, Limits, Obligations, RateLimit, Risk, Terms};
use lockgate_expr::Expression;
use serde_saphyr::{Location, Spanned};

use crate::document::{
    ApprovalDocument, ApproversDocument, AskDocument, BlastDocument, LimitsDocument, List, MatchDocument, RuleDocument,
    SubjectsDocument,
};
use crate::entry::{
    Complaint, group_of_people, id, named, namespace, object_name, person, resource, unpadded, url, verb,
    without_prefix,
};
use crate::error::PolicyError;
use crate::matching::{Matcher, RiskSet, Sieves, VerbSet};
use crate::pattern::Pattern;
use crate::policy::{Rule, Verdict};
use crate::vocabulary::{self, Word};
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

/// Reads one rule, with the text at hand for errors.
pub(crate) struct Reader<'t> {
    pub(crate) text: &'t str,
    /// What may be a mistake.
    pub(crate) doubts: Vec<PolicyError>,
}

impl Reader<'_> {
    pub(crate) fn rule(&mut self, written: RuleDocument) -> Result<Rule, PolicyError> {
        let place = written.name.referenced;
        let name = written.name.value;
        if name.is_empty() || name.chars().count() > RULE_NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
            let message = format!("a rule's name has 1 to {RULE_NAME_CHARACTERS_MAX} printable characters");
            return Err(self.error(place, message, "name the rule after what it is for, such as `read`"));
        }
        let when = match &written.when {
            None => None,
            Some(when) => Some(self.condition(&name, when)?),
        };
        let verdict = match (written.allow, written.deny, written.ask) {
            (Some(allow), None, None) => {
                let limits = self.limits(allow.limits)?;
                let obligations =
                    Obligations { mask: allow.mask, record: allow.record, limits, ..Obligations::default() };
                Verdict::Allow { obligations, message: self.message(place, allow.message)? }
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
            column: place.column(),
            looks: Looks::of(when.as_ref()),
            when,
            verdict,
        })
    }

    fn condition(&self, rule: &str, when: &Spanned<String>) -> Result<Expression, PolicyError> {
        condition::compile(&when.value)
            .map_err(|error| PolicyError::expression(self.text, when, &format!("`when` of rule `{rule}`"), &error))
    }

    fn ask(&self, place: Location, ask: AskDocument) -> Result<Verdict, PolicyError> {
        let AskDocument { approvers, count, four_eyes, ttl, scopes, message, mask, record, limits } = ask;
        if let Some(none) = scopes.as_ref().filter(|scopes| scopes.value.is_empty()) {
            return Err(self.error(
                none.referenced,
                "scopes is an empty list",
                "write `scopes: [request]`, or leave it out",
            ));
        }
        if let Some(scope) = scopes.iter().flat_map(|scopes| &scopes.value).find(|scope| scope.value != "request") {
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
        let approver_groups = self.approver_groups(written.approvers)?;
        Ok(Terms { approver_groups, count, four_eyes: written.four_eyes, ttl_seconds })
    }

    fn approver_groups(&self, written: Option<ApproversDocument>) -> Result<Vec<String>, PolicyError> {
        let Some(ApproversDocument { groups }) = written else { return Ok(Vec::new()) };
        if groups.value.is_empty() {
            let fix =
                "name the groups whose members decide, or remove `approvers:`: whoever may approve in the console does";
            return Err(self.error(groups.referenced, "groups is an empty list", fix));
        }
        for group in &groups.value {
            if group.value.trim().is_empty() {
                let message = format!("an approver group is {:?}", group.value);
                return Err(self.error(group.referenced, message, "name the group"));
            }
            if let Err(Complaint { message, fix }) = without_prefix(&group.value).and_then(|()| unpadded(&group.value))
            {
                return Err(self.error(group.referenced, message.unwrap_or_default(), fix));
            }
        }
        Ok(groups.value.into_iter().map(|group| group.value).collect())
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

    fn matcher(&mut self, place: Location, written: MatchDocument) -> Result<Matcher, PolicyError> {
        let subjects = self.subjects(written.subjects)?;
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
            Some(labels) => {
                for (key, value) in &labels.value {
                    if let Word::Mistaken(message, fix) = vocabulary::label(key, value) {
                        return Err(self.error(labels.referenced, message, fix));
                    }
                }
                Some(labels.value.into_iter().collect())
            }
            None => None,
        };
        let mut doubts = Vec::new();
        let verbs = self.verbs(written.verbs)?;
        let api_groups = self.list("apiGroups", written.api_groups, |written, place| {
            self.known(vocabulary::api_group(written), place, &mut doubts)?;
            Ok(Pattern::parse(written)?)
        })?;
        let alone = written.resources.as_ref().is_some_and(|resources| resources.value.len() == 1);
        let resources = self.list("resources", written.resources, |written, place| {
            let pattern = resource(written)?;
            if let Some(verbs) = verbs {
                self.known(vocabulary::verbs_of(&pattern, verbs, alone), place, &mut doubts)?;
            }
            self.known(vocabulary::resource(&pattern, api_groups.as_deref()), place, &mut doubts)?;
            Ok(pattern)
        })?;
        self.doubts.append(&mut doubts);
        Ok(Matcher {
            verbs,
            risks,
            resources,
            api_groups,
            namespaces: self.list("namespaces", written.namespaces, |written, _| namespace(written))?,
            names: self.list("names", written.names, |written, _| object_name(written))?,
            label_selector,
            non_resource_urls: self.list("nonResourceURLs", written.non_resource_urls, |written, _| url(written))?,
            clusters: self.list("clusters", written.clusters, |written, _| Ok(named(written)?))?,
            environments: self.list("environments", written.environments, |written, _| Ok(named(written)?))?,
            groups: self.list("groups", subjects.groups, |written, _| group_of_people(written))?,
            ids: self.list("ids", subjects.ids, |written, _| id(written))?,
            owners: self.list("owners", subjects.owners, |written, _| person(written))?,
            kinds,
        })
    }

    fn verbs(&self, list: Option<List>) -> Result<Option<VerbSet>, PolicyError> {
        let verbs = self.list("verbs", list, |written, _| Ok(verb(written)?))?;
        Ok(verbs.map(|verbs| verbs.into_iter().fold(VerbSet::default(), VerbSet::with)))
    }

    fn list<T>(
        &self,
        field: &str,
        list: Option<List>,
        mut parse: impl FnMut(&str, Location) -> Result<T, Complaint>,
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
            parse(&entry.value, entry.referenced).map_err(|Complaint { message, fix }| {
                let shown = || entry.value.chars().take(64).collect::<String>();
                let message = message.unwrap_or_else(|| format!("`{}` is no entry for {field}", shown()));
                self.error(entry.referenced, message, fix)
            })
        });
        entries.collect::<Result<Vec<T>, PolicyError>>().map(Some)
    }

    fn subjects(&self, written: Option<Spanned<SubjectsDocument>>) -> Result<SubjectsDocument, PolicyError> {
        let Some(Spanned { value, referenced: place, .. }) = written else { return Ok(SubjectsDocument::default()) };
        let SubjectsDocument { groups, ids, kinds, owners } = &value;
        if groups.is_none() && ids.is_none() && kinds.is_none() && owners.is_none() {
            let fix = "name ids, groups, owners or kinds in it, or remove `subjects:` to match everybody";
            return Err(self.error(place, "subjects is empty", fix));
        }
        Ok(value)
    }

    /// Passes a word that can match something, and keeps what may be a mistake.
    fn known(&self, word: Word, place: Location, doubts: &mut Vec<PolicyError>) -> Result<(), Complaint> {
        match word {
            Word::Fine => Ok(()),
            Word::Mistaken(message, fix) => Err(Complaint { message: Some(message), fix }),
            Word::Doubtful(message, fix) => {
                doubts.push(self.error(place, message, fix));
                Ok(())
            }
        }
    }

    fn empty(&self, field: &str, place: Location) -> PolicyError {
        let fix = format!("remove `{field}:` to match everything, or list what it should match");
        self.error(place, format!("{field} is an empty list"), fix)
    }

    fn error(&self, place: Location, message: impl Into<String>, fix: impl Into<String>) -> PolicyError {
        PolicyError::at(self.text, place, message, fix)
    }
}
