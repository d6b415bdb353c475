//! PUT and server-side apply: what is not named is deleted, so what is masked is put back.

use lockgate_wire::PLACEHOLDER;
use lockgate_wire::mask::restore::{Unrestorable, Write, fields_of_new, holds};
use lockgate_wire::mask::{FindSecrets, Found, Reason};
use serde_json::json;

use super::*;

#[test]
fn what_was_shown_comes_back_byte_for_byte() {
    for (kind, object) in [(SECRETS, secret()), (DEPLOYMENTS, deployment())] {
        // Numbers and white space that a reader would write in another way.
        let object = object.to_string().replace("\"metadata\":{", "\"weight\": 1.50e0,\n \"metadata\" : { ");
        let masked = kind.masked(&object);
        assert!(holds(&parsed(&masked)));
        assert_eq!(kind.sent(&masked, Write::Whole, &object), object);
    }
}

#[test]
fn what_the_agent_changed_is_changed_and_nothing_else() {
    let object = secret();
    let mut edited = parsed(&SECRETS.masked(&object.to_string()));
    edited["metadata"]["labels"] = json!({"a": "b"});
    edited["data"]["new"] = json!("bmV3");
    edited["data"]["user"] = json!("Z3JhY2U=");
    let sent = parsed(&SECRETS.sent(&edited.to_string(), Write::Whole, &object.to_string()));
    let mut expected = object;
    expected["metadata"]["labels"] = json!({"a": "b"});
    expected["data"]["new"] = json!("bmV3");
    expected["data"]["user"] = json!("Z3JhY2U=");
    assert_eq!(sent, expected);
}

