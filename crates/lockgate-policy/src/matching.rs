//! Which requests a rule speaks about.
//!
//! A request for one object is covered by a rule or not. A request on a *collection* (list, watch, deletecollection)
//! touches objects nobody has named yet, so a rule bounded by `names:`, `namespaces:` or `labelSelector:` may cover a part
//! of it; of one object, labels are known only where it has been read. What follows from a part is said in
//! [`crate::decide`].

mod mismatch;
mod question;

use lockgate_core::{Action, Options, Risk, Stream, Subject, SubjectKind, Verb};

use crate::decide::Facts;
use crate::pattern::{Pattern, ResourcePattern};
use crate::risk::scope::{Scope, scope};

pub use mismatch::Mismatch;
pub(crate) use question::ANY;

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
    /// Labels that the object has.
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
    pub(crate) action: &'r Action,
    pub(crate) facts: &'r Facts<'r>,
    verb: VerbSet,
    risk: RiskSet,
    spread: Spread<'r>,
    excluded: Excluded<'r>,
    labels: Labels<'r>,
    sieves: Sieves,
}

/// How much of a request a rule covers, by what its fields say of the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// By namespaces and names.
    pub(crate) place: Coverage,
    /// By labels.
    pub(crate) labels: Coverage,
}

/// What is known of the objects' labels.
enum Labels<'r> {
    /// The one object's.
    Of(&'r [(String, String)]),
    /// The same, as JSON.
    In(Option<&'r serde_json::Map<String, serde_json::Value>>),
    /// What the request's own selector admits.
    Selected(&'r str),
    Unknown,
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
        Self {
            subject,
            cluster,
            action,
            facts,
            verb: VerbSet::of(effective_verb(action)),
            risk: RiskSet::of(action.risk),
            sieves: Sieves::of_request(subject, action, &spread),
            spread,
            excluded: selector.excluded,
            labels: labels(action, facts),
        }
    }

    /// The request narrowed to one object, which `action` names.
    pub(crate) fn of_item(
        subject: &'r Subject,
        cluster: &'r str,
        action: &'r Action,
        facts: &'r Facts<'r>,
        labels: &'r [(String, String)],
    ) -> Self {
        let spread = match action.namespace.as_deref() {
            Some(namespace) => Spread::Namespace(namespace),
            None => Spread::Cluster,
        };
        Self {
            subject,
            cluster,
            action,
            facts,
            verb: VerbSet::of(effective_verb(action)),
            risk: RiskSet::of(action.risk),
            sieves: Sieves::of_request(subject, action, &spread),
            spread,
            excluded: Excluded::default(),
            labels: Labels::Of(labels),
        }
    }

    /// The same request, should its risk class turn out to be any.
    pub(crate) const fn of_any_risk(mut self) -> Self {
        self.risk = RiskSet::ALL;
        self
    }

    /// Whether the name or namespace of the objects is not known yet.
    pub(crate) fn hides_place(&self) -> bool {
        let nameless = self.action.name.is_none() || matches!(self.spread, Spread::AllNamespaces | Spread::Unknown);
        nameless && matches!(self.action.verb, Verb::List | Verb::Watch | Verb::DeleteCollection)
    }

    /// Whether it asks for one object that has been read before.
    pub(crate) fn asks_for_what_was_read(&self) -> bool {
        self.action.verb == Verb::Get && self.facts.old_object.is_some()
    }

    /// Whether it is about one object that could be there already, by name.
    pub(crate) fn names_one(&self) -> bool {
        let action = self.action;
        let of_many = matches!(action.verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
        let makes = action.verb == Verb::Create && action.subresource.is_none();
        action.is_resource() && action.name.is_some() && !of_many && !makes
    }

    /// Whether it is about one object whose labels nobody has read.
    pub(crate) fn hides_labels(&self) -> bool {
        matches!(self.labels, Labels::Unknown) && self.names_one()
    }

    /// Whether the request's own selector admits objects with this label only.
    pub(crate) fn selects(&self, label: &(String, String)) -> bool {
        match self.labels {
            Labels::Selected(selector) => label_terms(selector).iter().any(|term| term.admits_only(label)),
            Labels::Of(_) | Labels::In(_) | Labels::Unknown => false,
        }
    }

    /// Whether objects can be taken out of the answer: a read that answers with objects and their metadata.
    pub(crate) fn answers_objects(&self) -> bool {
        self.action.is_resource()
            && matches!(self.action.verb, Verb::Get | Verb::List | Verb::Watch)
            && matches!(self.action.subresource.as_deref(), None | Some("status"))
            && matches!(self.action.stream, Stream::None | Stream::Watch)
    }
}

impl Matcher {
    pub(crate) fn coverage(&self, request: &Request<'_>, direction: Direction) -> Coverage {
        if !self.speaks(request, direction) {
            return Coverage::Nothing;
        }
        let extent = self.extent(request);
        extent.place.min(extent.labels)
    }

    /// Whether the rule is for this caller, verb, resource and risk, whatever the object.
    pub(crate) fn speaks(&self, request: &Request<'_>, direction: Direction) -> bool {
        self.verb_and_risk(request, direction) && self.target(request) && self.caller(request)
    }

    /// How much of the objects it is for, if it [speaks](Self::speaks) about the request.
    pub(crate) fn extent(&self, request: &Request<'_>) -> Extent {
        let place = match self.namespace(request) {
            Coverage::Nothing => Coverage::Nothing,
            part_or_whole => part_or_whole.min(self.name(request)),
        };
        Extent { place, labels: self.labels(request) }
    }

    /// Whether the rule tells objects apart, and the request relies on its own selectors for which of them are meant.
    pub(crate) fn relies_on_selectors(&self, request: &Request<'_>) -> bool {
        let options = request.facts.options;
        let by_field = options.field_selector.as_deref().is_some_and(|text| text.contains("metadata."));
        matches!(request.action.verb, Verb::List | Verb::Watch)
            && ((by_field && (self.namespaces.is_some() || self.names.is_some()))
                || (options.label_selector.is_some() && self.label_selector.is_some()))
    }

    /// Whether the rule tells objects apart.
    const fn is_bounded(&self) -> bool {
        self.namespaces.is_some() || self.names.is_some() || self.label_selector.is_some()
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
            let resource_only = self.resources.is_some() || self.api_groups.is_some() || self.is_bounded();
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

    fn labels(&self, request: &Request<'_>) -> Coverage {
        let Some(wanted) = self.label_selector.as_deref() else { return Coverage::Whole };
        match request.labels {
            Labels::Of(labels) => whole_if(wanted.iter().all(|wanted| labels.contains(wanted))),
            Labels::In(labels) => whole_if(wanted.iter().all(|(key, value)| {
                labels.and_then(|labels| labels.get(key)?.as_str()).is_some_and(|own| own == value)
            })),
            Labels::Selected(selector) => {
                let terms = label_terms(selector);
                if wanted.iter().all(|wanted| terms.iter().any(|term| term.admits_only(wanted))) {
                    Coverage::Whole
                } else if wanted.iter().any(|wanted| terms.iter().any(|term| term.excludes(wanted))) {
                    Coverage::Nothing
                } else {
                    Coverage::Part
                }
            }
            Labels::Unknown => Coverage::Part,
        }
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

/// What is known of the labels of the objects that a request is about: those that a create writes, those in the cluster
/// where they have been read (of a subresource: the object's that it belongs to), those that a collection's own selector
/// asks for.
fn labels<'r>(action: &Action, facts: &'r Facts<'r>) -> Labels<'r> {
    let of = |object: &'r serde_json::Value| object.pointer("/metadata/labels").and_then(serde_json::Value::as_object);
    match (action.verb, facts.object, facts.old_object) {
        (Verb::List | Verb::Watch | Verb::DeleteCollection, ..) => {
            let selector = facts.options.label_selector.as_deref();
            Labels::Selected(selector.unwrap_or_default())
        }
        (Verb::Create, Some(object), _) if action.subresource.is_none() => Labels::In(of(object)),
        // An object that nobody has named yet, or read.
        (Verb::Create, ..) if action.subresource.is_none() => Labels::Unknown,
        (_, _, None) => Labels::Unknown,
        (_, _, Some(old_object)) => Labels::In(of(old_object)),
    }
}

/// One term of a label selector, as far as it is read.
enum LabelTerm<'s> {
    Equal(&'s str, &'s str),
    Unequal(&'s str, &'s str),
    Absent(&'s str),
    Other,
}

/// The terms of a selector. One with a set in brackets holds commas of its own; it is not read, which narrows nothing.
fn label_terms(selector: &str) -> Vec<LabelTerm<'_>> {
    if selector.contains('(') {
        return Vec::new();
    }
    let term = |term| match str::split_once(term, "!=") {
        Some((key, value)) => LabelTerm::Unequal(key.trim(), value.trim()),
        None => match (term.split_once("==").or_else(|| term.split_once('=')), term.trim().strip_prefix('!')) {
            (Some((key, value)), _) => LabelTerm::Equal(key.trim(), value.trim()),
            (None, Some(key)) => LabelTerm::Absent(key.trim()),
            (None, None) => LabelTerm::Other,
        },
    };
    selector.split(',').map(term).collect()
}

impl LabelTerm<'_> {
    fn admits_only(&self, (key, value): &(String, String)) -> bool {
        matches!(self, Self::Equal(its_key, its_value) if its_key == key && its_value == value)
    }

    fn excludes(&self, (key, value): &(String, String)) -> bool {
        match self {
            Self::Equal(its_key, its_value) => its_key == key && its_value != value,
            Self::Unequal(its_key, its_value) => its_key == key && its_value == value,
            Self::Absent(its_key) => its_key == key,
            Self::Other => false,
        }
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

    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// For rules that restrict: what is forbidden one by one is forbidden in bulk. A list or watch shows what a get
    /// shows; a collection delete does what deletes do.
    pub(crate) const fn widened(self) -> Self {
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

    pub(crate) const fn contains(self, other: Self) -> bool {
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
    fn of_request(subject: &Subject, action: &Action, spread: &Spread<'_>) -> Self {
        let groups = Sieve::of_all(subject.groups.iter().map(String::as_str));
        Self {
            resources: Sieve::of(&action.resource),
            // A subject without groups has no bit, and a rule without `groups:` still speaks about it.
            groups: if groups == Sieve::NOTHING { Sieve::EVERYTHING } else { groups },
            namespaces: match spread {
                Spread::Namespace(namespace) => Sieve::of(namespace),
                Spread::Cluster | Spread::AllNamespaces | Spread::Unknown => Sieve::EVERYTHING,
            },
        }
    }

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
