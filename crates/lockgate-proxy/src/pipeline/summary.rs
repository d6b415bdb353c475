//! A request in words, for the approver, the notifier and the agent: `delete namespace shop`.

use lockgate_core::{Action, Options, Stream, Verb};

use super::Understood;

/// Most phrases about a change; what is beyond is counted.
const PHRASES_MAX: usize = 6;

/// Longest phrase, in characters; what is cut off is marked.
const PHRASE_CHARACTERS_MAX: usize = 120;

/// [`in_words`], and what it would change: `patch deployment.apps web in namespace shop: replicas 6 → 1`.
pub(super) fn with_change(understood: &Understood) -> String {
    let what = in_words(&understood.action, &understood.options);
    let phrases = super::observe::change(understood).in_words();
    let more = phrases.len().saturating_sub(PHRASES_MAX);
    let mut shown: Vec<String> = phrases.into_iter().take(PHRASES_MAX).map(shortened).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    if shown.is_empty() { what } else { format!("{what}: {}", shown.join(", ")) }
}

fn shortened(phrase: String) -> String {
    if phrase.chars().count() <= PHRASE_CHARACTERS_MAX {
        return phrase;
    }
    phrase.chars().take(PHRASE_CHARACTERS_MAX).chain("… (shortened)".chars()).collect()
}

/// One line, no trailing full stop. Names are the request's own and are made inert where they are shown.
pub(super) fn in_words(action: &Action, options: &Options) -> String {
    if !action.is_resource() {
        return format!("{} {}", action.verb, action.path);
    }
    let exec = options.exec.as_ref();
    let argv = exec.map(|exec| exec.argv.join(" ")).unwrap_or_default();
    let what = match action.stream {
        Stream::Exec => format!("run `{argv}` in {}", object(action)),
        Stream::Attach => format!("attach to {}", object(action)),
        Stream::Portforward => format!("forward ports of {}", object(action)),
        Stream::None | Stream::Watch | Stream::Logs | Stream::Proxy => {
            let part = action.subresource.as_ref().map(|part| format!("{part} of ")).unwrap_or_default();
            format!("{} {part}{}", verb_in_words(action.verb), object(action))
        }
    };
    if options.dry_run { format!("{what} (dry run)") } else { what }
}

const fn verb_in_words(verb: Verb) -> &'static str {
    match verb {
        Verb::DeleteCollection => "delete all",
        verb => verb.as_str(),
    }
}

fn object(action: &Action) -> String {
    let kind = match (&action.name, action.resource.strip_suffix('s')) {
        (Some(_), Some(singular)) if !action.resource.ends_with("ss") => singular,
        _ => &action.resource,
    };
    let group = if action.api_group.is_empty() { String::new() } else { format!(".{}", action.api_group) };
    let name = action.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    match &action.namespace {
        Some(namespace) if action.resource != "namespaces" => format!("{kind}{group}{name} in namespace {namespace}"),
        _ => format!("{kind}{group}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use lockgate_core::Risk;

    use super::*;

    fn action(verb: Verb, group: &str, resource: &str, namespace: Option<&str>, name: Option<&str>) -> Action {
        Action {
            verb,
            api_group: group.into(),
            api_version: "v1".into(),
            resource: resource.into(),
            subresource: None,
            namespace: namespace.map(Into::into),
            name: name.map(Into::into),
            path: String::new(),
            risk: Risk::Ask,
            stream: Stream::None,
        }
    }

    #[test]
    fn a_request_reads_as_a_sentence() {
        let words = |action: &Action| in_words(action, &Options::default());
        let namespace = action(Verb::Delete, "", "namespaces", Some("shop"), Some("shop"));
        assert_eq!(words(&namespace), "delete namespace shop");
        let collection = action(Verb::DeleteCollection, "apps", "deployments", Some("shop"), None);
        assert_eq!(words(&collection), "delete all deployments.apps in namespace shop");
        let mut scale = action(Verb::Patch, "apps", "deployments", Some("shop"), Some("web"));
        scale.subresource = Some("scale".into());
        assert_eq!(words(&scale), "patch scale of deployment.apps web in namespace shop");
    }
}
