//! The body of a PATCH, in each of its forms. What is accepted reads the same however it is written again; its payload on the
//! record is masked once and for all; and the fields that it is said to touch cover all that it does change, as another
//! library applies it.

use std::collections::BTreeMap;

use lockgate_core::{Action, Options, PatchType, Risk};
use lockgate_policy::change::Change;
use lockgate_policy::risk;
use lockgate_wire::{RequestInfo, Target, WireError, body, options, payload};
use serde_json::Value;

use crate::protobuf::TABLES;
use crate::sample;

const FORMS: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const PATHS: [&str; 4] = [
    "/api/v1/namespaces/a/secrets/b",
    "/api/v1/namespaces/a/pods/b",
    "/apis/apps/v1/namespaces/a/deployments/b",
    "/apis/example.com/v1/widgets/b/status",
];

/// Set by the server, or which object is meant: never counted as touched.
const NOT_TOUCHED: [&str; 9] = [
    "apiVersion",
    "kind",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.creationTimestamp",
    "metadata.managedFields",
];

/// The first byte says which form; the rest is the body.
pub fn run(data: &[u8]) {
    let Some((form, bytes)) = data.split_first() else { return };
    let content_type = FORMS.iter().cycle().nth(usize::from(*form)).copied();
    for path in PATHS {
        let target = Target::parse(&format!("/clusters/p{path}")).expect("a path");
        let info = RequestInfo::of("PATCH", &target).expect("a patch");
        let read = |bytes: &[u8]| {
            let object = body::decode(content_type, bytes, &TABLES)?;
            let options = options::effective(&info, &target, content_type, object.as_ref())?;
            body::check_write(&info, &options, object.as_ref())?;
            Ok::<_, WireError>((object.expect("a body"), options))
        };
        let (object, options) = match read(bytes) {
            Ok(read) => read,
            Err(error) => return assert_eq!(error.status().code(), 400, "{error}"),
        };
        // JSON is YAML too, so that one text is read alike under every name.
        assert_eq!(read(object.to_string().as_bytes()).as_ref(), Ok(&(object.clone(), options.clone())));
        if let Some((rewritten, _)) = body::rewritten(content_type, bytes, &object) {
            assert_eq!(read(&rewritten).map(|(object, _)| object).as_ref(), Ok(&object));
        }
        let action = info.action(Risk::Escalation);
        let request = risk::Request::of(&action, &options, Some(&object));
        assert_eq!(risk::classify(&request), risk::classify(&request));
        covers(&action, &options, &object);
        let mut masked = object.clone();
        payload::mask_request_payload(&info, &mut masked);
        let mut twice = masked.clone();
        payload::mask_request_payload(&info, &mut twice);
        assert_eq!(masked, twice, "masking a masked payload changes it: {object}");
    }
}

/// The fields that a patch is said to touch cover what it changes, whether its object was read or not.
fn covers(action: &Action, options: &Options, patch: &Value) {
    let unread = Change::of(&risk::Request::of(action, options, Some(patch)));
    for old in sample::objects() {
        let read = Change::of(&risk::Request::of(action, options, Some(patch)).with_old_object(Some(&old)));
        let changed = match patched(options, patch, &old) {
            Some(after) => difference(&old, &after),
            // Only a schema could tell; that both say the same can be told.
            None if read.compared => read.fields.clone(),
            None => continue,
        };
        for field in changed {
            assert!(is_covered(&field, &read.fields), "{field} of {old} by {patch}, said {:?}", read.fields);
            assert!(is_covered(&field, &unread.fields), "{field} of {old} unread by {patch}, said {:?}", unread.fields);
        }
    }
}

/// The object after the patch as another library has it; `None` when it refuses, or does not know this form.
fn patched(options: &Options, patch: &Value, old: &Value) -> Option<Value> {
    let mut after = old.clone();
    match options.patch_type {
        Some(PatchType::Json) => {
            let operations: json_patch::Patch = serde_json::from_value(patch.clone()).ok()?;
            json_patch::patch(&mut after, &operations).ok()?;
        }
        Some(PatchType::Merge) => json_patch::merge(&mut after, patch),
        _ => return None,
    }
    // An object stays an object, or the API server refuses.
    after.is_object().then_some(after)
}

/// Every path, list positions left out, whose values are not the same.
fn difference(old: &Value, after: &Value) -> Vec<String> {
    let (mut before, mut now) = (BTreeMap::new(), BTreeMap::new());
    flatten(old, &mut Vec::new(), &mut before);
    flatten(after, &mut Vec::new(), &mut now);
    let paths: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    paths.into_iter().filter(|path| before.get(*path) != now.get(*path)).cloned().collect()
}

fn flatten<'v>(value: &'v Value, path: &mut Vec<&'v str>, into: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                path.push(name);
                flatten(field, path, into);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => items.iter().for_each(|item| flatten(item, path, into)),
        leaf => into.entry(path.join(".")).or_default().push(leaf.to_string()),
    }
}

/// By itself, by what it is a part of, or, where something without fields becomes something with some, by its parts.
fn is_covered(field: &str, said: &[String]) -> bool {
    let is_below = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    NOT_TOUCHED.into_iter().any(|outer| is_below(field, outer))
        || said.iter().any(|said| said == "*" || is_below(field, said) || is_below(said, field))
}
