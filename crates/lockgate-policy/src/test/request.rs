//! The request of a test case: `delete namespaces shop`, `get deployments.apps web -n shop`,
//! `create pods/exec web -n shop -- ls -l`, `get /healthz`; or method and path, `DELETE /api/v1/namespaces/shop`, which
//! somebody who knows Kubernetes' URLs must read.
//!
//! The words are RBAC's, not kubectl's: verbs of the API, resources in the plural, subresources behind a slash. The
//! group of a built-in resource may be left out.

use lockgate_core::{Action, ExecOptions, Options, PatchType, Risk, Stream, Verb};
use serde_json::Value;

use crate::{risk, vocabulary};

/// A request as a case gives it.
#[derive(Debug, Clone)]
pub enum Asked {
    /// Understood from its words.
    Understood(Box<Understood>),
    /// Method and path: to be read by the caller's parser.
    Raw(RawRequest),
}

/// A request, read.
#[derive(Debug, Clone)]
pub struct Understood {
    /// What it would do.
    pub action: Action,
    /// The options in effect.
    pub options: Options,
    /// Its body as decoded.
    pub object: Option<Value>,
}

/// A request as it goes over the wire.
#[derive(Debug, Clone)]
pub struct RawRequest {
    /// `DELETE`, say.
    pub method: String,
    /// Path and query at the API server.
    pub target: String,
    /// The body's media type, where the case gives one.
    pub content_type: Option<String>,
    /// The body, as JSON.
    pub body: Option<Value>,
}

/// What a case says beside the request's words.
pub(super) struct Details<'d> {
    pub(super) argv: Option<Vec<String>>,
    pub(super) content_type: Option<String>,
    pub(super) object: Option<&'d Value>,
}

pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) fix: String,
}

fn wrong<T>(message: impl Into<String>, fix: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { message: message.into(), fix: fix.into() })
}

pub(super) fn parse(text: &str, details: &Details<'_>) -> Result<Asked, Wrong> {
    let (text, trailing) = match text.split_once(" -- ") {
        Some((request, argv)) => (request, Some(argv.split_whitespace().map(str::to_owned).collect())),
        None => (text, None),
    };
    let mut words = text.split_whitespace();
    let Some(first) = words.next() else {
        return wrong("the request is empty", "write one such as `get pods web -n shop`");
    };
    if first.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return raw(first, words, details);
    }
    let verb = verb(first)?;
    let Some(target) = words.next() else {
        return wrong(
            format!("`{first}` needs a resource or a path"),
            format!("write `{first} pods web -n shop`, say"),
        );
    };
    let mut flags = Flags::default();
    let mut name = None;
    while let Some(word) = words.next() {
        if word.starts_with('-') {
            flags.take(word, &mut words)?;
        } else if name.replace(word.to_owned()).is_some() {
            return wrong(
                format!("`{word}` is one name too many"),
                "write VERB RESOURCE NAME -n NAMESPACE; a subresource is written `pods/exec`",
            );
        }
    }
    let argv = details.argv.clone().or(trailing);
    let (mut action, mut options) = if target.starts_with('/') {
        non_resource(verb, target, flags)
    } else {
        resource(verb, target, name, flags, argv)?
    };
    if action.verb == Verb::Patch {
        options.patch_type = Some(patch_type(details)?);
    }
    action.risk = risk::classify(&risk::Request::of(&action, &options, details.object));
    Ok(Asked::Understood(Box::new(Understood { action, options, object: details.object.cloned() })))
}

/// How a patch is meant: as its media type says, else by what it is.
fn patch_type(details: &Details<'_>) -> Result<PatchType, Wrong> {
    const TYPES: [(&str, PatchType); 4] = [
        ("application/merge-patch+json", PatchType::Merge),
        ("application/strategic-merge-patch+json", PatchType::Strategic),
        ("application/json-patch+json", PatchType::Json),
        ("application/apply-patch+yaml", PatchType::Apply),
    ];
    match details.content_type.as_deref() {
        None if details.object.is_some_and(Value::is_array) => Ok(PatchType::Json),
        None => Ok(PatchType::Merge),
        Some(written) => TYPES.iter().find(|(name, _)| *name == written).map(|(_, of)| *of).ok_or_else(|| Wrong {
            message: format!("`{}` is no media type of a patch", written.chars().take(64).collect::<String>()),
            fix: crate::error::choose(written, &TYPES.map(|(name, _)| name)),
        }),
    }
}

fn raw<'w>(method: &str, mut words: impl Iterator<Item = &'w str>, details: &Details<'_>) -> Result<Asked, Wrong> {
    match (words.next(), words.next()) {
        (Some(target), None) if target.starts_with('/') => Ok(Asked::Raw(RawRequest {
            method: method.to_owned(),
            target: target.to_owned(),
            content_type: details.content_type.clone(),
            body: details.object.cloned(),
        })),
        _ => wrong(
            format!("`{method}` needs a path and nothing else"),
            format!("write `{method} /api/v1/namespaces/shop/pods/web`, say, or a verb in lower case"),
        ),
    }
}

fn verb(word: &str) -> Result<Verb, Wrong> {
    crate::entry::VERBS.into_iter().find(|verb| verb.as_str() == word).ok_or_else(|| {
        let words: Vec<&str> = crate::entry::VERBS.iter().map(|verb| verb.as_str()).collect();
        Wrong {
            message: format!("`{}` is no verb of the API", word.chars().take(64).collect::<String>()),
            fix: match word {
                "exec" | "attach" | "portforward" | "port-forward" | "proxy" => {
                    format!("write `create pods/{}`", word.replace('-', ""))
                }
                "apply" => "write `patch` (or `create`), which is what apply sends".to_owned(),
                "scale" => "write `patch deployments/scale`".to_owned(),
                _ => crate::error::choose(word, &words),
            },
        }
    })
}

