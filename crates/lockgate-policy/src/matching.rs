//! Which requests a rule speaks about.
//!
//! A request for one object is covered by a rule or not. A request on a *collection* (list, watch, deletecollection)
//! touches objects nobody has named yet, so a rule bounded by `names:` or `namespaces:` may cover a part of it. Rules
//! that restrict (deny, ask) count as soon as they cover a part; rules that allow count only when they cover the whole
//! (known bypass: a deny by name that a list walks around). See [`crate::decide`] for what follows from it.

mod mismatch;

use lockgate_core::{Action, Options, Risk, Stream, Subject, SubjectKind, Verb};

use crate::decide::Facts;
use crate::pattern::{Pattern, ResourcePattern};
use crate::risk::scope::{Scope, scope};

pub use mismatch::Mismatch;

/// How many random characters the API server appends to `generateName`
/// (<https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apiserver/pkg/storage/names/generate.go>).
const GENERATED_NAME_CHARACTERS: usize = 5;

/// How much of a request a rule covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Coverage {
    Nothing,
    Part,
    Whole,
}

/// Whether a rule takes away or gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Restricts,
    Allows,
}

/// The compiled `match:` of a rule. An absent field matches everything.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    pub(crate) verbs: Option<VerbSet>,
    pub(crate) risks: Option<RiskSet>,
    pub(crate) resources: Option<Vec<ResourcePattern>>,
    pub(crate) api_groups: Option<Vec<Pattern>>,
    pub(crate) namespaces: Option<Vec<Pattern>>,
    pub(crate) names: Option<Vec<Pattern>>,
    /// Labels that the request's own selector must ask for; only in rules that allow.
    pub(crate) label_selector: Option<Vec<(String, String)>>,
    pub(crate) non_resource_urls: Option<Vec<Pattern>>,
    pub(crate) clusters: Option<Vec<Pattern>>,
    pub(crate) environments: Option<Vec<Pattern>>,
    pub(crate) groups: Option<Vec<Pattern>>,
    pub(crate) ids: Option<Vec<Pattern>>,
    pub(crate) owners: Option<Vec<Pattern>>,
    pub(crate) kinds: Option<Vec<SubjectKind>>,
}

/// What the matcher needs of a request, worked out once for all rules.
pub(crate) struct Request<'r> {
    subject: &'r Subject,
    cluster: &'r str,
    action: &'r Action,
    facts: &'r Facts<'r>,
    verb: VerbSet,
    risk: RiskSet,
    spread: Spread<'r>,
    excluded: Excluded<'r>,
    sieves: Sieves,
}

/// Where the objects of a request live.
enum Spread<'r> {
    /// In one namespace.
    Namespace(&'r str),
    /// In no namespace.
    Cluster,
    /// In every namespace.
    AllNamespaces,
    /// Nobody knows the resource: in every namespace, or in none.
    Unknown,
}

/// Objects that a field selector rules out.
#[derive(Default)]
struct Excluded<'r> {
    names: Vec<&'r str>,
    namespaces: Vec<&'r str>,
}

impl<'r> Request<'r> {
    pub(crate) fn new(subject: &'r Subject, cluster: &'r str, action: &'r Action, facts: &'r Facts<'r>) -> Self {
        let selector = Selector::parse(action, facts.options);
        let spread = spread(action, selector.namespace);
        let groups = Sieve::of_all(subject.groups.iter().map(String::as_str));
        let sieves = Sieves {
            resources: Sieve::of(&action.resource),
            // A subject without groups has no bit, and a rule without `groups:` still speaks about it.
            groups: if groups == Sieve::NOTHING { Sieve::EVERYTHING } else { groups },
            namespaces: match spread {
                Spread::Namespace(namespace) => Sieve::of(namespace),
                Spread::Cluster | Spread::AllNamespaces | Spread::Unknown => Sieve::EVERYTHING,
            },
        };
        Self {
            subject,
            cluster,
            action,
            facts,
            verb: VerbSet::of(effective_verb(action)),
            risk: RiskSet::of(action.risk),
            spread,
            excluded: selector.excluded,
            sieves,
        }
    }

    /// The same request, should its risk class turn out to be any.
    pub(crate) const fn of_any_risk(mut self) -> Self {
        self.risk = RiskSet::ALL;
        self
    }
}

