//! Row 29 over HTTP/2, frame by frame, since every HTTP/2 library mends what is tried here. What RFC 9113 (section 8.1.1)
//! calls malformed is reset by the HTTP library before there is a request; the rest gets the same answer and record as
//! over HTTP/1.1. Nothing of either goes upstream.

use lockgate_core::Outcome;
use lockgate_proxy::upstream::dial::Protocol;
use testkit::gateway::{DEADLINE, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{connect, is_refused_without_identity, is_status, world};

const PATH: &str = "/clusters/shop/api/v1/namespaces/shop/configmaps/c";
const LAWFUL: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "gateway"),
    (":path", PATH),
    ("authorization", "Bearer agent"),
];

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const FRAME_BYTES_MAX: usize = 16 * 1024;

/// What became of a request.
#[derive(Debug, PartialEq)]
enum End {
    /// An answer, by its body.
    Answer(String),
    /// The stream or the connection ended with this error code.
    Reset(u32),
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A length in HPACK (RFC 7541, section 5.1), without Huffman coding.
fn string(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if text.len() < 127 {
        bytes.push(text.len() as u8);
    } else {
        let mut left = text.len() - 127;
        bytes.push(127);
        while left >= 128 {
            bytes.push((left % 128) as u8 | 128);
            left /= 128;
        }
        bytes.push(left as u8);
    }
    bytes.extend_from_slice(text);
    bytes
}

/// The headers as they are: literal, without indexing (section 6.2.2).
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    headers
        .iter()
        .flat_map(|(name, value)| [vec![0], string(name.as_bytes()), string(value.as_bytes())].concat())
        .collect()
}

/// Sends one request on a connection of its own.
async fn send(world: &World, headers: &[(&str, &str)], body: &[u8]) -> End {
    let client = connect(world, Protocol::Http2);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    let block = block(headers);
    let pieces: Vec<&[u8]> = block.chunks(FRAME_BYTES_MAX).collect();
    for (at, piece) in pieces.iter().enumerate() {
        let last = if at + 1 == pieces.len() { END_HEADERS } else { 0 };
        let (kind, end) =
            if at == 0 { (HEADERS, if body.is_empty() { END_STREAM } else { 0 }) } else { (CONTINUATION, 0) };
        bytes.extend(frame(kind, last | end, 1, piece));
    }
    if !body.is_empty() {
        bytes.extend(frame(DATA, END_STREAM, 1, body));
    }
    let (mut read, mut write) = tokio::io::split(client);
    tokio::spawn(async move { write.write_all(&bytes).await.map(|()| write) });
    let answer = async {
        let mut text = Vec::new();
        loop {
            let mut head = [0; 9];
            if read.read_exact(&mut head).await.is_err() {
                return End::Reset(0);
            }
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            read.read_exact(&mut payload).await.unwrap();
            let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
            match (head[3], head[4] & END_STREAM != 0) {
                (DATA, ended) => {
                    text.extend_from_slice(&payload);
                    if ended {
                        return End::Answer(String::from_utf8(text).unwrap());
                    }
                }
                (HEADERS, true) => return End::Answer(String::new()),
                (RST_STREAM, _) => return End::Reset(code(0)),
                (GOAWAY, _) if code(4) != 0 => return End::Reset(code(4)),
                _ => {}
            }
        }
    };
    tokio::time::timeout(DEADLINE, answer).await.expect("an end in time")
}

/// The lawful request with these headers in place of its own of the same name, or beside them.
fn with<'h>(changed: &[(&'h str, &'h str)]) -> Vec<(&'h str, &'h str)> {
    let kept = LAWFUL.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| name == other)).copied();
    let (pseudo, others): (Vec<_>, Vec<_>) =
        kept.chain(changed.iter().copied()).partition(|(name, _)| name.starts_with(':'));
    [pseudo, others].concat()
}

#[tokio::test]
async fn bypass_row_29_a_lawful_http2_request_passes() {
    let world = world().await;
    assert!(matches!(send(&world, LAWFUL, b"").await, End::Answer(text) if text.contains("uid-1")));
    assert_eq!(world.api.seen().len(), 1);
}

