//! A list of 20,000 objects of which an agent may see ten: in flat memory, and the first of them at once. Against an API server of
//! the test's own, which says when it goes on.

use std::sync::Arc;

use bytes::Bytes;
use e2e::standalone::{Certificate, Client, Directory, Gateway, Issuer, Protocol, Server, Settings, chunks};
use e2e::within;
use futures_util::stream::{iter, once};
use futures_util::{FutureExt, StreamExt};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

const OBJECTS: usize = 20_000;
const SHOWN: usize = 10;
/// Objects of one chunk.
const BLOCK: usize = 40;
/// The list itself is eight times as large.
const GROWTH_MAX: u64 = 8 * 1024 * 1024;

/// Two agents: one sees all, to compare with; the other by name, or where the request says so by content.
const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: large}
rules:
- name: all
  match: {namespaces: [all]}
  allow: {mask: strict}
- name: named
  match: {namespaces: [named], names: ['shown-*']}
  allow: {mask: strict}
- name: content
  match: {namespaces: [content]}
  when: object.spec.nodeName == 'node-shown'
  allow: {mask: strict}
";

/// Some 4 KB, with `@` where its number stands and `~` for what says whether it may be seen.
fn template(namespace: &str) -> Value {
    let fields: Vec<Value> = (0..12)
        .map(|field| json!({"manager": format!("manager-{field}"), "operation": "Update", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:data": {".": {}}}}))
        .collect();
    let container = json!({"name": "web", "image": "registry.example/web:1", "env": [{"name": "TEXT", "value": "x".repeat(1_500)}]});
    json!({
        "metadata": {"name": "~-@", "namespace": namespace, "uid": "uid-@", "resourceVersion": "123456",
            "labels": {"app": "web"}, "managedFields": fields},
        "spec": {"containers": [container], "nodeName": "node-~"},
        "status": {"phase": "Running", "podIP": "10.0.0.1"},
    })
}

/// How many there are. A debug binary takes its time to look into whole objects.
fn objects(namespace: &str) -> usize {
    if namespace == "content" { OBJECTS / 4 } else { OBJECTS }
}

/// Evenly spread, the first one first.
fn is_shown(number: usize) -> bool {
    number.is_multiple_of(OBJECTS / SHOWN)
}

fn pod(template: &str, number: usize) -> String {
    let shown = if is_shown(number) { "shown" } else { "hidden" };
    template.replace('~', shown).replace('@', &number.to_string())
}

fn block(template: &str, number: usize) -> Bytes {
    let pods: Vec<String> = (number * BLOCK..(number + 1) * BLOCK).map(|number| pod(template, number)).collect();
    let comma = if number == 0 { "" } else { "," };
    Bytes::from(format!("{comma}{}", pods.join(",")))
}

struct World {
    gateway: Gateway,
    client: Client,
    /// One permit lets one list go on behind its first block.
    goes_on: Arc<Semaphore>,
    _servers: (Server, Issuer),
    _directory: Directory,
}

async fn world() -> World {
    let (directory, certificate) = (Directory::new("filter"), Certificate::new());
    let goes_on = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&goes_on);
    let api = Server::start(&certificate, move |head, _body| {
        let namespace = head.uri.path().rsplit('/').nth(1).unwrap().to_owned();
        let start = r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1","remainingItemCount":7},"items":["#;
        let gate = Arc::clone(&gate);
        let waits = async move {
            gate.acquire().await.unwrap().forget();
            Bytes::new()
        };
        let template = template(&namespace).to_string();
        let first = block(&template, 0);
        let rest = (1..objects(&namespace) / BLOCK).map(move |number| block(&template, number));
        let body = iter([Bytes::from_static(start.as_bytes()), first])
            .chain(once(waits.boxed()))
            .chain(iter(rest))
            .chain(iter([Bytes::from_static(b"]}\n")]));
        Response::builder().header("content-type", "application/json").body(chunks(body)).unwrap()
    })
    .await;
    let issuer = Issuer::start(&certificate).await;
    let settings = Settings::new(directory.path(), &certificate, &issuer, &api.url());
    std::fs::write(directory.path().join("policy.yaml"), POLICY).unwrap();
    let gateway = Gateway::start(directory.path(), settings).await;
    let client = gateway.client(&certificate.certificate, &issuer.agent(&["deployers".to_owned()]));
    World { gateway, client, goes_on, _servers: (api, issuer), _directory: directory }
}

/// Reads a list to its end; its first object must arrive before the rest is sent.
async fn read(world: &World, protocol: Protocol, namespace: &str) -> (u64, Vec<u8>) {
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let answer = world.client.connect(protocol).await.unwrap().open("GET", &path, b"").await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = answer.into_body();
    // Of the long list only the beginning is kept, so that the test itself needs no memory for it.
    let (mut bytes, mut kept) = (0, Vec::new());
    let mut began = false;
    while let Some(frame) = within("more of the list", body.frame()).await {
        let Ok(data) = frame.expect("the whole answer").into_data() else { continue };
        bytes += data.len() as u64;
        if kept.len() < 256 * 1024 {
            kept.extend_from_slice(&data);
        }
        if !began && kept.windows(7).any(|window| window == b"\"uid-0\"") {
            began = true;
            world.goes_on.add_permits(1);
        }
    }
    assert!(began, "the first object");
    (bytes, kept)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_of_20_000_objects_are_listed_in_flat_memory_and_the_first_at_once() {
    let world = world().await;
    let mut sizes = Vec::new();
    for (namespace, protocol) in
        [("all", Protocol::Http2), ("named", Protocol::Http1), ("named", Protocol::Http2), ("content", Protocol::Http2)]
    {
        world.gateway.forget_peak();
        let (before, from) = (world.gateway.memory("VmRSS"), Instant::now());
        let (bytes, kept) = read(&world, protocol, namespace).await;
        let growth = world.gateway.memory("VmHWM").saturating_sub(before);
        let took = from.elapsed();
        eprintln!(
            "{namespace} over {protocol:?}: {bytes} bytes to the client in {took:?}; growth {} KiB",
            growth / 1024
        );
        sizes.push(bytes);
        assert!(sizes[0] > 8 * GROWTH_MAX, "the list is large: {sizes:?}");
        if namespace == "all" {
            continue;
        }
        assert!(growth < GROWTH_MAX, "resident memory grew by {growth} bytes");
        let list: Value = serde_json::from_slice(&kept).expect("the list is whole");
        let (template, shown) = (template(namespace).to_string(), 0..objects(namespace));
        let shown = shown.filter(|number| is_shown(*number));
        let expected: Vec<Value> = shown.map(|number| serde_json::from_str(&pod(&template, number)).unwrap()).collect();
        assert_eq!(list["items"], json!(expected), "what passes is unchanged");
        assert_eq!(list["metadata"], json!({"resourceVersion": "1"}));
    }
}
