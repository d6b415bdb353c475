//! The words of a `Status` that answers a request for secrets. Validation errors quote what was sent.
//!
//! Kept, since they name the object and the caller but no content: the quoted name in `secrets "db" not found`,
//! `… already exists`, `Secret "db" is invalid`, `Operation cannot be fulfilled on secrets "db"`; all of an
//! authorizer's `secrets "db" is forbidden: User "…" cannot …`; the manager in `conflict with "kubectl"`. Every other
//! quoted run (double, back or single quotes) is replaced, and what follows `value: ` without quotes, up to the end.
//! Values that an admission plugin puts into its message without quotes are not recognised.

use std::borrow::Cow;

use super::counts::MaskCounts;
use super::plan::Messages;
use super::reason::Reason;
use super::rewrite::Rewrite;
use super::text;

const MASKED: &str = "**masked by lockgate**";

/// Masks the values in the message whose literal this is.
pub(super) fn rewrite(literal: &[u8], messages: Messages) -> Rewrite {
    let Some(message) = text::decode(literal) else { return Rewrite::Mask };
    let scrubbed = match messages {
        Messages::Pass => return Rewrite::Keep,
        Messages::Values => scrub(&message),
        Messages::Dumps => scrub_dumps(&message),
    };
    match scrubbed {
        (Cow::Borrowed(_), _) => Rewrite::Keep,
        (Cow::Owned(scrubbed), masked) => {
            let mut counts = MaskCounts::default();
            (0..masked).for_each(|_| counts.add(Reason::Message, b""));
            Rewrite::counted(&scrubbed, counts)
        }
    }
}

/// Masks whole objects in one message: a Pod's `spec: Forbidden: …\n  core.PodSpec{…}`, a Job's `spec.template: Invalid
/// value: core.PodTemplateSpec{…}: field is immutable`, the same in JSON. What stands from the first brace, with the
/// word before it, to the last one goes; with no closing brace, all behind.
fn scrub_dumps(message: &str) -> (Cow<'_, str>, u64) {
    let Some((before, _)) = message.split_once('{') else { return (Cow::Borrowed(message), 0) };
    let word = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let (kept, _) = before.split_at_checked(word).unwrap_or_default();
    let behind = message.rsplit_once('}').map_or("", |(_, behind)| behind);
    (Cow::Owned(format!("{kept}{MASKED}{behind}")), 1)
}

/// Masks the values in one message and says how many there were.
fn scrub(message: &str) -> (Cow<'_, str>, u64) {
    let (head, mut rest) = message.split_at(kept_head(message));
    if rest.is_empty() {
        return (Cow::Borrowed(message), 0);
    }
    let mut output = head.to_owned();
    let mut masked = 0;
    while let Some((before, quote, after)) = next_quote(rest) {
        if let Some(unquoted) = value_without_quotes(before) {
            let (keep, _) = before.split_at(unquoted);
            output.push_str(keep);
            output.push_str(MASKED);
            return (Cow::Owned(output), masked + 1);
        }
        output.push_str(before);
        let (inside, behind) = after.split_at(closing(after, quote));
        if before.ends_with("conflict with ") || before.ends_with("conflicts with ") {
            output.push(quote);
            output.push_str(inside);
        } else {
            masked += 1;
            output.push(quote);
            output.push_str(MASKED);
        }
        rest = match behind.strip_prefix(quote) {
            Some(next) => {
                output.push(quote);
                next
            }
            None => behind,
        };
    }
    if let Some(unquoted) = value_without_quotes(rest) {
        let (keep, _) = rest.split_at(unquoted);
        output.push_str(keep);
        output.push_str(MASKED);
        return (Cow::Owned(output), masked + 1);
    }
    if masked == 0 {
        return (Cow::Borrowed(message), 0);
    }
    output.push_str(rest);
    (Cow::Owned(output), masked)
}

/// How much of the message names the object or the caller and not the object's content.
fn kept_head(message: &str) -> usize {
    const FORBIDDEN: &str = " is forbidden: User \"";
    if let Some((about, _)) = message.split_once(FORBIDDEN) {
        let resource =
            about.split_once('"').map_or(about, |(resource, name)| if is_quoted_name(name) { resource } else { "\"" });
        return if is_resource(resource) { message.len() } else { 0 };
    }
    let Some((before, after)) = message.split_once('"') else { return 0 };
    let resource = before.strip_prefix("Operation cannot be fulfilled on ").unwrap_or(before);
    let Some((name, tail)) = after.split_once('"') else { return 0 };
    let ends = [" not found", " already exists", " is forbidden: ", " is invalid: ", ": "];
    if is_resource(resource) && is_name(name) && ends.iter().any(|end| tail.starts_with(end)) {
        before.len() + name.len() + 2
    } else {
        0
    }
}

