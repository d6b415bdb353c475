//! Words of Kubernetes that a policy names: which of them can never match anything, and what was probably meant.
//!
//! A rule that denies `resources: [secret]` denies nothing, so a dead word is a mistake and no matter of taste. What could
//! be a custom resource is let through, with a [`Word::Doubtful`] where nothing says so. Refuses to know rules.

use lockgate_core::Verb;
use lockgate_expr::distance;

use crate::matching::VerbSet;
use crate::pattern::{Pattern, ResourcePattern};
use crate::risk::built_in;

/// What is to be said of a word: what is wrong, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Fine,
    /// It can match nothing.
    Mistaken(String, String),
    /// It matches nothing that is built in.
    Doubtful(String, String),
}

/// kubectl's short names (`kubectl api-resources`).
const SHORT_NAMES: [(&str, &str); 28] = [
    ("cj", "cronjobs"),
    ("cm", "configmaps"),
    ("crd", "customresourcedefinitions"),
    ("crds", "customresourcedefinitions"),
    ("cs", "componentstatuses"),
    ("csr", "certificatesigningrequests"),
    ("deploy", "deployments"),
    ("ds", "daemonsets"),
    ("ep", "endpoints"),
    ("ev", "events"),
    ("hpa", "horizontalpodautoscalers"),
    ("ing", "ingresses"),
    ("limits", "limitranges"),
    ("netpol", "networkpolicies"),
    ("no", "nodes"),
    ("ns", "namespaces"),
    ("pc", "priorityclasses"),
    ("pdb", "poddisruptionbudgets"),
    ("po", "pods"),
    ("pv", "persistentvolumes"),
    ("pvc", "persistentvolumeclaims"),
    ("quota", "resourcequotas"),
    ("rc", "replicationcontrollers"),
    ("rs", "replicasets"),
    ("sa", "serviceaccounts"),
    ("sc", "storageclasses"),
    ("sts", "statefulsets"),
    ("svc", "services"),
];

/// Subresources of built-in resources, beside `status`, which every one may have.
const SUBRESOURCES: [(&str, &[&str]); 10] = [
    (
        "pods",
        &["attach", "binding", "ephemeralcontainers", "eviction", "exec", "log", "portforward", "proxy", "resize"],
    ),
    ("services", &["proxy"]),
    ("nodes", &["proxy"]),
    ("deployments", &["scale"]),
    ("replicasets", &["scale"]),
    ("statefulsets", &["scale"]),
    ("replicationcontrollers", &["scale"]),
    ("namespaces", &["finalize"]),
    ("serviceaccounts", &["token"]),
    ("certificatesigningrequests", &["approval"]),
];

/// An entry of `apiGroups`.
pub(crate) fn api_group(text: &str) -> Word {
    if matches!(text, "core" | "core/v1" | "v1" | "core.k8s.io") {
        return mistaken(format!("`{text}` is no API group: the core group is \"\""), "write \"\"");
    }
    if let Some((group, _)) = text.split_once('/') {
        return mistaken(format!("`{text}` has a version"), format!("write the group alone: `{group}`"));
    }
    if text.chars().any(|character| character.is_ascii_uppercase() || character.is_whitespace()) {
        return mistaken(format!("`{text}` is no API group"), format!("write `{}`", text.trim().to_lowercase()));
    }
    if text.is_empty() || text.ends_with('*') || built_in().any(|(group, _)| group == text) {
        return Word::Fine;
    }
    let whole = built_in().map(|(group, _)| group).find(|group| group.split('.').next() == Some(text));
    let built_in = whole.or_else(|| nearest(text, built_in().map(|(group, _)| group)));
    let message = format!("`{text}` is no API group that is built in");
    if let Some(group) = begun(text).filter(|_| built_in.is_none()) {
        return Word::Doubtful(message, format!("did you mean `{group}`?"));
    }
    match built_in {
        Some(group) => mistaken(message, format!("did you mean `{group}`?")),
        // The group of a CustomResourceDefinition has a dot
        // (<https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go>).
        None if !text.contains('.') => Word::Doubtful(message, "write the whole group, such as `example.com`".into()),
        None => Word::Fine,
    }
}

