//! Interactive sessions in process: what is recorded equals what is delivered, and nothing is delivered unrecorded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use hyper_util::rt::TokioIo;
use lockgate_core::{Channel, Outcome, Session};
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::upstream::dial::Protocol;
use lockgate_store::SessionFilter;
use testkit::api_server::{ApiServer, Reply};
use testkit::gateway::{DEADLINE, World, request};
use testkit::recordings::Disk;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: asked, match: {verbs: [create, delete], names: [guarded], resources: ['pods/exec', pods]}, ask: {approvers: {groups: [sre]}}}
- {name: all, match: {resources: ['*', 'pods/exec']}, allow: {}}
";

const EXEC: &str = "/api/v1/namespaces/shop/pods/p/exec?command=sh&command=-c&command=true&stdin=1&stdout=1&stderr=1";

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// A process behind the API server: a function over its WebSocket.
fn process<F, R>(run: F) -> ApiServer
where
    F: Fn(Socket) -> R + Send + Sync + Clone + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    ApiServer::new(Protocol::Http2, move |seen| {
        if seen.headers.get("upgrade").is_none() {
            return Reply::json(r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"guarded","uid":"u"}}"#);
        }
        let offered = seen.headers["sec-websocket-protocol"].to_str().unwrap();
        let mut head = HeaderMap::new();
        head.insert("connection", "Upgrade".parse().unwrap());
        head.insert("upgrade", "websocket".parse().unwrap());
        head.insert("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".parse().unwrap());
        head.insert("sec-websocket-protocol", offered.split(',').next().unwrap().trim().parse().unwrap());
        let run = run.clone();
        Reply::Upgrade(
            head,
            Box::new(move |io| {
                Box::pin(async move { run(WebSocketStream::from_raw_socket(io, Role::Server, None).await).await })
            }),
        )
    })
}

async fn exec(world: &World, path: &str, protocols: &str) -> Socket {
    let mut asked = request("GET", path, "");
    let headers = asked.headers_mut();
    headers.insert("connection", "keep-alive, Upgrade".parse().unwrap());
    headers.insert("upgrade", "WebSocket".parse().unwrap());
    headers.insert("sec-websocket-version", "13".parse().unwrap());
    headers.insert("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap());
    headers.insert("sec-websocket-protocol", protocols.parse().unwrap());
    let mut client = world.connect().await;
    let answer = client.send_request(asked).await.unwrap();
    assert_eq!(answer.status(), 101, "{:?}", answer);
    let upgraded = hyper::upgrade::on(answer).await.unwrap();
    // The connection's task owns the socket now; the sender may go.
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await
}

/// Reads to the close, per channel.
async fn read_all(socket: &mut Socket) -> BTreeMap<u8, Vec<u8>> {
    let mut channels: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    let read = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Binary(bytes) = message {
                channels.entry(bytes[0]).or_default().extend_from_slice(&bytes[1..]);
            }
        }
    };
    tokio::time::timeout(DEADLINE, read).await.expect("the session ends");
    channels
}

