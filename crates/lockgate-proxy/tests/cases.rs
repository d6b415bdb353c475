//! Failures of other proxies that this one must not repeat, by their number in the catalogue of cases. In process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lockgate_core::Outcome;
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::listener::{ListenerLimits, serve_stream};
use lockgate_proxy::upstream::dial::Protocol;
use testkit::api_server::{ApiServer, Reply};
use testkit::gateway::{DEADLINE, World, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- name: deletes
  match: {verbs: [delete], resources: ['*']}
  ask: {approvers: {groups: [sre]}, fourEyes: true}
- name: rest
  match: {resources: ['*']}
  allow: {}
";
const OBJECT: &str = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c","uid":"uid-1"}}"#;

/// Sends the chunks of one watch.
type EventSender = mpsc::Sender<Result<Bytes, std::io::Error>>;

/// The client's end of a connection of this protocol.
fn connect(world: &World, protocol: Protocol) -> DuplexStream {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let (gateway, peer) = (Arc::clone(&world.gateway), SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000)));
    world.gateway.tasks.spawn(async move {
        serve_stream(gateway, Box::new(server), peer, protocol, &ListenerLimits::default()).await;
    });
    client
}

async fn connect_http2(world: &World) -> SendRequest<Full<Bytes>> {
    let io = TokioIo::new(connect(world, Protocol::Http2));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("a handshake");
    tokio::spawn(async move { connection.await.ok() });
    sender
}

/// Over HTTP/2 a request names its scheme and host in the URI.
fn request_http2(path: &str) -> Request<Full<Bytes>> {
    let mut asked = request("GET", path, "");
    *asked.uri_mut() = format!("https://gateway/clusters/shop{path}").parse().unwrap();
    asked.headers_mut().remove("host");
    asked
}

/// The head of a `PUT` whose body is promised and withheld.
fn withheld_put(token: &str, length: usize) -> String {
    format!(
        "PUT /clusters/shop/api/v1/namespaces/shop/configmaps/c HTTP/1.1\r\nhost: gateway\r\n\
         authorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         expect: 100-continue\r\n\r\n"
    )
}

/// Reads until a head is whole; gives it, and what came after it.
async fn read_head(client: &mut DuplexStream) -> (String, Vec<u8>) {
    let mut read = Vec::new();
    let whole = async {
        loop {
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = read.split_off(end + 4);
                return (String::from_utf8(read).unwrap(), rest);
            }
            assert!(client.read_buf(&mut read).await.unwrap() > 0, "closed: {}", String::from_utf8_lossy(&read));
        }
    };
    timeout(DEADLINE, whole).await.expect("a head in time")
}

fn large_object() -> String {
    format!(
        r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"c"}},"data":{{"k":"{}"}}}}"#,
        "x".repeat(900_000)
    )
}

async fn answering(limits: Limits) -> World {
    World::new(POLICY, ApiServer::new(Protocol::Http2, |_| Reply::json(OBJECT)), limits).await
}

