//! A world whose API server allows everything, and bytes written by hand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use lockgate_core::{AuditRecord, Outcome};
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::listener::{ListenerLimits, serve_stream};
use lockgate_proxy::upstream::dial::Protocol;
use testkit::api_server::{ApiServer, Reply, Seen};
use testkit::gateway::{DEADLINE, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

/// Everything is allowed: what is refused is refused for what it is.
pub(crate) const ALLOW_ALL: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: all, match: {resources: ['*']}, allow: {}}
- {name: paths, match: {nonResourceURLs: ['*']}, allow: {}}
";

pub(crate) const OBJECT: &str =
    r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c","namespace":"shop","uid":"uid-1"}}"#;

pub(crate) async fn world() -> World {
    world_with(ALLOW_ALL, |_| Reply::json(OBJECT)).await
}

pub(crate) async fn world_with(policy: &str, script: impl Fn(Seen) -> Reply + Send + Sync + 'static) -> World {
    World::new(policy, ApiServer::new(Protocol::Http2, script), Limits::default()).await
}

/// The client's end of a connection of this protocol.
pub(crate) fn connect(world: &World, protocol: Protocol) -> DuplexStream {
    connect_within(world, protocol, ListenerLimits::default())
}

pub(crate) fn connect_within(world: &World, protocol: Protocol, limits: ListenerLimits) -> DuplexStream {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let (gateway, peer) = (Arc::clone(&world.gateway), SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000)));
    world.gateway.tasks.spawn(async move { serve_stream(gateway, Box::new(server), peer, protocol, &limits).await });
    client
}

/// Writes `bytes` over HTTP/1.1 and reads until the gateway closes, as a client that never closes first.
pub(crate) async fn exchange(client: DuplexStream, bytes: &[u8]) -> String {
    let (mut read, mut write) = tokio::io::split(client);
    let bytes = bytes.to_vec();
    let writing = tokio::spawn(async move {
        // The gateway may close before it has read everything.
        write.write_all(&bytes).await.ok();
        write
    });
    let mut answer = Vec::new();
    timeout(DEADLINE, read.read_to_end(&mut answer)).await.expect("the connection is closed").expect("no reset");
    drop(writing.await);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The answers on a connection, in order: status and body (of a chunked one its only chunk).
pub(crate) fn answers(text: &str) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (head, after) = rest.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {rest:?}"));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{head:?}"));
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
        };
        let (body, after) = if header("transfer-encoding") == "chunked" {
            let (chunks, after) = after.split_once("0\r\n\r\n").unwrap_or_else(|| panic!("no end: {after:?}"));
            (chunks.split_once("\r\n").map_or("", |(_, chunk)| chunk.trim_end()), after)
        } else {
            after.split_at(header("content-length").parse().unwrap_or(0))
        };
        answers.push((code, body.to_owned()));
        rest = after;
    }
    answers
}

/// A `Status` with this code and a reason; gives its message.
#[track_caller]
pub(crate) fn is_status(answer: &(u16, String), code: u16) -> String {
    assert_eq!(answer.0, code, "{}", answer.1);
    let status: serde_json::Value = serde_json::from_str(&answer.1).unwrap_or_else(|_| panic!("{:?}", answer.1));
    assert_eq!((&status["kind"], &status["code"]), (&"Status".into(), &code.into()), "{status}");
    assert!(status["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{status}");
    status["message"].as_str().unwrap().to_owned()
}

/// The one record there is: refused with this code, and by nobody that is known.
#[track_caller]
pub(crate) fn is_refused_without_identity(records: &[AuditRecord], code: u16) {
    let [record] = records else { panic!("{} records", records.len()) };
    assert_eq!((record.outcome, &record.subject, &record.decision), (Some(Outcome::Refused), &None, &None));
    assert_eq!(record.response.as_ref().map(|response| response.status), Some(code));
}
