//! The value of a Secret never reaches the agent, whatever it asks for: a canary, raw, in base64 at its three alignments and JSON-escaped, is in no
//! byte that the client gets once TLS is off. Keys are shown.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::environment::Environment;
use e2e::http::{Door, Protocol};
use e2e::person::{Who, approval, decide, lockgate, text};
use e2e::program::{Way, admin, administrator, kubectl, run, run_with_input};
use e2e::{unique, until};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// A held write of a Secret may be known by nothing but its coming: one at a time.
static WRITES: Mutex<()> = Mutex::const_new(());

const SECRETS: &str = "/api/v1/namespaces/shop/secrets";
const JSON: &str = "application/json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A Secret whose value is looked for.
struct Canary {
    name: String,
    value: String,
    /// What must not be seen.
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    fn new() -> Self {
        let name = format!("masking-{}", unique());
        // What JSON escapes is in it, so that its escaped form is another than itself.
        let value = format!("canary \"{}\" \\ <{}> & end", unique(), unique());
        let mut forms = vec![("raw", value.clone().into_bytes())];
        let escaped = json!(value).to_string();
        forms.push(("JSON-escaped", escaped.trim_matches('"').as_bytes().to_vec()));
        // As Go escapes it, and once more inside of an annotation.
        let go = escaped.trim_matches('"').replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        forms.push(("escaped by Go", go.clone().into_bytes()));
        forms.push(("escaped twice", json!(go).to_string().trim_matches('"').as_bytes().to_vec()));
        for (alignment, form) in
            ["base64, first alignment", "base64, second alignment", "base64, third alignment"].into_iter().enumerate()
        {
            let encoded = STANDARD.encode([&b"xx"[..alignment], value.as_bytes()].concat());
            // Without the characters that neighbours have a part in.
            let inner = &encoded.as_bytes()[if alignment == 0 { 0 } else { 4 }..encoded.len() / 4 * 4 - 4];
            forms.push((form, inner.to_vec()));
        }
        forms.push(("base64 twice", STANDARD.encode(STANDARD.encode(&value)).into_bytes()));
        // The random words alone: no escaping and no cutting hides them.
        let words: Vec<Vec<u8>> = value
            .split(|character: char| !character.is_ascii_hexdigit())
            .filter(|word| word.len() == 10)
            .map(Into::into)
            .collect();
        assert_eq!(words.len(), 2);
        forms.extend(words.into_iter().map(|word| ("a word of it", word)));
        Self { name, value, forms }
    }

    fn manifest(&self) -> String {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": self.name, "labels": {"masking": self.name}}, "type": "Opaque",
            "stringData": {"password": self.value}, "data": {"twice": STANDARD.encode(STANDARD.encode(&self.value))},
        })
        .to_string()
    }

    /// In the cluster, with the value in last-applied-configuration and in managedFields' neighbourhood too.
    async fn applied() -> Self {
        let canary = Self::new();
        run_with_input(administrator(["apply", "-f", "-"]), canary.manifest().as_bytes()).await.ok();
        let stored = admin(["get", "secret", &canary.name, "-o", "json"]).await.out();
        assert!(canary.leak(stored.as_bytes()).is_some(), "the cluster itself shows it: the search works");
        canary
    }

    fn leak(&self, bytes: &[u8]) -> Option<&'static str> {
        let holds = |form: &[u8]| bytes.windows(form.len()).any(|window| window == form);
        self.forms.iter().find(|(_, form)| holds(form)).map(|(name, _)| *name)
    }

    #[track_caller]
    fn absent(&self, what: &str, bytes: &[u8]) {
        if let Some(form) = self.leak(bytes) {
            panic!("{what}: the canary is there, {form}:\n{}", String::from_utf8_lossy(bytes));
        }
    }

    async fn delete(&self) {
        admin(["delete", "secret", &self.name, "--ignore-not-found"]).await;
    }
}

