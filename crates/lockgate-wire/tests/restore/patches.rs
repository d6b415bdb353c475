//! Patches: what is not named stays, so what is masked is left out.

use lockgate_wire::PLACEHOLDER;
use lockgate_wire::mask::restore::Write;

use super::*;

#[test]
fn masked_members_are_left_out() {
    let object = secret().to_string();
    for write in [Write::Merge, Write::Strategic] {
        for (body, expected) in [
            (r#"{"data":{"password":"P"}}"#, r#"{"data":{}}"#),
            (r#"{"data":{"a":"1","password":"P","b":"2"}}"#, r#"{"data":{"a":"1","b":"2"}}"#),
            (r#"{"data":{ "password":"P" , "user":"P", "b":"2"}}"#, r#"{"data":{ "b":"2"}}"#),
            (r#"{"data":{"a":"1", "password":"P", "user": "P" }}"#, r#"{"data":{"a":"1" }}"#),
            (r#"{"data":{"password":"P","a":"1","user":"P"},"x":1}"#, r#"{"data":{"a":"1"},"x":1}"#),
            (r#"{"data":{"password":"P","gone":null}}"#, r#"{"data":{"gone":null}}"#),
        ] {
            let body = body.replace("\"P\"", &format!("\"{PLACEHOLDER}\""));
            assert_eq!(SECRETS.sent(&body, write, &object), expected, "nothing is put back, so nothing is pinned");
        }
        let moved = json!({"data": {"other": PLACEHOLDER}}).to_string();
        assert_eq!(SECRETS.refused(&moved, write, &object), ["data.other"]);
    }
}

#[test]
fn lists_in_patches_are_put_back() {
    let object = deployment().to_string();
    let masked = parsed(&DEPLOYMENTS.masked(&object));
    let env = masked.pointer("/spec/template/spec/containers/0/env").unwrap().clone();
    let args = masked.pointer("/spec/template/spec/containers/0/args").unwrap().clone();
    let body = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "args": args, "env": env}]}}}})
        .to_string();
    for write in [Write::Merge, Write::Strategic] {
        let sent = parsed(&DEPLOYMENTS.sent(&body, write, &object));
        let container = sent.pointer("/spec/template/spec/containers/0").unwrap();
        let live = deployment();
        let expected = live.pointer("/spec/template/spec/containers/0").unwrap();
        assert_eq!((&container["env"], &container["args"]), (&expected["env"], &expected["args"]));
        assert_eq!(sent["metadata"], json!({"uid": "u-1", "resourceVersion": "7"}));
    }
}

