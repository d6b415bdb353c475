//! What of an answer its caller may see.
//!
//! Owns the decision on a read of which rules give a part, and the [`View`] that says, object by object, which part. An
//! object is shown if the same request, narrowed to that one object, would be allowed (or, once a human has agreed to the
//! whole: allowed or asked). So a list shows what its caller could read one by one, by construction.
//!
//! # Watches
//! A name and a namespace stay for an object's life; labels and content do not, and an object that leaves what its caller
//! may see must be seen to leave. The API server does just that for a label selector. So where what is visible is one
//! conjunction of labels, it becomes part of the selector that is sent ([`View::selector`]); where it is not, a watch is
//! refused, with the selector that would settle it. Lists are sent with the same selector, for consistency.
//!
//! Refuses to know: JSON, streams.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use lockgate_core::{Action, Decision, Effect, Obligations, Options, Subject, Timestamp, Verb};
use serde_json::Value;

use crate::condition::Scene;
use crate::decide::{Asking, Facts, Found, Partial, stricter};
use crate::matching::{Coverage, Request};
use crate::policy::{Policy, Rule, Verdict};
use crate::unknown::labels_of;

/// An object of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Item<'i> {
    /// Its name.
    pub name: &'i str,
    /// Its namespace; empty when it has none.
    pub namespace: &'i str,
    /// Its labels.
    pub labels: &'i [(String, String)],
    /// All of it, where [`View::needs`] says so.
    pub object: Option<&'i Value>,
}

/// What of an object must be known to decide about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Its metadata.
    Head,
    /// All of it: a condition looks at it.
    Object,
}

/// What of one answer its caller may see.
#[derive(Debug)]
pub struct View {
    policy: Arc<Policy>,
    subject: Subject,
    cluster: String,
    environment: String,
    four_eyes: bool,
    /// The request, narrowed to one object after the other.
    action: Action,
    options: Options,
    /// A human has agreed to the whole.
    agreed: bool,
    partial: bool,
    needs: Needs,
    /// Whether a condition may look at `action.path`.
    looks_at_path: bool,
    selector: Option<String>,
}

impl View {
    /// Whether the rules give a part only. If not, the filter is there in case a server does not heed the request's own
    /// selectors.
    pub const fn is_partial(&self) -> bool {
        self.partial
    }

    /// What [`Self::shows`] needs of an object.
    pub const fn needs(&self) -> Needs {
        self.needs
    }

    /// The label selector to send, the client's own included; `None` when the client's stands.
    pub fn selector(&self) -> Option<&str> {
        self.selector.as_deref()
    }

    /// The same, with what a human would be asked for: for eyes that are not the caller's.
    pub fn with_what_asks(self) -> Self {
        Self { agreed: true, ..self }
    }

    /// Whether the caller may see this object, now.
    pub fn shows(&mut self, item: &Item<'_>, now: Option<Timestamp>) -> bool {
        let is_namespaces = self.action.api_group.is_empty() && self.action.resource == "namespaces";
        let namespace = if is_namespaces { item.name } else { item.namespace };
        self.action.name = Some(item.name.to_owned());
        self.action.namespace = (!namespace.is_empty()).then(|| namespace.to_owned());
        if self.looks_at_path {
            self.action.path = path(&self.action, item);
        }
        let facts = Facts {
            object: item.object,
            old_object: item.object,
            environment: &self.environment,
            four_eyes: self.four_eyes,
            now,
            ..Facts::new(&self.options)
        };
        let request = Request::of_item(&self.subject, &self.cluster, &self.action, &facts, item.labels);
        let change = OnceCell::new();
        let scene = Scene::new(&self.subject, &self.cluster, &self.action, &facts, &change);
        match self.policy.effect(&request, &scene) {
            Effect::Allow => true,
            Effect::Ask => self.agreed,
            Effect::Deny => false,
        }
    }
}