#[tokio::test]
async fn bypass_row_29_pseudo_header_tricks_are_refused() {
    let world = world().await;
    let many: Vec<(String, String)> = (0..201).map(|at| (format!("x-{at}"), "y".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let large = "y".repeat(600_000);
    for (headers, code) in [
        (with(&[(":authority", "gateway"), ("host", "other")]), 400),
        (with(&[("host", "gateway"), ("host", "gateway")]), 400),
        (with(&[(":authority", "user@gateway")]), 400),
        (with(&[(":scheme", "http")]), 400),
        (with(&[("content-length", "0"), ("content-length", "0")]), 400),
        (with(&many), 431),
        (with(&[("x", &large)]), 431),
        (vec![(":method", "CONNECT"), (":authority", "gateway:443"), ("authorization", "Bearer agent")], 405),
    ] {
        let before = world.records().await.len();
        let End::Answer(text) = send(&world, &headers, b"").await else { panic!("{headers:?}: no answer") };
        let message = is_status(&(code, text), code);
        assert!(message.contains("Next step: "), "{message}");
        is_refused_without_identity(&world.records().await[before..], code);
        assert_eq!(world.api.bytes_received(), 0);
    }
}

/// Identity is known here, and the same stage refuses as over HTTP/1.1.
#[tokio::test]
async fn bypass_row_29_other_forms_of_path_are_refused() {
    let world = world().await;
    for path in
        ["*", "/clusters/shop/api\u{fc}", "/clusters/shop/api\\v1", "/clusters/shop/api//v1", "/clusters/shop/a;b"]
    {
        let End::Answer(text) = send(&world, &with(&[(":path", path)]), b"").await else { panic!("{path}: no answer") };
        is_status(&(400, text), 400);
        let record = world.records().await.pop().unwrap();
        assert_eq!((record.outcome, record.subject.is_some()), (Some(Outcome::Refused), true), "{path}");
        assert_eq!(world.api.bytes_received(), 0, "{path}");
    }
}

/// PROTOCOL_ERROR, as the RFC wants it: there is no request, so no `Status` and no record.
#[tokio::test]
async fn bypass_row_29_malformed_http2_requests_are_reset() {
    let long = format!("/clusters/shop/api?x={}", "a".repeat(65_535));
    let world = world().await;
    for changed in [
        &[(":path", long.as_str())][..],
        &[(":path", "http://gateway/clusters/shop/api")],
        &[(":path", "clusters/shop/api")],
        &[(":path", "/clusters/shop/api v1")],
        &[(":path", "/clusters/shop/api HTTP/1.1\r\nhost: other")],
        &[(":path", "/clusters/shop/api\0")],
        &[(":path", "")],
        &[(":path", PATH), (":path", "/clusters/shop/api")],
        &[(":scheme", "http\0")],
        &[(":scheme", "https://gateway/?")],
        &[(":authority", "gate way")],
        &[(":status", "200")],
        &[(":unknown", "x")],
        &[(":protocol", "websocket")],
        &[("connection", "close")],
        &[("keep-alive", "timeout=5")],
        &[("proxy-connection", "keep-alive")],
        &[("transfer-encoding", "chunked")],
        &[("upgrade", "websocket")],
        &[("te", "gzip")],
        &[("X-Upper", "x")],
        &[("x ", "y")],
        &[("x", "a\r\nauthorization: Bearer other")],
        &[("x", "a\0")],
    ] {
        assert_eq!(send(&world, &with(changed), b"{}").await, End::Reset(1), "{changed:?}");
    }
    assert_eq!(world.api.bytes_received(), 0);
    assert!(world.records().await.is_empty());
}

/// The library compares a length with what comes; whether or not the request was seen before that, it goes nowhere.
#[tokio::test]
async fn bypass_row_29_an_http2_body_that_is_not_as_long_as_it_says_is_reset() {
    let world = world().await;
    let put = |lengths: &[(&'static str, &'static str)]| {
        [&[(":method", "PUT"), ("content-type", "application/json")][..], lengths].concat()
    };
    for lengths in [
        &[("content-length", "5")][..],
        &[("content-length", "1")],
        &[("content-length", "2"), ("content-length", "5")],
        &[("content-length", "5"), ("content-length", "2")],
        &[("content-length", "2, 2")],
        &[("content-length", "+2")],
    ] {
        assert_eq!(send(&world, &with(&put(lengths)), b"{}").await, End::Reset(1), "{lengths:?}");
    }
    assert_eq!(world.api.bytes_received(), 0);
    let records = world.records().await;
    assert!(records.iter().all(|record| record.outcome == Some(Outcome::Refused)), "{records:?}");
}
