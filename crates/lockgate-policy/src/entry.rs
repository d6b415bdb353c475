//! What one entry of a rule's list may be, and what to write where it is none. Refuses to know rules and documents.

use lockgate_core::{Action, Verb};

use crate::matching::VerbSet;
use crate::pattern::{Pattern, ResourcePattern};
use crate::vocabulary::{self, Word};

/// Longest name of a namespace.
const NAMESPACE_CHARACTERS_MAX: usize = 63;

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

/// Why a word is no entry of a list.
pub(crate) struct Complaint {
    /// What is wrong, where more can be said than that it is no entry.
    pub(crate) message: Option<String>,
    pub(crate) fix: String,
}

impl From<&'static str> for Complaint {
    fn from(fix: &'static str) -> Self {
        Self { message: None, fix: fix.to_owned() }
    }
}

/// Whether a rule can name what the action is about. A client may ask for anything (`GET /api/v1/namespaces/Shop/pod`), and
/// what no cluster can have no rule may name.
pub fn nameable(action: &Action) -> bool {
    if !action.is_resource() {
        return url(&action.path).is_ok();
    }
    let subresource = action.subresource.iter().map(|below| format!("/{below}"));
    let written: String = std::iter::once(action.resource.clone()).chain(subresource).collect();
    let group = Pattern::Exact(action.api_group.as_str().into());
    let known = |word: Word| !matches!(word, Word::Mistaken(..));
    resource(&written).is_ok_and(|pattern| known(vocabulary::resource(&pattern, Some(&[group]))))
        && known(vocabulary::api_group(&action.api_group))
        && action.namespace.as_deref().is_none_or(|name| namespace(name).is_ok())
        && action.name.as_deref().is_none_or(|name| object_name(name).is_ok())
}

pub(crate) fn named(text: &str) -> Result<Pattern, &'static str> {
    if text.is_empty() { Err("write a name, a beginning such as `team-*`, or `*`") } else { Pattern::parse(text) }
}

/// A DNS label, or the beginning of one
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>).
pub(crate) fn namespace(text: &str) -> Result<Pattern, Complaint> {
    let pattern = named(text)?;
    let (Pattern::Exact(label) | Pattern::Prefix(label)) = &pattern else { return Ok(pattern) };
    let within = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let ends = matches!(pattern, Pattern::Exact(_)) && label.ends_with('-');
    if within && !label.starts_with('-') && !ends && label.len() <= NAMESPACE_CHARACTERS_MAX {
        return Ok(pattern);
    }
    let shown: String = text.chars().take(64).collect();
    let fix = match text.to_ascii_lowercase() {
        lower if lower != text && namespace(&lower).is_ok() => format!("did you mean `{lower}`?"),
        _ => "a namespace has lower-case letters, digits and `-`, at most 63".to_owned(),
    };
    Err(Complaint { message: Some(format!("no namespace can be named `{shown}`")), fix })
}

/// What an object may be called: one segment of a path.
pub(crate) fn object_name(text: &str) -> Result<Pattern, Complaint> {
    match text.rsplit_once('/') {
        Some((_, name)) => Err(Complaint {
            message: Some(format!("no object can be named `{}`", text.chars().take(64).collect::<String>())),
            fix: format!("write the name alone: `{}`", name.chars().take(64).collect::<String>()),
        }),
        None => Ok(named(text)?),
    }
}

/// An id, as the token has it: without the kind that is printed before it.
pub(crate) fn id(text: &str) -> Result<Pattern, Complaint> {
    match text.split_once(':') {
        Some((kind @ ("agent" | "human"), id)) => Err(Complaint {
            message: Some(format!("ids stand without their kind: `{kind}:` is only printed before them")),
            fix: format!("write `{id}`, and `kinds: [{kind}]` beside `ids:` if it matters"),
        }),
        _ => person(text),
    }
}

/// What a token says of a person: no issuer puts blanks around it.
pub(crate) fn person(text: &str) -> Result<Pattern, Complaint> {
    unpadded(text)?;
    Ok(named(text)?)
}

pub(crate) fn unpadded(text: &str) -> Result<(), Complaint> {
    let trimmed = text.trim();
    if trimmed.len() == text.len() {
        return Ok(());
    }
    let shown = |text: &str| text.chars().take(64).collect::<String>();
    Err(Complaint {
        message: Some(format!("`{}` has blanks around it", shown(text))),
        fix: format!("write `{}`", shown(trimmed)),
    })
}

/// A group, as the token has it: without the prefix that the cluster sees.
pub(crate) fn group_of_people(text: &str) -> Result<Pattern, Complaint> {
    without_prefix(text)?;
    person(text)
}

pub(crate) fn without_prefix(group: &str) -> Result<(), Complaint> {
    match group.strip_prefix("lockgate:") {
        Some(own) => Err(Complaint {
            message: Some("groups stand as the token has them: `lockgate:` is put before them for the cluster".into()),
            fix: format!("write `{own}`"),
        }),
        None => Ok(()),
    }
}

pub(crate) fn resource(text: &str) -> Result<ResourcePattern, &'static str> {
    if text.chars().any(|character| character.is_ascii_uppercase() || character == '.') {
        return Err("write the resource in lower case and the plural, such as `deployments`, without its group");
    }
    ResourcePattern::parse(text)
}

pub(crate) fn url(text: &str) -> Result<Pattern, Complaint> {
    if text != "*" && !text.starts_with('/') {
        return Err("write a path that begins with `/`, such as `/healthz` or `/api*`, or `*`".into());
    }
    match vocabulary::path(text) {
        Word::Mistaken(message, fix) => Err(Complaint { message: Some(message), fix }),
        Word::Fine | Word::Doubtful(..) => Ok(Pattern::parse(text)?),
    }
}

pub(crate) fn verb(text: &str) -> Result<VerbSet, &'static str> {
    if text == "*" {
        return Ok(VerbSet::ALL);
    }
    VERBS.into_iter().find(|verb| verb.as_str() == text).map(VerbSet::of).ok_or(
        "use get, list, watch, create, update, patch, delete, deletecollection (head, options, post, put for \
         nonResourceURLs) or `*`; exec, attach and port-forward are `create` on their subresource",
    )
}