#[test]
fn what_is_put_back_is_pinned() {
    let object = secret().to_string();
    for (metadata, expected) in [
        (json!({"name": "db"}), Ok(())),
        (json!({}), Ok(())),
        (json!(null), Err(Unrestorable::Metadata)),
        (json!({"resourceVersion": "", "uid": null}), Ok(())),
        (json!({"resourceVersion": "7", "uid": "u-1"}), Ok(())),
        (json!({"resourceVersion": "6"}), Err(Unrestorable::Modified)),
        (json!({"uid": "u-0"}), Err(Unrestorable::AnotherObject)),
    ] {
        let body = json!({"data": {"password": PLACEHOLDER}, "metadata": metadata}).to_string();
        match SECRETS.restore(&body, Write::Whole, &object) {
            Ok(restored) => {
                let sent = parsed(std::str::from_utf8(&restored.unwrap().body).unwrap());
                assert_eq!(expected, Ok(()), "{metadata}");
                assert_eq!(sent["metadata"]["resourceVersion"], "7");
                assert_eq!(sent["metadata"]["uid"], "u-1");
                assert_eq!(sent["data"], json!({"password": "aHVudGVyMg=="}));
            }
            Err(error) => assert_eq!(Err(error), expected, "{metadata}"),
        }
    }
    let sent = SECRETS.sent(&json!({"data": {"password": PLACEHOLDER}}).to_string(), Write::Whole, &object);
    assert_eq!(sent, r#"{"metadata":{"uid":"u-1","resourceVersion":"7"},"data":{"password":"aHVudGVyMg=="}}"#);
}

#[test]
fn a_moved_placeholder_is_refused() {
    let object = secret().to_string();
    for (body, path) in [
        (json!({"data": {"other": PLACEHOLDER}}), "data[other]"),
        (json!({"stringData": {"password": PLACEHOLDER}}), "stringData.password"),
        (json!({"stringData": {"password": "**masked by lockgate**"}}), "stringData.password"),
        (json!({"metadata": {"labels": {"a": "**masked by lockgate**"}}}), "metadata.labels.a"),
        (json!({"data": {"password": format!("eA{PLACEHOLDER}")}}), "data.password"),
        // Base64 of `a:**masked by lockgate**`: composed of it.
        (json!({"data": {"password": "YToqKm1hc2tlZCBieSBsb2NrZ2F0ZSoq"}}), "data.password"),
        (json!({"data": {"password": "**masked by lockgate: release**"}}), "data.password"),
        (json!({"data": {PLACEHOLDER: "x"}}), "data[KiptYXNrZWQgYnkgbG9ja2dhdGUqKg==]"),
        (json!({"data": PLACEHOLDER}), "data"),
        (json!({"data": [PLACEHOLDER]}), "data[0]"),
        (json!({"type": PLACEHOLDER}), "type"),
    ] {
        let body = body.to_string();
        assert_eq!(SECRETS.refused(&body, Write::Whole, &object), [path.replace("[other]", ".other")], "{body}");
    }
}

#[test]
fn a_new_object_has_nothing_to_put_back() {
    let body = parsed(&SECRETS.masked(&secret().to_string()));
    let fields: Vec<String> = fields_of_new(body.to_string().as_bytes()).into_iter().map(|field| field.path).collect();
    let copy = format!("metadata.annotations[{LAST_APPLIED}]#data");
    assert_eq!(
        fields,
        ["data.password".to_owned(), "data.user".into(), format!("{copy}.password"), format!("{copy}.user")]
    );
}

#[test]
fn elements_of_lists_are_told_apart_by_their_names() {
    let object = deployment();
    let mut edited = parsed(&DEPLOYMENTS.masked(&object.to_string()));
    let containers = &mut edited["spec"]["template"]["spec"]["containers"];
    containers.as_array_mut().unwrap().swap(0, 1);
    let env = &mut containers[1]["env"];
    env.as_array_mut().unwrap().insert(0, json!({"name": "NEW", "value": "x"}));
    env.as_array_mut().unwrap().swap(1, 2);
    let mut expected = object.clone();
    let containers = &mut expected["spec"]["template"]["spec"]["containers"];
    containers.as_array_mut().unwrap().swap(0, 1);
    containers[1]["env"] =
        json!([{"name": "NEW", "value": "x"}, {"name": "B", "value": "second"}, {"name": "A", "value": "first"}]);
    let sent = DEPLOYMENTS.sent(&edited.to_string(), Write::Whole, &object.to_string());
    assert_eq!(parsed(&sent), expected);
}

#[test]
fn words_are_put_back_in_their_order_or_not_at_all() {
    let object = deployment();
    let masked = parsed(&DEPLOYMENTS.masked(&object.to_string()));
    let containers = "/spec/template/spec/containers/0/args";
    let args = masked.pointer(containers).unwrap().as_array().unwrap().clone();
    assert_eq!(args[0], args[1], "equal placeholders");
    let body = |args: Vec<Value>| {
        let mut body = masked.clone();
        *body.pointer_mut(containers).unwrap() = args.into();
        body.to_string()
    };
    let [one, two, plain] = [0, 1, 2].map(|index: usize| args[index].clone());
    for (args, expected) in [
        (
            vec![json!("--new"), one.clone(), two.clone(), plain.clone()],
            json!(["--new", "--password=one", "--password=two", "plain"]),
        ),
        (vec![plain.clone(), one.clone(), two.clone()], json!(["plain", "--password=one", "--password=two"])),
        (vec![json!("--password=mine"), plain.clone()], json!(["--password=mine", "plain"])),
    ] {
        let sent = parsed(&DEPLOYMENTS.sent(&body(args), Write::Whole, &object.to_string()));
        assert_eq!(sent.pointer(containers), Some(&expected));
    }
    // One of two equal ones is gone: nobody knows which.
    let refused = DEPLOYMENTS.refused(&body(vec![one.clone(), plain.clone()]), Write::Whole, &object.to_string());
    assert_eq!(refused, ["spec.template.spec.containers[0].args[0]"]);
    let refused = DEPLOYMENTS.refused(&body(vec![one, two.clone(), two, plain]), Write::Whole, &object.to_string());
    assert_eq!(refused.len(), 3);
}

#[test]
fn kubectl_s_copy_gets_the_values_of_the_object() {
    let mut object = secret();
    // Changed since it was applied.
    object["data"]["password"] = json!("bmV3ZXI=");
    let masked = SECRETS.masked(&object.to_string());
    assert_eq!(SECRETS.sent(&masked, Write::Whole, &object.to_string()), object.to_string(), "an old copy stays old");
    let mut applied = parsed(&masked);
    let copy = applied["metadata"]["annotations"][LAST_APPLIED]
        .as_str()
        .unwrap()
        .replace("\"name\"", "\"labels\":{\"a\":\"<b>\"},\"name\"");
    applied["metadata"]["annotations"][LAST_APPLIED] = json!(copy);
    let sent = parsed(&SECRETS.sent(&applied.to_string(), Write::Whole, &object.to_string()));
    let sent = sent["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap();
    let expected = secret()["metadata"]["annotations"][LAST_APPLIED]
        .as_str()
        .unwrap()
        .replace("aHVudGVyMg==", "bmV3ZXI=")
        .replace("\"name\"", "\"labels\":{\"a\":\"<b>\"},\"name\"");
    assert_eq!(sent, expected, "all but the values stays byte for byte");
    // An object that nobody applied yet.
    object["metadata"]["annotations"] = json!({});
    let sent = parsed(&SECRETS.sent(&applied.to_string(), Write::Whole, &object.to_string()));
    assert_eq!(sent["metadata"]["annotations"][LAST_APPLIED], expected);
}

#[test]
fn masked_managed_fields_are_left_to_the_api_server() {
    let mut object = secret();
    object["metadata"]["managedFields"] =
        json!([{"manager": "m", "fieldsV1": {"f:metadata": {"f:finalizers": {".": {}, "v:\"a/b\"": {}}}}}]);
    let masked = SECRETS.masked(&object.to_string());
    assert!(masked.contains("v:\\\""));
    let sent = parsed(&SECRETS.sent(&masked, Write::Whole, &object.to_string()));
    object["metadata"].as_object_mut().unwrap().remove("managedFields");
    assert_eq!(sent, object);
}

#[test]
fn placeholders_of_an_earlier_profile_are_known() {
    let object = deployment().to_string();
    for shown in PROFILES {
        let masked = Kind { profile: shown, ..DEPLOYMENTS }.masked(&object);
        for now in PROFILES {
            let kind = Kind { profile: now, ..DEPLOYMENTS };
            let sent = kind.restore(&masked, Write::Whole, &object).unwrap();
            assert_eq!(sent.map_or(masked.clone().into_bytes(), |sent| sent.body), object.as_bytes());
        }
    }
}

#[test]
fn a_value_of_another_type_comes_back_as_it_was() {
    let object = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"uid":"u","resourceVersion":"1"},"data":{"a":"1","n":12345678901234567890123}}"#;
    let masked = MAPS.masked(object);
    assert!(!masked.contains("123456789"));
    assert_eq!(MAPS.sent(&masked, Write::Whole, object), object);
}

