//! Text that is no object (logs, proxied applications, errors, warnings) is masked by its looks, byte for byte as long as it
//! was; and the caller and the record are told what was masked in an object. In process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::upstream::dial::Protocol;
use lockgate_wire::mask::{KnownValues, ValueLabel, ValueLimits};
use testkit::api_server::{ApiServer, Reply, Seen};
use testkit::gateway::{DEADLINE, World, request};
use tokio::sync::mpsc;

const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: test}
rules:
- {name: trusted, match: {namespaces: [open]}, allow: {mask: 'off'}}
- {name: all, match: {}, allow: {}}
";

/// Looks like a key of AWS, whose documentation made it up.
const KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const LOG: &str = "/api/v1/namespaces/shop/pods/p/log";

fn line() -> String {
    format!("connecting with aws_secret_access_key={KEY}, attempt 1\n")
}

fn masked() -> String {
    line().replace(KEY, &"*".repeat(KEY.len()))
}

fn script(seen: Seen) -> Reply {
    match seen.target.split('?').next().unwrap() {
        path if path.ends_with("/log") || path.ends_with("/proxy/") => Reply::status(200, "text/plain", &line()),
        path if path.ends_with("/pods/broken") => Reply::status(500, "text/plain", &line()),
        path if path.ends_with("/pods/quoted") => {
            let body = Bytes::from_static(br#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"quoted"}}"#);
            let quoted = format!("299 - \"env {} is set\"", line().trim());
            let answer = Response::builder().header("content-type", "application/json").header("warning", quoted);
            Reply::Whole(answer.body(body).unwrap())
        }
        path if path.ends_with("/events") => Reply::json(&format!(
            r#"{{"kind":"EventList","apiVersion":"v1","metadata":{{}},"items":[{{"message":"{}","n":1.50}}]}}"#,
            line().trim()
        )),
        path if path.ends_with("/secrets/db") => Reply::json(
            r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"db"},"data":{"uri":"YQ==","password":"Yg=="}}"#,
        ),
        path if path.ends_with("/secrets/large") => Reply::json(&format!(
            r#"{{"kind":"Secret","apiVersion":"v1","data":{{"k":"{}"}},"metadata":{{"name":"large","labels":{{"x":"{}"}}}}}}"#,
            "QUFB".repeat(50_000),
            "y".repeat(100_000)
        )),
        "/version" => Reply::json(r#"{"gitVersion":"v1.36.4"}"#),
        other => panic!("{other}"),
    }
}

async fn world() -> World {
    World::new(POLICY, ApiServer::new(Protocol::Http2, script), Limits::default()).await
}

#[tokio::test]
async fn leak_row_15_a_log_is_masked_and_keeps_its_length() {
    let world = world().await;
    let log = world.get(LOG).await;
    assert_eq!((log.status(), log.text()), (StatusCode::OK, masked()));
    let length = log.head.headers["content-length"].to_str().unwrap().parse::<usize>().unwrap();
    assert_eq!(length, line().len(), "as long as it was");
    let record = world.records().await.pop().unwrap();
    assert_eq!(record.response.unwrap().masked, 1);
    assert_eq!(world.get("/api/v1/namespaces/open/pods/p/log").await.text(), line(), "a named exception passes");
}