impl Matcher {
    pub(crate) fn coverage(&self, request: &Request<'_>, direction: Direction) -> Coverage {
        if !self.verb_and_risk(request, direction)
            || !self.target(request)
            || !self.caller(request)
            || !self.selected(request)
        {
            return Coverage::Nothing;
        }
        match self.namespace(request) {
            Coverage::Nothing => Coverage::Nothing,
            part_or_whole => part_or_whole.min(self.name(request)),
        }
    }

    fn verb_and_risk(&self, request: &Request<'_>, direction: Direction) -> bool {
        self.verb(request, direction) && self.risks.is_none_or(|risks| risks.contains(request.risk))
    }

    fn verb(&self, request: &Request<'_>, direction: Direction) -> bool {
        let Some(verbs) = self.verbs else { return true };
        match direction {
            Direction::Allows => verbs.contains(request.verb),
            Direction::Restricts => {
                let widened = verbs.widened();
                widened.contains(request.verb) || widened.contains(VerbSet::of(request.action.verb))
            }
        }
    }

    fn target(&self, request: &Request<'_>) -> bool {
        let action = request.action;
        if !action.is_resource() {
            let resource_only = self.resources.is_some()
                || self.api_groups.is_some()
                || self.namespaces.is_some()
                || self.names.is_some();
            return !resource_only && any(self.non_resource_urls.as_deref(), &action.path);
        }
        self.non_resource_urls.is_none() && self.resource(action) && any(self.api_groups.as_deref(), &action.api_group)
    }

    fn resource(&self, action: &Action) -> bool {
        self.resources.as_deref().is_none_or(|resources| {
            resources.iter().any(|pattern| pattern.matches(&action.resource, action.subresource.as_deref()))
        })
    }

    fn caller(&self, request: &Request<'_>) -> bool {
        let subject = request.subject;
        any(self.clusters.as_deref(), request.cluster)
            && any(self.environments.as_deref(), request.facts.environment)
            && any(self.ids.as_deref(), &subject.id)
            && self.kinds.as_deref().is_none_or(|kinds| kinds.contains(&subject.kind))
            && self.in_groups(subject)
            && self.owned(subject)
    }

    fn in_groups(&self, subject: &Subject) -> bool {
        self.groups
            .as_deref()
            .is_none_or(|groups| groups.iter().any(|own| subject.groups.iter().any(|group| own.matches(group))))
    }

    fn owned(&self, subject: &Subject) -> bool {
        self.owners
            .as_deref()
            .is_none_or(|owners| subject.owner.as_deref().is_some_and(|owner| any(Some(owners), owner)))
    }

