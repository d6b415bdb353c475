//! Requests that nobody has sent: a question leaves open what a request would tell.

use lockgate_core::{Action, Subject, Verb};

use super::{Coverage, Direction, Extent, Matcher, Request, Sieve, Spread, any, spread};
use crate::decide::Facts;
use crate::pattern::{Pattern, ResourcePattern};
use crate::risk::scope::{Scope, scope};

/// Stands for every resource, or every API group.
pub(crate) const ANY: &str = "*";

impl<'r> Request<'r> {
    /// What a question is about. Without a namespace it is about every namespace, where objects of the kind have one.
    pub(crate) fn of_question(
        subject: &'r Subject,
        cluster: &'r str,
        action: &'r Action,
        facts: &'r Facts<'r>,
    ) -> Self {
        let request = Self::new(subject, cluster, action, facts);
        let is_namespaces = action.api_group.is_empty() && action.resource == "namespaces";
        let place = action.namespace.as_deref().or(action.name.as_deref().filter(|_| is_namespaces));
        let collection = matches!(action.verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
        if place.is_some() || collection || !action.is_resource() {
            return request;
        }
        let everywhere = match scope(&action.api_group, &action.resource) {
            _ if is_namespaces => Spread::AllNamespaces,
            Scope::Cluster => Spread::Cluster,
            Scope::Namespaced => Spread::AllNamespaces,
            Scope::Unknown => Spread::Unknown,
        };
        Self { spread: everywhere, ..request }
    }

    /// The same, as if objects of the kind had no namespace.
    pub(crate) fn without_namespace(self) -> Self {
        let spread = spread(self.action, None);
        Self { spread, ..self }
    }

    /// The same, about every resource.
    pub(crate) const fn of_any_resource(mut self) -> Self {
        self.sieves.resources = Sieve::EVERYTHING;
        self
    }

    /// Whether one of the objects is asked about, and not which.
    pub(crate) fn leaves_open_which(&self) -> bool {
        let collection = matches!(self.action.verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
        let nameless = self.action.name.is_none() || matches!(self.spread, Spread::AllNamespaces | Spread::Unknown);
        self.action.is_resource() && !collection && nameless
    }
}

impl Matcher {
    /// Whether the rule is for this caller and verb, and for some resource of the API group.
    pub(crate) fn speaks_of_some(&self, request: &Request<'_>, direction: Direction) -> bool {
        let group = request.action.api_group.as_str();
        self.non_resource_urls.is_none()
            && self.verb(request, direction)
            && self.caller(request)
            && (group == ANY || any(self.api_groups.as_deref(), group))
            && self.namespace(request) != Coverage::Nothing
    }

    /// Whether no object, resource, group or class is left out.
    pub(crate) fn is_unbounded(&self) -> bool {
        let everything = |patterns: Option<&[Pattern]>| patterns.is_none_or(|list| list.contains(&Pattern::Any));
        self.risks.is_none()
            && self.names.is_none()
            && self.namespaces.is_none()
            && self.label_selector.is_none()
            && everything(self.api_groups.as_deref())
            && self.resources.as_deref().is_none_or(|list| list.contains(&ResourcePattern::Everything))
    }

    /// Whether the rule is for this caller and verb, and for a path below `prefix` that it names.
    pub(crate) fn names_a_path_below(&self, prefix: &str, request: &Request<'_>, direction: Direction) -> bool {
        let below = |pattern: &Pattern| match pattern {
            Pattern::Any => true,
            Pattern::Prefix(own) | Pattern::Exact(own) => own.starts_with(prefix),
        };
        self.non_resource_urls.as_deref().is_some_and(|list| list.iter().any(below))
            && self.verb_and_risk(request, direction)
            && self.caller(request)
    }

    /// The names that the rule lists one by one.
    pub(crate) fn exact_names(&self) -> Vec<String> {
        let exact = |pattern: &Pattern| match pattern {
            Pattern::Exact(name) => Some(name.to_string()),
            Pattern::Any | Pattern::Prefix(_) => None,
        };
        self.names.iter().flatten().filter_map(exact).collect()
    }

    /// API group and resource, as RBAC writes it, of what the rule lists one by one.
    pub(crate) fn listed_resources(&self) -> Vec<(String, String)> {
        let groups = self.api_groups.iter().flatten().filter_map(|pattern| match pattern {
            Pattern::Exact(group) => Some(group.to_string()),
            Pattern::Any | Pattern::Prefix(_) => None,
        });
        let resources =
            || self.resources.iter().flatten().filter(|pattern| pattern.resource().is_some()).map(ToString::to_string);
        groups
            .flat_map(|group| resources().map(move |resource| (group.clone(), resource)))
            .filter(|(_, resource)| !resource.contains('*'))
            .collect()
    }

    /// The paths that the rule lists, trees with their `*`.
    pub(crate) fn listed_paths(&self) -> impl Iterator<Item = String> {
        self.non_resource_urls.iter().flatten().filter(|pattern| **pattern != Pattern::Any).map(ToString::to_string)
    }
}

impl Extent {
    /// Whether it is labels, and not the place, that decide.
    pub(crate) fn is_by_labels(&self) -> bool {
        self.place == Coverage::Whole && self.labels == Coverage::Part
    }
}
