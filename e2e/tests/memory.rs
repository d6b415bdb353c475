//! Large lists pass through the real binary in flat memory, masked or filtered, over both protocols. A debug binary serves as
//! well as a release one: what is bounded is memory, not time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use e2e::standalone::{Certificate, Client, Directory, Gateway, Issuer, Protocol, Server, Settings, chunks};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use memchr::memmem::Finder;
use serde_json::{Value, json};
use tokio::time::Instant;

const MEBIBYTE: u64 = 1024 * 1024;
const LIST_BYTES: u64 = 300 * 1_000_000;
const GROWTH_MAX: u64 = 64 * MEBIBYTE;
/// Items of one chunk.
const ITEMS: usize = 40;
/// Long enough that no other text has it by chance, also when the first and last characters in base64 depend on what is beside it.
const CANARY: &str = "canary-4f7c1e9a62d85b03-of-the-memory-test";

fn annotation(object: &Value) -> Value {
    json!({"kubectl.kubernetes.io/last-applied-configuration": format!("{object}\n")})
}

/// As Go writes it, with what makes real lists large.
fn metadata(name: &str, applied: &Value) -> Value {
    json!({
        "name": name, "namespace": "shop", "uid": "0b1b1f7e-7d0c-4d53-9f9c-3f2f6b0f6a54", "resourceVersion": "123456",
        "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"app": "web", "pod-template-hash": "5d4f8c7b9"},
        "annotations": annotation(applied),
        "managedFields": [{"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "time": "2026-01-02T03:04:05Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:data": {".": {}}}}],
    })
}

/// A Secret with the canary in base64 at three alignments, and once more as it was applied.
fn secret(number: usize) -> Value {
    let at = |alignment: usize| STANDARD.encode(format!("{}{CANARY}", "x".repeat(alignment)));
    let data = json!({"a": at(0), "b": at(1), "c": at(2), "token": at(0) + &STANDARD.encode("y".repeat(1_200))});
    let applied = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data,
        "stringData": {"plain": format!("\"{CANARY}\"")}});
    json!({"metadata": metadata(&format!("secret-{number}"), &applied), "data": data, "type": "Opaque"})
}

fn pod(number: usize) -> Value {
    let container = json!({"name": "web", "image": "registry.example/web:1", "env": [{"name": "COLOR", "value": "blue"}],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/web", "readOnly": true}],
        "resources": {"limits": {"cpu": "500m", "memory": "128Mi"}}, "terminationMessagePath": "/dev/termination-log"});
    let spec = json!({"containers": [container], "nodeName": "node-1", "serviceAccountName": "default"});
    let applied = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec});
    let status = json!({"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]});
    json!({"metadata": metadata(&format!("pod-{number}"), &applied), "spec": spec, "status": status})
}

/// A list of so many blocks of items, made while it is read.
fn list(kind: &str, item: fn(usize) -> Value, blocks: u64) -> impl Iterator<Item = Bytes> + Send + 'static {
    let head = format!(r#"{{"kind":"{kind}List","apiVersion":"v1","metadata":{{"resourceVersion":"1"}},"items":["#);
    let block: Bytes = (0..ITEMS).map(|number| item(number).to_string()).collect::<Vec<_>>().join(",").into();
    let blocks = (0..blocks).flat_map(move |number| {
        let comma = if number == 0 { Bytes::new() } else { Bytes::from_static(b",") };
        [comma, block.clone()]
    });
    std::iter::once(Bytes::from(head)).chain(blocks).chain([Bytes::from_static(b"]}\n")])
}

fn bytes(list: impl Iterator<Item = Bytes>) -> u64 {
    list.map(|chunk| chunk.len() as u64).sum()
}

/// How many blocks make a list of 300 MB.
fn blocks(kind: &str, item: fn(usize) -> Value) -> u64 {
    let (one, two) = (bytes(list(kind, item, 1)), bytes(list(kind, item, 2)));
    LIST_BYTES.div_ceil(two - one)
}

/// The resource of a path `…/namespaces/blocks-N/RESOURCE`.
fn answer(path: &str) -> impl Iterator<Item = Bytes> + Send + use<> {
    let mut parts = path.rsplit('/');
    let (resource, namespace) = (parts.next().unwrap(), parts.next().unwrap());
    let blocks = namespace.trim_start_matches("blocks-").parse().unwrap();
    let (kind, item): (_, fn(usize) -> Value) = if resource == "pods" { ("Pod", pod) } else { ("Secret", secret) };
    list(kind, item, blocks)
}

/// The canary in every form that it was sent in.
fn forms() -> Vec<Finder<'static>> {
    // Whole groups of three bytes only: the characters at both ends depend on the neighbours.
    let inner = |skip: usize| STANDARD.encode(&CANARY.as_bytes()[skip..skip + (CANARY.len() - skip) / 3 * 3]);
    let mut forms = vec![Finder::new(CANARY.as_bytes()).into_owned()];
    forms.extend((0..3).map(|skip| Finder::new(inner(skip).as_bytes()).into_owned()));
    forms
}