/// What the flags of a request say.
#[derive(Default)]
struct Flags {
    namespace: Option<String>,
    label_selector: Option<String>,
    field_selector: Option<String>,
    dry_run: bool,
}

impl Flags {
    fn take<'w>(&mut self, flag: &str, words: &mut impl Iterator<Item = &'w str>) -> Result<(), Wrong> {
        let (flag, mut value) = match flag.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (flag, None),
        };
        let mut take = || {
            value
                .take()
                .or_else(|| words.next().map(str::to_owned))
                .ok_or_else(|| Wrong { message: format!("{flag} needs a value"), fix: format!("write `{flag} VALUE`") })
        };
        match flag {
            "-n" | "--namespace" => self.namespace = Some(take()?),
            "-l" | "--selector" => self.label_selector = Some(take()?),
            "--field-selector" => self.field_selector = Some(take()?),
            "--dry-run" => self.dry_run = true,
            "-A" | "--all-namespaces" => self.namespace = None,
            _ => {
                let known = ["-n", "-A", "-l", "--field-selector", "--dry-run"];
                return wrong(format!("unknown flag {flag}"), crate::error::choose(flag, &known));
            }
        }
        Ok(())
    }
}

fn non_resource(verb: Verb, path: &str, flags: Flags) -> (Action, Options) {
    let action = Action {
        verb,
        api_group: String::new(),
        api_version: String::new(),
        resource: String::new(),
        subresource: None,
        namespace: None,
        name: None,
        path: path.to_owned(),
        risk: Risk::Escalation,
        stream: Stream::None,
    };
    (action, Options { dry_run: flags.dry_run, ..Options::default() })
}

fn resource(
    verb: Verb,
    target: &str,
    name: Option<String>,
    flags: Flags,
    argv: Option<Vec<String>>,
) -> Result<(Action, Options), Wrong> {
    let (whole, subresource) = match target.split_once('/') {
        Some((whole, subresource)) => (whole, Some(subresource.to_owned())),
        None => (target, None),
    };
    let (resource, api_group) = match whole.split_once('.') {
        Some((resource, group)) => (resource, group.to_owned()),
        None => (whole, group_of(whole)?.to_owned()),
    };
    let collection = matches!(verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
    // As the gateway reads it: a selector for exactly one name is a request for that name.
    let selected = flags
        .field_selector
        .as_deref()
        .filter(|_| collection)
        .and_then(|selector| selector.strip_prefix("metadata.name=").filter(|name| !name.contains([',', '='])));
    let name = name.or_else(|| selected.map(str::to_owned));
    if verb == Verb::Delete && name.is_none() {
        return wrong("delete needs a name", "name one object, or write `deletecollection`");
    }
    let is_namespaces = api_group.is_empty() && resource == "namespaces";
    let namespace = if is_namespaces { name.clone() } else { flags.namespace };
    let stream = match (subresource.as_deref(), verb) {
        (Some("exec"), _) => Stream::Exec,
        (Some("attach"), _) => Stream::Attach,
        (Some("portforward"), _) => Stream::Portforward,
        (Some("proxy"), _) => Stream::Proxy,
        (_, Verb::Watch) => Stream::Watch,
        _ => Stream::None,
    };
    let exec = match (stream, argv) {
        (Stream::Exec | Stream::Attach, argv) => {
            let argv = argv.unwrap_or_default();
            Some(ExecOptions { argv, stdout: true, stderr: true, ..ExecOptions::default() })
        }
        (_, None) => None,
        (_, Some(_)) => return wrong("only an exec has an argv", "write `create pods/exec NAME -n NAMESPACE -- ls`"),
    };
    let mut path = if api_group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{api_group}/v1") };
    if let Some(namespace) = namespace.as_deref().filter(|_| !is_namespaces) {
        path.push_str(&format!("/namespaces/{namespace}"));
    }
    for part in [
        Some(resource),
        name.as_deref().filter(|_| !collection && verb != Verb::Create || subresource.is_some()),
        subresource.as_deref(),
    ] {
        path.push_str(&part.map(|part| format!("/{part}")).unwrap_or_default());
    }
    let action = Action {
        verb,
        api_group,
        api_version: "v1".into(),
        resource: resource.to_owned(),
        subresource,
        namespace,
        name,
        path,
        risk: Risk::Escalation,
        stream,
    };
    let options = Options {
        dry_run: flags.dry_run,
        label_selector: flags.label_selector,
        field_selector: flags.field_selector,
        exec,
        ..Options::default()
    };
    Ok((action, options))
}

fn group_of(resource: &str) -> Result<&'static str, Wrong> {
    let groups = risk::groups_of(resource);
    match groups.as_slice() {
        [only] => Ok(only),
        // `events` is the one: kubectl too takes the core group's.
        many if many.contains(&"") => Ok(""),
        [] => match vocabulary::meant(resource) {
            Some((message, name)) => wrong(message, format!("did you mean `{name}`?")),
            None => wrong(
                format!("`{}` is no built-in resource", resource.chars().take(64).collect::<String>()),
                "write it in the plural, with its group when it is a custom resource: `widgets.example.com`",
            ),
        },
        many => wrong(
            format!("`{resource}` stands in the groups {}", many.join(", ")),
            format!("write `{resource}.{}`, say", many.first().unwrap_or(&"")),
        ),
    }
}
