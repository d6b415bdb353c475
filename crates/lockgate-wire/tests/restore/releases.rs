//! Helm's releases: placeholders inside of what is packed.

use lockgate_wire::mask::helm::{Stored, pack, unpack};
use lockgate_wire::mask::restore::{Revision, Unrestorable, Write, fields_of_new, holds, restore_revision};

use super::*;

fn release(version: u64, status: &str) -> Value {
    json!({"name": "web", "info": {"status": status, "notes": "the password is hunter2"},
        "chart": {"metadata": {"name": "web"}, "values": {"level": "debug"}, "templates": [{"name": "a", "data": "eA=="}]},
        "config": {"password": "hunter2", "port": 8080, "users": ["ada", "grace"]},
        "manifest": "---\n# Source: web/a.yaml\napiVersion: v1\nkind: Secret\nmetadata:\n  name: a\ndata:\n  password: aHVudGVyMg==\n---\n# Source: web/b.yaml\napiVersion: v1\nkind: Service\nmetadata:\n  name: b\n",
        "version": version, "namespace": "shop"})
}

fn stored(release: &Value) -> Value {
    json!({"apiVersion": "v1", "data": {"release": pack(release.to_string().as_bytes(), Stored::InSecret).unwrap()}, "kind": "Secret",
        "metadata": {"name": "sh.helm.release.v1.web.v1", "resourceVersion": "7", "uid": "u-1"}, "type": "helm.sh/release.v1"})
}

fn opened(object: &Value) -> Value {
    serde_json::from_slice(&unpack(object["data"]["release"].as_str().unwrap(), Stored::InSecret).unwrap()).unwrap()
}

const RELEASES: Kind = Kind { profile: Profile::Strict, ..SECRETS };

#[test]
fn an_unchanged_release_comes_back_byte_for_byte() {
    let object = stored(&release(1, "deployed")).to_string();
    let masked = RELEASES.masked(&object);
    assert_ne!(masked, object);
    assert!(holds(&parsed(&masked)), "found in what is packed");
    assert_eq!(RELEASES.sent(&masked, Write::Whole, &object), object);
}

/// What helm does to the last revision when the next one is deployed.
#[test]
fn a_release_whose_status_changes_keeps_its_values() {
    let object = stored(&release(1, "deployed"));
    let shown = parsed(&RELEASES.masked(&object.to_string()));
    let mut inner = opened(&shown);
    assert_ne!(inner["config"]["password"], "hunter2");
    inner["info"]["status"] = json!("superseded");
    let mut body = shown;
    body["data"]["release"] = stored(&inner)["data"]["release"].clone();
    let sent = parsed(&RELEASES.sent(&body.to_string(), Write::Whole, &object.to_string()));
    assert_eq!(opened(&sent), release(1, "superseded"));
    let patch = json!({"data": {"release": body["data"]["release"]}});
    let sent = parsed(&RELEASES.sent(&patch.to_string(), Write::Merge, &object.to_string()));
    assert_eq!(opened(&sent), release(1, "superseded"));
}

#[test]
fn a_placeholder_that_moved_inside_of_a_release_is_refused() {
    let object = stored(&release(1, "deployed"));
    let mut inner = opened(&parsed(&RELEASES.masked(&object.to_string())));
    inner["config"]["copy"] = inner["config"]["password"].clone();
    inner["manifest"] = json!(inner["manifest"].as_str().unwrap().replace("name: a", "name: c"));
    let body = stored(&inner).to_string();
    let refused = RELEASES.refused(&body, Write::Whole, &object.to_string());
    assert_eq!(refused, ["data.release#config.copy", "data.release#manifest"]);
    assert_eq!(fields_of_new(body.as_bytes()).len(), 7);
}

#[test]
fn documents_of_a_manifest_are_put_back_one_by_one() {
    let object = stored(&release(1, "deployed"));
    let mut inner = opened(&parsed(&RELEASES.masked(&object.to_string())));
    inner["manifest"] = json!(inner["manifest"].as_str().unwrap().replace("name: b", "name: changed"));
    let sent = parsed(&RELEASES.sent(&stored(&inner).to_string(), Write::Whole, &object.to_string()));
    let expected = release(1, "deployed")["manifest"].as_str().unwrap().replace("name: b", "name: changed");
    assert_eq!(opened(&sent)["manifest"], expected);
}

