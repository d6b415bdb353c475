//! The filter against a naive twin on whole values, on random answers in random pieces.

use lockgate_wire::filter::{FilterLimits, Form, Item, Reads, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::{at_every_split, judge, pieces};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["hidden", "a", "hidden-b", "c", ""]).prop_map(str::to_owned),
        "[\\\\\"{}\\[\\],:]{0,6}",
        any::<String>()
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        text().prop_map(Value::from)
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let name = prop_oneof![select(vec!["metadata", "name", "items", "labels"]).prop_map(str::to_owned), text()];
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((name, inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn metadata() -> impl Strategy<Value = Value> {
    let labels = vec((text(), text()), 0..3)
        .prop_map(|labels| labels.into_iter().map(|(key, value)| (key, Value::from(value))).collect::<Map<_, _>>());
    (proptest::option::of(text()), proptest::option::of(text()), proptest::option::of(labels), anything()).prop_map(
        |(name, namespace, labels, annotations)| {
            let mut metadata = Map::new();
            metadata.insert("annotations".into(), annotations);
            metadata.extend(name.map(|name| ("name".to_owned(), Value::from(name))));
            metadata.extend(namespace.map(|namespace| ("namespace".to_owned(), Value::from(namespace))));
            metadata.extend(labels.map(|labels| ("labels".to_owned(), Value::Object(labels))));
            Value::Object(metadata)
        },
    )
}

fn object() -> impl Strategy<Value = Value> {
    (anything(), proptest::option::of(metadata()), anything()).prop_map(|(before, metadata, after)| {
        let mut object = Map::new();
        object.insert("data".into(), before);
        object.extend(metadata.map(|metadata| ("metadata".to_owned(), metadata)));
        object.insert("spec".into(), after);
        Value::Object(object)
    })
}

/// What the filter should find, read from the whole.
fn shown(object: &Value, reads: Reads) -> bool {
    let metadata = &object["metadata"];
    let labels: Vec<(String, String)> = metadata["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    let Some(name) = metadata["name"].as_str().filter(|name| !name.is_empty()) else { return false };
    let item = Item {
        name,
        namespace: metadata["namespace"].as_str().unwrap_or_default(),
        labels: &labels,
        object: (reads == Reads::Object).then_some(object),
    };
    judge(&item) == Verdict::Show
}

fn written(value: &Value, pretty: bool) -> String {
    if pretty { serde_json::to_string_pretty(value).unwrap() } else { value.to_string() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_agrees_with_its_naive_twin(
        objects in vec(object(), 0..6),
        (table, pretty, whole) in any::<(bool, bool, bool)>(),
        remaining in proptest::option::of(0_u32..9),
        size in 1_usize..200,
    ) {
        let reads = if whole { Reads::Object } else { Reads::Head };
        let list = |objects: Vec<Value>, remaining: Option<u32>| {
            let mut metadata = json!({"continue": "x", "resourceVersion": "1"});
            if let Some(remaining) = remaining {
                metadata["remainingItemCount"] = remaining.into();
            }
            if table {
                let rows: Vec<Value> = objects.into_iter().map(|object| json!({"cells": ["x"], "object": object})).collect();
                json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "rows": rows})
            } else {
                json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": objects})
            }
        };
        let input = written(&list(objects.clone(), remaining), pretty);
        let kept: Vec<Value> = objects.iter().filter(|object| shown(object, reads)).cloned().collect();
        let (output, summary) = pieces(Form::List, reads, FilterLimits::default(), input.as_bytes().chunks(size)).unwrap();
        prop_assert_eq!(summary.shown, kept.len() as u64);
        prop_assert_eq!(summary.hidden, (objects.len() - kept.len()) as u64);
        let found: Value = serde_json::from_str(&output).unwrap();
        prop_assert_eq!(found, list(kept.clone(), None));
        if kept.len() == objects.len() && remaining.is_none() {
            prop_assert_eq!(output, input);
        }
    }

    #[test]
    fn a_watch_agrees_with_its_naive_twin(
        events in vec((select(vec!["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]), object()), 0..6),
        whole in any::<bool>(),
        size in 1_usize..200,
    ) {
        let reads = if whole { Reads::Object } else { Reads::Head };
        let line = |(kind, object): &(&str, Value)| format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n");
        let input: String = events.iter().map(line).collect();
        let passes = |(kind, object): &&(&str, Value)| matches!(*kind, "BOOKMARK" | "ERROR") || shown(object, reads);
        let expected: String = events.iter().filter(passes).map(line).collect();
        let (output, _) = pieces(Form::Events, reads, FilterLimits::default(), input.as_bytes().chunks(size)).unwrap();
        prop_assert_eq!(output, expected);
    }

    #[test]
    fn the_pieces_do_not_matter(objects in vec(object(), 0..3)) {
        let input = json!({"items": objects}).to_string();
        if input.len() < 200 {
            at_every_split(Form::List, Reads::Head, &input).unwrap();
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_pass_what_is_not_json(
        bytes in vec(prop_oneof![select(b"{}[]\",:\\ 1etn\"".to_vec()), any::<u8>()], 0..80),
        form in select(vec![Form::List, Form::Events, Form::One]),
    ) {
        let input = [br#"{"items":[{"metadata":{"name":"a"}},"#.as_slice(), &bytes].concat();
        for input in [&bytes, &input] {
            let mut filter = lockgate_wire::filter::Filter::new(form, Reads::Head, FilterLimits::default());
            let mut output = Vec::new();
            let whole = filter.push(input, &mut judge, &mut output).is_ok() && filter.finish().is_ok();
            if whole && form == Form::List && serde_json::from_slice::<Value>(input).is_ok() {
                prop_assert!(serde_json::from_slice::<Value>(&output).is_ok());
            }
        }
    }
}