#[tokio::test]
async fn no_read_shows_the_value() {
    let canary = Canary::applied().await;
    let one = format!("{SECRETS}/{}", canary.name);
    let list = format!("{SECRETS}?labelSelector=masking%3D{}", canary.name);
    let watch = |more: &str| format!("{list}&watch=true&timeoutSeconds=1{more}");
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let door = Door::agent(Way::Through, protocol).await;
        let reads: Vec<(String, String)> = vec![
            (one.clone(), JSON.into()),
            (one.clone(), "application/yaml".into()),
            (one.clone(), PROTOBUF.into()),
            (one.clone(), format!("{PROTOBUF},{JSON}")),
            (one.clone(), "*/*, application/yaml;q=0.9".into()),
            (one.clone(), "application/cbor".into()),
            (one.clone(), METADATA.into()),
            (one.clone(), METADATA.replace(JSON, PROTOBUF)),
            (one.clone(), TABLE.into()),
            (format!("{one}?includeObject=Object"), TABLE.into()),
            (format!("{one}?includeObject=Metadata"), TABLE.into()),
            (format!("{one}?pretty=true"), JSON.into()),
            (list.clone(), JSON.into()),
            (list.clone(), METADATA_LIST.into()),
            (format!("{list}&includeObject=Object"), TABLE.into()),
            (format!("{list}&limit=1"), JSON.into()),
            (format!("/api/v1/secrets?labelSelector=masking%3D{}", canary.name), JSON.into()),
            (watch(""), JSON.into()),
            (watch("&includeObject=Object"), TABLE.into()),
            (watch(""), format!("{METADATA},{JSON}")),
            (watch("&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"), JSON.into()),
            (watch(""), format!("{PROTOBUF};stream=watch,{JSON}")),
            (format!("/api/v1/watch/namespaces/shop/secrets/{}?timeoutSeconds=1", canary.name), JSON.into()),
        ];
        let mut shown = 0;
        for (path, accept) in &reads {
            let answer = door.get(path, &[("accept", accept)]).await;
            let what = format!("{protocol:?} GET {path} as {accept} ({})", answer.status);
            canary.absent(&what, &answer.body);
            canary.absent(&what, format!("{:?}", answer.headers).as_bytes());
            let is_answered = answer.status == 200 && !answer.body.is_empty();
            assert!(
                is_answered || [400, 403, 404, 406, 415].contains(&answer.status.as_u16()),
                "{what}: {}",
                answer.text()
            );
            shown += usize::from(is_answered && answer.text().contains("password"));
        }
        assert!(shown >= 8, "most of these forms show the keys: {shown}");
        let as_json = door.get(&one, &[("accept", JSON)]).await.json();
        let placeholder = as_json["data"]["password"].as_str().expect("the key is there");
        STANDARD.decode(placeholder).expect("its placeholder is valid base64");
    }
    canary.delete().await;
}

#[tokio::test]
async fn no_kubectl_command_shows_the_value() {
    let canary = Canary::applied().await;
    for line in [
        "get secret NAME",
        "get secret NAME -o wide",
        "get secret NAME -o yaml",
        "get secret NAME -o json",
        "get secret NAME -o jsonpath={.data}",
        "get secret NAME -o go-template={{.}}",
        "get secret NAME -o yaml --show-managed-fields",
        "get secrets -o yaml",
        "describe secret NAME",
        "describe secrets",
        "apply view-last-applied secret NAME",
        "get secret NAME --output-watch-events -w --request-timeout=2s -o yaml",
        "get secret NAME -v=9",
    ] {
        let line = line.replace("NAME", &canary.name);
        let said = run(kubectl(Way::Through, line.split_whitespace())).await;
        canary.absent(&line, said.text().as_bytes());
        if line.ends_with("yaml") || line.starts_with("describe") {
            assert!(said.out().contains("password"), "{line} shows the keys: {}", said.text());
        }
    }
    canary.delete().await;
}

