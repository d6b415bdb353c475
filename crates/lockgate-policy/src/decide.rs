//! The verdict.
//!
//! The first rule that covers the whole request decides; when none does, the answer is no. On the way, rules that cover a
//! *part* of what the request is about are remembered.
//!
//! - Of a read that answers with objects, what the rules do not give is taken out of the answer ([`crate::view`]): if any
//!   of the rules in reach allows, the request is allowed, with the obligation to filter; if none does, it asks or is denied.
//! - Everything else, a collection delete above all, is bound by the strictest: a part that is denied denies the whole, a
//!   part that asks makes it ask, and rules that allow a part do not count. The caller is told which rule stands in the way
//!   and how to narrow the request.

use std::cell::OnceCell;

use lockgate_core::{
    Action, Decision, Effect, MaskProfile, Obligations, Options, Risk, Subject, Terms, Timestamp, Verb,
};
use lockgate_expr::Expression;

use crate::condition::{self, Scene};
use crate::matching::{Coverage, Direction, Extent, Request};
use crate::policy::{Policy, Rule, Verdict};
use crate::unknown::Unevaluated;

/// What a decision may look at beside the action.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'f> {
    /// The options in effect.
    pub options: &'f Options,
    /// The request's body as decoded, where there is one.
    pub object: Option<&'f serde_json::Value>,
    /// The object as it is in the cluster, where it exists and has been read.
    pub old_object: Option<&'f serde_json::Value>,
    /// How the cluster is marked in the configuration (`production`, say); empty when it is not.
    pub environment: &'f str,
    /// Whether the connection wants two people for mass or cascading destruction.
    pub four_eyes: bool,
    /// When the request is decided. Where it is absent, a condition on `now` cannot be evaluated.
    pub now: Option<Timestamp>,
}

impl<'f> Facts<'f> {
    /// Nothing but the options; add the rest by struct update.
    pub const fn new(options: &'f Options) -> Self {
        Self { options, object: None, old_object: None, environment: "", four_eyes: false, now: None }
    }
}

/// What the walk over the rules found.
#[derive(Default)]
pub(crate) struct Found<'p> {
    /// Rules for a part of it, in order. Those that allow are among them only where the answer can be filtered.
    pub(crate) partial: Vec<Partial<'p>>,
    /// The first rule that allows a part where the answer cannot be filtered: it does not count, and is worth a word.
    pub(crate) given_in_part: Option<&'p Rule>,
    /// The rule that covers the whole.
    pub(crate) whole: Option<&'p Rule>,
    /// Whether the request's own selectors keep objects out that one of the rules tells apart. The API server is trusted to
    /// heed them, an aggregated one that serves somebody else's resources less so: the answer is filtered too.
    pub(crate) narrowed: bool,
    /// Conditions that could not be evaluated, in order.
    pub(crate) unevaluated: Vec<Unevaluated<'p>>,
}

/// When a human is asked for one object of which labels or content tell whether a rule before gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Before it is read: he cannot be asked once the answer is there.
    First,
    /// Not at all, if a rule before may give it: the answer is for Lockgate.
    Last,
}

/// A rule for a part of what a request is about.
#[derive(Clone, Copy)]
pub(crate) struct Partial<'p> {
    pub(crate) rule: &'p Rule,
    pub(crate) extent: Extent,
}

impl Policy {
    /// Decides one action of `subject` on `cluster`. Every decision names its rule and gives at least one reason.
    ///
    /// The first rule that covers the whole request decides; none: deny. Earlier rules for a part of it count as the
    /// module says. A decision that obliges to filter goes with [`Policy::view`].
    pub fn decide(&self, subject: &Subject, cluster: &str, action: &Action, facts: &Facts<'_>) -> Decision {
        self.decide_with(subject, cluster, action, facts, Asking::First)
    }

    /// The decision on a read that Lockgate makes for itself, to know an object before the verdict on it: as [`Self::decide`],
    /// but what labels or content give is read where a human would else be asked first.
    pub fn decide_observing(&self, subject: &Subject, cluster: &str, action: &Action, facts: &Facts<'_>) -> Decision {
        self.decide_with(subject, cluster, action, facts, Asking::Last)
    }

