//! One effect in many guises has one key.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use lockgate_core::{Action, Options, PatchType, Risk, Stream, Verb};
use lockgate_policy::change::Change;
use lockgate_policy::risk::{Request, effect_key, same_effect};
use serde_json::{Value, json};

/// The key of a request on `apps/deployments` in `shop`; `target` is `name`, `name/subresource`, or empty for the collection.
fn key(verb: Verb, target: &str, patch_type: Option<PatchType>, body: Option<Value>) -> Option<String> {
    let (name, subresource) = target.split_once('/').map_or((target, None), |(name, sub)| (name, Some(sub)));
    let action = Action {
        verb,
        api_group: "apps".into(),
        api_version: "v1".into(),
        resource: "deployments".into(),
        subresource: subresource.map(Into::into),
        namespace: Some("shop".into()),
        name: Some(name).filter(|name| !name.is_empty()).map(Into::into),
        path: String::new(),
        risk: Risk::Destructive,
        stream: Stream::None,
    };
    let options = Options { patch_type, ..Options::default() };
    let old = json!({"metadata": {"finalizers": ["a/b"]}, "spec": {"replicas": 3}});
    let change = Change::of(&Request::of(&action, &options, body.as_ref()).with_old_object(Some(&old)));
    effect_key(&action, &options, &change)
}

#[test]
fn an_object_that_goes_has_one_key_however_it_goes() {
    let delete = key(Verb::Delete, "web", None, None).unwrap();
    let merge = Some(PatchType::Merge);
    let owner = json!({"metadata": {"ownerReferences": [{"uid": "0", "kind": "X", "name": "gone"}]}});
    let guises = [
        key(Verb::Patch, "web/scale", merge, Some(json!({"spec": {"replicas": 0}}))),
        key(Verb::Update, "web/scale", None, Some(json!({"spec": {}}))),
        key(Verb::Patch, "web", Some(PatchType::Strategic), Some(json!({"spec": {"replicas": 0}}))),
        key(
            Verb::Patch,
            "web",
            Some(PatchType::Json),
            Some(json!([{"op": "replace", "path": "/spec/replicas", "value": 0}])),
        ),
        key(Verb::Patch, "web", merge, Some(owner)),
        key(Verb::Patch, "web", merge, Some(json!({"metadata": {"finalizers": null}}))),
        key(Verb::Update, "web", None, Some(json!({"metadata": {}, "spec": {"replicas": 3}}))),
    ];
    for (index, guise) in guises.into_iter().enumerate() {
        assert_eq!(guise.as_ref(), Some(&delete), "guise {index}");
    }
    let collection = key(Verb::DeleteCollection, "", None, None).unwrap();
    assert_ne!(collection, delete);
    assert!(same_effect(&collection, &delete) && same_effect(&delete, &collection));
    assert!(!same_effect(&delete, &key(Verb::Delete, "api", None, None).unwrap()));
}

#[test]
fn what_takes_nothing_away_has_no_key() {
    let merge = Some(PatchType::Merge);
    assert_eq!(key(Verb::Patch, "web", merge, Some(json!({"metadata": {"labels": {"a": "b"}}}))), None);
    assert_eq!(key(Verb::Patch, "web/scale", merge, Some(json!({"spec": {"replicas": 2}}))), None);
    assert_eq!(key(Verb::Create, "web", None, Some(json!({"spec": {"replicas": 1}}))), None);
    assert_eq!(key(Verb::Get, "web", None, None), None);
}

#[test]
fn keys_of_other_places_and_resources_differ() {
    for (one, other) in [
        ("gone apps/deployments/shop/web", "gone apps/deployments/other/web"),
        ("gone apps/deployments/shop/*", "gone apps/statefulsets/shop/web"),
        ("gone apps/deployments/other/*", "gone apps/deployments/shop/web"),
    ] {
        assert!(!same_effect(one, other), "{one} {other}");
    }
    assert!(same_effect("gone apps/deployments/*/*", "gone apps/deployments/shop/web"));
}
