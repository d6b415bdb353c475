//! The forms in which objects come.

use lockgate_wire::filter::{Filter, FilterLimits, FilterSummary, Form, Reads};

use super::{at_every_split, filtered, judge, pieces};

#[test]
fn a_list_loses_its_hidden_items_and_their_commas() {
    let list = |items: &str| format!(r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{}},"items":[{items}]}}"#);
    let item = |name: &str| format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{{"a":[1,"]}}"]}}}}"#);
    let (a, b, h) = (item("a"), item("b"), item("hidden"));
    for (items, shown) in [
        (String::new(), String::new()),
        (a.clone(), a.clone()),
        (h.clone(), String::new()),
        (format!("{h},{h}"), String::new()),
        (format!("{h},{a}"), a.clone()),
        (format!("{a},{h}"), a.clone()),
        (format!("{a},{h},{b}"), format!("{a},{b}")),
        (format!("{h},{a},{h},{h},{b},{h}"), format!("{a},{b}")),
    ] {
        assert_eq!(filtered(Form::List, &list(&items)), list(&shown), "{items}");
    }
}

#[test]
fn white_space_stays_json() {
    let list = "{ \"kind\" : \"PodList\",\n \"items\" : [\n  {\"metadata\" : { \"name\" : \"hidden\" } } ,\n  \
                {\"metadata\": {\"name\": \"a\"}}\n ,  {\"metadata\": {\"name\": \"hidden-b\"}} \n] }\n";
    let expected = "{ \"kind\" : \"PodList\",\n \"items\" : [ \n  {\"metadata\": {\"name\": \"a\"}} \n] }\n";
    assert_eq!(filtered(Form::List, list), expected);
}