#[tokio::test]
async fn c03_a_client_that_waits_for_100_continue_gets_it_and_its_whole_body_goes_through() {
    let world = answering(Limits::default()).await;
    let (mut client, body) = (connect(&world, Protocol::Http1), large_object());
    client.write_all(withheld_put("agent", body.len()).as_bytes()).await.unwrap();
    let (interim, rest) = read_head(&mut client).await;
    assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
    assert!(rest.is_empty());
    assert_eq!(world.api.bytes_received(), 0, "nothing goes upstream before the body is there");
    client.write_all(body.as_bytes()).await.unwrap();
    let (answer, _) = read_head(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let seen = world.api.seen();
    assert_eq!((seen.len(), seen[0].method.as_str()), (1, "PUT"));
    assert!(seen[0].body == body, "{} bytes of {} went through", seen[0].body.len(), body.len());
    assert!(seen[0].headers.get("expect").is_none(), "upstream must not be asked to wait for a body that is there");
}

#[tokio::test]
async fn c03_who_may_not_call_is_refused_without_a_100() {
    let world = answering(Limits::default()).await;
    let mut client = connect(&world, Protocol::Http1);
    client.write_all(withheld_put("wrong", 900_000).as_bytes()).await.unwrap();
    let (answer, _) = read_head(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(world.api.bytes_received(), 0);
}

#[tokio::test]
async fn c03_who_is_denied_on_the_url_alone_is_told_so_without_a_100() {
    let rules = |rules: &str| POLICY.replace("rules:\n", &format!("rules:\n{rules}\n"));
    let put = withheld_put("agent", 900_000);
    let denies = [
        "- {name: no, match: {resources: [configmaps]}, deny: {message: No.}}",
        "- {name: no, match: {verbs: [update], resources: ['*']}, deny: {message: No.}}",
        // Whatever the body says, one of these denies.
        "- {name: no, match: {risk: [write], resources: ['*']}, deny: {message: No.}}\n\
         - {name: nor, match: {resources: ['*']}, deny: {message: No.}}",
        "- {name: no, match: {resources: ['*']}, when: 'has(object.data)', deny: {message: No.}}\n\
         - {name: nor, match: {names: [c]}, deny: {message: No.}}",
    ];
    for denying in denies {
        let world =
            World::new(&rules(denying), ApiServer::new(Protocol::Http2, |_| Reply::json(OBJECT)), Limits::default())
                .await;
        let mut client = connect(&world, Protocol::Http1);
        client.write_all(put.as_bytes()).await.unwrap();
        let (answer, _) = read_head(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{denying}: {answer}");
        assert_eq!(world.api.bytes_received(), 0);
        let record = &world.records().await[0];
        assert_eq!(record.outcome, Some(Outcome::Refused));
        assert!(record.decision.as_ref().is_some_and(|decision| decision.rule.is_some()), "{denying}");
    }
    // Where the body could change the verdict it is read.
    let depends = [
        "- {name: no, match: {risk: [write], resources: ['*']}, deny: {message: No.}}",
        "- {name: no, match: {resources: ['*']}, when: 'has(object.spec)', deny: {message: No.}}",
        "- {name: perhaps, match: {resources: ['*']}, when: 'has(object.data)', allow: {}}\n\
         - {name: no, match: {resources: ['*']}, deny: {message: No.}}",
    ];
    for depending in depends {
        let world =
            World::new(&rules(depending), ApiServer::new(Protocol::Http2, |_| Reply::json(OBJECT)), Limits::default())
                .await;
        let mut client = connect(&world, Protocol::Http1);
        client.write_all(put.as_bytes()).await.unwrap();
        let (interim, _) = read_head(&mut client).await;
        assert!(interim.starts_with("HTTP/1.1 100 "), "{depending}: {interim}");
    }
}

#[tokio::test]
async fn c03_a_client_that_waits_for_100_continue_is_held_with_its_whole_body() {
    let asking = POLICY.replace("verbs: [delete]", "verbs: [update]");
    let api = ApiServer::new(Protocol::Http2, |_| Reply::json(OBJECT));
    let world = World::new(&asking, api, Limits::default()).await;
    let (mut client, body) = (connect(&world, Protocol::Http1), large_object());
    client.write_all(withheld_put("agent", body.len()).as_bytes()).await.unwrap();
    let (interim, _) = read_head(&mut client).await;
    assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
    client.write_all(body.as_bytes()).await.unwrap();
    let ticket = world.pending().await;
    assert!(world.api.seen().iter().all(|seen| seen.method == "GET"), "nothing is written before a human agrees");
    world.decide(ticket.id, true, None).await;
    let (answer, _) = read_head(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let written: Vec<_> = world.api.seen().into_iter().filter(|seen| seen.method == "PUT").collect();
    assert_eq!(written.len(), 1);
    assert!(written[0].body == body, "{} bytes of {} went through", written[0].body.len(), body.len());
}

/// Older clients lose the prefix of an index's server-relative URLs.
#[tokio::test]
async fn c02_a_prefixless_openapi_path_is_a_recorded_404_that_names_what_is_missing() {
    let world = answering(Limits::default()).await;
    for path in ["/openapi/v3", "/openapi/v3/apis/apps/v1?hash=A1B2", "/openapi/v2", "/api/v1/pods"] {
        let mut asked = request("GET", "", "");
        *asked.uri_mut() = path.parse().unwrap();
        let answer = world.send(asked).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        let status = answer.json();
        assert_eq!((&status["kind"], &status["reason"]), (&"Status".into(), &"NotFound".into()));
        assert!(status["message"].as_str().unwrap().contains("/clusters/<name>"), "{status}");
    }
    assert_eq!(world.api.bytes_received(), 0, "no cluster is the default");
    let records = world.records().await;
    assert_eq!(records.len(), 4);
    assert!(records.iter().all(|record| record.outcome == Some(Outcome::Refused) && record.subject.is_some()));
}

#[tokio::test]
async fn c03_a_client_that_never_sends_its_body_is_cut_at_the_limit() {
    let body_read_max = Duration::from_millis(300);
    let world = answering(Limits { body_read_max, ..Limits::default() }).await;
    for sent in ["", "{\"kind\":"] {
        let (mut client, from) = (connect(&world, Protocol::Http1), Instant::now());
        client.write_all(withheld_put("agent", 900_000).as_bytes()).await.unwrap();
        let (interim, _) = read_head(&mut client).await;
        assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
        client.write_all(sent.as_bytes()).await.unwrap();
        let (answer, _) = read_head(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(from.elapsed() >= body_read_max);
        // The rest of the body can still come: the connection must end, or it would be read as the next request.
        let closed = async { while client.read_buf(&mut Vec::with_capacity(4096)).await.unwrap() > 0 {} };
        timeout(DEADLINE, closed).await.expect("the connection is closed");
    }
    assert_eq!(world.api.bytes_received(), 0, "an empty body must never go upstream");
    let records = world.records().await;
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.outcome == Some(Outcome::Refused)));
}

#[tokio::test]
async fn c24_requests_are_not_queued_behind_300_watches_on_their_connection() {
    const WATCHES: usize = 300;
    const GETS: usize = 200;
    let events: Arc<Mutex<Vec<EventSender>>> = Arc::default();
    let opened = Arc::clone(&events);
    // The API server allows 100 streams on a connection, or as many as it likes: the gateway must not depend on it.
    let api = ApiServer::new(Protocol::Http2, move |seen| {
        if !seen.target.contains("watch") {
            return Reply::json(OBJECT);
        }
        let (send, receive) = mpsc::channel(1);
        opened.lock().unwrap().push(send);
        Reply::Chunks(Response::builder().header("content-type", "application/json").body(()).unwrap(), receive)
    });
    let world = World::new(POLICY, api, Limits::default()).await;
    let mut client = connect_http2(&world).await;
    let mut watches = Vec::new();
    for _ in 0..WATCHES {
        let path = "/api/v1/namespaces/shop/configmaps?watch=true";
        let opened = timeout(DEADLINE, client.send_request(request_http2(path))).await;
        let answer = opened.expect("a watch opens in time").unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        watches.push(answer.into_body());
    }
    let mut times = Vec::new();
    for _ in 0..GETS {
        let from = Instant::now();
        let asked = client.send_request(request_http2("/api/v1/namespaces/shop/configmaps/c"));
        let answer = timeout(DEADLINE, asked).await.expect("an answer in time").unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), OBJECT);
        times.push(from.elapsed());
    }
    times.sort();
    assert!(times[GETS * 99 / 100] < Duration::from_secs(1), "p99 {:?}", times[GETS * 99 / 100]);
    let senders = events.lock().unwrap().clone();
    assert_eq!(senders.len(), WATCHES);
    let event = format!("{{\"type\":\"ADDED\",\"object\":{OBJECT}}}\n");
    for sender in &senders {
        sender.send(Ok(Bytes::from(event.clone()))).await.unwrap();
    }
    for watch in &mut watches {
        let mut read = Vec::new();
        while read.len() < event.len() {
            let frame = timeout(DEADLINE, watch.frame()).await.expect("the event in time").unwrap().unwrap();
            read.extend_from_slice(frame.data_ref().unwrap());
        }
        assert_eq!(String::from_utf8(read).unwrap(), event);
    }
    assert_eq!(world.api.connections(), WATCHES as u64 + 1, "a connection for each watch, and one for all the rest");
}
