//! Rows 7, 11, 15, 20, 21 and 22: streams, and requests that want to leave HTTP.

use futures_util::StreamExt;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use lockgate_core::Outcome;
use lockgate_proxy::upstream::dial::Protocol;
use lockgate_store::SessionFilter;
use testkit::api_server::Reply;
use testkit::gateway::{DEADLINE, World, request};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::{ALLOW_ALL, OBJECT, answers, connect, exchange, is_status, world_with};

const EXEC: &str = "/api/v1/namespaces/shop/pods/web/exec?command=id&stdout=true";

/// An API server that agrees to every exec and ends it at once.
async fn agreeing(policy: &str) -> World {
    speaking(policy, |mut socket| async move {
        socket.close(None).await.ok();
    })
    .await
}

/// An API server that agrees to every exec, and what it does then.
async fn speaking<F, R>(policy: &str, run: F) -> World
where
    F: Fn(WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>) -> R + Send + Sync + Clone + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    world_with(policy, move |seen| {
        let Some(offered) = seen.headers.get("sec-websocket-protocol") else { return Reply::json("{}") };
        let mut head = HeaderMap::new();
        head.insert("connection", "Upgrade".parse().unwrap());
        head.insert("upgrade", "websocket".parse().unwrap());
        head.insert("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".parse().unwrap());
        head.insert("sec-websocket-protocol", offered.clone());
        let run = run.clone();
        Reply::Upgrade(
            head,
            Box::new(move |io: TokioIo<hyper::upgrade::Upgraded>| {
                Box::pin(async move { run(WebSocketStream::from_raw_socket(io, Role::Server, None).await).await })
            }),
        )
    })
    .await
}

