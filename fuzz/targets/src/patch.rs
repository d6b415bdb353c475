//! The body of a PATCH, in each of its forms. What is accepted reads the same however it is written again; its payload on the
//! record is masked once and for all; the fields that it is said to touch cover all that it does change, as another library
//! applies it; what leaves an object without replicas, as the API server stores it, is destructive and has the effect of a
//! delete; and a number is the same number however it is spelled.

use std::collections::BTreeMap;

use lockgate_core::{Action, Options, Risk, Verb};
use lockgate_policy::change::Change;
use lockgate_policy::risk;
use lockgate_wire::{RequestInfo, Target, WireError, body, options, payload};
use serde_json::{Value, json};

use crate::protobuf::TABLES;
use crate::{sample, server};

const FORMS: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const PATHS: [&str; 5] = [
    "/api/v1/namespaces/a/secrets/b",
    "/api/v1/namespaces/a/pods/b",
    "/apis/apps/v1/namespaces/a/deployments/b",
    "/apis/apps/v1/namespaces/a/deployments/b/scale",
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
        match info.subresource.as_deref() {
            Some("scale") => {}
            _ => covers(&action, &options, &object),
        }
        if info.resource == "deployments" {
            takes_replicas_away(&action, &options, &object);
            for spelled in server::spellings(&object) {
                let again = read(spelled.as_bytes()).expect("the same body").0;
                assert_eq!(again, object, "{spelled}");
            }
        }
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
        let changed = match server::patched(options, patch, &old) {
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

/// A patch after which a Deployment has no replicas is an outage by its class, and has the effect of its delete.
fn takes_replicas_away(action: &Action, options: &Options, patch: &Value) {
    let [old, _] = sample::objects();
    let scales = action.subresource.as_deref() == Some("scale");
    let target = if scales { json!({"spec": {"replicas": old["spec"]["replicas"]}}) } else { old.clone() };
    let Some(after) = server::scaled(options, patch, &target) else { return };
    let left = server::replicas(&after).unwrap_or(if scales { 0 } else { 1 });
    let request = risk::Request::of(action, options, Some(patch)).with_old_object(Some(&old));
    let change = Change::of(&request);
    if left == 0 {
        assert!(risk::classify(&request) >= Risk::Destructive, "no replicas by {patch}, said {change:?}");
        let effect = risk::effect_key(action, options, &change);
        let gone = Action { verb: Verb::Delete, subresource: None, ..action.clone() };
        assert_eq!(effect, risk::effect_key(&gone, &Options::default(), &Change::default()), "{patch}");
    }
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