impl Policy {
    /// The view that goes with `decision`, which this policy made of the same things; `None` when there is nothing to
    /// filter. An `Ask` is taken to have been agreed to.
    pub fn view(
        self: &Arc<Self>,
        subject: &Subject,
        cluster: &str,
        action: &Action,
        facts: &Facts<'_>,
        decision: &Decision,
    ) -> Option<View> {
        if !decision.obligations.filter {
            return None;
        }
        let request = Request::new(subject, cluster, action, facts);
        let change = OnceCell::new();
        let found = self.walk(&request, &Scene::new(subject, cluster, action, facts, &change));
        let agreed = decision.effect == Effect::Ask;
        let collection = action.verb != Verb::Get;
        let own = facts.options.label_selector.as_deref().filter(|own| !own.trim().is_empty());
        let selector =
            settling_selector(&found, &request, agreed).filter(|selector| collection && !selector.is_empty());
        let looks = found.partial.iter().any(|partial| partial.rule.looks.object)
            || (request.asks_for_what_was_read()
                && self.rules.iter().any(|rule| rule.looks.object && rule.matcher.speaks(&request, rule.direction())));
        Some(View {
            policy: Arc::clone(self),
            subject: subject.clone(),
            cluster: cluster.to_owned(),
            environment: facts.environment.to_owned(),
            four_eyes: facts.four_eyes,
            action: action.clone(),
            options: Options::default(),
            agreed,
            partial: !found.partial.is_empty(),
            needs: if looks { Needs::Object } else { Needs::Head },
            looks_at_path: self.rules.iter().any(|rule| rule.looks.place),
            selector: selector.map(|selector| own.map_or(selector.clone(), |own| format!("{own},{selector}"))),
        })
    }

    /// Whether labels or content tell if a human is asked for the one object that is asked for: then it is worth reading first
    /// ([`Policy::decide_observing`]), so that he is asked for what the rules ask for and for nothing else.
    pub fn asks_by_object(&self, subject: &Subject, cluster: &str, action: &Action, facts: &Facts<'_>) -> bool {
        let by_object = |rule: &Rule| rule.looks.object || rule.matcher.label_selector.is_some();
        if action.verb != Verb::Get || !self.rules.iter().any(by_object) {
            return false;
        }
        let request = Request::new(subject, cluster, action, facts);
        let change = OnceCell::new();
        let found = self.walk(&request, &Scene::new(subject, cluster, action, facts, &change));
        let reach = || found.partial.iter().map(|partial| partial.rule).chain(found.whole);
        let any = |effect| reach().any(|rule| effect_of(rule) == effect);
        request.answers_objects() && !found.partial.is_empty() && any(Effect::Ask) && any(Effect::Allow)
    }

    /// The verdict on a request for one object whose place and labels are known.
    fn effect(&self, request: &Request<'_>, scene: &Scene<'_>) -> Effect {
        for rule in self.rules.iter().filter(|rule| rule.sieves.admit(request)) {
            let direction = rule.direction();
            if rule.matcher.coverage(request, direction) == Coverage::Whole
                && scene.fulfils(rule.when.as_ref(), direction)
            {
                return effect_of(rule);
            }
        }
        Effect::Deny
    }

