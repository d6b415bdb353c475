//! Helm's releases: masked inside, and still ones that helm reads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_wire::PLACEHOLDER;
use lockgate_wire::mask::helm::{Stored, pack, unpack};
use lockgate_wire::mask::{MaskLimits, MaskPlan, Masker, Profile, Reason};
use serde_json::{Value, json};

use super::{at_every_split, quoted, whole};

const MANIFEST: &str = "---\n# Source: shop/templates/secret.yaml\napiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  password: aHVudGVyMg==\nstringData: {uri: \"postgres://hunter2\"}\n\
---\n# Source: shop/templates/service.yaml\nkind: Service   # as it was\napiVersion: v1\nspec: {ports: [{port: 80}]}\n\
---\napiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n      - name: a\n        env:\n        - {name: A, value: hunter2}\n        args: [\"--password=hunter2\"]\n\
---\napiVersion: v1\nkind: ConfigMap\ndata:\n  level: hunter2\n---\n# nothing\n---\nbroken: [hunter2\n";

fn release() -> Value {
    json!({
        "name": "shop", "namespace": "shop", "version": 3, "apply_method": "csa",
        "info": {"first_deployed": "2026-08-01T10:00:00Z", "status": "deployed", "description": "Install complete", "notes": "Your password is hunter2"},
        "chart": {
            "metadata": {"name": "shop", "version": "1.2.3"}, "lock": null,
            "templates": [{"name": "templates/a.yaml", "data": "e3t9fQ=="}],
            "values": {"image": "nginx", "auth": {"password": "hunter2", "pin": 1234, "enabled": true, "existing": ""}, "replicas": 2},
            "schema": "e30=", "files": [], "surprise": "hunter2",
        },
        "config": {"auth": {"rootPassword": "hunter2"}, "list": [{"a": "hunter2"}, 7, null]},
        "manifest": MANIFEST,
        "hooks": [{"name": "h", "kind": "Job", "events": ["pre-install"], "manifest": "kind: Secret\napiVersion: v1\nstringData:\n  a: hunter2\n"}],
        "labels_of_the_future": {"a": "hunter2"},
    })
}

fn secret(value: &str) -> String {
    format!(
        "{{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{{\"name\":\"sh.helm.release.v1.shop.v3\",\"labels\":{{\"owner\":\"helm\"}}}},\"data\":{{\"release\":{}}},\"type\":\"helm.sh/release.v1\"}}\n",
        quoted(value)
    )
}

fn plan(resource: &str, profile: Profile) -> MaskPlan {
    MaskPlan::for_resource("", resource, false, profile)
}

/// The release as helm reads it from the masked answer.
fn read(answer: &[u8], stored: Stored) -> Value {
    let answer: Value = serde_json::from_slice(answer).unwrap();
    serde_json::from_slice(&unpack(answer["data"]["release"].as_str().unwrap(), stored).unwrap()).unwrap()
}

#[test]
fn leak_10_a_release_is_masked_inside() {
    for (resource, stored) in [("secrets", Stored::InSecret), ("configmaps", Stored::InConfigMap)] {
        let packed = pack(release().to_string().as_bytes(), stored).unwrap();
        let kind = if resource == "secrets" { "\"Secret\"" } else { "\"ConfigMap\"" };
        let input = secret(&packed).replace("\"Secret\"", kind);
        let (output, _) = whole(plan(resource, Profile::Strict), input.as_bytes()).unwrap();
        for size in [1, 7, 1000] {
            let pieces =
                super::pieces(plan(resource, Profile::Strict), MaskLimits::default(), input.as_bytes().chunks(size));
            assert_eq!(pieces.unwrap().0, output);
        }
        let read = read(&output, stored);
        assert!(!read.to_string().contains("hunter2"), "{read}");
        let r = Reason::Release.placeholder();
        assert_eq!(
            (&read["name"], &read["version"], &read["apply_method"]),
            (&json!("shop"), &json!(3), &json!("csa"))
        );
        assert_eq!((&read["info"]["status"], &read["info"]["notes"]), (&json!("deployed"), &json!(r)));
        assert_eq!(read["chart"]["templates"], release()["chart"]["templates"]);
        assert_eq!(
            read["chart"]["values"],
            json!({"image": r, "auth": {"password": r, "pin": r, "enabled": true, "existing": ""}, "replicas": 2})
        );
        assert_eq!(read["config"], json!({"auth": {"rootPassword": r}, "list": [{"a": r}, 7, null]}));
        assert_eq!((&read["chart"]["surprise"], &read["labels_of_the_future"]), (&json!(r), &json!(r)));
        let environment = Reason::Environment.placeholder();
        let expected = format!(
            "---\n# Source: shop/templates/secret.yaml\napiVersion: v1\ndata:\n  password: \"{PLACEHOLDER}\"\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  uri: \"{PLACEHOLDER}\"\n\
             ---\n# Source: shop/templates/service.yaml\nkind: Service   # as it was\napiVersion: v1\nspec: {{ports: [{{port: 80}}]}}\n\
             ---\napiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n      - args:\n        - \"--password={}\"\n        env:\n        - name: A\n          value: \"{environment}\"\n        name: a\n\
             ---\napiVersion: v1\ndata:\n  level: \"{}\"\nkind: ConfigMap\n---\n# nothing\n---\n# {r}\n",
            Reason::Argument.placeholder(),
            Reason::ConfigMap.placeholder()
        );
        assert_eq!(read["manifest"].as_str().unwrap(), expected);
        let hook = read["hooks"][0]["manifest"].as_str().unwrap();
        assert!(hook.contains("kind: Secret") && hook.contains(PLACEHOLDER), "{hook}");
    }
}