fn revision(version: u64, inner: &Value) -> Value {
    let mut object = stored(inner);
    object["metadata"]["name"] = json!(format!("sh.helm.release.v1.web.v{version}"));
    object
}

/// The release that helm makes of one that it was shown.
fn next_of(shown: &Value, version: u64, description: &str) -> Value {
    let mut inner = opened(&parsed(&RELEASES.masked(&shown.to_string())));
    inner["version"] = json!(version);
    inner["info"]["status"] = json!("pending");
    inner["info"]["description"] = json!(description);
    let mut object = revision(version, &inner);
    object["metadata"] = json!({"name": object["metadata"]["name"], "labels": {"owner": "helm"}});
    object
}

#[test]
fn a_new_revision_says_what_it_was_made_of() {
    let name = |version: u64| format!("sh.helm.release.v1.web.v{version}");
    let shown = revision(2, &release(2, "deployed"));
    let made = |version, description| Revision::of(&next_of(&shown, version, description));
    assert_eq!(made(3, "Preparing upgrade"), Some(Revision { source: name(2), last: None }));
    assert_eq!(made(3, "Rollback to 1"), Some(Revision { source: name(1), last: Some(name(2)) }));
    assert_eq!(made(3, "Rollback to 2"), Some(Revision { source: name(2), last: None }));
    assert_eq!(made(1, "Initial install underway"), None);
    assert_eq!(Revision::of(&secret()), None);
    let mut odd = next_of(&shown, 3, "x");
    odd["metadata"]["name"] = json!("sh.helm.release.v1.../x.v3");
    assert_eq!(Revision::of(&odd), None, "it becomes a path");
}

#[test]
fn a_rollback_has_the_values_of_its_revision() {
    let first = revision(1, &release(1, "superseded"));
    let mut newer = release(2, "deployed");
    newer["config"]["port"] = json!(9090);
    let last = revision(2, &newer);
    let body = next_of(&first, 3, "Rollback to 1");
    let (source, last) = (RELEASES.live(&first.to_string()), RELEASES.live(&last.to_string()));
    let restored = restore_revision(body.to_string().as_bytes(), &source, Some(&last)).unwrap();
    let sent = parsed(std::str::from_utf8(&restored.body).unwrap());
    assert_eq!(sent["metadata"], body["metadata"], "it is a new object: nothing is pinned");
    let mut expected = release(3, "pending");
    expected["info"]["description"] = json!("Rollback to 1");
    assert_eq!(opened(&sent), expected);
    let mut strange = body;
    strange["metadata"]["labels"]["a"] = json!("**masked by lockgate**");
    strange["data"]["other"] = json!(lockgate_wire::PLACEHOLDER);
    let Err(Unrestorable::Fields(fields)) = restore_revision(strange.to_string().as_bytes(), &source, Some(&last))
    else {
        panic!()
    };
    assert_eq!(fields.iter().map(|field| field.path.as_str()).collect::<Vec<_>>(), ["data.other", "metadata.labels.a"]);
}

/// helm would see no difference between the placeholders.
#[test]
fn a_rollback_that_would_leave_a_newer_masked_value_is_refused() {
    let first = revision(1, &release(1, "superseded"));
    let changed = |from: &str, to: &str| {
        let mut newer = release(2, "deployed");
        newer["manifest"] = json!(newer["manifest"].as_str().unwrap().replace(from, to));
        revision(2, &newer)
    };
    let source = RELEASES.live(&first.to_string());
    let body = next_of(&first, 3, "Rollback to 1").to_string();
    for (last, is_sent) in [
        (changed("", ""), true),
        (changed("name: b", "name: c"), true),
        (changed("aHVudGVyMg==", "bmV3ZXI="), false),
        (changed("name: a", "name: z"), false),
    ] {
        let restored = restore_revision(body.as_bytes(), &source, Some(&RELEASES.live(&last.to_string())));
        assert_eq!(restored.is_ok(), is_sent, "{:?}", opened(&last)["manifest"]);
    }
}