#[test]
fn name_namespace_and_labels_are_read_wherever_they_stand_and_however_they_are_spelled() {
    for (metadata, shown) in [
        (r#"{"name":"a","namespace":"hidden"}"#, false),
        (r#"{"labels":{"app":"web","x":"hidden-z"},"managedFields":[{"name":"x"}],"name":"a"}"#, false),
        (r#"{"labels":{"hidden":"web"},"name":"a"}"#, true),
        (r#"{"annotations":{"name":"hidden","labels":"hidden"},"name":"a"}"#, true),
        (r#"{"n\u0061me":"hidd\u0065n"}"#, false),
        (r#"{"name":"a","labels":null,"namespace":null}"#, true),
        (r#"{"name":"a","ownerReferences":[{"name":"hidden","metadata":{"name":"hidden"}}]}"#, true),
        (r#"{"name":""}"#, false),
        (r#"{"name":null}"#, false),
        ("{}", false),
        ("null", false),
    ] {
        let list =
            format!(r#"{{"items":[{{"data":{{"metadata":{{"name":"x"}}}},"metadata":{metadata},"kind":"Pod"}}]}}"#);
        let expected = if shown { list.clone() } else { r#"{"items":[]}"#.to_owned() };
        assert_eq!(at_every_split(Form::List, Reads::Head, &list).unwrap().0, expected, "{metadata}");
    }
    assert_eq!(filtered(Form::List, r#"{"items":[{"kind":"Pod"},{}]}"#), r#"{"items":[]}"#);
}

#[test]
fn the_remaining_item_count_never_passes() {
    for (metadata, expected) in [
        (r#"{"remainingItemCount":7}"#, "{}"),
        (r#"{"resourceVersion":"1","remainingItemCount":7}"#, r#"{"resourceVersion":"1"}"#),
        (r#"{"remainingItemCount":7,"continue":"abc"}"#, r#"{"continue":"abc"}"#),
        (
            r#"{"a":{"remainingItemCount":7},"remainingItemCount":[{}],"b":1}"#,
            r#"{"a":{"remainingItemCount":7},"b":1}"#,
        ),
        (r#"{ "x": 1 , "remaining\u0049temCount" : 7 , "y" : 2 }"#, r#"{ "x": 1 , "y" : 2 }"#),
        ("{}", "{}"),
        ("null", "null"),
    ] {
        for list in ["{\"metadata\":@,\"items\":[]}", "{\"items\":null,\"metadata\":@}", "{\"metadata\":@,\"rows\":[]}"]
        {
            assert_eq!(filtered(Form::List, &list.replace('@', metadata)), list.replace('@', expected));
        }
    }
}

#[test]
fn table_rows_are_judged_by_their_objects() {
    let row = |cell: &str, object: &str| format!(r#"{{"cells":["{cell}",1],"object":{object}}}"#);
    let meta = |name: &str| format!(r#"{{"kind":"PartialObjectMetadata","metadata":{{"name":"{name}"}}}}"#);
    let table = |rows: &str| {
        format!(
            r#"{{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{{"resourceVersion":"1"}},"columnDefinitions":[{{"name":"hidden"}}],"rows":[{rows}]}}"#
        )
    };
    let rows = [
        row("hidden", &meta("hidden")),
        row("a", &meta("a")),
        row("none", "null"),
        r#"{"cells":["nothing"]}"#.to_owned(),
        row("b", &meta("b")),
    ];
    let shown = [row("a", &meta("a")), row("b", &meta("b"))];
    assert_eq!(filtered(Form::List, &table(&rows.join(","))), table(&shown.join(",")));
}

#[test]
fn a_watch_loses_whole_events_and_keeps_bookmarks_and_errors() {
    let event = |kind: &str, name: &str| {
        format!(
            "{{\"type\":\"{kind}\",\"object\":{{\"kind\":\"Pod\",\"metadata\":{{\"name\":\"{name}\"}},\"spec\":{{}}}}}}\n"
        )
    };
    let bookmark = "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"9\",\
                    \"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n";
    let error = "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"message\":\"hidden\",\"code\":410}}\n";
    let watch: String = [
        event("ADDED", "hidden"),
        event("ADDED", "a"),
        event("MODIFIED", "hidden"),
        bookmark.to_owned(),
        event("DELETED", "hidden"),
        event("DELETED", "a"),
        error.to_owned(),
    ]
    .concat();
    let expected = [event("ADDED", "a"), bookmark.to_owned(), event("DELETED", "a"), error.to_owned()].concat();
    assert_eq!(filtered(Form::Events, &watch), expected);
    assert_eq!(filtered(Form::Events, ""), "");
}

#[test]
fn all_of_an_event_is_out_when_its_last_byte_is_in() {
    let mut filter = Filter::new(Form::Events, Reads::Head, FilterLimits::default());
    let event = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n";
    for _ in 0..3 {
        let mut output = Vec::new();
        filter.push(event.as_bytes(), &mut judge, &mut output).unwrap();
        assert_eq!(output, event.as_bytes());
        output.clear();
        filter.push(event.replace("\"a\"", "\"hidden\"").as_bytes(), &mut judge, &mut output).unwrap();
        assert!(output.is_empty());
    }
    assert_eq!(filter.finish().unwrap(), FilterSummary { shown: 3, hidden: 3 });
}

#[test]
fn table_events_hand_their_column_definitions_on() {
    let event = |columns: &str, name: &str| {
        format!(
            "{{\"type\":\"ADDED\",\"object\":{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{{}},\
             \"columnDefinitions\":{columns},\"rows\":[{{\"cells\":[\"{name}\"],\"object\":{{\"metadata\":{{\"name\":\"{name}\"}}}}}}]}}}}\n"
        )
    };
    let columns = r#"[{"name":"Name","type":"string"}]"#;
    let watch =
        [event(columns, "hidden-1"), event("null", "hidden-2"), event("null", "a"), event("null", "b")].concat();
    assert_eq!(filtered(Form::Events, &watch), [event(columns, "a"), event("null", "b")].concat());
    let watch = [event(columns, "hidden-1"), event("[]", "a")].concat();
    assert_eq!(filtered(Form::Events, &watch), event(columns, "a"));
    let own = r#"[{"name":"Other"}]"#;
    let watch = [event(columns, "hidden-1"), event(own, "a"), event("null", "b")].concat();
    assert_eq!(filtered(Form::Events, &watch), [event(own, "a"), event("null", "b")].concat());
}

#[test]
fn one_object_passes_whole_or_not_at_all() {
    for shown in [
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{"rows":[]}}"#,
        r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"name":"hidden"},"rows":[{"object":{"metadata":{"name":"a"}}}]}"#,
        r#"{"kind":"Table","apiVersion":"example.com/v1","metadata":{"name":"a"},"rows":[{"object":{"metadata":{"name":"b"}}}]}"#,
        r#"{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadata","metadata":{"name":"a"}}"#,
    ] {
        assert_eq!(at_every_split(Form::One, Reads::Head, shown).unwrap().0, shown);
        let hidden = shown.replace(r#":"a""#, r#":"hidden-a""#);
        let (output, summary) = at_every_split(Form::One, Reads::Head, &hidden).unwrap();
        assert_eq!((output.as_str(), summary), ("", FilterSummary { shown: 0, hidden: 1 }));
    }
    let pod = r#"{"kind":"Pod","metadata":{"name":"a"},"spec":{"nodeName":"hidden"}}"#;
    assert_eq!(at_every_split(Form::One, Reads::Head, pod).unwrap().0, pod);
    assert_eq!(at_every_split(Form::One, Reads::Object, pod).unwrap().0, "");
}

#[test]
fn heads_and_objects_over_their_limit_are_left_out() {
    let limits = FilterLimits { head_bytes_max: 64, object_bytes_max: 96, ..FilterLimits::default() };
    let small = r#"{"metadata":{"name":"a"},"spec":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#;
    let large = format!(r#"{{"metadata":{{"labels":{{"x":"{0}"}},"name":"b"}},"spec":"{0}"}}"#, "y".repeat(100));
    let list = format!(r#"{{"items":[{small},{large},{small}]}}"#);
    let expected = format!(r#"{{"items":[{small},{small}]}}"#);
    for reads in [Reads::Head, Reads::Object] {
        for size in [1, 7, 4096] {
            let (output, summary) = pieces(Form::List, reads, limits, list.as_bytes().chunks(size)).unwrap();
            assert_eq!(
                (output.as_str(), summary),
                (expected.as_str(), FilterSummary { shown: 2, hidden: 1 }),
                "{size}"
            );
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_list() {
    let mut filter = Filter::new(Form::List, Reads::Head, FilterLimits::default());
    let mut output = Vec::new();
    filter.push(br#"{"items":["#, &mut judge, &mut output).unwrap();
    let mut largest = 0;
    for number in 0..20_000 {
        let comma = if number == 0 { "" } else { "," };
        let name = if number % 3 == 0 { "hidden" } else { "a" };
        let item = format!(r#"{comma}{{"metadata":{{"name":"{name}-{number}"}},"spec":"{}"}}"#, "z".repeat(300));
        output.clear();
        filter.push(item.as_bytes(), &mut judge, &mut output).unwrap();
        largest = largest.max(output.len());
    }
    output.clear();
    filter.push(b"]}", &mut judge, &mut output).unwrap();
    assert!(largest < 500, "an item's bytes leave with the item: {largest}");
    assert_eq!(filter.finish().unwrap(), FilterSummary { shown: 13_333, hidden: 6_667 });
}