/// What kubectl apply sends when a label was changed in what `get -o yaml` had written.
#[test]
fn the_copy_in_a_three_way_patch_is_put_back() {
    let object = secret().to_string();
    let masked = parsed(&SECRETS.masked(&object));
    let copy = masked["metadata"]["annotations"][LAST_APPLIED]
        .as_str()
        .unwrap()
        .replace("\"name\"", "\"labels\":{\"a\":\"b\"},\"name\"");
    let patch = json!({"metadata": {"annotations": {LAST_APPLIED: copy}, "labels": {"a": "b"}}}).to_string();
    let sent = parsed(&SECRETS.sent(&patch, Write::Strategic, &object));
    let expected = secret()["metadata"]["annotations"][LAST_APPLIED]
        .as_str()
        .unwrap()
        .replace("\"name\"", "\"labels\":{\"a\":\"b\"},\"name\"");
    assert_eq!(
        sent,
        json!({"metadata": {"annotations": {LAST_APPLIED: expected}, "labels": {"a": "b"},
        "uid": "u-1", "resourceVersion": "7"}})
    );
    let unchanged = masked["metadata"]["annotations"][LAST_APPLIED].clone();
    let patch = json!({"metadata": {"annotations": {LAST_APPLIED: unchanged}}}).to_string();
    assert_eq!(SECRETS.sent(&patch, Write::Merge, &object), r#"{"metadata":{"annotations":{}}}"#);
}

#[test]
fn directives_of_a_strategic_patch_are_not_guessed_at() {
    let object = deployment().to_string();
    let body =
        json!({"spec": {"$deleteFromPrimitiveList/args": ["--password=**masked by lockgate: argument**"]}}).to_string();
    assert_eq!(DEPLOYMENTS.refused(&body, Write::Strategic, &object), ["spec[$deleteFromPrimitiveList/args][0]"]);
}

#[test]
fn json_patches_are_put_back_where_it_is_plain_what_stands_there() {
    let object = secret().to_string();
    let sent = |body: Value| parsed(&SECRETS.sent(&body.to_string(), Write::Json, &object));
    let pins = [
        json!({"op": "add", "path": "/metadata/uid", "value": "u-1"}),
        json!({"op": "add", "path": "/metadata/resourceVersion", "value": "7"}),
    ];
    let with_pins = |operations: Vec<Value>| Value::from([operations, pins.to_vec()].concat());
    for op in ["add", "replace"] {
        assert_eq!(
            sent(
                json!([{"op": "add", "path": "/metadata/labels", "value": {}}, {"op": op, "path": "/data/password", "value": PLACEHOLDER}])
            ),
            with_pins(vec![
                json!({"op": "add", "path": "/metadata/labels", "value": {}}),
                json!({"op": op, "path": "/data/password", "value": "aHVudGVyMg=="})
            ])
        );
        assert_eq!(
            sent(json!([{"op": op, "path": "/data", "value": {"user": PLACEHOLDER, "x": "eA=="}}])),
            with_pins(vec![json!({"op": op, "path": "/data", "value": {"user": "YWRh", "x": "eA=="}})])
        );
    }
    let whole = parsed(&SECRETS.masked(&object));
    assert_eq!(
        sent(json!([{"op": "replace", "path": "", "value": whole}])),
        with_pins(vec![json!({"op": "replace", "path": "", "value": secret()})])
    );
    for (body, path) in [
        (json!([{"op": "add", "path": "/data/other", "value": PLACEHOLDER}]), "data.other"),
        (json!([{"op": "add", "path": "/metadata/labels/a~1b", "value": PLACEHOLDER}]), "metadata.labels[a/b]"),
        (
            json!([{"op": "remove", "path": "/data"}, {"op": "add", "path": "/data/password", "value": PLACEHOLDER}]),
            "data.password",
        ),
        (
            json!([{"op": "replace", "path": "/data/password", "value": "eA=="}, {"op": "replace", "path": "/data", "value": {"user": PLACEHOLDER}}]),
            "data.user",
        ),
    ] {
        assert_eq!(SECRETS.refused(&body.to_string(), Write::Json, &object), [path], "{body}");
    }
    let object = deployment().to_string();
    let value = "/spec/template/spec/containers/0/env/1/value";
    let masked = parsed(&DEPLOYMENTS.masked(&object)).pointer(value).unwrap().clone();
    let operation = json!({"op": "replace", "path": value, "value": masked});
    let sent = parsed(&DEPLOYMENTS.sent(&json!([operation]).to_string(), Write::Json, &object));
    assert_eq!(sent[0]["value"], "second");
    for first in [
        json!({"op": "remove", "path": "/spec/template/spec/containers/0/env/0"}),
        json!({"op": "add", "path": "/spec/template/spec/containers/0", "value": {"name": "x"}}),
        json!({"op": "move", "from": "/spec/template/spec/containers/1", "path": "/spec/template/spec/containers/-"}),
    ] {
        let refused = DEPLOYMENTS.restore(&json!([first, operation]).to_string(), Write::Json, &object);
        assert!(refused.is_err(), "elements have moved: {first}");
    }
    let body = json!([{"op": "add", "path": "/spec/template/spec/containers/0/args/0", "value": "--password=**masked by lockgate: argument**"}]);
    assert_eq!(
        DEPLOYMENTS.refused(&body.to_string(), Write::Json, &object),
        ["spec.template.spec.containers[0].args[0]"]
    );
}
