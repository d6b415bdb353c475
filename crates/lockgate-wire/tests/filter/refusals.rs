//! What breaks the stream off: a client's parser could see another object than the one that was judged.

use lockgate_wire::filter::{Filter, FilterError, FilterLimits, Form, Reads};

use super::{at_every_split, judge, pieces};

fn refused(form: Form, input: &str) -> FilterError {
    let error = at_every_split(form, Reads::Head, input).unwrap_err();
    assert_eq!(at_every_split(form, Reads::Object, input).unwrap_err(), error, "{input}");
    error
}

#[test]
fn a_second_identity_is_refused() {
    let ambiguous = |form, input: &str| {
        let error = refused(form, input);
        assert!(matches!(error, FilterError::Ambiguous { .. }), "{input}: {error}");
    };
    for item in [
        r#"{"metadata":{"name":"a"},"metadata":{"name":"hidden"}}"#,
        r#"{"metadata":{"name":"a"},"m\u0065tadata":{"name":"hidden"}}"#,
        r#"{"metadata":{"name":"a","name":"hidden"}}"#,
        r#"{"metadata":{"name":"a","namespace":"b","namespace":"hidden"}}"#,
        r#"{"metadata":{"name":"a","labels":{"x":"y"},"labels":{"x":"hidden"}}}"#,
        r#"{"metadata":{"name":"a","labels":{"x":"y","x":"hidden"}}}"#,
    ] {
        ambiguous(Form::List, &format!(r#"{{"items":[{item}]}}"#));
        ambiguous(Form::List, &format!(r#"{{"rows":[{{"object":{item}}}]}}"#));
        ambiguous(Form::Events, &format!(r#"{{"type":"ADDED","object":{item}}}"#));
        ambiguous(Form::One, item);
    }
    let object = r#"{"metadata":{"name":"a"}}"#;
    ambiguous(Form::List, &format!(r#"{{"rows":[{{"object":{object},"object":{object}}}]}}"#));
    ambiguous(Form::Events, &format!(r#"{{"object":{object},"type":"ADDED"}}"#));
    ambiguous(Form::Events, &format!(r#"{{"type":"ADDED","type":"ADDED","object":{object}}}"#));
    ambiguous(Form::Events, &format!(r#"{{"type":"ADDED","object":{object},"object":{object}}}"#));
    ambiguous(Form::One, r#"{"metadata":{"name":"a"},"kind":"Table","apiVersion":"meta.k8s.io/v1","rows":[]}"#);
    ambiguous(Form::One, r#"{"kind":"Table","metadata":{"name":"a"},"rows":[]}"#);
    ambiguous(Form::One, r#"{"kind":"Pod","kind":"Table","metadata":{"name":"a"}}"#);
    let two = r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","rows":[{"object":{"metadata":{"name":"a"}}},{"object":{"metadata":{"name":"hidden"}}}]}"#;
    ambiguous(Form::One, two);
    ambiguous(Form::Events, &format!(r#"{{"type":"ADDED","object":{two}}}"#));
}

#[test]
fn what_is_no_list_and_no_event_is_refused() {
    for (form, input) in [
        (Form::List, r#"{"kind":"Pod","metadata":{"name":"a"},"spec":{}}"#),
        (Form::List, r#"{"items":{"metadata":{"name":"a"}}}"#),
        (Form::List, r#"{"items":["a"]}"#),
        (Form::List, r#"{"items":[[{"metadata":{"name":"a"}}]]}"#),
        (Form::List, r#"{"items":[{"metadata":{"name":["a"]}}]}"#),
        (Form::List, r#"{"items":[{"metadata":{"name":"a","labels":{"x":1}}}]}"#),
        (Form::List, r#"{"items":[{"metadata":[]}]}"#),
        (Form::Events, r#"{"type":"RENAMED","object":{"metadata":{"name":"a"}}}"#),
        (Form::Events, r#"{"type":"ADDED","more":1}"#),
        (Form::Events, r#"{"type":1}"#),
        (Form::Events, r#"{"type":"ADDED","object":"a"}"#),
    ] {
        let error = refused(form, input);
        assert!(matches!(error, FilterError::Unexpected { .. }), "{input}: {error}");
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for (form, input) in [
        (Form::List, r#"{"items":[{"metadata":{"name":"a"}} {"metadata":{"name":"b"}}]}"#),
        (Form::List, r#"{"items":[{"metadata":{"name":"a"}},]}"#),
        (Form::List, r#"{"items" []}"#),
        (Form::List, r#"{items:[]}"#),
        (Form::List, r#"{"items":[}"#),
    ] {
        let error = refused(form, input);
        assert!(matches!(error, FilterError::Syntax { .. } | FilterError::Unexpected { .. }), "{input}: {error}");
    }
    assert_eq!(refused(Form::List, "[]"), FilterError::NotAnObject { offset: 0 });
    assert_eq!(refused(Form::List, "{} {}"), FilterError::TrailingData { offset: 3 });
    for truncated in ["", "{", r#"{"items":["#, r#"{"items":[{"metadata":{"name":"a"}"#] {
        assert_eq!(refused(Form::List, truncated), FilterError::Truncated, "{truncated}");
    }
    let deep = format!(r#"{{"metadata":{}"#, "[".repeat(600));
    assert_eq!(refused(Form::One, &deep), FilterError::Unexpected { offset: 12 });
    let deep = format!(r#"{{"spec":{}"#, "[".repeat(600));
    assert_eq!(refused(Form::One, &deep), FilterError::TooDeep { depth_max: 512 });
    let limits = FilterLimits { head_bytes_max: 64, ..FilterLimits::default() };
    let spaces = format!(r#"{{"items":[{}"#, " ".repeat(100));
    let error = pieces(Form::List, Reads::Head, limits, [spaces.as_bytes()]).unwrap_err();
    assert_eq!(error, FilterError::TooLong { bytes_max: 64 });
}

#[test]
fn a_failure_stays() {
    let mut filter = Filter::new(Form::List, Reads::Head, FilterLimits::default());
    let mut output = Vec::new();
    let error = filter.push(b"[]", &mut judge, &mut output).unwrap_err();
    assert_eq!(filter.push(b"{}", &mut judge, &mut output), Err(error));
    assert_eq!(filter.finish(), Err(error));
    assert!(output.is_empty());
}