#[tokio::test]
async fn leak_row_15_a_secret_that_comes_in_pieces_is_masked_and_what_is_no_secret_does_not_wait() {
    let (chunks, answered) = mpsc::channel(8);
    let answered = std::sync::Mutex::new(Some(answered));
    let api = ApiServer::new(Protocol::Http2, move |_| {
        let head = Response::builder().header("content-type", "text/plain").body(()).unwrap();
        Reply::Chunks(head, answered.lock().unwrap().take().unwrap())
    });
    let world = World::new(POLICY, api, Limits::default()).await;
    let mut body = world.open(request("GET", &format!("{LOG}?follow=true"), "")).await.into_body();
    let mut next = async |expected: &str| {
        let mut text = String::new();
        while text.len() < expected.len() {
            let frame = tokio::time::timeout(DEADLINE, body.frame()).await.expect("it does not wait").unwrap().unwrap();
            text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
        assert_eq!(text, expected);
    };
    for plain in ["ready\n", "password: "] {
        chunks.send(Ok(Bytes::from(plain))).await.unwrap();
        next(plain).await;
    }
    chunks.send(Ok("\n".into())).await.unwrap();
    next("\n").await;
    for piece in line().as_bytes().chunks(5) {
        chunks.send(Ok(Bytes::copy_from_slice(piece))).await.unwrap();
    }
    next(&masked()).await;
    // The beginning of something that may become a key is let go when nothing follows.
    chunks.send(Ok("AKI".into())).await.unwrap();
    next("AKI").await;
}

#[tokio::test]
async fn leak_row_23_what_a_proxied_application_says_is_masked() {
    let world = world().await;
    let answer = world.get("/api/v1/namespaces/shop/services/web/proxy/").await;
    assert_eq!((answer.status(), answer.text()), (StatusCode::OK, masked()));
    assert_eq!(world.get("/version").await.text(), r#"{"gitVersion":"v1.36.4"}"#);
}

#[tokio::test]
async fn leak_row_5_errors_and_warnings_that_quote_a_secret_are_masked() {
    let world = world().await;
    let broken = world.get("/api/v1/namespaces/shop/pods/broken").await;
    assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!broken.text().contains(KEY), "{}", broken.text());
    let quoted = world.get("/api/v1/namespaces/shop/pods/quoted").await;
    let warning = quoted.head.headers["warning"].to_str().unwrap().to_owned();
    assert_eq!(warning, format!("299 - \"env {} is set\"", masked().trim()));
}

#[tokio::test]
async fn leak_row_14_a_message_that_holds_a_secret_is_masked_and_nothing_else_of_the_object() {
    let events = world().await.get("/api/v1/namespaces/shop/events").await.text();
    assert!(!events.contains(KEY) && events.contains("**masked by lockgate: "), "{events}");
    assert!(events.contains(r#"attempt 1","n":1.50}"#), "{events}");
}

#[tokio::test]
async fn leak_rows_13_and_15_a_value_that_is_known_is_masked_wherever_it_comes_by() {
    /// No detector knows it. Of 18 bytes: in base64 no character of it holds bits of a neighbour.
    const VALUE: &str = "tulip-Orange7-cana";
    let api = ApiServer::new(Protocol::Http2, |seen: Seen| {
        let encoded = STANDARD.encode(VALUE);
        if seen.target.ends_with("/log") {
            return Reply::status(200, "text/plain", &format!("a {VALUE} b {encoded} c\n"));
        }
        Reply::json(&format!(r#"{{"kind":"Event","apiVersion":"v1","message":"a {VALUE} b {encoded} c"}}"#))
    });
    let world = World::new(POLICY, api, Limits::default()).await;
    let label = ValueLabel { namespace: "shop".into(), secret: "db".into(), key: "password".into() };
    let mut values = KnownValues::builder(ValueLimits::default());
    values.add(label, VALUE.as_bytes());
    world.gateway.values.publish("shop", Arc::new(values.build().0));
    let log = world.get(LOG).await.text();
    assert_eq!(log, format!("a {} b {} c\n", "*".repeat(VALUE.len()), "*".repeat(STANDARD.encode(VALUE).len())));
    let found = "**masked by lockgate: known value**";
    let event = world.get("/api/v1/namespaces/shop/events/e").await;
    assert!(event.text().contains(&format!("a {found} b {found} c")), "{}", event.text());
    assert_eq!(event.head.headers["warning"], "299 lockgate \"2 values masked in event e (message)\"");
}

#[tokio::test]
async fn the_caller_and_the_record_are_told_what_is_masked() {
    let world = world().await;
    let secret = world.get("/api/v1/namespaces/shop/secrets/db").await;
    assert_eq!(secret.head.headers["warning"], "299 lockgate \"2 values masked in secret db (password, uri)\"");
    let record = world.records().await.pop().unwrap();
    let response = record.response.unwrap();
    let keys: Vec<_> = response.masked_keys.iter().map(|one| (&*one.reason, &*one.key, one.values)).collect();
    assert_eq!(keys, [("secret", "uri", 1), ("secret", "password", 1)]);
    let open = world.get("/api/v1/namespaces/open/secrets/db").await;
    assert!(open.head.headers.get("warning").is_none(), "{:?}", open.head.headers);

    // The head of a large answer does not wait for its end.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let large = world.get("/api/v1/namespaces/shop/secrets/large").await;
    assert!(large.head.headers.get("warning").is_none());
    assert!(large.text().len() > 100_000 && !large.text().contains("QUFB"));
    assert_eq!(world.records().await.pop().unwrap().response.unwrap().masked, 1);
}