fn upgrade(path: &str) -> Request<Full<bytes::Bytes>> {
    let mut asked = request("GET", path, "");
    let headers = asked.headers_mut();
    headers.insert("connection", "Upgrade".parse().unwrap());
    headers.insert("upgrade", "websocket".parse().unwrap());
    headers.insert("sec-websocket-version", "13".parse().unwrap());
    headers.insert("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap());
    headers.insert("sec-websocket-protocol", "v5.channel.k8s.io".parse().unwrap());
    asked
}

async fn no_session_was_opened(world: &World) {
    assert_eq!(world.api.bytes_received(), 0);
    assert!(world.gateway.store.sessions(&SessionFilter::default()).await.unwrap().is_empty());
    assert!(world.records().await.iter().all(|record| record.outcome == Some(Outcome::Refused)));
}

/// What a token said when a stream began is no reason to go on when it no longer holds.
#[tokio::test]
async fn bypass_row_7_a_stream_ends_with_the_token_that_opened_it() {
    let brief = |mut asked: Request<Full<bytes::Bytes>>| {
        asked.headers_mut().insert("authorization", "Bearer brief".parse().unwrap());
        asked
    };
    // One stream that is quiet after its first event, one that never pauses.
    for pauses in [true, false] {
        let world = world_with(ALLOW_ALL, move |_| {
            let (send, receive) = tokio::sync::mpsc::channel(1);
            tokio::spawn(async move {
                let event = format!("{{\"type\":\"ADDED\",\"object\":{OBJECT}}}\n");
                while send.send(Ok(bytes::Bytes::from(event.clone()))).await.is_ok() && !pauses {}
                send.closed().await;
            });
            let head = Response::builder().header("content-type", "application/json").body(()).unwrap();
            Reply::Chunks(head, receive)
        })
        .await;
        for path in ["/api/v1/namespaces/shop/configmaps?watch=1", "/api/v1/namespaces/shop/pods/p/log?follow=true"] {
            let mut answer = world.open(brief(request("GET", path, ""))).await.into_body();
            answer.frame().await.expect("the first event").expect("while the token holds");
            let ended = timeout(DEADLINE, answer.collect()).await.expect("the stream ends with the token");
            assert!(ended.is_err(), "an end that we made must not look like the cluster's");
        }
        let records = world.records().await;
        assert_eq!(records.len(), 2);
        assert!(records.iter().all(|record| record.outcome == Some(Outcome::Aborted)), "{records:?}");
    }
    let world = speaking(ALLOW_ALL, |mut socket| async move { while let Some(Ok(_)) = socket.next().await {} }).await;
    let answer = world.open(brief(upgrade(EXEC))).await;
    assert_eq!(answer.status(), 101);
    let io = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    timeout(DEADLINE, async { while let Some(Ok(_)) = socket.next().await {} }).await.expect("the session ends");
    let sealed = async {
        loop {
            let sessions = world.gateway.store.sessions(&SessionFilter::default()).await.unwrap();
            if let Some(reason) = sessions.into_iter().find_map(|session| session.end_reason) {
                return reason;
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(timeout(DEADLINE, sealed).await.expect("the session is sealed"), "token expired");
}

#[tokio::test]
async fn bypass_row_11_exec_is_exec_whatever_the_method() {
    const READS: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: reads, match: {verbs: [get, list, watch], resources: ['*', 'pods/*']}, allow: {}}
";
    let world = agreeing(READS).await;
    for path in [EXEC, "/api/v1/namespaces/shop/pods/web/attach?stdout=true"] {
        assert_eq!(world.send(upgrade(path)).await.status(), 403, "{path}");
        assert_eq!(world.get(path).await.status(), 403, "{path} without an upgrade");
    }
    let mut forward = upgrade("/api/v1/namespaces/shop/pods/web/portforward?ports=80");
    forward.headers_mut().insert("sec-websocket-protocol", "v4.channel.k8s.io".parse().unwrap());
    let status = world.send(forward).await.status();
    assert!(status == 403 || status == 400, "{status}");
    no_session_was_opened(&world).await;
}

/// Nothing that follows on the connection is heard, neither as HTTP nor by anyone behind us.
#[tokio::test]
async fn bypass_row_15_a_refused_upgrade_closes_its_connection() {
    let world =
        world_with(ALLOW_ALL, |_| Reply::status(403, "application/json", r#"{"kind":"Status","code":403}"#)).await;
    let head = format!(
        "GET /clusters/shop{EXEC} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer agent\r\nconnection: Upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: v5.channel.k8s.io\r\n\r\n"
    );
    let next = "GET /clusters/shop/api/v1/pods HTTP/1.1\r\nhost: g\r\nauthorization: Bearer agent\r\n\r\n";
    for head in [head.clone(), head.replace("upgrade: websocket", "upgrade: h2c")] {
        let mut client = connect(&world, Protocol::Http1);
        client.write_all(head.as_bytes()).await.unwrap();
        let codes: Vec<u16> = answers(&exchange(client, next.as_bytes()).await).iter().map(|answer| answer.0).collect();
        assert!(codes == [403] || codes == [400], "{codes:?}");
    }
    assert_eq!(world.api.seen().len(), 1, "only the upgrade itself went upstream");
    assert!(world.gateway.store.sessions(&SessionFilter::default()).await.unwrap().is_empty());
}

#[tokio::test]
async fn bypass_row_20_case_and_duplicates_of_upgrade_headers() {
    let with = |connection: &[&str], upgrades: &[&str]| {
        let mut asked = upgrade(EXEC);
        asked.headers_mut().remove("connection");
        asked.headers_mut().remove("upgrade");
        for (name, values) in [("connection", connection), ("upgrade", upgrades)] {
            for value in values {
                asked.headers_mut().append(name, value.parse().unwrap());
            }
        }
        asked
    };
    // However it is written, it is an exec over WebSocket: decided, recorded and opened as one.
    for (connection, upgrades) in [
        (&["Upgrade"][..], &["WebSocket"][..]),
        (&["UPGRADE"], &["WEBSOCKET"]),
        (&["keep-alive", "upgrade"], &["websocket"]),
        (&["keep-alive, uPgRaDe"], &["webSocket"]),
    ] {
        let world = agreeing(ALLOW_ALL).await;
        assert_eq!(world.open(with(connection, upgrades)).await.status(), 101, "{connection:?} {upgrades:?}");
        let seen = &world.api.seen()[0];
        assert_eq!(seen.headers.get_all("upgrade").iter().collect::<Vec<_>>(), ["websocket"]);
        assert_eq!(seen.headers.get_all("connection").iter().count(), 1);
        let record = &world.records().await[0];
        assert!(record.session_id.is_some());
    }
    let refused = agreeing(ALLOW_ALL).await;
    for (connection, upgrades) in [
        (&["keep-alive"][..], &["websocket"][..]),
        (&[], &["websocket"]),
        (&["Upgrade"], &[]),
        (&["Upgrade"], &["websocket", "websocket"]),
        (&["Upgrade"], &["websocket", "SPDY/3.1"]),
        (&["Upgrade"], &["websocket, SPDY/3.1"]),
        (&["Upgrade"], &["h2c"]),
        (&["Upgrade"], &["SPDY/3"]),
    ] {
        assert_eq!(refused.send(with(connection, upgrades)).await.status(), 400, "{connection:?} {upgrades:?}");
    }
    no_session_was_opened(&refused).await;
}

#[tokio::test]
async fn bypass_row_21_reads_over_websocket_are_refused() {
    let world = agreeing(ALLOW_ALL).await;
    for path in [
        "/api/v1/secrets?watch=1",
        "/api/v1/watch/secrets",
        "/api/v1/namespaces/shop/pods/web/log?follow=true",
        "/api/v1/namespaces/shop/pods/web/log",
        "/api/v1/namespaces/shop/secrets/s",
        "/api/v1/namespaces/shop/services/web/proxy/ws",
        "/openapi/v3",
    ] {
        for protocol in ["v4.channel.k8s.io", "base64.binary.k8s.io", "binary.k8s.io", ""] {
            let mut asked = upgrade(path);
            asked.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
            let answer = world.send(asked).await;
            is_status(&(answer.status().as_u16(), answer.text()), 400);
        }
    }
    no_session_was_opened(&world).await;
}

#[tokio::test]
async fn bypass_row_22_a_bearer_subprotocol_is_neither_sent_nor_kept() {
    const HIDDEN: &str = "base64url.bearer.authorization.k8s.io.aGlkZGVuLWNhbmFyeQ";
    let offers = [format!("{HIDDEN}, v5.channel.k8s.io"), format!("v5.channel.k8s.io,{HIDDEN}")];
    for offer in offers {
        let world = agreeing(ALLOW_ALL).await;
        let mut asked = upgrade(EXEC);
        asked.headers_mut().insert("sec-websocket-protocol", offer.parse().unwrap());
        assert_eq!(world.open(asked).await.status(), 101);
        let seen = world.api.seen();
        assert_eq!(seen[0].headers["sec-websocket-protocol"], "v5.channel.k8s.io");
        assert!(!format!("{seen:?}").contains("aGlkZGVu"));
        assert!(!format!("{:?}", world.records().await).contains("aGlkZGVu"));
    }
    // It is no credential here: the token in the header alone says who calls.
    let world = agreeing(ALLOW_ALL).await;
    let mut asked = upgrade(EXEC);
    asked.headers_mut().remove("authorization");
    asked.headers_mut().insert("sec-websocket-protocol", format!("{HIDDEN}, v5.channel.k8s.io").parse().unwrap());
    assert_eq!(world.send(asked).await.status(), 401);
    no_session_was_opened(&world).await;
    assert!(!format!("{:?}", world.records().await).contains("aGlkZGVu"));
}