/// The built-in group of which the end was left out: `rbac.authorization.k8s`.
fn begun(text: &str) -> Option<&'static str> {
    built_in().map(|(group, _)| group).find(|group| {
        let rest = group.strip_prefix(text.trim_end_matches('.'));
        text.contains('.') && rest.is_some_and(|rest| rest.starts_with('.'))
    })
}

/// The verbs that requests on a subresource have, where they are few.
const VERBS_BELOW: [(&str, &[Verb]); 6] = [
    ("exec", &[Verb::Create]),
    ("attach", &[Verb::Create]),
    ("portforward", &[Verb::Create]),
    ("eviction", &[Verb::Create]),
    ("binding", &[Verb::Create]),
    ("log", &[Verb::Get]),
];

/// An entry of `resources`, beside these `verbs`: a subresource that no request with one of them is about.
/// `alone`: the rule names nothing else, so that it matches nothing.
pub(crate) fn verbs_of(written: &ResourcePattern, verbs: VerbSet, alone: bool) -> Word {
    let ResourcePattern::Subresource { resource, subresource: Some(below) } = written else { return Word::Fine };
    let is_pods = resource.as_deref().is_none_or(|resource| resource == "pods");
    let Some((_, own)) = VERBS_BELOW.iter().find(|(name, _)| is_pods && *name == below.as_ref()) else {
        return Word::Fine;
    };
    if own.iter().any(|verb| verbs.contains(VerbSet::of(*verb))) {
        return Word::Fine;
    }
    let verb = own.first().map_or("create", |verb| verb.as_str());
    let message =
        format!("requests on `{written}` have the verb `{verb}`, whatever the method, and `verbs` does not name it");
    let fix = format!("write `verbs: [{verb}]`, in a rule of its own if the other verbs are for other resources");
    if alone { Word::Mistaken(message, fix) } else { Word::Doubtful(message, fix) }
}

/// Longest name and value of a label, and prefix of its name, in characters.
const LABEL_CHARACTERS_MAX: usize = 63;
const LABEL_PREFIX_CHARACTERS_MAX: usize = 253;

/// An entry of `labelSelector`: what labels can be
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>).
pub(crate) fn label(key: &str, value: &str) -> Word {
    let shown = |text: &str| text.chars().take(64).collect::<String>();
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if name.is_empty() || !is_label(name) || !prefix.is_none_or(is_subdomain) {
        let fix = "a label's key is a name such as `app`, or `example.com/app`: letters, digits, `-`, `_` and `.`";
        return mistaken(format!("no label can have the key `{}`", shown(key)), fix);
    }
    if is_label(value) {
        return Word::Fine;
    }
    let message = format!("no label can have the value `{}`", shown(value));
    if value.contains('*') {
        let fix = "write the whole value: labels have no wildcards; a condition can look at a part of one, such as \
                   `when: oldObject.metadata.labels['app'].startsWith('web')`";
        return mistaken(message, fix);
    }
    let trimmed = value.trim();
    if trimmed != value && is_label(trimmed) {
        return mistaken(message, format!("write `{trimmed}`"));
    }
    mistaken(
        message,
        "a label's value has letters, digits, `-`, `_` and `.`, at most 63, and begins and ends with a letter or digit",
    )
}

fn is_label(text: &str) -> bool {
    let within = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    text.len() <= LABEL_CHARACTERS_MAX
        && text.bytes().all(within)
        && ends(text.bytes().next())
        && ends(text.bytes().next_back())
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= LABEL_PREFIX_CHARACTERS_MAX
        && text.split('.').all(|part| {
            let within = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !part.is_empty() && part.bytes().all(within) && !part.starts_with('-') && !part.ends_with('-')
        })
}

