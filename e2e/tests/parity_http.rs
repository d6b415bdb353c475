//! The corpus of raw requests: status, the headers that matter, and the body are the same straight to the API server and through Lockgate, over
//! HTTP/1.1 and HTTP/2.

use std::fmt::Write;
use std::sync::Arc;

use e2e::environment::Environment;
use e2e::http::{Answer, Door, Protocol, Stream, tls};
use e2e::normalise::{AGES, ALWAYS, normalise};
use e2e::person::{decide, pending, records, text};
use e2e::program::{Way, admin};
use e2e::{token, unique, until, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Headers that clients act on.
const HEADERS: &[&str] =
    &["content-type", "etag", "cache-control", "vary", "warning", "location", "allow", "retry-after"];

const DISCOVERY_V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
const OPENAPI_V2: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRICT_BODY: &str = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"http-strict"},"silly":1}"#;
const MAP: &str = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"http-map"},"data":{"a":"1"}}"#;
const STALE: &str =
    r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"shop-settings","resourceVersion":"1"}}"#;
const MAPS: &str = "/api/v1/namespaces/shop/configmaps";

/// Method, path, headers, body.
type Call = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const CORPUS: &[Call] = &[
    ("GET", "/api", &[("accept", DISCOVERY_V2)], ""),
    ("GET", "/apis", &[("accept", DISCOVERY_V2)], ""),
    ("GET", "/api", &[("accept", JSON)], ""),
    ("GET", "/apis", &[("accept", JSON)], ""),
    ("GET", "/api/v1", &[("accept", JSON)], ""),
    ("GET", "/apis/apps/v1", &[("accept", JSON)], ""),
    ("GET", "/apis/apps", &[], ""),
    ("GET", "/openapi/v2", &[("accept", OPENAPI_V2)], ""),
    ("GET", "/openapi/v3", &[("accept", JSON)], ""),
    ("GET", "/version", &[], ""),
    ("GET", "/version/", &[], ""),
    ("GET", "/healthz", &[], ""),
    ("GET", "/livez", &[], ""),
    ("GET", "/readyz", &[], ""),
    ("GET", "/api/v1/namespaces/shop/pods/toolbox", &[("accept", JSON)], ""),
    ("GET", "/api/v1/namespaces/shop/pods/toolbox", &[("accept", METADATA)], ""),
    ("GET", "/api/v1/namespaces/shop/pods/toolbox", &[("accept", TABLE)], ""),
    ("GET", "/api/v1/namespaces/shop/pods?labelSelector=app%3Dtoolbox", &[("accept", METADATA_LIST)], ""),
    ("GET", "/api/v1/namespaces/shop/services?fieldSelector=metadata.name%3Dweb", &[("accept", JSON)], ""),
    ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Adiscovery", &[("accept", JSON)], ""),
    ("GET", "/api/v1/namespaces/shop/pods/missing", &[("accept", JSON)], ""),
    ("GET", "/api/v1/namespaces/missing/pods", &[("accept", JSON)], ""),
    ("GET", "/apis/missing.example.com/v1", &[("accept", JSON)], ""),
    ("GET", "/api/v1/namespaces/shop/nonsense", &[("accept", JSON)], ""),
    ("POST", MAPS, &[("content-type", JSON)], MAP),
    ("POST", MAPS, &[("content-type", JSON)], MAP),
    ("POST", "/api/v1/namespaces/shop/configmaps?dryRun=All", &[("content-type", JSON)], MAP),
    (
        "POST",
        "/api/v1/namespaces/shop/configmaps?dryRun=All&fieldValidation=Strict",
        &[("content-type", JSON)],
        STRICT_BODY,
    ),
    (
        "POST",
        "/api/v1/namespaces/shop/configmaps?dryRun=All&fieldValidation=Warn",
        &[("content-type", JSON)],
        STRICT_BODY,
    ),
    ("PATCH", "/api/v1/namespaces/shop/configmaps/http-map", &[("content-type", MERGE)], r#"{"data":{"b":"2"}}"#),
    (
        "PATCH",
        "/api/v1/namespaces/shop/configmaps/http-map?dryRun=All",
        &[("content-type", MERGE)],
        r#"{"data":{"c":"3"}}"#,
    ),
    ("PUT", "/api/v1/namespaces/shop/configmaps/shop-settings", &[("content-type", JSON)], STALE),
    ("DELETE", "/api/v1/namespaces/shop/configmaps/http-map?dryRun=All", &[], ""),
    ("DELETE", "/api/v1/namespaces/shop/configmaps/http-map", &[], ""),
    ("DELETE", "/api/v1/namespaces/shop/configmaps/http-map", &[], ""),
];

fn seen(answer: &Answer) -> (u16, Vec<(&'static str, String)>, String) {
    let headers = HEADERS.iter().map(|name| (*name, answer.header(name).to_owned())).collect();
    let text = answer.text();
    let lists: &[&[_]] = if text.starts_with(r#"{"kind":"Table""#) { &[ALWAYS, AGES] } else { &[ALWAYS] };
    (answer.status.as_u16(), headers, normalise(&text, lists))
}

/// Removes what a run that was cut short left behind.
async fn remove(name: &str) {
    admin(["delete", "configmap", name, "--ignore-not-found"]).await;
}

#[tokio::test]
async fn the_corpus_is_answered_the_same() {
    remove("http-map").await;
    let mut differences = String::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut answers = Vec::new();
        for way in [Way::Direct, Way::Through] {
            let door = Door::agent(way, protocol).await;
            let mut of_this_way = Vec::new();
            for (method, path, headers, body) in CORPUS {
                of_this_way.push(door.send(method, path, headers, body.as_bytes()).await);
            }
            answers.push(of_this_way);
        }
        for ((call, direct), through) in CORPUS.iter().zip(&answers[0]).zip(&answers[1]) {
            let (direct, through) = (seen(direct), seen(through));
            if direct != through {
                let cut = |text: &str| text.chars().take(1_500).collect::<String>();
                let show = |seen: &(u16, Vec<_>, String)| format!("{} {:?}\n{}", seen.0, seen.1, cut(&seen.2));
                writeln!(
                    differences,
                    "\n{protocol:?} {} {}\n--- direct: {}\n--- through: {}",
                    call.0,
                    call.1,
                    show(&direct),
                    show(&through)
                )
                .unwrap();
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// C02: the index passes unchanged, the hash query, the entity tag and 304 too.
#[tokio::test]
async fn openapi_v3_is_cached_as_directly() {
    let mut answers = Vec::new();
    for way in [Way::Direct, Way::Through] {
        let door = Door::agent(way, Protocol::Http2).await;
        let index = door.get("/openapi/v3", &[("accept", JSON)]).await.json();
        let path =
            index.pointer("/paths/apis~1apps~1v1/serverRelativeURL").and_then(|url| url.as_str()).unwrap().to_owned();
        assert!(path.starts_with("/openapi/v3/apis/apps/v1?hash="), "{path}");
        let full = door.get(&path, &[("accept", JSON)]).await;
        assert_eq!(full.status, 200);
        let again = door.get(&path, &[("accept", JSON), ("if-none-match", full.header("etag"))]).await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
        answers.push((path, seen(&full), seen(&again)));
    }
    assert!(answers[0] == answers[1]);
    // A client that lost the prefix on the way: no cluster is the default, and the attempt is on record.
    let lost = format!("{}&lost={}", answers[1].0, unique());
    let door = Door::to(&Environment::get().demo.gateway_url, &token::agent().await, Protocol::Http1);
    let refused = door.get(&lost, &[("accept", JSON)]).await;
    let status = refused.json();
    assert_eq!((refused.status.as_u16(), text(&status, "/reason")), (404, "NotFound"), "{status}");
    assert!(text(&status, "/message").contains("/clusters/<name>"), "{status}");
    let record = until("the attempt is on record", || async {
        records(&[])
            .await
            .into_iter()
            .find(|record| record["requestUri"].as_str().is_some_and(|uri| uri.contains(&lost)))
    })
    .await;
    assert_eq!((text(&record, "/outcome"), text(&record, "/subject/id")), ("refused", "shop-agent"), "{record}");
    assert!(record["upstream"].is_null(), "{record}");
}

/// A `PUT` of JSON over HTTP/1.1 whose sender waits for `100 Continue`.
struct Waiting {
    connection: TlsStream<TcpStream>,
    read: Vec<u8>,
}

impl Waiting {
    async fn put(path: &str, length: usize) -> Self {
        let gateway: http::Uri = Environment::get().cluster_url().parse().unwrap();
        let (host, port) = (gateway.host().unwrap().to_owned(), gateway.port_u16().unwrap());
        let tcp = TcpStream::connect((host.as_str(), port)).await.expect("the gateway");
        let connector = TlsConnector::from(Arc::new(tls(false)));
        let mut connection = connector.connect(host.clone().try_into().unwrap(), tcp).await.expect("TLS");
        let head = format!(
            "PUT {}{path} HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer {}\r\ncontent-type: {JSON}\r\n\
             content-length: {length}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
            gateway.path(),
            token::agent().await
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        Self { connection, read: Vec::new() }
    }

    /// The next head's status.
    async fn status(&mut self) -> u16 {
        let head = async {
            loop {
                if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                    let rest = self.read.split_off(end + 4);
                    return String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap();
                }
                let read = self.connection.read_buf(&mut self.read).await.unwrap();
                assert!(read > 0, "closed: {}", String::from_utf8_lossy(&self.read));
            }
        };
        let head = within("a head", head).await;
        head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{head}"))
    }
}

/// C03: the body of a client that waits to be told so arrives whole, allowed or held; who is denied on the URL alone is told so
/// instead.
#[tokio::test]
async fn c03_who_waits_for_100_continue_is_told_and_its_whole_body_is_stored() {
    let name = format!("continue-{}", unique());
    let object = |kind: &str| {
        let data = json!({"payload": "p".repeat(if kind == "Secret" { 400_000 } else { 900_000 })});
        let field = if kind == "Secret" { "stringData" } else { "data" };
        json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: data}).to_string()
    };
    admin(["create", "configmap", &name]).await;
    let body = object("ConfigMap");
    let mut allowed = Waiting::put(&format!("{MAPS}/{name}"), body.len()).await;
    assert_eq!(allowed.status().await, 100);
    allowed.connection.write_all(body.as_bytes()).await.unwrap();
    assert_eq!(allowed.status().await, 200);
    let stored = admin(["get", "configmap", &name, "--output", "json"]).await.json();
    assert!(text(&stored, "/data/payload").len() == 900_000, "the whole body is stored");

    admin(["create", "secret", "generic", &name]).await;
    let body = object("Secret");
    let mut held = Waiting::put(&format!("/api/v1/namespaces/shop/secrets/{name}"), body.len()).await;
    assert_eq!(held.status().await, 100, "its body is a part of what a human decides on");
    held.connection.write_all(body.as_bytes()).await.unwrap();
    let ticket = pending(&name, &[]).await;
    decide("approve", &ticket, "go ahead").await.ok();
    assert_eq!(held.status().await, 200);
    let stored = admin(["get", "secret", &name, "--output", "json"]).await.json();
    assert_eq!(text(&stored, "/data/payload").len(), 400_000_usize.div_ceil(3) * 4, "in base64");

    let mut denied = Waiting::put(&format!("/api/v1/namespaces/kube-system/configmaps/{name}"), 900_000).await;
    assert_eq!(denied.status().await, 403, "at once: nothing in its body could change that");
    admin(["delete", "configmap,secret", &name]).await;
}

/// A list in chunks: as many pages, the same items, a token that leads on.
#[tokio::test]
async fn a_list_in_chunks_is_the_same() {
    let mut pages = Vec::new();
    for way in [Way::Direct, Way::Through] {
        let door = Door::agent(way, Protocol::Http1).await;
        let mut next = String::new();
        let mut names: Vec<Vec<String>> = Vec::new();
        loop {
            let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles?limit=20&continue={next}");
            let page = door.get(&path, &[("accept", JSON)]).await.json();
            let items = page.pointer("/items").and_then(|items| items.as_array()).unwrap();
            names.push(items.iter().map(|item| item.pointer("/metadata/name").unwrap().to_string()).collect());
            next = page.pointer("/metadata/continue").and_then(|token| token.as_str()).unwrap_or_default().to_owned();
            if next.is_empty() {
                break;
            }
        }
        pages.push(names);
    }
    assert!(pages[0].len() > 2);
    assert_eq!(pages[0], pages[1]);
}

/// C08: the bookmark that ends the initial events arrives unchanged, as do the events before and after it.
#[tokio::test]
async fn a_streaming_list_is_the_same() {
    remove("http-streamed").await;
    admin(["create", "configmap", "http-streamed", "--from-literal=a=1"]).await;
    admin(["label", "configmap", "http-streamed", "http=streamed"]).await;
    let path = format!(
        "{MAPS}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&labelSelector=http%3Dstreamed"
    );
    for protocol in [Protocol::Http1, Protocol::Http2] {
        // Both watch the same object at the same time: nothing needs to be normalised but where the bookmark stands.
        let mut direct: Stream =
            Door::agent(Way::Direct, protocol).await.stream("GET", &path, &[("accept", JSON)], b"").await;
        let mut through: Stream =
            Door::agent(Way::Through, protocol).await.stream("GET", &path, &[("accept", JSON)], b"").await;
        assert_eq!((direct.status.as_u16(), through.status.as_u16()), (200, 200));
        assert_eq!(String::from_utf8(direct.line().await), String::from_utf8(through.line().await), "{protocol:?}");
        let (bookmark, ours) = (direct.line().await, through.line().await);
        let text = |line: &[u8]| normalise(&String::from_utf8_lossy(line), &[ALWAYS]);
        assert_eq!(text(&bookmark), text(&ours), "{protocol:?}");
        let ours: Value = serde_json::from_slice(&ours).unwrap();
        assert_eq!(ours["type"], "BOOKMARK");
        assert_eq!(ours["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
        assert!(
            ours["object"]["metadata"]["resourceVersion"]
                .as_str()
                .is_some_and(|version| version.parse::<u64>().is_ok())
        );
        let later = format!("http={protocol:?}");
        admin(["annotate", "configmap", "http-streamed", "--overwrite", &later]).await;
        assert_eq!(String::from_utf8(direct.line().await), String::from_utf8(through.line().await), "{protocol:?}");
    }
    remove("http-streamed").await;
}

/// Methods that Kubernetes does not have: a clear refusal, whatever its wording.
#[tokio::test]
async fn unknown_methods_are_refused() {
    let door = Door::agent(Way::Through, Protocol::Http1).await;
    for method in ["TRACE", "PROPFIND"] {
        let answer = door.send(method, "/api/v1/namespaces/shop/pods", &[], b"").await;
        assert_eq!(answer.status, 405, "{method}: {}", answer.text());
        assert_eq!(answer.json()["kind"], "Status");
    }
}