    /// Whether the request is for a collection, and its label selector admits only objects with the rule's labels.
    fn selected(&self, request: &Request<'_>) -> bool {
        let Some(wanted) = self.label_selector.as_deref() else { return true };
        let collection = matches!(request.action.verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
        // Terms with a set in brackets hold commas of their own; a selector with one is not read, which narrows nothing.
        let selector = request.facts.options.label_selector.as_deref();
        let Some(selector) = selector.filter(|text| collection && !text.contains('(')) else { return false };
        let asked = |key: &str, value: &str| {
            selector.split(',').any(|term| {
                let equal = term.split_once("==").or_else(|| term.split_once('='));
                equal.is_some_and(|(its_key, its_value)| its_key.trim() == key && its_value.trim() == value)
            })
        };
        wanted.iter().all(|(key, value)| asked(key, value))
    }

    fn namespace(&self, request: &Request<'_>) -> Coverage {
        let Some(patterns) = self.namespaces.as_deref() else { return Coverage::Whole };
        let everywhere = patterns.contains(&Pattern::Any);
        match &request.spread {
            Spread::Namespace(namespace) => whole_if(patterns.iter().any(|pattern| pattern.matches(namespace))),
            Spread::Cluster => Coverage::Nothing,
            Spread::AllNamespaces if everywhere => Coverage::Whole,
            Spread::AllNamespaces | Spread::Unknown => part_unless_excluded(patterns, &request.excluded.namespaces),
        }
    }

    fn name(&self, request: &Request<'_>) -> Coverage {
        let Some(patterns) = self.names.as_deref() else { return Coverage::Whole };
        match (request.action.name.as_deref(), request.action.verb) {
            (Some(name), _) => whole_if(patterns.iter().any(|pattern| pattern.matches(name))),
            (None, Verb::Create) => generated_name(patterns, request.facts),
            (None, _) if patterns.contains(&Pattern::Any) => Coverage::Whole,
            (None, _) => part_unless_excluded(patterns, &request.excluded.names),
        }
    }
}

/// Exec, attach, port-forward and proxy are `create` whatever the method: a WebSocket client opens them with GET, and a
/// rule that allows `get` on everything must not open a shell (Kubernetes issue 78741).
fn effective_verb(action: &Action) -> Verb {
    let interactive = action.stream.is_session() || matches!(action.stream, Stream::Proxy);
    let named = matches!(action.subresource.as_deref(), Some("exec" | "attach" | "portforward" | "proxy"));
    if interactive || named { Verb::Create } else { action.verb }
}

fn spread<'r>(action: &'r Action, selected: Option<&'r str>) -> Spread<'r> {
    let is_namespaces = action.api_group.is_empty() && action.resource == "namespaces";
    let own_name = if is_namespaces { action.name.as_deref() } else { None };
    if let Some(namespace) = action.namespace.as_deref().or(own_name).or(selected) {
        return Spread::Namespace(namespace);
    }
    let collection = matches!(action.verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
    match scope(&action.api_group, &action.resource) {
        _ if is_namespaces => Spread::AllNamespaces,
        // A request for one object without a namespace in its path is for one that has none.
        _ if !collection => Spread::Cluster,
        Scope::Cluster => Spread::Cluster,
        Scope::Namespaced => Spread::AllNamespaces,
        Scope::Unknown => Spread::Unknown,
    }
}

const fn whole_if(matched: bool) -> Coverage {
    if matched { Coverage::Whole } else { Coverage::Nothing }
}

fn part_unless_excluded(patterns: &[Pattern], excluded: &[&str]) -> Coverage {
    let ruled_out = |pattern: &Pattern| match pattern {
        Pattern::Exact(exact) => excluded.contains(&exact.as_ref()),
        Pattern::Any | Pattern::Prefix(_) => false,
    };
    if patterns.iter().all(ruled_out) { Coverage::Nothing } else { Coverage::Part }
}

/// A create without a name: the API server will make one from `generateName`.
fn generated_name(patterns: &[Pattern], facts: &Facts<'_>) -> Coverage {
    if patterns.contains(&Pattern::Any) {
        return Coverage::Whole;
    }
    let prefix =
        facts.object.and_then(|object| object.pointer("/metadata/generateName")).and_then(|name| name.as_str());
    match prefix {
        Some(prefix)
            if patterns.iter().any(|own| matches!(own, Pattern::Prefix(own) if prefix.starts_with(own.as_ref()))) =>
        {
            Coverage::Whole
        }
        Some(prefix) if !patterns.iter().any(|own| own.may_match_generated(prefix, GENERATED_NAME_CHARACTERS)) => {
            Coverage::Nothing
        }
        Some(_) | None => Coverage::Part,
    }
}

fn any(patterns: Option<&[Pattern]>, text: &str) -> bool {
    patterns.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(text)))
}

/// The terms of a field selector that bear on names and namespaces.
struct Selector<'r> {
    namespace: Option<&'r str>,
    excluded: Excluded<'r>,
}

impl<'r> Selector<'r> {
    /// A selector with escapes is not read: it then narrows nothing, which is the safe side.
    fn parse(action: &Action, options: &'r Options) -> Self {
        let mut selector = Self { namespace: None, excluded: Excluded::default() };
        let collection = matches!(action.verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
        let text = options.field_selector.as_deref().filter(|text| collection && !text.contains('\\'));
        for term in text.into_iter().flat_map(|text| text.split(',')) {
            if let Some((field, value)) = term.split_once("!=") {
                match field {
                    "metadata.name" => selector.excluded.names.push(value),
                    "metadata.namespace" => selector.excluded.namespaces.push(value),
                    _ => {}
                }
            } else if let Some((field, value)) = term.split_once("==").or_else(|| term.split_once('='))
                && field == "metadata.namespace"
                && !value.is_empty()
            {
                selector.namespace = Some(value);
            }
        }
        selector
    }
}

/// A set of verbs as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct VerbSet(u16);

impl VerbSet {
    pub(crate) const ALL: Self = Self(u16::MAX);

