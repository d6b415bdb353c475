//! What an agent read masked it writes back with kubectl, in every way there is, and the cluster's object keeps its values: byte for
//! byte where nothing was meant to change. On a gateway and with an agent of the test's own, whose writes of Secrets nobody holds.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::agent::Agent;
use e2e::environment::Environment;
use e2e::gateway::{Gateway, configuration};
use e2e::program::{Said, admin, administrator, run, run_with_input};
use e2e::unique;
use serde_json::{Value, json};

const PLACEHOLDER: &str = "KiptYXNrZWQgYnkgbG9ja2dhdGUqKg==";

const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: writes}
rules:
- {name: read, match: {risk: [read, masked]}, allow: {}}
- {name: shop, match: {namespaces: [shop]}, allow: {}}
";

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A gateway and an agent of the test's own.
struct Door {
    agent: Agent,
    directory: PathBuf,
    _gateway: Gateway,
}

impl Door {
    async fn open(test: &str) -> Self {
        let directory = Environment::get().directory(&format!("writes-{test}-{}", unique()));
        let mut config = configuration(&directory.join("store"));
        let policy = directory.join("policy.yaml");
        std::fs::write(&policy, POLICY).unwrap();
        config["policy"] = json!({"file": policy});
        let gateway = Gateway::start(&directory, &config).await;
        Self { agent: Agent::new(&gateway).await, directory, _gateway: gateway }
    }

    async fn kubectl(&self, line: &str) -> Said {
        run(self.agent.kubectl(line.split_whitespace())).await
    }

    async fn kubectl_with(&self, line: &str, input: &str) -> Said {
        run_with_input(self.agent.kubectl(line.split_whitespace()), input.as_bytes()).await
    }

    /// `kubectl edit` in whose editor this sed script runs.
    async fn edit(&self, object: &str, script: &str) -> Said {
        let editor = self.directory.join("editor");
        std::fs::write(&editor, format!("#!/bin/sh\nexec sed -i -e '{script}' \"$1\"\n")).unwrap();
        std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = self.agent.kubectl(["edit", object]);
        command.env("KUBE_EDITOR", &editor);
        run(command).await
    }
}

/// A Secret that its administrator applied.
struct Applied {
    name: String,
    value: String,
}

impl Applied {
    async fn new() -> Self {
        let (name, value) = (format!("writes-{}", unique()), format!("canary \"{}\" <&> end", unique()));
        let manifest = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque",
            "data": {"password": STANDARD.encode(&value), "user": STANDARD.encode("ada")},
        });
        run_with_input(administrator(["apply", "-f", "-"]), manifest.to_string().as_bytes()).await.ok();
        Self { name, value }
    }

    /// As it is in the cluster.
    async fn live(&self) -> Value {
        admin(["get", "secret", &self.name, "-o", "json", "--show-managed-fields"]).await.json()
    }

    /// What people wrote: without what the API server adds on every write.
    async fn content(&self) -> Value {
        let mut object = self.live().await;
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.retain(|name, _| !["managedFields", "resourceVersion"].contains(&name.as_str()));
        assert!(!object.to_string().contains("masked by lockgate") && !object.to_string().contains("KiptYXNrZWQ"));
        object
    }

    /// The content with a label, which kubectl's copy has too where it was applied.
    fn labelled(&self, content: &Value, label: &str, in_copy: bool) -> Value {
        let mut content = content.clone();
        content["metadata"]["labels"] = json!({label: "yes"});
        if in_copy {
            let copy = content["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap();
            let mut copy: Value = serde_json::from_str(copy).unwrap();
            copy["metadata"]["labels"] = json!({label: "yes"});
            content["metadata"]["annotations"][LAST_APPLIED] = copy;
        }
        content
    }
}

