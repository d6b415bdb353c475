//! Why a rule does not speak about a request: field by field, for people.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Coverage, Direction, Labels, Matcher, Request, RiskSet, Spread, VerbSet, any};
use crate::entry::VERBS;

/// A field of `match:` that the request does not meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mismatch {
    /// As the document writes it: `namespaces`, `subjects.groups`.
    pub field: &'static str,
    /// What the rule lists.
    pub wanted: String,
    /// What the request has.
    pub found: String,
}

impl Matcher {
    /// Every field that keeps the rule from covering the request; empty when it covers at least a part.
    pub(crate) fn mismatches(&self, request: &Request<'_>, direction: Direction) -> Vec<Mismatch> {
        let mut found = Vec::new();
        self.what(request, direction, &mut found);
        self.who(request, &mut found);
        if self.namespace(request) == Coverage::Nothing {
            found.push(mismatch("namespaces", listed(self.namespaces.as_deref()), namespace_of(request)));
        }
        if self.name(request) == Coverage::Nothing {
            let name = request.action.name.as_deref().map_or_else(|| "no such name".to_owned(), str::to_owned);
            found.push(mismatch("names", listed(self.names.as_deref()), name));
        }
        found
    }

    fn what(&self, request: &Request<'_>, direction: Direction, found: &mut Vec<Mismatch>) {
        let action = request.action;
        if !self.verb(request, direction) {
            let wanted = self.verbs.map(verbs_in_words).unwrap_or_default();
            let effective = VERBS.into_iter().find(|verb| VerbSet::of(*verb) == request.verb).unwrap_or(action.verb);
            let mut verb = effective.as_str().to_owned();
            if effective != action.verb {
                let written =
                    write!(verb, " (what opens a connection is create, whatever the method; sent as {})", action.verb);
                debug_assert!(written.is_ok());
            }
            found.push(mismatch("verbs", wanted, verb));
        }
        if self.risks.is_some_and(|risks| !risks.contains(request.risk)) {
            let wanted = self.risks.map(risks_in_words).unwrap_or_default();
            found.push(mismatch("risk", wanted, risks_in_words(request.risk)));
        }
        let beside = self.label_selector.is_some() && !request.action.is_resource();
        if beside || self.labels(request) == Coverage::Nothing {
            let labels = self.label_selector.iter().flatten().map(|(key, value)| format!("{key}={value}"));
            found.push(mismatch("labelSelector", labels.collect::<Vec<_>>().join(","), labels_found(request)));
        }
        if !action.is_resource() {
            let path = || format!("the path {}", action.path);
            for (field, wanted) in [
                ("resources", self.resources.as_deref().map(|list| listed(Some(list)))),
                ("apiGroups", self.api_groups.as_deref().map(|list| listed(Some(list)))),
                ("namespaces", self.namespaces.as_deref().map(|list| listed(Some(list)))),
                ("names", self.names.as_deref().map(|list| listed(Some(list)))),
            ] {
                found.extend(wanted.map(|wanted| mismatch(field, wanted, path())));
            }
            if !any(self.non_resource_urls.as_deref(), &action.path) {
                found.push(mismatch("nonResourceURLs", listed(self.non_resource_urls.as_deref()), action.path.clone()));
            }
            return;
        }
        if self.non_resource_urls.is_some() {
            let wanted = listed(self.non_resource_urls.as_deref());
            found.push(mismatch("nonResourceURLs", wanted, format!("the resource {}", action.resource_path())));
        }
        if !self.resource(action) {
            found.push(mismatch("resources", listed(self.resources.as_deref()), action.resource_path()));
        }
        if !any(self.api_groups.as_deref(), &action.api_group) {
            let group = if action.api_group.is_empty() { "\"\" (core)".to_owned() } else { action.api_group.clone() };
            found.push(mismatch("apiGroups", listed(self.api_groups.as_deref()), group));
        }
    }

    fn who(&self, request: &Request<'_>, found: &mut Vec<Mismatch>) {
        let subject = request.subject;
        let none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        if !any(self.clusters.as_deref(), request.cluster) {
            found.push(mismatch("clusters", listed(self.clusters.as_deref()), none(request.cluster)));
        }
        if !any(self.environments.as_deref(), request.facts.environment) {
            found.push(mismatch("environments", listed(self.environments.as_deref()), none(request.facts.environment)));
        }
        if !any(self.ids.as_deref(), &subject.id) {
            found.push(mismatch("subjects.ids", listed(self.ids.as_deref()), subject.id.clone()));
        }
        if let Some(kinds) = self.kinds.as_deref().filter(|kinds| !kinds.contains(&subject.kind)) {
            let word = |kind: &_| if *kind == lockgate_core::SubjectKind::Agent { "agent" } else { "human" };
            let wanted = kinds.iter().map(word).collect::<Vec<_>>().join(", ");
            found.push(mismatch("subjects.kinds", wanted, word(&subject.kind).to_owned()));
        }
        if !self.in_groups(subject) {
            found.push(mismatch("subjects.groups", listed(self.groups.as_deref()), none(&subject.groups.join(", "))));
        }
        if !self.owned(subject) {
            let owner = subject.owner.as_deref().unwrap_or_default();
            found.push(mismatch("subjects.owners", listed(self.owners.as_deref()), none(owner)));
        }
    }
}

fn mismatch(field: &'static str, wanted: String, found: String) -> Mismatch {
    Mismatch { field, wanted, found }
}

/// `a, b and 12 more`
fn listed<P: ToString>(patterns: Option<&[P]>) -> String {
    const SHOWN_MAX: usize = 8;
    let patterns = patterns.unwrap_or_default();
    let mut text = patterns.iter().take(SHOWN_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if patterns.len() > SHOWN_MAX {
        let written = write!(text, " and {} more", patterns.len() - SHOWN_MAX);
        debug_assert!(written.is_ok());
    }
    text
}

fn namespace_of(request: &Request<'_>) -> String {
    match &request.spread {
        Spread::Namespace(namespace) => (*namespace).to_owned(),
        Spread::Cluster => "no namespace: it is for the whole cluster".to_owned(),
        Spread::AllNamespaces | Spread::Unknown => "all namespaces but those".to_owned(),
    }
}

/// What the request says of its objects' labels.
fn labels_found(request: &Request<'_>) -> String {
    let labels = match request.labels {
        Labels::Of(labels) => labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>(),
        Labels::In(labels) => labels
            .into_iter()
            .flatten()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect(),
        Labels::Selected("") | Labels::Unknown => return "no label selector".to_owned(),
        Labels::Selected(selector) => return selector.to_owned(),
    };
    if labels.is_empty() {
        "an object without labels".to_owned()
    } else {
        format!("an object with {}", listed(Some(&labels)))
    }
}

fn verbs_in_words(verbs: VerbSet) -> String {
    if verbs == VerbSet::ALL {
        return "*".to_owned();
    }
    let words = VERBS.into_iter().filter(|verb| verbs.contains(VerbSet::of(*verb))).map(lockgate_core::Verb::as_str);
    words.collect::<Vec<_>>().join(", ")
}

fn risks_in_words(risks: RiskSet) -> String {
    let words = crate::reader::RISKS.into_iter().filter(|(risk, _)| risks.contains(RiskSet::of(*risk)));
    words.map(|(_, word)| word).collect::<Vec<_>>().join(", ")
}