/// `secrets`, `Secret.v1.example.com`, nothing else.
fn is_resource(text: &str) -> bool {
    text.trim_end().bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-/".contains(&byte))
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte))
}

fn is_quoted_name(text: &str) -> bool {
    text.strip_suffix('"').is_some_and(is_name)
}

/// The next quote; an apostrophe within a word is none.
fn next_quote(text: &str) -> Option<(&str, char, &str)> {
    let mut previous = ' ';
    for (at, character) in text.char_indices() {
        let opens = matches!(character, '"' | '`') || (character == '\'' && !previous.is_alphanumeric());
        if opens {
            let (before, from) = text.split_at_checked(at)?;
            return Some((before, character, from.strip_prefix(character)?));
        }
        previous = character;
    }
    None
}

/// Where the quoted run ends: at its closing quote, or at the end of the text.
fn closing(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            _ if character == quote => return at,
            _ => {}
        }
    }
    text.len()
}

/// Where a value without quotes begins, if one stands in this text: behind `value: `, unless the text ends there.
fn value_without_quotes(text: &str) -> Option<usize> {
    let (before, _) = text.split_once("value: ").filter(|(_, value)| !value.is_empty())?;
    Some(before.len() + "value: ".len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_without_content_are_kept() {
        for message in [
            "secrets \"db\" not found",
            "secrets \"db\" already exists",
            "too old resource version: 1 (2)",
            "the object doesn't exist and can't",
            "secrets is forbidden: User \"agent:a1\" cannot list resource \"secrets\" in API group \"\" at the cluster scope",
            "secrets \"db\" is forbidden: User \"agent:a1\" cannot get resource \"secrets\" in API group \"\" in the namespace \"shop\"",
            "Operation cannot be fulfilled on secrets \"db\": the object has been modified; please apply your changes to the latest version and try again",
            "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.password",
            "Apply failed with 2 conflicts: conflicts with \"helm\":\n- .data.a\n- .data.b",
        ] {
            assert_eq!(scrub(message), (Cow::Borrowed(message), 0), "{message}");
        }
    }

    #[test]
    fn quoted_and_bare_values_are_masked() {
        for (message, masked) in [
            (
                "Secret \"db\" is invalid: data[a b]: Invalid value: \"hunter2\": a valid config key must",
                "Secret \"db\" is invalid: data[a b]: Invalid value: \"**masked by lockgate**\": a valid config key must",
            ),
            (
                "Secret \"db\" is invalid: type: Invalid value: hunter2 and more",
                "Secret \"db\" is invalid: type: Invalid value: **masked by lockgate**",
            ),
            (
                "Secret \"db\" is invalid: type: Invalid value: {\"a\":\"hunter2\"}: no",
                "Secret \"db\" is invalid: type: Invalid value: **masked by lockgate**",
            ),
            (
                "secrets \"db\" is forbidden: exceeded \"hunter2\"",
                "secrets \"db\" is forbidden: exceeded \"**masked by lockgate**\"",
            ),
            ("bad `hunter2` here", "bad `**masked by lockgate**` here"),
            ("bad 'hunter2", "bad '**masked by lockgate**"),
            ("bad \"hun\\\"ter2\" here", "bad \"**masked by lockgate**\" here"),
            (
                "admission webhook \"w\" denied the request: no \"hunter2\"",
                "admission webhook \"**masked by lockgate**\" denied the request: no \"**masked by lockgate**\"",
            ),
        ] {
            let (scrubbed, count) = scrub(message);
            assert_eq!(scrubbed, masked);
            assert!(count > 0);
        }
    }

    #[test]
    fn objects_in_messages_are_masked() {
        for (message, expected) in [
            ("pods \"a\" not found", "pods \"a\" not found"),
            (
                "Job.batch \"j\" is invalid: spec.template: Invalid value: core.PodTemplateSpec{Env:[]core.EnvVar{core.EnvVar{Name:\"A\", Value:\"hunter2\"}}}: field is immutable",
                "Job.batch \"j\" is invalid: spec.template: Invalid value: **masked by lockgate**: field is immutable",
            ),
            (
                "Pod \"p\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.tolerations`\n  core.PodSpec{\n- \tValue: \"hunter2\",\n  }\n",
                "Pod \"p\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.tolerations`\n  **masked by lockgate**\n",
            ),
            ("bad {\"a\":\"hunter2\"", "bad **masked by lockgate**"),
            ("{hunter2", "**masked by lockgate**"),
        ] {
            assert_eq!(scrub_dumps(message).0, expected);
        }
    }
}
