//! Rules that come too late: where a rule that allows without a word on `risk` stands before one that wanted to ask about,
//! or deny, what could turn out riskier than it looks.
//!
//! `verbs: [patch]` of Deployments reads like routine, and scales to nothing as well. What a rule names outright (deletes by
//! their verb, shells by their subresource) it means, and is not warned of. Estimates from the table of risk classes; refuses
//! to decide anything.

use std::collections::BTreeMap;

use lockgate_core::{Options, Risk, Stream, SubjectKind, Verb};

use crate::error::PolicyError;
use crate::matching::{Matcher, RiskSet, VerbSet};
use crate::pattern::{Pattern, ResourcePattern};
use crate::policy::{Rule, Verdict};
use crate::{reader, risk, vocabulary};

/// Verbs of requests on resources that can be more than a read.
const VERBS: [Verb; 5] = [Verb::Create, Verb::Update, Verb::Patch, Verb::Delete, Verb::DeleteCollection];

/// Requests of a kind.
struct Kind {
    group: &'static str,
    resource: &'static str,
    subresource: Option<&'static str>,
    verb: Verb,
}

/// One warning for each rule that allows too early.
pub(crate) fn warnings(text: &str, rules: &[Rule]) -> Vec<PolicyError> {
    (0..rules.len()).filter_map(|index| warning(text, rules, index)).collect()
}

fn warning(text: &str, rules: &[Rule], index: usize) -> Option<PolicyError> {
    let (before, rest) = rules.split_at_checked(index)?;
    let (early, after) = rest.split_first()?;
    let matcher = &early.matcher;
    let allows = matches!(early.verdict, Verdict::Allow { .. });
    if !allows || early.when.is_some() || matcher.risks.is_some() || matcher.non_resource_urls.is_some() {
        return None;
    }
    let late: Vec<&Rule> =
        after.iter().filter(|rule| restricts_risk(rule) && overlap(&rule.matcher, matcher)).collect();
    if late.is_empty() {
        return None;
    }
    let settled = before.iter().filter(|rule| restricts_risk(rule) && covers(&rule.matcher, matcher));
    let settled = settled.filter_map(|rule| rule.matcher.risks).fold(RiskSet::default(), RiskSet::with);
    let mut too_late: BTreeMap<Risk, &Rule> = BTreeMap::new();
    for kind in kinds(matcher) {
        for class in reached(&kind, matcher) {
            let is_settled = settled.contains(RiskSet::of(class));
            if let Some(rule) = late.iter().find(|rule| !is_settled && speaks(&rule.matcher, &kind, class)) {
                too_late.entry(class).or_insert(rule);
            }
        }
    }
    let (_, late) = too_late.last_key_value()?;
    let words = reader::RISKS.iter().filter(|(class, _)| too_late.contains_key(class)).map(|(_, word)| *word);
    let what = if matches!(late.verdict, Verdict::Deny { .. }) { "deny it" } else { "ask" };
    let message = format!(
        "rule `{}` allows what turns out to be {} before rule `{}` can {what}",
        early.name,
        words.collect::<Vec<_>>().join(" or "),
        late.name
    );
    let fix = "list the classes that it is for, such as `risk: [write]`, in its match, or move it behind";
    Some(PolicyError::in_line(text, early.line, early.column, &message, fix))
}

/// Whether it asks about, or denies, requests by their class.
fn restricts_risk(rule: &Rule) -> bool {
    rule.matcher.risks.is_some() && rule.when.is_none() && !matches!(rule.verdict, Verdict::Allow { .. })
}

/// The kinds of requests on built-in resources that a rule names.
fn kinds(matcher: &Matcher) -> impl Iterator<Item = Kind> {
    let all = risk::built_in().flat_map(|(group, resource)| {
        let below = vocabulary::subresources(resource).iter().map(|below| Some(*below));
        let targets = std::iter::once(None).chain(below);
        targets.flat_map(move |subresource| VERBS.map(|verb| Kind { group, resource, subresource, verb }))
    });
    all.filter(|kind| names(matcher, kind, matcher.verbs))
}