    fn decide_with(
        &self,
        subject: &Subject,
        cluster: &str,
        action: &Action,
        facts: &Facts<'_>,
        asking: Asking,
    ) -> Decision {
        let request = Request::new(subject, cluster, action, facts);
        let change = OnceCell::new();
        let found = self.walk(&request, &Scene::new(subject, cluster, action, facts, &change));
        let what = describe(subject, cluster, action);
        self.conclude(&found, &request, &what, request.answers_objects(), asking)
    }

    /// What follows from the rules that were found. `filterable`: what they do not give can be taken out of the answer.
    pub(crate) fn conclude(
        &self,
        found: &Found<'_>,
        request: &Request<'_>,
        what: &str,
        filterable: bool,
        asking: Asking,
    ) -> Decision {
        found.told(self.verdict_of(found, request, what, filterable, asking))
    }

    fn verdict_of(
        &self,
        found: &Found<'_>,
        request: &Request<'_>,
        what: &str,
        filterable: bool,
        asking: Asking,
    ) -> Decision {
        if filterable && !found.partial.is_empty() {
            return self.decide_parts(found, request, what, asking);
        }
        let (action, facts) = (request.action, request.facts);
        let partial: Vec<&Rule> = found.partial.iter().map(|partial| partial.rule).collect();
        let denied_part = partial
            .iter()
            .filter(|_| !found.is_denied_anyway(request))
            .find(|rule| matches!(rule.verdict, Verdict::Deny { .. }));
        match (denied_part, found.whole) {
            (Some(rule), _) if request.hides_labels() => self.deny_by_unknown_labels(rule, what),
            (Some(rule), _) => self.deny_part(rule, what),
            (None, None) => match found.given_in_part {
                Some(rule) if request.hides_labels() => self.deny_given_by_unknown_labels(rule, what),
                Some(rule) if action.verb == Verb::DeleteCollection => self.deny_collection_in_part(rule, what),
                _ => self.deny_unmatched(what),
            },
            (None, Some(rule)) => match &rule.verdict {
                Verdict::Deny { message } => self.deny(rule, what, message.as_deref()),
                Verdict::Allow { obligations, .. } if partial.is_empty() => {
                    let filter = found.narrowed && filterable;
                    self.allow(rule, what, Obligations { filter, ..obligations.clone() })
                }
                Verdict::Allow { obligations, .. } => {
                    two_people(self.ask(&partial, what, Some(obligations)), action, facts)
                }
                Verdict::Ask { .. } => {
                    let asking: Vec<&Rule> = partial.iter().copied().chain([rule]).collect();
                    two_people(self.ask(&asking, what, None), action, facts)
                }
            },
        }
    }

    /// The denial that stands whatever the body of the write will say; nothing when the body could change the verdict.
    /// For a caller that waits to be told before it sends a body: `facts` are those of the URL alone.
    pub fn denies_any_body(
        &self,
        subject: &Subject,
        cluster: &str,
        action: &Action,
        facts: &Facts<'_>,
    ) -> Option<Decision> {
        let named_by_body = action.verb == Verb::Create && action.name.is_none();
        if named_by_body && action.resource == "namespaces" {
            return None;
        }
        let request = Request::new(subject, cluster, action, facts).of_any_risk();
        for rule in self.rules.iter().filter(|rule| rule.sieves.admit(&request)) {
            let matcher = &rule.matcher;
            let unnamed = named_by_body && matcher.names.is_some();
            let coverage = if unnamed { Coverage::Part } else { matcher.coverage(&request, rule.direction()) };
            let certain = rule.when.is_none() && matcher.risks.is_none() && coverage == Coverage::Whole;
            match &rule.verdict {
                _ if coverage == Coverage::Nothing => {}
                Verdict::Deny { message } if certain => {
                    return Some(self.deny(rule, &describe(subject, cluster, action), message.as_deref()));
                }
                // It denies, or the next rules speak.
                Verdict::Deny { .. } => {}
                Verdict::Allow { .. } | Verdict::Ask { .. } => return None,
            }
        }
        Some(self.deny_unmatched(&describe(subject, cluster, action)))
    }

