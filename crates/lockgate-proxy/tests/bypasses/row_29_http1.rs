//! Row 29: request smuggling over HTTP/1.1.

use std::time::Duration;

use lockgate_core::Outcome;
use lockgate_proxy::listener::ListenerLimits;
use lockgate_proxy::upstream::dial::Protocol;
use testkit::gateway::World;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{answers, connect, connect_within, exchange, is_refused_without_identity, is_status, world};

const PATH: &str = "/clusters/shop/api/v1/namespaces/shop/configmaps/c";
/// What every request here holds, so that only its form is wrong.
const LAWFUL: &str = "host: gateway\r\nauthorization: Bearer agent\r\ncontent-type: application/json\r\n";
const BODY: &str = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c"}}"#;

/// Written by hand, it gets one `Status` with this code; then the connection ends. Nothing goes upstream, and what was
/// refused is on the record.
async fn is_refused(world: &World, request: &str, code: u16) {
    // What comes behind it must not be read as a request either.
    let smuggled = format!("GET {PATH} HTTP/1.1\r\n{LAWFUL}\r\n");
    let before = world.records().await.len();
    let text = exchange(connect(world, Protocol::Http1), format!("{request}{smuggled}").as_bytes()).await;
    let answers = answers(&text);
    assert_eq!(answers.len(), 1, "{request:?}: {text}");
    let message = is_status(&answers[0], code);
    assert!(message.contains("Next step: "), "{request:?}: {message:?}");
    is_refused_without_identity(&world.records().await[before..], code);
    assert_eq!(world.api.bytes_received(), 0, "{request:?}");
}

#[tokio::test]
async fn bypass_row_29_two_lengths_are_refused() {
    let world = world().await;
    let put = format!("PUT {PATH} HTTP/1.1\r\n{LAWFUL}");
    for lengths in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        "content-length: 2\r\ncontent-length: 62\r\n\r\n{}",
        "content-length: 2\r\ncontent-length: 2\r\n\r\n{}",
        "content-length: 2, 2\r\n\r\n{}",
        "content-length: +2\r\n\r\n{}",
        "transfer-encoding: gzip, chunked\r\n\r\n",
        "transfer-encoding: identity\r\n\r\n",
        "transfer-encoding : chunked\r\n\r\n",
        "upgrade: websocket\r\nconnection: upgrade\r\ncontent-length: 2\r\n\r\n{}",
    ] {
        is_refused(&world, &format!("{put}{lengths}"), 400).await;
    }
}

#[tokio::test]
async fn bypass_row_29_heads_with_two_readings_are_refused() {
    let world = world().await;
    for head in [
        format!("GET {PATH} HTTP/1.1\n{LAWFUL}\n"),
        format!("GET {PATH} HTTP/1.1\r\nhost: gateway\nauthorization: Bearer agent\r\n\r\n"),
        format!("GET {PATH} HTTP/1.1\r\n{LAWFUL}x: a\r\n b\r\n\r\n"),
        format!("GET {PATH} HTTP/1.1\r\n{LAWFUL}x: a\0b\r\n\r\n"),
        format!("GET {PATH} HTTP/1.1\r\n{LAWFUL}x: a\rb\r\n\r\n"),
        format!("GET {PATH} HTTP/1.1\r\n{LAWFUL}x\r\n\r\n"),
        format!("GET {PATH} HTTP/1.1\r\n{LAWFUL}host: other\r\n\r\n"),
        format!("GET {PATH} HTTP/1.1\r\nauthorization: Bearer agent\r\n\r\n"),
        format!("GET {PATH}\t HTTP/1.1\r\n{LAWFUL}\r\n"),
        format!("GET  {PATH} HTTP/1.1\r\n{LAWFUL}\r\n"),
        format!("GET {PATH}\r\n{LAWFUL}\r\n"),
        format!("GET {PATH} HTTP/3.0\r\n{LAWFUL}\r\n"),
        format!("\r\nGET {PATH} HTTP/1.1\r\n{LAWFUL}\r\n"),
    ] {
        is_refused(&world, &head, 400).await;
    }
}

#[tokio::test]
async fn bypass_row_29_other_forms_of_target_are_refused() {
    let world = world().await;
    let request = |method: &str, target: &str| format!("{method} {target} HTTP/1.1\r\n{LAWFUL}\r\n");
    for target in [
        &format!("http://gateway{PATH}"),
        &format!("https://elsewhere{PATH}"),
        &format!("{PATH}#fragment"),
        &format!("{PATH}?a=b#c"),
        "gateway:443",
        "*",
        "/clusters/shop/api\u{fc}",
        "/clusters/shop/api\0",
        "/clusters/shop/api\\v1",
    ] {
        is_refused(&world, &request("GET", target), 400).await;
    }
    is_refused(&world, &request("OPTIONS", "*"), 400).await;
    is_refused(&world, &request("CONNECT", "gateway:443"), 405).await;
}