    pub(crate) const fn of(verb: Verb) -> Self {
        Self(1 << verb as u16)
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// For rules that restrict: what is forbidden one by one is forbidden in bulk. A list or watch shows what a get
    /// shows; a collection delete does what deletes do.
    const fn widened(self) -> Self {
        let mut wide = self;
        if self.contains(Self::of(Verb::Get))
            || self.contains(Self::of(Verb::List))
            || self.contains(Self::of(Verb::Watch))
        {
            wide = wide.with(Self::of(Verb::List)).with(Self::of(Verb::Watch));
        }
        if self.contains(Self::of(Verb::Delete)) {
            wide = wide.with(Self::of(Verb::DeleteCollection));
        }
        wide
    }
}

/// A set of risk classes as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RiskSet(u8);

impl RiskSet {
    const ALL: Self = Self(u8::MAX);

    pub(crate) const fn of(risk: Risk) -> Self {
        Self(1 << risk as u8)
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A first, cheap look at words: 64 bits, one for each word by its hash. It may say "perhaps" for "no", never the other
/// way round, and so decides nothing; it spares most rules the comparison of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sieve(u64);

impl Sieve {
    const EVERYTHING: Self = Self(u64::MAX);
    const NOTHING: Self = Self(0);

    /// FNV-1a, folded to six bits.
    fn of(word: &str) -> Self {
        let hash = word
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Self(1 << (hash >> 58))
    }

    fn of_all<'w>(words: impl Iterator<Item = &'w str>) -> Self {
        words.map(Self::of).fold(Self::NOTHING, |all, one| Self(all.0 | one.0))
    }

    /// Of the words that a list names one by one; everything when it has a `*` or there is no list.
    fn of_patterns(patterns: Option<&[Pattern]>) -> Self {
        let exact = |pattern: &Pattern| match pattern {
            Pattern::Exact(word) => Self::of(word),
            Pattern::Any | Pattern::Prefix(_) => Self::EVERYTHING,
        };
        patterns
            .map_or(Self::EVERYTHING, |list| list.iter().map(exact).fold(Self::NOTHING, |all, one| Self(all.0 | one.0)))
    }

    const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The sieves of a rule.
#[derive(Debug)]
pub(crate) struct Sieves {
    resources: Sieve,
    groups: Sieve,
    /// Of namespaces, where a request is for one.
    namespaces: Sieve,
}

impl Sieves {
    pub(crate) fn of(matcher: &Matcher) -> Self {
        let resources = matcher.resources.as_deref().map_or(Sieve::EVERYTHING, |list| {
            list.iter().fold(Sieve::NOTHING, |all, pattern| {
                let one = pattern.resource().map_or(Sieve::EVERYTHING, Sieve::of);
                Sieve(all.0 | one.0)
            })
        });
        Self {
            resources,
            groups: Sieve::of_patterns(matcher.groups.as_deref()),
            namespaces: Sieve::of_patterns(matcher.namespaces.as_deref()),
        }
    }

    /// Whether the rule could speak about the request.
    pub(crate) const fn admit(&self, request: &Request<'_>) -> bool {
        self.resources.meets(request.sieves.resources)
            && self.groups.meets(request.sieves.groups)
            && self.namespaces.meets(request.sieves.namespaces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// What the lists match, the sieve admits.
        #[test]
        fn the_sieve_never_refuses_what_matches(
            words in proptest::collection::vec("[ab]{0,3}\\*?", 1..5),
            word in "[ab]{0,3}",
        ) {
            let patterns: Vec<Pattern> = words.iter().map(|word| Pattern::parse(word).unwrap()).collect();
            if any(Some(&patterns), &word) {
                proptest::prop_assert!(Sieve::of_patterns(Some(&patterns)).meets(Sieve::of(&word)));
            }
            let resources = words.iter().filter_map(|word| ResourcePattern::parse(word).ok()).collect::<Vec<_>>();
            if resources.iter().any(|pattern| pattern.matches(&word, None)) {
                let matcher = Matcher { resources: Some(resources), ..Matcher::default() };
                proptest::prop_assert!(Sieves::of(&matcher).resources.meets(Sieve::of(&word)));
            }
        }
    }
}