    /// The decision on a read of which rules cover parts.
    pub(crate) fn decide_parts(
        &self,
        found: &Found<'_>,
        request: &Request<'_>,
        what: &str,
        asking: Asking,
    ) -> Decision {
        if let (Some(""), Some(partial)) = (request.facts.options.field_selector.as_deref(), found.partial.first()) {
            return self.refuse_empty_selector(partial.rule, what);
        }
        let reach: Vec<&Rule> = found.partial.iter().map(|partial| partial.rule).chain(found.whole).collect();
        let of = |effect| reach.iter().copied().filter(move |rule| effect_of(rule) == effect);
        // Of one object a rule covers all or nothing, and labels or content will tell. Where a human would be asked for it
        // as a whole, he is: nobody can be asked once the answer is there.
        let asks = asking == Asking::First
            && request.action.verb == Verb::Get
            && found.whole.is_some_and(|rule| effect_of(rule) == Effect::Ask);
        let decision = if let Some(rule) = of(Effect::Allow).next().filter(|_| !asks) {
            self.allow_parts(rule, &reach, what)
        } else if of(Effect::Ask).next().is_some() {
            self.ask(&of(Effect::Ask).collect::<Vec<_>>(), what, None)
        } else {
            return match (found.partial.first(), found.whole) {
                (_, Some(rule)) => self.deny(rule, what, message_of(rule)),
                (Some(partial), None) => self.deny_part(partial.rule, what),
                (None, None) => self.deny_unmatched(what),
            };
        };
        if decision.effect == Effect::Deny {
            return decision;
        }
        let agreed = decision.effect == Effect::Ask;
        if request.action.verb == Verb::Watch && settling_selector(found, request, agreed).is_none() {
            return self.refuse_watch(found, what);
        }
        let hides = found.whole.is_none() || reach.iter().any(|rule| effect_of(rule) != decision.effect);
        Decision { obligations: Obligations { filter: hides, ..decision.obligations.clone() }, ..decision }
    }

    fn allow_parts(&self, first: &Rule, reach: &[&Rule], what: &str) -> Decision {
        let mut obligations: Option<Obligations> = None;
        for rule in reach {
            if let Verdict::Allow { obligations: own, .. } = &rule.verdict {
                obligations = Some(obligations.map_or_else(|| own.clone(), |all| stricter(&all, own)));
            }
        }
        let mut decision = self.allow(first, what, obligations.unwrap_or_default());
        let restricting: Vec<String> = reach
            .iter()
            .filter(|rule| effect_of(rule) != Effect::Allow)
            .map(|rule| format!("`{}`", rule.name))
            .collect();
        decision.reasons.push(match restricting.as_slice() {
            [] => "the answer holds only the objects that the rules give".to_owned(),
            names => format!("the answer leaves out the objects that rules deny or ask for: {}", names.join(", ")),
        });
        decision
    }

    /// Who sends a field selector means to narrow the request; an empty one selects everything, by mistake or to see what
    /// happens.
    fn refuse_empty_selector(&self, rule: &Rule, what: &str) -> Decision {
        let message = format!(
            "Rule `{}` covers a part of what this asks for ({what}), and the field selector is empty: it narrows nothing. \
             Name what is wanted (--field-selector metadata.name=x), or send no field selector.",
            rule.name
        );
        Decision { message: Some(message), ..self.verdict(rule, format!("{what} has an empty field selector")) }
    }

    fn refuse_watch(&self, found: &Found<'_>, what: &str) -> Decision {
        let varying: Vec<&Partial<'_>> = found.partial.iter().filter(|partial| varies(partial)).collect();
        let Some(first) = varying.first() else { return self.deny_unmatched(what) };
        let names: Vec<String> = varying.iter().map(|partial| format!("`{}`", partial.rule.name)).collect();
        let selector = varying
            .iter()
            .find(|partial| effect_of(partial.rule) == Effect::Allow && !partial.rule.looks.object)
            .map_or_else(|| "key=value".to_owned(), |partial| labels_of(partial.rule).join(","));
        let message = format!(
            "Rules {} decide by labels or content, which change while a watch runs, so this watch cannot be kept to what \
             they give: {what}. Watch with a selector that settles it (-l {selector}), or list instead.",
            names.join(", ")
        );
        let reason = format!("{what} would have to follow labels or content that rules {} look at", names.join(", "));
        Decision { message: Some(message), ..self.verdict(first.rule, reason) }
    }
}

/// The path of one object.
fn path(action: &Action, item: &Item<'_>) -> String {
    let root = if action.api_group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", action.api_group) };
    let namespace = if item.namespace.is_empty() { String::new() } else { format!("namespaces/{}/", item.namespace) };
    format!("{root}/{}/{namespace}{}/{}", action.api_version, action.resource, item.name)
}