#[tokio::test]
async fn bypass_row_29_what_is_too_large_is_told_so() {
    let world = world().await;
    let long = "a".repeat(65_535);
    is_refused(&world, &format!("GET /clusters/shop/api?x={long} HTTP/1.1\r\n{LAWFUL}\r\n"), 414).await;
    is_refused(&world, &format!("GET {PATH} HTTP/1.1\r\n{LAWFUL}{}\r\n", "x: y\r\n".repeat(200)), 431).await;
    is_refused(&world, &format!("GET {PATH} HTTP/1.1\r\n{LAWFUL}x: {}\r\n\r\n", "y".repeat(600_000)), 431).await;
}

/// The refusal stands where the request stood: behind the answers to those before it.
#[tokio::test]
async fn bypass_row_29_requests_before_a_refused_one_get_their_answers() {
    let world = world().await;
    let good = format!("GET {PATH} HTTP/1.1\r\n{LAWFUL}\r\n");
    let put = format!(
        "PUT {PATH} HTTP/1.1\r\n{LAWFUL}transfer-encoding: chunked\r\n\r\n{:x}\r\n{BODY}\r\n0\r\n\r\n",
        BODY.len()
    );
    let bad = format!("GET {PATH} HTTP/1.1\r\n{LAWFUL}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n");
    let text = exchange(connect(&world, Protocol::Http1), format!("{good}{put}{bad}{good}").as_bytes()).await;
    let codes: Vec<u16> = answers(&text).iter().map(|answer| answer.0).collect();
    assert_eq!(codes, [200, 200, 400], "{text}");
    let seen = world.api.seen();
    assert_eq!(seen.iter().map(|seen| seen.method.as_str()).collect::<Vec<_>>(), ["GET", "PUT"]);
    assert_eq!(seen[1].body, BODY);
    let outcomes: Vec<_> = world.records().await.into_iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::Completed), Some(Outcome::Completed), Some(Outcome::Refused)]);
}

/// However the bytes are cut, the same comes of it.
#[tokio::test]
async fn bypass_row_29_a_head_in_small_pieces_is_read_as_one() {
    let world = world().await;
    let mut client = connect(&world, Protocol::Http1);
    let requests = format!(
        "GET {PATH} HTTP/1.1\r\n{LAWFUL}\r\nPUT {PATH} HTTP/1.1\r\n{LAWFUL}content-length: {}\r\n\r\n{BODY}\
         GET {PATH} HTTP/1.1\r\n{LAWFUL}x: a\r\n b\r\n\r\n",
        BODY.len()
    );
    for byte in requests.as_bytes() {
        // Nothing is read behind the refusal.
        client.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let codes: Vec<u16> = answers(&exchange(client, b"").await).iter().map(|answer| answer.0).collect();
    assert_eq!(codes, [200, 200, 400]);
    assert_eq!(world.api.seen().len(), 2);
}

/// The head has passed and says who calls; the record has it.
#[tokio::test]
async fn bypass_row_29_malformed_chunks_are_refused() {
    let world = world().await;
    for chunks in
        ["2;x=y\r\n{}\r\n0\r\n\r\n", "2\n{}\r\n0\r\n\r\n", "2\r\n{}\r\n0\r\nx: y\r\n\r\n", "2\r\n{}x0\r\n\r\n"]
    {
        let before = world.records().await.len();
        let request = format!("PUT {PATH} HTTP/1.1\r\n{LAWFUL}transfer-encoding: chunked\r\n\r\n{chunks}");
        let text = exchange(connect(&world, Protocol::Http1), request.as_bytes()).await;
        is_status(&answers(&text)[0], 400);
        let records = world.records().await.split_off(before);
        assert_eq!((records.len(), records[0].outcome), (1, Some(Outcome::Refused)), "{chunks:?}");
        assert_eq!(records[0].subject.as_ref().map(|subject| subject.id.as_str()), Some("deployer"));
        assert_eq!(world.api.bytes_received(), 0, "{chunks:?}");
    }
}

#[tokio::test]
async fn bypass_row_29_a_refusal_that_cannot_be_recorded_is_503() {
    let world = world().await;
    world.faults.fail();
    let request = format!("GET http://gateway{PATH} HTTP/1.1\r\n{LAWFUL}\r\n");
    let text = exchange(connect(&world, Protocol::Http1), request.as_bytes()).await;
    is_status(&answers(&text)[0], 503);
}

/// A head that never becomes whole ends its connection; nothing was asked, so nothing is recorded (row 25).
#[tokio::test]
async fn a_head_that_trickles_is_cut_at_the_limit() {
    let world = world().await;
    let limits = ListenerLimits { head_max: Duration::from_millis(200), ..ListenerLimits::default() };
    let mut client = connect_within(&world, Protocol::Http1, limits);
    client.write_all(format!("GET {PATH} HTTP/1.1\r\nhost: g").as_bytes()).await.unwrap();
    let mut read = Vec::new();
    tokio::time::timeout(testkit::gateway::DEADLINE, client.read_to_end(&mut read)).await.expect("closed").unwrap();
    assert!(world.records().await.is_empty());
}