async fn ended(world: &World) -> Session {
    let wait = async {
        loop {
            let sessions = world.gateway.store.sessions(&SessionFilter::default()).await.unwrap();
            if let Some(session) = sessions.into_iter().find(|session| session.ended_at.is_some()) {
                return session;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("the session is sealed")
}

async fn recorded(world: &World, session: &Session) -> BTreeMap<Channel, Vec<u8>> {
    let mut reader = world.gateway.store.recording(session.id).await.unwrap();
    let mut channels: BTreeMap<Channel, Vec<u8>> = BTreeMap::new();
    while let Some(frame) = reader.next().await.unwrap() {
        channels.entry(frame.channel).or_default().extend_from_slice(&frame.payload);
    }
    channels
}

fn message(channel: u8, payload: &[u8]) -> Message {
    Message::Binary(Bytes::from([&[channel], payload].concat()))
}

const SUCCESS: &[u8] = br#"{"metadata":{},"status":"Success"}"#;

async fn world(api: ApiServer) -> World {
    World::new(POLICY, api, Limits { hold: Duration::from_millis(50), ..Limits::default() }).await
}

#[tokio::test]
async fn bypass_row_17_and_19_recorded_equals_delivered_on_every_channel() {
    let world = world(process(|mut socket| async move {
        // Echoes stdin to stdout and stderr in odd pieces until the client closes stdin.
        while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
            match bytes[0] {
                0 => {
                    for piece in bytes[1..].chunks(7) {
                        socket.send(message(1, piece)).await.unwrap();
                        socket.send(message(2, piece)).await.unwrap();
                    }
                }
                255 => break,
                _ => {}
            }
        }
        socket.send(message(3, SUCCESS)).await.unwrap();
        socket.close(None).await.ok();
    }))
    .await;
    let mut client = exec(&world, EXEC, "v5.channel.k8s.io").await;
    let typed: Vec<u8> = (0..10_000u32).map(|number| (number * 31 % 251) as u8).collect();
    for piece in typed.chunks(999) {
        client.send(message(0, piece)).await.unwrap();
    }
    client.send(message(4, br#"{"Width":80,"Height":24}"#)).await.unwrap();
    client.send(message(255, &[0])).await.unwrap();
    let received = read_all(&mut client).await;
    let session = ended(&world).await;
    let on_tape = recorded(&world, &session).await;
    assert_eq!(on_tape[&Channel::Stdin], typed);
    assert_eq!(on_tape[&Channel::Stdout], received[&1]);
    assert_eq!(on_tape[&Channel::Stderr], received[&2]);
    assert_eq!(on_tape[&Channel::Error], received[&3]);
    assert_eq!(on_tape[&Channel::Resize], br#"{"Width":80,"Height":24}"#);
    assert_eq!(session.exit_code, Some(0));
    assert_eq!(session.end_reason.as_deref(), Some("completed"));
    assert_eq!(session.argv, ["sh", "-c", "true"]);
    assert_eq!(session.channels[&Channel::Stdout].bytes, typed.len() as u64);
    let record = &world.records().await[0];
    assert_eq!((record.session_id, record.outcome), (Some(session.id), Some(Outcome::Completed)));
}

#[tokio::test]
async fn invariant_10_a_dead_recorder_ends_the_session() {
    let world = world(process(|mut socket| async move {
        for number in 0.. {
            if socket.send(message(1, format!("line {number}\n").as_bytes())).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }))
    .await;
    let mut client = exec(&world, EXEC, "v5.channel.k8s.io").await;
    assert!(client.next().await.is_some());
    world.disk.send(Disk::Broken).unwrap();
    let received = read_all(&mut client).await;
    let status = String::from_utf8_lossy(&received[&3]).into_owned();
    assert!(status.contains("Failure") && status.contains("recorder failed"), "{status}");
    assert_eq!(world.records().await[0].outcome, Some(Outcome::Aborted));
}

#[tokio::test]
async fn no_recorder_no_session() {
    let world = world(process(|_| async {})).await;
    world.disk.send(Disk::Broken).unwrap();
    let mut asked = request("GET", EXEC, "");
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "v5.channel.k8s.io"),
    ] {
        asked.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(world.send(asked).await.status(), 503);
}

#[tokio::test]
async fn case_c04_a_lost_upstream_is_a_failure_on_the_error_channel() {
    let world = world(process(|mut socket| async move {
        socket.send(message(1, b"working\n")).await.unwrap();
        // Dropped without a close: the node is gone.
    }))
    .await;
    let mut client = exec(&world, EXEC, "v4.channel.k8s.io").await;
    let received = read_all(&mut client).await;
    assert_eq!(received[&1], b"working\n");
    let status: serde_json::Value = serde_json::from_slice(&received[&3]).unwrap();
    assert_eq!(status["status"], "Failure");
    let session = ended(&world).await;
    assert_eq!(session.end_reason.as_deref(), Some("upstream lost"));
    assert_eq!(world.records().await[0].outcome, Some(Outcome::Unknown));
}

#[tokio::test]
async fn case_c25_shutdown_seals_a_live_session() {
    let world =
        world(process(|mut socket| async move { while socket.next().await.is_some_and(|m| m.is_ok()) {} })).await;
    let mut client = exec(&world, EXEC, "v5.channel.k8s.io").await;
    world.gateway.ending.cancel();
    let received = read_all(&mut client).await;
    assert!(String::from_utf8_lossy(&received[&3]).contains("gateway shutdown"));
    assert_eq!(ended(&world).await.end_reason.as_deref(), Some("gateway shutdown"));
}

#[tokio::test]
async fn an_idle_session_is_ended() {
    let api = process(|mut socket| async move { while socket.next().await.is_some_and(|m| m.is_ok()) {} });
    let limits = Limits { session_idle_max: Duration::from_millis(50), ..Limits::default() };
    let world = World::new(POLICY, api, limits).await;
    let mut client = exec(&world, EXEC, "v5.channel.k8s.io").await;
    read_all(&mut client).await;
    assert_eq!(ended(&world).await.end_reason.as_deref(), Some("idle limit reached"));
}

/// What kubectl up to 1.13 sends for `exec -c app`.
#[tokio::test]
async fn c01_a_container_named_twice_alike_is_one_container() {
    let world = world(process(|mut socket| async move {
        socket.close(None).await.ok();
    }))
    .await;
    let mut client = exec(&world, &format!("{EXEC}&container=app&container=app"), "v5.channel.k8s.io").await;
    read_all(&mut client).await;
    assert_eq!(world.api.seen()[0].target.matches("container=app").count(), 1);
    assert_eq!(ended(&world).await.container.as_deref(), Some("app"));
    let record = &world.records().await[0];
    assert_eq!(record.options.exec.as_ref().unwrap().container.as_deref(), Some("app"));
    // Over either protocol, two containers are none.
    for protocol in ["websocket", "SPDY/3.1"] {
        let mut asked = request("POST", &format!("{EXEC}&container=app&container=side"), "");
        asked.headers_mut().insert("connection", "Upgrade".parse().unwrap());
        asked.headers_mut().insert("upgrade", protocol.parse().unwrap());
        let answer = world.send(asked).await;
        assert_eq!(answer.status(), 400);
        assert!(answer.json()["message"].as_str().unwrap().contains("\"container\""), "{}", answer.text());
    }
    assert_eq!(world.api.seen().len(), 1);
}

#[tokio::test]
async fn a_spdy_upgrade_joins_the_ticket_of_its_websocket_twin_and_is_not_held() {
    let world = world(process(|_| async {})).await;
    let path = "/api/v1/namespaces/shop/pods/guarded/exec?command=sh&stdout=1";
    let upgrade = |method: &str, to: &str| {
        let mut asked = request(method, path, "");
        asked.headers_mut().insert("connection", "Upgrade".parse().unwrap());
        asked.headers_mut().insert("upgrade", to.parse().unwrap());
        asked.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
        asked.headers_mut().insert("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap());
        asked.headers_mut().insert("sec-websocket-protocol", "v5.channel.k8s.io".parse().unwrap());
        asked
    };
    let first = world.send(upgrade("GET", "websocket")).await;
    assert_eq!(first.json()["reason"], "ApprovalRequired", "{}", first.text());
    let ticket = world.pending().await;
    let twin = world.send(upgrade("POST", "SPDY/3.1")).await;
    assert!(twin.text().contains(&ticket.id.to_string()), "{}", twin.text());
    world.decide(ticket.id, true, None).await;
    let approved = world.send(upgrade("POST", "SPDY/3.1")).await;
    assert_eq!(approved.status(), 400);
    assert!(approved.text().contains("WebSocket"), "{}", approved.text());
    let ticket = world.gateway.store.approval(ticket.id).await.unwrap().unwrap();
    assert!(ticket.dispatches.is_empty(), "SPDY must not use the grant up");
}

#[tokio::test]
async fn invariant_4_a_decision_through_another_replica_ends_the_hold() {
    let api = ApiServer::new(Protocol::Http2, |seen| match seen.method.as_str() {
        "GET" => Reply::json(r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"guarded","uid":"u"}}"#),
        _ => Reply::json("{}"),
    });
    let world = World::new(POLICY, api, Limits { hold_poll: Duration::from_millis(20), ..Limits::default() }).await;
    let held = world.send(request("DELETE", "/api/v1/namespaces/shop/pods/guarded", ""));
    let decided = async {
        let ticket = world.pending().await;
        let replica = world.other_replica().await;
        let word = lockgate_store::Word {
            by: testkit::gateway::human("alice"),
            auth_time: replica.clock().now(),
            approve: true,
            note: None,
        };
        replica.decide(ticket.id, word).await.unwrap();
    };
    let (answer, ()) = tokio::join!(held, decided);
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

#[tokio::test]
async fn a_freeze_ends_live_sessions() {
    let world = world(process(|mut socket: Socket| async move {
        while let Some(Ok(typed)) = socket.next().await {
            let echo = [&[1], &typed.into_data()[1..]].concat();
            if socket.send(Message::Binary(Bytes::from(echo))).await.is_err() {
                break;
            }
        }
    }))
    .await;
    let mut socket = exec(&world, EXEC, "v5.channel.k8s.io").await;
    let note = || lockgate_store::HumanWord {
        by: testkit::gateway::human("alice"),
        auth_time: world.gateway.clock().now(),
        note: "it runs wild".into(),
    };
    // Another agent's freeze is not this one's.
    world.gateway.store.freeze(testkit::gateway::agent("other"), note()).await.unwrap();
    socket.send(message(0, b"hello")).await.unwrap();
    let echoed = tokio::time::timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(echoed, message(1, b"hello"));
    // The freeze comes from another process: nothing tells this one.
    world.other_replica().await.freeze(testkit::gateway::agent("deployer"), note()).await.unwrap();
    let channels = read_all(&mut socket).await;
    let said = String::from_utf8_lossy(&channels[&3]).into_owned();
    assert!(said.contains("agent frozen"), "{said}");
    assert_eq!(ended(&world).await.end_reason.as_deref(), Some("agent frozen"));
}

/// Looks like a key of AWS, whose documentation made it up.
const KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

#[tokio::test]
async fn leak_row_16_what_a_process_prints_is_masked_over_messages_and_so_is_the_recording() {
    let world = world(process(|mut socket| async move {
        let line = format!("AWS_SECRET_ACCESS_KEY={KEY}\nPATH=/bin\n");
        for piece in line.as_bytes().chunks(9) {
            socket.send(message(1, piece)).await.unwrap();
            socket.send(message(2, piece)).await.unwrap();
        }
        // No line break follows: what waits leaves before the last word.
        socket.send(message(1, format!("password={}", KEY.get(..20).unwrap()).as_bytes())).await.unwrap();
        socket.send(message(3, SUCCESS)).await.unwrap();
        socket.close(None).await.ok();
    }))
    .await;
    let mut socket = exec(&world, EXEC, "v5.channel.k8s.io").await;
    let channels = read_all(&mut socket).await;
    let line = format!("AWS_SECRET_ACCESS_KEY={}\nPATH=/bin\n", "*".repeat(KEY.len()));
    assert_eq!(String::from_utf8_lossy(&channels[&1]), format!("{line}password={}", "*".repeat(20)));
    assert_eq!(String::from_utf8_lossy(&channels[&2]), line);
    assert_eq!(channels[&3], SUCCESS);
    let recorded = recorded(&world, &ended(&world).await).await;
    assert_eq!(recorded[&Channel::Stdout], channels[&1], "what is kept is what was seen");
    assert_eq!(recorded[&Channel::Stderr], channels[&2]);
    assert_eq!(world.records().await.pop().unwrap().response.unwrap().masked, 3);
}

#[tokio::test]
async fn a_prompt_that_begins_like_a_secret_does_not_wait() {
    let world = world(process(|mut socket| async move {
        socket.send(message(1, b"AKI")).await.unwrap();
        // Ends when the client has seen it.
        while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
            if bytes[0] == 0 {
                break;
            }
        }
        socket.send(message(3, SUCCESS)).await.unwrap();
        socket.close(None).await.ok();
    }))
    .await;
    let mut socket = exec(&world, EXEC, "v5.channel.k8s.io").await;
    let prompt = tokio::time::timeout(DEADLINE, socket.next()).await.expect("it does not wait").unwrap().unwrap();
    assert_eq!(prompt, message(1, b"AKI"));
    socket.send(message(0, b"\n")).await.unwrap();
    read_all(&mut socket).await;
}