/// What the client read.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    bytes: u64,
    sha256: String,
    canaries: u64,
}

/// Reads an answer to its end and keeps nothing of it.
async fn read(client: &Client, protocol: Protocol, path: &str) -> Read {
    let answer = client.connect(protocol).await.unwrap().open("GET", path, b"").await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = answer.into_body();
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let (mut bytes, mut canaries, mut tail, forms) = (0, 0, Vec::new(), forms());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.expect("the whole answer").into_data() else { continue };
        bytes += data.len() as u64;
        hash.update(&data);
        // What ends in this chunk may have begun in the one before.
        tail.extend_from_slice(&data);
        canaries += forms.iter().filter(|form| form.find(&tail).is_some()).count() as u64;
        tail.drain(..tail.len().saturating_sub(CANARY.len() * 2));
    }
    let sha256 = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Read { bytes, sha256, canaries }
}

struct World {
    gateway: Gateway,
    client: Client,
    _servers: (Server, Issuer),
    _directory: Directory,
}

async fn world() -> World {
    let (directory, certificate) = (Directory::new("memory"), Certificate::new());
    let api = Server::start(&certificate, |head, _body| {
        let body = chunks(futures_util::stream::iter(answer(head.uri.path())));
        Response::builder().header("content-type", "application/json").body(body).unwrap()
    })
    .await;
    let issuer = Issuer::start(&certificate).await;
    let settings = Settings::new(directory.path(), &certificate, &issuer, &api.url());
    let gateway = Gateway::start(directory.path(), settings).await;
    let client = gateway.client(&certificate.certificate, &issuer.agent(&["deployers".to_owned()]));
    World { gateway, client, _servers: (api, issuer), _directory: directory }
}

/// Streams the large list, and checks the growth of resident memory at its highest.
async fn stream(world: &World, protocol: Protocol, path: &str) -> Read {
    world.gateway.forget_peak();
    let (before, from) = (world.gateway.memory("VmRSS"), Instant::now());
    let read = read(&world.client, protocol, path).await;
    let growth = world.gateway.memory("VmHWM").saturating_sub(before);
    eprintln!(
        "{path} over {protocol:?}: {} bytes in {:?}; resident before {} KiB, growth at most {} KiB",
        read.bytes,
        from.elapsed(),
        before / 1024,
        growth / 1024,
    );
    assert!(growth < GROWTH_MAX, "resident memory grew by {growth} bytes");
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_list_of_300_mb_is_masked_in_flat_memory() {
    let world = world().await;
    let path = |blocks: u64| format!("/api/v1/namespaces/blocks-{blocks}/secrets");
    // The smallest lists warm everything up, and say what a block is when it is masked.
    let one = read(&world.client, Protocol::Http2, &path(1)).await;
    let two = read(&world.client, Protocol::Http2, &path(2)).await;
    assert_eq!((one.canaries, two.canaries), (0, 0));
    let blocks = blocks("Secret", secret);
    let large = stream(&world, Protocol::Http2, &path(blocks)).await;
    assert_eq!(large.canaries, 0);
    assert_eq!(large.bytes, one.bytes + (blocks - 1) * (two.bytes - one.bytes), "something is missing or added");
    // The canary is found where it is: what the API server sent is full of it.
    let sent: Vec<u8> = list("Secret", secret, 1).flatten().collect();
    assert!(forms().iter().all(|form| form.find(&sent).is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_list_of_300_mb_passes_unchanged_in_flat_memory() {
    let world = world().await;
    let path = |blocks: u64| format!("/api/v1/namespaces/blocks-{blocks}/pods");
    read(&world.client, Protocol::Http1, &path(2)).await;
    let blocks = blocks("Pod", pod);
    let large = stream(&world, Protocol::Http1, &path(blocks)).await;
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    list("Pod", pod, blocks).for_each(|chunk| hash.update(&chunk));
    let sha256: String = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(large, Read { bytes: bytes(list("Pod", pod, blocks)), sha256, canaries: 0 });
}