/// Writes of Secrets are held; the answers to those that a human approved carry the whole object, and hide its values.
#[tokio::test]
async fn no_answer_to_a_write_shows_the_value() {
    let _alone = WRITES.lock().await;
    let canary = Canary::applied().await;
    let one = format!("{SECRETS}/{}", canary.name);
    let other = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("{}-new", canary.name)},
        "stringData": {"password": canary.value}})
    .to_string();
    let apply = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": canary.name, "annotations": {"seen": "yes"}}}).to_string();
    let name = canary.name.as_str();
    let merge = r#"{"metadata":{"annotations":{"by":"merge"}}}"#;
    let writes: Vec<(&str, String, &str, &str)> = vec![
        ("PATCH", one.clone(), "application/merge-patch+json", merge),
        ("PATCH", format!("{one}?dryRun=All"), "application/strategic-merge-patch+json", merge),
        ("PATCH", format!("{one}?fieldManager=masking"), "application/apply-patch+yaml", &apply),
        ("POST", format!("{SECRETS}?dryRun=All"), JSON, &other),
        ("DELETE", format!("{SECRETS}?dryRun=All&labelSelector=masking%3D{name}"), JSON, ""),
        ("DELETE", format!("{one}?dryRun=All"), JSON, ""),
    ];
    let door = Door::agent(Way::Through, Protocol::Http2).await;
    for (method, path, content_type, body) in &writes {
        let answer = released(&door, method, path, content_type, body).await;
        let what = format!("{method} {path} ({})", answer.status);
        canary.absent(&what, &answer.body);
        assert!(answer.status.is_success(), "{what}: {}", answer.text());
        assert!(answer.text().contains("password") || *method == "DELETE", "{what} shows the keys: {}", answer.text());
    }
    canary.delete().await;
}

/// Sends a request and has the approver agree if it is held.
async fn released(door: &Door, method: &str, path: &str, content_type: &str, body: &str) -> e2e::http::Answer {
    let (method, path, content_type, body) =
        (method.to_owned(), path.to_owned(), content_type.to_owned(), body.to_owned());
    let door = door.clone();
    let known = pending_ids().await;
    let sent =
        tokio::spawn(
            async move { door.send(&method, &path, &[("content-type", &content_type)], body.as_bytes()).await },
        );
    loop {
        if sent.is_finished() {
            return sent.await.unwrap();
        }
        if let Some(id) = pending_ids().await.into_iter().find(|id| !known.contains(id)) {
            decide("approve", &id, "a test").await.ok();
            return sent.await.unwrap();
        }
    }
}

/// Held requests on Secrets.
async fn pending_ids() -> Vec<String> {
    let list = lockgate(Who::Approver, &["approvals", "list", "--state", "pending"]).await.ok().json();
    let of_secrets = |approval: &&Value| text(approval, "/action/resource") == "secrets";
    list.as_array().unwrap().iter().filter(of_secrets).map(|approval| text(approval, "/id").to_owned()).collect()
}

/// What people see of a held write hides it too, and so does the log.
#[tokio::test]
async fn neither_the_approval_nor_the_log_shows_the_value() {
    let _alone = WRITES.lock().await;
    let canary = Canary::new();
    let known = pending_ids().await;
    let create = kubectl(
        Way::Through,
        ["create", "secret", "generic", &canary.name, &format!("--from-literal=password={}", canary.value)],
    );
    let create = tokio::spawn(run(create));
    let id =
        until("the write is held", || async { pending_ids().await.into_iter().find(|id| !known.contains(id)) }).await;
    let shown = approval(&id).await;
    canary.absent("approvals show", shown.to_string().as_bytes());
    assert!(shown.to_string().contains("password"), "the key is shown: {shown}");
    decide("deny", &id, "a test").await.ok();
    let refused = create.await.unwrap();
    assert_eq!(refused.code, Some(1));
    canary.absent("the refusal", refused.text().as_bytes());
    let record = lockgate(Who::Auditor, &["audit", "show", text(&shown, "/auditId")]).await.ok();
    canary.absent("audit show", &record.stdout);
    assert_eq!(
        run(administrator(["get", "secret", &canary.name])).await.code,
        Some(1),
        "nothing reached {}",
        Environment::get().demo.cluster
    );
}
