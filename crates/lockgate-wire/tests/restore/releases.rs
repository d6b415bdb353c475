//! Helm's releases: placeholders inside of what is packed.

use lockgate_wire::mask::helm::{Stored, pack, unpack};
use lockgate_wire::mask::restore::{Write, fields_of_new, holds};

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