    /// Whether a rule that could speak about the request looks at the object as it is in the cluster: its labels, or in a
    /// condition on it (`oldObject`) or on what an update changes of it (`change`). The action's risk class is not looked
    /// at: it may change once that object is known.
    pub fn needs_old_object(&self, subject: &Subject, cluster: &str, action: &Action, facts: &Facts<'_>) -> bool {
        let request = Request::new(subject, cluster, action, facts).of_any_risk();
        let changes = matches!(action.verb, Verb::Update | Verb::Patch);
        let looks = |when: &Expression| when.uses(condition::OLD_OBJECT) || (changes && when.uses(condition::CHANGE));
        for rule in self.rules.iter().filter(|rule| rule.sieves.admit(&request)) {
            let coverage = rule.matcher.coverage(&request, rule.direction());
            if coverage == Coverage::Nothing {
                continue;
            }
            if rule.matcher.label_selector.is_some() || rule.when.as_ref().is_some_and(looks) {
                return true;
            }
            // It decides, whatever the object is.
            if coverage == Coverage::Whole && rule.when.is_none() && rule.matcher.risks.is_none() {
                return false;
            }
        }
        false
    }

    pub(crate) fn walk(&self, request: &Request<'_>, scene: &Scene<'_>) -> Found<'_> {
        let mut found = Found::default();
        let filterable = request.answers_objects();
        for rule in self.rules.iter().filter(|rule| rule.sieves.admit(request)) {
            let direction = rule.direction();
            if !rule.matcher.speaks(request, direction) {
                continue;
            }
            found.narrowed |= rule.matcher.relies_on_selectors(request) || rule.relies_on_object(request);
            let extent = rule.matcher.extent(request);
            let coverage = extent.place.min(extent.labels);
            if coverage == Coverage::Nothing {
                continue;
            }
            let looks = rule.looks_beyond(request);
            if !looks && !found.holds(scene, rule) {
                continue;
            }
            if coverage == Coverage::Whole && !looks {
                found.whole = Some(rule);
                return found;
            }
            if filterable || direction == Direction::Restricts {
                found.partial.push(Partial { rule, extent });
            } else {
                found.given_in_part.get_or_insert(rule);
            }
        }
        found
    }

    pub(crate) fn allow(&self, rule: &Rule, what: &str, obligations: Obligations) -> Decision {
        let reason = format!("rule `{}` allows {what}", rule.name);
        let message = match &rule.verdict {
            Verdict::Allow { message, .. } => message.clone(),
            Verdict::Deny { .. } | Verdict::Ask { .. } => None,
        };
        Decision { effect: Effect::Allow, obligations, message, ..self.verdict(rule, reason) }
    }

    pub(crate) fn deny(&self, rule: &Rule, what: &str, message: Option<&str>) -> Decision {
        let message = message.map(str::to_owned);
        Decision { message, ..self.verdict(rule, format!("rule `{}` denies {what}", rule.name)) }
    }

    pub(crate) fn deny_part(&self, rule: &Rule, what: &str) -> Decision {
        let reason = format!("{what} could touch objects that rule `{}` denies", rule.name);
        let message = format!(
            "Rule `{name}` denies a part of what this would touch: {what}. Narrow the request to objects outside that \
             rule: one namespace (-n), one name, or a field selector such as metadata.namespace!=kube-system.",
            name = rule.name
        );
        Decision { message: Some(message), ..self.verdict(rule, reason) }
    }

    /// Nothing takes the collection away and nothing gives all of it: its objects may be deleted, the collection may not.
    fn deny_collection_in_part(&self, rule: &Rule, what: &str) -> Decision {
        let message = format!(
            "Rule `{}` allows this for some of the objects only, and one request for a whole collection cannot be kept to \
             those. Delete them by name: kubectl delete with --all or -l does, for those that it is shown.",
            rule.name
        );
        Decision { message: Some(message), ..self.deny_unmatched(what) }
    }

    pub(crate) fn deny_unmatched(&self, what: &str) -> Decision {
        Decision {
            effect: Effect::Deny,
            rule: None,
            policy_revision: self.revision().into(),
            reasons: vec![format!("no rule matches {what}")],
            obligations: Obligations::default(),
            terms: None,
            message: None,
        }
    }

    /// Asks on the terms of `rules`, which must agree: one ticket has one set of terms.
    pub(crate) fn ask(&self, rules: &[&Rule], what: &str, allowed: Option<&Obligations>) -> Decision {
        let mut asks = rules.iter().filter_map(|rule| match &rule.verdict {
            Verdict::Ask { terms, obligations, message } => Some((*rule, terms, obligations, message)),
            Verdict::Allow { .. } | Verdict::Deny { .. } => None,
        });
        let Some((first, terms, own, message)) = asks.next() else { return self.deny_unmatched(what) };
        let mut obligations = allowed.map_or_else(|| own.clone(), |allowed| stricter(own, allowed));
        for (other, other_terms, other_obligations, _) in asks {
            if other_terms != terms {
                return self.deny_mixed(first, other, what);
            }
            obligations = stricter(&obligations, other_obligations);
        }
        let reason = format!("rule `{}` asks {} for {what}", first.name, approvers(terms));
        Decision {
            effect: Effect::Ask,
            obligations,
            terms: Some(terms.clone()),
            message: message.clone(),
            ..self.verdict(first, reason)
        }
    }

    fn deny_mixed(&self, first: &Rule, other: &Rule, what: &str) -> Decision {
        let reason = format!("{what} spans rules `{}` and `{}`, which ask different people", first.name, other.name);
        let message = format!(
            "Rules `{}` and `{}` each want a human's word on a part of what this would touch ({what}), from different \
             people. Ask for one part at a time: one namespace (-n) or one name.",
            first.name, other.name
        );
        Decision { message: Some(message), ..self.verdict(first, reason) }
    }

    /// A denial by `rule`, to be adorned.
    pub(crate) fn verdict(&self, rule: &Rule, reason: String) -> Decision {
        Decision {
            effect: Effect::Deny,
            rule: Some(rule.name.clone()),
            policy_revision: self.revision().into(),
            reasons: vec![reason],
            obligations: Obligations::default(),
            terms: None,
            message: None,
        }
    }
}