#[test]
fn an_object_without_placeholders_is_sent_as_it_is() {
    let object = secret().to_string();
    assert!(SECRETS.restore(&object, Write::Whole, &object).unwrap().is_none());
    assert!(!holds(&secret()));
}

#[test]
fn a_dry_run_does_not_try_guesses() {
    let object = secret();
    let mut guess = object.clone();
    guess["data"] = json!({"password": "Z3Vlc3M=", "user": "YWRh", "new": "bmV3"});
    guess["metadata"]["annotations"][LAST_APPLIED] = json!("{}");
    let tried = SECRETS.tried(&guess, Write::Whole, &object);
    let mut expected = object.clone();
    expected["data"]["new"] = json!("bmV3");
    assert_eq!(tried, expected);
    assert_eq!(
        SECRETS.tried(&json!({"data": {"password": "Z3Vlc3M=", "new": "bmV3"}}), Write::Merge, &object),
        json!({"data": {"new": "bmV3"}})
    );
    let object = deployment();
    let mut guess = object.clone();
    let container = guess.pointer_mut("/spec/template/spec/containers/0").unwrap();
    container["args"] = json!(["guess"]);
    container["env"][0]["value"] = json!("guess");
    container["image"] = json!("web:2");
    let mut expected = object.clone();
    expected.pointer_mut("/spec/template/spec/containers/0").unwrap()["image"] = json!("web:2");
    assert_eq!(DEPLOYMENTS.tried(&guess, Write::Whole, &object), expected);
}

/// Finds one value wherever it stands.
#[derive(Debug)]
struct OneValue;

impl FindSecrets for OneValue {
    fn find(&self, _: &[u8], text: &[u8], found: &mut Vec<Found>) {
        let hits = memchr::memmem::find_iter(text, b"hunter2");
        found.extend(hits.map(|start| Found { start, end: start + 7, reason: Reason::KnownValue }));
    }
}

#[test]
fn what_was_found_in_free_text_comes_back() {
    let object = r#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"annotations":{"note":"p=hunter2, twice: hunter2"},"uid":"u","resourceVersion":"1"},"spec":{"urls":["http://a:hunter2@b/","http://c"]}}"#;
    let masking = WIDGETS.masking().searched_by(std::sync::Arc::new(OneValue));
    let live = Live::read(&Secret::new(object.as_bytes().to_vec()), &masking).unwrap();
    let plan = MaskPlan::for_resource(WIDGETS.group, WIDGETS.resource, false, WIDGETS.profile);
    let mut masker = Masker::new(plan, MaskLimits::default()).searched_by(std::sync::Arc::new(OneValue));
    let mut shown = Vec::new();
    masker.push(object.as_bytes(), &mut shown).unwrap();
    masker.finish(&mut shown).unwrap();
    let shown = String::from_utf8(shown).unwrap();
    assert!(!shown.contains("hunter2"));
    let restored = |body: &str| restore(body.as_bytes(), Write::Whole, Values::AsGiven, &live, &masking);
    assert_eq!(restored(&shown).unwrap().unwrap().body, object.as_bytes());
    assert!(
        restored(&shown.replace("twice", "thrice")).is_err(),
        "the text is another: nobody knows which value is meant"
    );
    let test = r#"[{"op":"test","path":"/spec/urls/0","value":"x"}]"#;
    let asked = restore(test.as_bytes(), Write::Json, Values::AsGiven, &live, &masking);
    assert!(matches!(asked, Err(Unrestorable::Asks(_))), "a guess would be answered");
}