/// An entry of `nonResourceURLs`, which begins with `/`.
pub(crate) fn path(text: &str) -> Word {
    let shown: String = text.chars().take(64).collect();
    if let Some((path, _)) = text.split_once('?') {
        let fix = format!("write the path alone: `{path}`");
        return mistaken(format!("`{shown}` has a query, which is no part of a path"), fix);
    }
    let is_tree = text.ends_with('*');
    let whole = text.trim_end_matches('*');
    let segments: Vec<&str> = whole.split('/').skip(1).collect();
    let ended = if is_tree { segments.len().saturating_sub(1) } else { segments.len() };
    if segments.iter().take(ended).any(|segment| matches!(*segment, "." | "..")) {
        return mistaken(
            format!("`{shown}` has a dot segment: no request with one is let in"),
            "write the path without it",
        );
    }
    let resource = match segments.as_slice() {
        ["api", version, resource, ..] if !version.is_empty() => Some(*resource),
        ["apis", group, version, resource, ..] if !group.is_empty() && !version.is_empty() => Some(*resource),
        _ => None,
    };
    match resource.filter(|resource| !resource.is_empty()) {
        Some(_) => mistaken(
            format!("`{shown}` is the path of a resource, and nonResourceURLs are for other paths"),
            "write `resources:` (with `apiGroups:`, `namespaces:` and `names:` where they matter) instead",
        ),
        None => Word::Fine,
    }
}

/// An entry of `resources`, beside these `apiGroups`.
pub(crate) fn resource(written: &ResourcePattern, groups: Option<&[Pattern]>) -> Word {
    let (resource, subresource) = match written {
        ResourcePattern::Everything => return Word::Fine,
        ResourcePattern::Resource(resource) => (Some(resource.as_ref()), None),
        ResourcePattern::Subresource { resource, subresource } => (resource.as_deref(), subresource.as_deref()),
    };
    let Some(resource) = resource else { return subresource.map_or(Word::Fine, any_subresource) };
    let groups = Groups(groups);
    if built_in().any(|(group, name)| name == resource && groups.name(group)) {
        return subresource.map_or(Word::Fine, |subresource| subresource_of(resource, subresource));
    }
    if groups.name_others() {
        return Word::Fine;
    }
    let shown = |name: &str| subresource.map_or_else(|| name.to_owned(), |below| format!("{name}/{below}"));
    let elsewhere: Vec<&str> =
        built_in().filter(|(_, name)| *name == resource).map(|(group, _)| quoted(group)).collect();
    if !elsewhere.is_empty() {
        let message = format!("`{resource}` is no resource of {}", groups.in_words());
        return mistaken(message, format!("its API group is {}: add it to apiGroups", elsewhere.join(" or ")));
    }
    if let Some((message, name)) = misnamed(resource, &groups) {
        return mistaken(message, format!("did you mean `{}`?", shown(name)));
    }
    if subresource.is_none()
        && let Some(owner) = owner_of(resource)
    {
        let message = format!("`{resource}` is no resource but a subresource");
        return mistaken(message, format!("write `{owner}/{resource}`"));
    }
    if groups.0.is_some() && !groups.are_any() {
        let message = format!("`{resource}` is no resource of {} that Lockgate knows", groups.in_words());
        return Word::Doubtful(message, "check the word with `kubectl api-resources`".into());
    }
    let message = format!("`{resource}` is no built-in resource");
    Word::Doubtful(message, "if it is a custom resource, name its group beside it: `apiGroups: [example.com]`".into())
}

/// What was meant by a word that is no built-in resource, if anything is likely: what it is, and the resource.
pub(crate) fn meant(resource: &str) -> Option<(String, &'static str)> {
    misnamed(resource, &Groups(None))
}

fn misnamed(resource: &str, groups: &Groups<'_>) -> Option<(String, &'static str)> {
    let names = || built_in().filter(|(group, _)| groups.name(group)).map(|(_, name)| name);
    let short = SHORT_NAMES.iter().find(|(short, _)| *short == resource).map(|(_, name)| *name);
    if let Some(name) = short.filter(|name| names().any(|own| own == *name)) {
        return Some((format!("`{resource}` is kubectl's short name of `{name}`"), name));
    }
    let is_plural = |name: &str| {
        let more = name.strip_prefix(resource);
        matches!(more, Some("s" | "es")) || resource.strip_suffix('y').is_some_and(|stem| name == format!("{stem}ies"))
    };
    if let Some(name) = names().find(|name| is_plural(name)) {
        return Some((format!("`{resource}` is the singular, and no resource of the API"), name));
    }
    nearest(resource, names()).map(|name| (format!("`{resource}` is no built-in resource"), name))
}