fn names(matcher: &Matcher, kind: &Kind, verbs: Option<VerbSet>) -> bool {
    let fits = |patterns: &[ResourcePattern]| patterns.iter().any(|own| own.matches(kind.resource, kind.subresource));
    verbs.is_none_or(|verbs| verbs.contains(VerbSet::of(kind.verb)))
        && matcher.resources.as_deref().is_none_or(fits)
        && matcher.api_groups.as_deref().is_none_or(|groups| groups.iter().any(|own| own.matches(kind.group)))
}

fn speaks(late: &Matcher, kind: &Kind, class: Risk) -> bool {
    late.risks.is_none_or(|risks| risks.contains(RiskSet::of(class)))
        && names(late, kind, late.verbs.map(VerbSet::widened))
}

/// The classes that such requests can have and that the rule does not say.
fn reached(kind: &Kind, matcher: &Matcher) -> Vec<Risk> {
    let options = Options::default();
    let classes = risk::presumable(&risk::Request {
        verb: kind.verb,
        api_group: kind.group,
        resource: kind.resource,
        subresource: kind.subresource,
        namespace: matcher.namespaces.as_deref().and_then(|namespaces| namespaces.first()).and_then(plain),
        name: Some("x"),
        path: "",
        stream: Stream::None,
        options: &options,
        object: None,
        old_object: None,
    });
    let (plain, further) = match classes.split_first() {
        Some((plain, further)) => (*plain, further),
        None => return Vec::new(),
    };
    let everything = |patterns: &[ResourcePattern]| patterns.contains(&ResourcePattern::Everything);
    let said = matcher.verbs.is_some_and(|verbs| verbs != VerbSet::ALL)
        && matcher.resources.as_deref().is_some_and(|patterns| !everything(patterns));
    // `presumable` takes every class above the plain one; data and cascades are in the plain one already.
    let further = further.iter().copied().filter(|class| *class != Risk::Mass);
    if said && matches!(kind.verb, Verb::Delete | Verb::DeleteCollection) {
        return Vec::new();
    }
    if said { further.collect() } else { std::iter::once(plain).chain(further).collect() }
}

/// A namespace that the pattern matches.
fn plain(pattern: &Pattern) -> Option<&str> {
    match pattern {
        Pattern::Any => None,
        Pattern::Prefix(text) | Pattern::Exact(text) => Some(text),
    }
}

/// Whether a request could be for both rules, as far as they name who and where.
fn overlap(left: &Matcher, right: &Matcher) -> bool {
    let kinds = |left: &[SubjectKind], right: &[SubjectKind]| left.iter().any(|kind| right.contains(kind));
    let by_kind = match (left.kinds.as_deref(), right.kinds.as_deref()) {
        (Some(left), Some(right)) => kinds(left, right),
        _ => true,
    };
    by_kind
        && left.scope().iter().zip(right.scope()).all(|(left, right)| match (left, right) {
            (Some(left), Some(right)) => left.iter().any(|one| right.iter().any(|other| meet(one, other))),
            _ => true,
        })
}

/// Whether the outer rule is for every request that the inner one is for.
fn covers(outer: &Matcher, inner: &Matcher) -> bool {
    let whole = outer.verbs.is_none() && outer.resources.is_none() && outer.api_groups.is_none();
    let anybody = outer.kinds.is_none() && outer.label_selector.is_none() && outer.non_resource_urls.is_none();
    whole
        && anybody
        && outer.scope().iter().zip(inner.scope()).all(|(outer, inner)| match (outer, inner) {
            (None, _) => true,
            (Some(outer), Some(inner)) => inner.iter().all(|one| outer.contains(one)),
            (Some(outer), None) => outer.contains(&Pattern::Any),
        })
}

impl Matcher {
    fn scope(&self) -> [Option<&[Pattern]>; 7] {
        [
            self.namespaces.as_deref(),
            self.names.as_deref(),
            self.clusters.as_deref(),
            self.environments.as_deref(),
            self.groups.as_deref(),
            self.ids.as_deref(),
            self.owners.as_deref(),
        ]
    }
}

fn meet(left: &Pattern, right: &Pattern) -> bool {
    match (left, right) {
        (Pattern::Any, _) | (_, Pattern::Any) => true,
        (Pattern::Exact(left), right) => right.matches(left),
        (Pattern::Prefix(_), Pattern::Exact(right)) => left.matches(right),
        (Pattern::Prefix(left), Pattern::Prefix(right)) => {
            left.starts_with(right.as_ref()) || right.starts_with(left.as_ref())
        }
    }
}