#[test]
fn balanced_masks_a_release_by_name() {
    let packed = pack(release().to_string().as_bytes(), Stored::InSecret).unwrap();
    let (output, _) = whole(plan("secrets", Profile::Balanced), secret(&packed).as_bytes()).unwrap();
    let read = read(&output, Stored::InSecret);
    let r = Reason::Release.placeholder();
    assert_eq!(
        read["chart"]["values"],
        json!({"image": "nginx", "auth": {"password": r, "pin": r, "enabled": true, "existing": ""}, "replicas": 2})
    );
    let manifest = read["manifest"].as_str().unwrap();
    assert!(!manifest.contains("aHVudGVyMg==") && !manifest.contains("postgres://"), "{manifest}");
    assert!(manifest.contains("value: hunter2") && manifest.contains("level: hunter2"), "{manifest}");
    assert!(!manifest.contains("--password=hunter2"), "{manifest}");
}

#[test]
fn a_release_of_which_nothing_is_masked_stays_as_it_is() {
    let packed = pack(b"{\"name\":\"a\",\"config\":{},\"manifest\":\"\"}", Stored::InSecret).unwrap();
    let input = secret(&packed);
    let (output, summary) = at_every_split(plan("secrets", Profile::Strict), input.as_bytes()).unwrap();
    assert_eq!((String::from_utf8(output).unwrap(), summary.masked), (input, 0));
}

#[test]
fn what_is_no_release_is_masked_whole() {
    let deep = format!("{}1{}", "{\"a\":".repeat(600), "}".repeat(600));
    let bad = |json: &str| pack(json.as_bytes(), Stored::InSecret).unwrap();
    let packed = pack(release().to_string().as_bytes(), Stored::InSecret).unwrap();
    for value in [
        "hunter2".to_owned(),
        STANDARD.encode("hunter2"),
        STANDARD.encode(STANDARD.encode("{\"name\":\"not packed\"}")),
        packed[..packed.len() - 40].to_owned(),
        bad("[]"),
        bad("{\"name\":"),
        bad(&deep),
        pack(b"{}", Stored::InConfigMap).unwrap(),
    ] {
        let (output, summary) = whole(plan("secrets", Profile::Strict), secret(&value).as_bytes()).unwrap();
        assert_eq!((String::from_utf8(output).unwrap(), summary.masked), (secret(PLACEHOLDER), 1), "{value}");
    }
    // The value's own limit.
    let limits = MaskLimits { annotation_bytes_max: packed.len() - 1, ..MaskLimits::default() };
    let (output, _) =
        super::pieces(plan("secrets", Profile::Strict), limits, secret(&packed).as_bytes().chunks(100)).unwrap();
    assert_eq!(String::from_utf8(output).unwrap(), secret(PLACEHOLDER));
}

#[test]
fn the_same_release_is_masked_into_the_same_bytes() {
    let packed = pack(release().to_string().as_bytes(), Stored::InSecret).unwrap();
    let first = whole(plan("secrets", Profile::Strict), secret(&packed).as_bytes()).unwrap();
    assert_eq!(whole(plan("secrets", Profile::Strict), secret(&packed).as_bytes()).unwrap(), first);
    let mut masker = Masker::new(plan("secrets", Profile::Strict), MaskLimits::default());
    masker.push(secret(&packed).as_bytes(), &mut Vec::new()).unwrap();
    let password = masker.counts().by_key().iter().find(|count| count.key == "rootPassword").unwrap();
    assert_eq!((password.reason, password.values), (Reason::Release, 1));
}