/// Whether what the rule covers can change during an object's life.
fn varies(partial: &Partial<'_>) -> bool {
    partial.rule.looks.object || partial.extent.labels == Coverage::Part
}

/// The terms that, added to the request's label selector, leave no rule in reach whose coverage can change during an
/// object's life, and that every visible object fulfils. Empty when none is needed; `None` when there are no such terms.
fn settling_selector(found: &Found<'_>, request: &Request<'_>, agreed: bool) -> Option<String> {
    let varying = || found.partial.iter().filter(|partial| varies(partial));
    if varying().next().is_none() {
        return Some(String::new());
    }
    if varying().any(|partial| partial.rule.looks.object) {
        return None;
    }
    let permits = |rule: &Rule| match effect_of(rule) {
        Effect::Allow => true,
        Effect::Ask => agreed,
        Effect::Deny => false,
    };
    let reach = || found.partial.iter().map(|partial| partial.rule).chain(found.whole);
    // Labels that every rule wants that gives anything.
    let mut required: Option<BTreeSet<&(String, String)>> = None;
    for rule in reach().filter(|rule| permits(rule)) {
        let own: BTreeSet<_> = rule.matcher.label_selector.iter().flatten().collect();
        required = Some(required.map_or_else(|| own.clone(), |all| all.intersection(&own).copied().collect()));
    }
    let required = required.unwrap_or_default();
    // Single labels that are taken away before anything is given.
    let before = found.partial.iter().take_while(|partial| !permits(partial.rule));
    let taken = |partial: &Partial<'_>| match partial.rule.matcher.label_selector.as_deref() {
        Some([label]) if partial.extent.place == Coverage::Whole && partial.rule.when.is_none() => Some(label.clone()),
        _ => None,
    };
    let excluded: Vec<(String, String)> = before.filter_map(taken).collect();
    let settled = |partial: &Partial<'_>| {
        let labels = partial.rule.matcher.label_selector.as_deref().unwrap_or_default();
        let differs =
            |(key, value): &(String, String)| required.iter().any(|(own, other)| own == key && other != value);
        labels.iter().all(|label| required.contains(label) || request.selects(label))
            || labels.iter().any(|label| excluded.contains(label) || differs(label))
    };
    if !varying().all(settled) {
        return None;
    }
    let equal = required.iter().map(|(key, value)| (key, "=", value));
    let unequal = excluded.iter().map(|(key, value)| (key, "!=", value));
    let terms: Vec<_> = equal.chain(unequal).collect();
    if !terms.iter().all(|(key, _, value)| is_plain(key) && is_plain(value)) {
        return None;
    }
    Some(
        terms.into_iter().map(|(key, operator, value)| format!("{key}{operator}{value}")).collect::<Vec<_>>().join(","),
    )
}

/// What may stand in a selector as it is: the characters of label keys and values.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
}

impl Rule {
    /// Whether its condition looks at what the request does not tell about its objects.
    pub(crate) fn looks_beyond(&self, request: &Request<'_>) -> bool {
        let unread = self.looks.object && request.answers_objects() && !request.asks_for_what_was_read();
        unread || (self.looks.place && request.hides_place())
    }

    /// Whether it decides by what may have changed since the object was read: the answer is looked at once more.
    pub(crate) fn relies_on_object(&self, request: &Request<'_>) -> bool {
        request.asks_for_what_was_read() && (self.looks.object || self.matcher.label_selector.is_some())
    }
}

pub(crate) const fn effect_of(rule: &Rule) -> Effect {
    match rule.verdict {
        Verdict::Allow { .. } => Effect::Allow,
        Verdict::Deny { .. } => Effect::Deny,
        Verdict::Ask { .. } => Effect::Ask,
    }
}

fn message_of(rule: &Rule) -> Option<&str> {
    match &rule.verdict {
        Verdict::Deny { message } => message.as_deref(),
        Verdict::Allow { .. } | Verdict::Ask { .. } => None,
    }
}
