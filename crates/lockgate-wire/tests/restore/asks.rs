//! Leak row 25: what asks about a masked field, by a JSON Patch or a selector.

use lockgate_wire::mask::restore::{Unrestorable, Write, asks};

use super::*;

fn outcome(kind: Kind, body: &Value, object: &Value) -> Result<(), Option<String>> {
    match kind.restore(&body.to_string(), Write::Json, &object.to_string()) {
        Ok(_) => Ok(()),
        Err(Unrestorable::Asks(asked)) => Err(Some(asked.path)),
        Err(_) => Err(None),
    }
}

#[test]
fn leak_row_25_a_test_of_a_masked_field_is_refused() {
    for path in [
        "/data/password",
        "/data",
        "/data/unknown",
        "/stringData/a",
        "/metadata/annotations",
        "/metadata",
        "",
        "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
    ] {
        for value in [json!("aHVudGVyMg=="), json!({"password": "aHVudGVyMg==", "user": "YWRh"}), secret()] {
            let body = json!([{"op": "test", "path": path, "value": value}]);
            assert!(asks(&body));
            assert_eq!(outcome(SECRETS, &body, &secret()), Err(Some(path.into())), "{body}");
        }
    }
    let env = "/spec/template/spec/containers/0/env/0";
    for (path, value) in [
        (format!("{env}/value"), json!("first")),
        (env.to_owned(), json!({"name": "A", "value": "first"})),
        ("/spec/template/spec/containers/0/args/2".into(), json!("plain")),
        ("/spec/template/spec/containers/9/args/9".into(), json!("plain")),
        ("/spec".into(), json!({})),
    ] {
        let body = json!([{"op": "test", "path": path, "value": value}]);
        assert_eq!(outcome(DEPLOYMENTS, &body, &deployment()), Err(Some(path)));
    }
}

#[test]
fn a_test_of_what_is_shown_passes() {
    for (kind, object, path, value) in [
        (SECRETS, secret(), "/metadata/resourceVersion", json!("7")),
        (SECRETS, secret(), "/type", json!("Opaque")),
        (DEPLOYMENTS, deployment(), "/spec/replicas", json!(2)),
        (DEPLOYMENTS, deployment(), "/spec/template/spec/containers/0/image", json!("web:1")),
        (DEPLOYMENTS, deployment(), "/spec/template/spec/containers/0/env/0/name", json!("A")),
        (
            Kind { profile: Profile::Secrets, ..DEPLOYMENTS },
            deployment(),
            "/spec/template/spec/containers/0/env/0/value",
            json!("first"),
        ),
    ] {
        let body = json!([{"op": "test", "path": path, "value": value}]);
        assert_eq!(outcome(kind, &body, &object), Ok(()), "{path}");
    }
    assert!(!asks(&json!([{"op": "add", "path": "/a", "value": 1}, {"op": "remove", "path": "/b"}])));
}

#[test]
fn leak_row_25_a_masked_value_is_not_copied_to_where_it_is_shown() {
    for (operations, refused) in [
        (json!([{"op": "copy", "from": "/data/password", "path": "/metadata/labels/a"}]), Some("/data/password")),
        (json!([{"op": "move", "from": "/data/password", "path": "/metadata/annotations/a"}]), Some("/data/password")),
        (json!([{"op": "copy", "from": "/data", "path": "/metadata/labels"}]), Some("/data")),
        (json!([{"op": "copy", "from": "", "path": "/x"}]), Some("")),
        (json!([{"op": "copy", "from": "/metadata", "path": "/x"}]), Some("/metadata")),
        (json!([{"op": "copy", "from": "/data/unknown", "path": "/metadata/labels/a"}]), Some("/data/unknown")),
        // In two steps, and a test of what was copied.
        (
            json!([{"op": "copy", "from": "/data/password", "path": "/data/b"}, {"op": "copy", "from": "/data/b", "path": "/metadata/labels/a"}]),
            Some("/data/b"),
        ),
        (
            json!([{"op": "copy", "from": "/metadata/labels", "path": "/x"}, {"op": "test", "path": "/x/a", "value": "1"}]),
            Some("/x/a"),
        ),
        (json!([{"op": "move", "from": "/data/password", "path": "/data/renamed"}]), None),
        (json!([{"op": "copy", "from": "/metadata/labels/a", "path": "/metadata/labels/b"}]), None),
    ] {
        let expected = refused.map_or(Ok(()), |path| Err(Some(path.to_owned())));
        assert_eq!(outcome(SECRETS, &operations, &secret()), expected, "{operations}");
    }
}

#[test]
fn leak_row_25_selectors_on_masked_fields_are_found() {
    for (kind, selector, masked) in [
        (SECRETS, "metadata.name=db", None),
        (SECRETS, "type=Opaque,metadata.namespace!=shop", None),
        (SECRETS, "", None),
        (SECRETS, "metadata.name=db,data.password=aHVudGVyMg==", Some("data.password")),
        (SECRETS, "data.password!=a", Some("data.password")),
        (DEPLOYMENTS, "metadata.name=web,status.phase==x", None),
        (Kind { resource: "pods", group: "", ..DEPLOYMENTS }, "spec.nodeName=a,status.podIP=1", None),
        (WIDGETS, ".spec.color=red", None),
    ] {
        assert_eq!(kind.masking().selects(selector).as_deref(), masked, "{selector}");
    }
    let rule =
        lockgate_wire::mask::FieldRule { group: "example.com".into(), kind: "Widget".into(), path: "spec.pin".into() };
    let rules = std::sync::Arc::new(lockgate_wire::mask::FieldRules::compile(&[rule]).unwrap());
    let masking = WIDGETS.masking().with_fields(rules);
    assert_eq!(masking.selects("spec.color=red,.spec.pin=1").as_deref(), Some(".spec.pin"));
}