/// kubectl's copy as the value that it says, since kubectl writes it anew; without what `get` has written into the file.
fn with_read_copy(mut content: Value) -> Value {
    if let Some(copy) = content["metadata"]["annotations"][LAST_APPLIED].as_str() {
        let mut copy: Value = serde_json::from_str(copy).unwrap();
        let metadata = copy["metadata"].as_object_mut().unwrap();
        metadata.retain(|name, _| !["creationTimestamp", "resourceVersion", "uid"].contains(&name.as_str()));
        content["metadata"]["annotations"][LAST_APPLIED] = copy;
    }
    content
}

#[tokio::test]
async fn what_is_written_back_unchanged_changes_nothing() {
    let (door, secret) = (Door::open("unchanged").await, Applied::new().await);
    let name = &secret.name;
    let shown = door.kubectl(&format!("get secret {name} -o yaml")).await.ok().out();
    assert!(shown.contains(PLACEHOLDER) && !shown.contains(&STANDARD.encode(&secret.value)));
    let before = secret.live().await;
    for line in ["apply -f - --dry-run=server", "replace -f - --dry-run=server"] {
        door.kubectl_with(line, &shown).await.ok();
        assert_eq!(secret.live().await, before, "{line}");
    }
    for options in ["", "--show-managed-fields"] {
        let shown = door.kubectl(&format!("get secret {name} -o json {options}")).await.ok().out();
        let line = format!("replace --raw /api/v1/namespaces/shop/secrets/{name} -f -");
        door.kubectl_with(&line, &shown).await.ok();
        assert_eq!(secret.live().await, before, "a PUT {options}: byte for byte, version and owners too");
    }
    assert!(door.edit(&format!("secret/{name}"), "").await.ok().text().contains("no changes made"));
    let content = secret.content().await;
    // In its copy kubectl notes that the file was one of `get`.
    for line in ["apply -f -", "replace -f -", "apply -f - --server-side --force-conflicts"] {
        let shown = door.kubectl(&format!("get secret {name} -o yaml")).await.ok().out();
        door.kubectl_with(line, &shown).await.ok();
        assert_eq!(with_read_copy(secret.content().await), with_read_copy(content.clone()), "{line}");
    }
    door.agent.remove().await;
}

#[tokio::test]
async fn what_the_agent_changed_is_changed_and_the_values_stay() {
    let door = Door::open("changed").await;
    for line in ["apply -f -", "replace -f -", "apply -f - --server-side --force-conflicts"] {
        let secret = Applied::new().await;
        let content = secret.content().await;
        let shown = door.kubectl(&format!("get secret {} -o yaml", secret.name)).await.ok().out();
        let edited = shown.replace("  name: writes-", "  labels: {edited: \"yes\"}\n  name: writes-");
        assert_ne!(edited, shown);
        door.kubectl_with(line, &edited).await.ok();
        let expected = with_read_copy(secret.labelled(&content, "edited", true));
        assert_eq!(with_read_copy(secret.content().await), expected, "{line}");
    }
    let secret = Applied::new().await;
    let (name, content) = (&secret.name, secret.content().await);
    let script = "s/^  name: writes-/  labels: {edited: \"yes\"}\\n&/";
    door.edit(&format!("secret/{name}"), script).await.ok();
    assert_eq!(secret.content().await, secret.labelled(&content, "edited", false), "edit");
    let patches = [
        (
            "merge",
            json!({"metadata": {"labels": {"merge": "yes", "edited": null}}, "data": {"password": PLACEHOLDER}}),
            "merge",
        ),
        (
            "strategic",
            json!({"metadata": {"labels": {"strategic": "yes", "merge": null}}, "data": {"password": PLACEHOLDER}}),
            "strategic",
        ),
        (
            "json",
            json!([{"op": "replace", "path": "/data/password", "value": PLACEHOLDER}, {"op": "add", "path": "/metadata/labels", "value": {"json": "yes"}}]),
            "json",
        ),
    ];
    for (kind, patch, label) in patches {
        let patch = patch.to_string();
        run(door.agent.kubectl(["patch", "secret", name, "--type", kind, "--patch", &patch])).await.ok();
        assert_eq!(secret.content().await, secret.labelled(&content, label, false), "{kind}");
    }
    // One value is new, the other stays.
    let shown = door.kubectl(&format!("get secret {name} -o json")).await.ok().json();
    let mut edited = shown;
    edited["data"]["user"] = json!(STANDARD.encode("grace"));
    door.kubectl_with("replace -f -", &edited.to_string()).await.ok();
    let data = secret.content().await["data"].clone();
    assert_eq!(data, json!({"password": STANDARD.encode(&secret.value), "user": STANDARD.encode("grace")}));
    door.agent.remove().await;
}