/// Where the connection wants four eyes, mass or cascading destruction takes two people.
fn two_people(mut decision: Decision, action: &Action, facts: &Facts<'_>) -> Decision {
    if let Some(terms) = decision.terms.as_mut().filter(|_| facts.four_eyes && action.risk == Risk::Mass) {
        terms.count = terms.count.max(2);
    }
    decision
}

pub(crate) fn stricter(left: &Obligations, right: &Obligations) -> Obligations {
    let strict = left.mask == MaskProfile::Strict || right.mask == MaskProfile::Strict;
    Obligations {
        mask: if strict { MaskProfile::Strict } else { MaskProfile::Off },
        record: left.record || right.record,
        filter: left.filter || right.filter,
        limits: left.limits.clone().or_else(|| right.limits.clone()),
    }
}

/// `2 humans of sre`
pub(crate) fn approvers(terms: &Terms) -> String {
    let people = if terms.count == 1 { "a human".to_owned() } else { format!("{} humans", terms.count) };
    match terms.approver_groups.as_slice() {
        [] => people,
        groups => format!("{people} of {}", groups.join(" or ")),
    }
}

/// `2 humans of sre, not the agent's owner, within 10m`
pub(crate) fn terms_in_words(terms: &Terms) -> String {
    let owner = if terms.four_eyes { ", not the agent's owner" } else { "" };
    let time = match terms.ttl_seconds {
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    };
    format!("{}{owner}, within {time}", approvers(terms))
}

/// `agent:demo to delete deployments.apps/web in namespace shop of cluster prod`
pub(crate) fn describe(subject: &Subject, cluster: &str, action: &Action) -> String {
    use std::fmt::Write as _;

    let mut text = format!("{} to {} ", subject.name(), action.verb);
    if !action.is_resource() {
        text.push_str(&action.path);
    } else {
        text.push_str(&action.resource);
        if !action.api_group.is_empty() {
            text.push('.');
            text.push_str(&action.api_group);
        }
        for part in [action.name.as_deref(), action.subresource.as_deref()].into_iter().flatten() {
            text.push('/');
            text.push_str(part);
        }
    }
    let namespace = action.namespace.as_deref().filter(|_| action.resource != "namespaces");
    // Writing into a String does not fail.
    let written = match (namespace, cluster) {
        // A test of a policy need not name a cluster.
        (Some(namespace), "") => write!(text, " in namespace {namespace}"),
        (Some(namespace), cluster) => write!(text, " in namespace {namespace} of cluster {cluster}"),
        (None, "") => Ok(()),
        (None, cluster) => write!(text, " in cluster {cluster}"),
    };
    debug_assert!(written.is_ok());
    text
}