/// The groups that a rule names.
struct Groups<'g>(Option<&'g [Pattern]>);

impl Groups<'_> {
    fn are_any(&self) -> bool {
        self.0.is_none_or(|groups| groups.contains(&Pattern::Any))
    }

    fn name(&self, group: &str) -> bool {
        self.0.is_none_or(|groups| groups.iter().any(|own| own.matches(group)))
    }

    /// Whether one of them is, or could be, no built-in.
    fn name_others(&self) -> bool {
        let other = |own: &Pattern| match own {
            Pattern::Any => false,
            Pattern::Prefix(_) => true,
            Pattern::Exact(exact) => !built_in().any(|(group, _)| group == exact.as_ref()),
        };
        self.0.is_some_and(|groups| groups.iter().any(other))
    }

    fn in_words(&self) -> String {
        let groups = self.0.unwrap_or_default();
        let names: Vec<String> = groups.iter().map(ToString::to_string).collect();
        match names.as_slice() {
            [] => "any group".to_owned(),
            [only] => format!("the group {only}"),
            _ => format!("the groups {}", names.join(", ")),
        }
    }
}

/// Its subresources, `status` aside.
pub(crate) fn subresources(resource: &str) -> &'static [&'static str] {
    SUBRESOURCES.iter().find(|(name, _)| *name == resource).map_or(&[], |(_, below)| below)
}

/// The resource that has this subresource; `*` where several have.
fn owner_of(subresource: &str) -> Option<&'static str> {
    let mut owners = SUBRESOURCES.iter().filter(|(_, below)| below.contains(&subresource));
    match (owners.next(), subresource) {
        (_, "status" | "scale") => Some("*"),
        (owner, _) => owner.map(|(name, _)| *name),
    }
}

fn subresource_of(resource: &str, subresource: &str) -> Word {
    let own = subresources(resource);
    if subresource == "status" || own.contains(&subresource) {
        return Word::Fine;
    }
    let message = format!("`{resource}` has no subresource `{subresource}`");
    if let Some(near) = near_subresource(subresource, own.iter().copied()) {
        return mistaken(message, format!("did you mean `{resource}/{near}`?"));
    }
    match owner_of(subresource) {
        Some(owner) => mistaken(message, format!("write `{owner}/{subresource}`, or remove it")),
        None => Word::Doubtful(format!("{message} that Lockgate knows"), "check it in the API reference".into()),
    }
}

fn any_subresource(subresource: &str) -> Word {
    let all = || SUBRESOURCES.iter().flat_map(|(_, below)| below.iter().copied());
    if subresource == "status" || all().any(|own| own == subresource) {
        return Word::Fine;
    }
    let message = format!("no built-in resource has a subresource `{subresource}`");
    match near_subresource(subresource, all().chain(["status"])) {
        Some(near) => mistaken(message, format!("did you mean `*/{near}`?")),
        None => Word::Doubtful(message, "name the resource that has it".into()),
    }
}

fn near_subresource(word: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    nearest(&word.replace('-', ""), known)
}

/// The nearest word, if one is so near that it was meant.
fn nearest(word: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let steps_max = if word.len() < 5 { 1 } else { 2 };
    let near = known.filter(|own| own.len() > 2).map(|own| (distance(word, own), own)).min();
    near.filter(|(steps, _)| *steps <= steps_max).map(|(_, own)| own)
}

const fn quoted(group: &'static str) -> &'static str {
    if group.is_empty() { "\"\"" } else { group }
}

fn mistaken(message: String, fix: impl Into<String>) -> Word {
    Word::Mistaken(message, fix.into())
}