#[tokio::test]
async fn what_cannot_be_put_back_is_refused_with_its_field() {
    let (door, secret) = (Door::open("refused").await, Applied::new().await);
    let name = &secret.name;
    let before = secret.live().await;
    let shown = door.kubectl(&format!("get secret {name} -o yaml")).await.ok().out();
    let refused = |said: Said, field: &str| {
        assert_eq!(said.code, Some(1), "{}", said.text());
        assert!(said.err().contains(field), "{field}: {}", said.err());
    };
    let copied = shown.replace(&format!("  name: {name}"), &format!("  name: {name}-copy"));
    refused(door.kubectl_with("create -f -", &copied).await, "data.password");
    refused(door.kubectl_with("apply -f -", &copied).await, "data.password");
    assert_eq!(run(administrator(["get", "secret", &format!("{name}-copy")])).await.code, Some(1));
    let moved = shown.replace("  password:", "  other:");
    for line in
        ["replace -f -", "apply -f -", "apply -f - --server-side --force-conflicts", "apply -f - --dry-run=server"]
    {
        refused(door.kubectl_with(line, &moved).await, "data.other");
    }
    for (kind, patch, words) in [
        ("json", json!([{"op": "test", "path": "/data/password", "value": STANDARD.encode(&secret.value)}]), "masked"),
        ("json", json!([{"op": "test", "path": "/data/password", "value": "d3Jvbmc="}]), "masked"),
        ("json", json!([{"op": "copy", "from": "/data/password", "path": "/metadata/labels"}]), "masked"),
        ("merge", json!({"stringData": {"copy": "**masked by lockgate**"}}), "stringData.copy"),
    ] {
        let patch = patch.to_string();
        refused(run(door.agent.kubectl(["patch", "secret", name, "--type", kind, "--patch", &patch])).await, words);
    }
    let selector = format!("--field-selector=data.password={}", STANDARD.encode("x").trim_end_matches('='));
    refused(door.kubectl(&format!("get secrets {selector}")).await, "masked");
    assert_eq!(secret.live().await, before);
    // Changed by somebody else since it was read.
    admin(["label", "secret", name, "by=other"]).await;
    let before = secret.live().await;
    refused(door.kubectl_with("replace -f -", &shown).await, "the object has been modified");
    assert_eq!(secret.live().await, before);
    door.agent.remove().await;
}

/// A dry run is no oracle: the answers to a right and a wrong guess are the same, byte for byte.
#[tokio::test]
async fn leak_row_25_a_dry_run_says_the_same_to_every_guess() {
    let (door, secret) = (Door::open("guess").await, Applied::new().await);
    let name = &secret.name;
    let mut said = Vec::new();
    for guess in [secret.value.as_str(), "wrong"] {
        let patch = json!({"data": {"password": STANDARD.encode(guess)}}).to_string();
        let line = [
            "patch",
            "secret",
            name,
            "--type",
            "merge",
            "--dry-run=server",
            "-o",
            "json",
            "--show-managed-fields",
            "--patch",
            &patch,
        ];
        let mut shown = door.kubectl(&format!("get secret {name} -o json")).await.ok().json();
        shown["data"]["password"] = json!(STANDARD.encode(guess));
        let replaced =
            door.kubectl_with("replace -f - --dry-run=server -o json --show-managed-fields", &shown.to_string()).await;
        said.push((run(door.agent.kubectl(line)).await.ok().out(), replaced.ok().out()));
    }
    assert!(said[0].0.contains("managedFields"));
    assert_eq!(said[0], said[1]);
    door.agent.remove().await;
}
