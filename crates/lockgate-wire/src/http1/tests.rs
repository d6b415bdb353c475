use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 128 * 1024, headers_max: 5 };

/// What passed of one connection: heads, and the bytes of bodies between them.
#[derive(Debug, PartialEq)]
enum Piece {
    Head(Vec<u8>),
    Body(Vec<u8>),
    Switching(Vec<u8>),
}

/// Everything that passes of a connection whose bytes come in these pieces, and how it ends.
fn passed<'a>(arriving: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Piece>, Option<WireError>) {
    let mut inspector = Inspector::new(LIMITS);
    let mut pieces = Vec::new();
    for mut bytes in arriving {
        while !bytes.is_empty() {
            let taken = match inspector.push(bytes) {
                Ok(Passed::Held) => bytes.len(),
                Ok(Passed::Head(taken)) => {
                    let mut head = Vec::new();
                    inspector.swap_head(&mut head);
                    pieces.push(Piece::Head(head));
                    taken
                }
                Ok(Passed::Body(taken)) => {
                    assert!(taken > 0, "no progress");
                    match pieces.last_mut() {
                        Some(Piece::Body(body)) => body.extend_from_slice(&bytes[..taken]),
                        _ => pieces.push(Piece::Body(bytes[..taken].to_vec())),
                    }
                    taken
                }
                Ok(Passed::Switching) => {
                    match pieces.last_mut() {
                        Some(Piece::Switching(rest)) => rest.extend_from_slice(bytes),
                        _ => pieces.push(Piece::Switching(bytes.to_vec())),
                    }
                    bytes.len()
                }
                Err(error) => return (pieces, Some(error)),
            };
            bytes = &bytes[taken..];
        }
    }
    (pieces, None)
}

fn refused(text: &str) -> WireError {
    let (pieces, error) = passed([text.as_bytes()]);
    assert!(pieces.is_empty(), "{text:?}: {pieces:?} passed");
    error.unwrap_or_else(|| panic!("{text:?} passes"))
}

fn head(text: &str) -> Piece {
    Piece::Head(text.as_bytes().to_vec())
}

const GET: &str = "GET /clusters/p/api?x=%20+y HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer a.b\r\n\r\n";

#[test]
fn requests_follow_one_another() {
    let put = "PUT /a HTTP/1.1\r\nhost: g\r\ncontent-length: 11\r\n\r\n";
    let post = "POST /b HTTP/1.1\r\nhost: g\r\nTransfer-Encoding:  Chunked \r\n\r\n";
    let chunks = "3\r\nabc\r\n0A\r\n\r\n\r\n345678\r\n0\r\n\r\n";
    let text = format!("{put}GET /no HTTP{post}{chunks}{GET}{put}");
    let body = |text: &str| Piece::Body(text.as_bytes().to_vec());
    let expected = [head(put), body("GET /no HTT"), head(&format!("P{post}")), body(chunks), head(GET), head(put)];
    assert_eq!(passed([text.as_bytes()]), (Vec::from(expected), None));
}

#[test]
fn what_lawful_clients_send_passes() {
    for text in [
        GET,
        "GET / HTTP/1.0\r\n\r\n",
        "DELETE /a HTTP/1.1\r\nHost:\r\ncontent-length: 0\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost:g\r\nuser-agent: k\u{fc}bectl (\"x\")\t;\r\nempty:\r\n\r\n",
        "X-M!THOD /a?b=c/d?e HTTP/1.1\r\nhost: g\r\n\r\n",
    ] {
        assert_eq!(passed([text.as_bytes()]), (vec![head(text)], None), "{text:?}");
    }
}

#[test]
fn bypass_row_29_heads_with_two_readings_are_refused() {
    let with = |header: &str| format!("POST /a HTTP/1.1\r\nhost: g\r\n{header}\r\n\r\n");
    for text in [
        // Where does the request end?
        with("content-length: 5\r\ntransfer-encoding: chunked"),
        with("transfer-encoding: chunked\r\nContent-Length: 5"),
        with("content-length: 5\r\ncontent-length: 6"),
        with("content-length: 5\r\ncontent-length: 5"),
        with("content-length: 5, 5"),
        with("content-length: +5"),
        with("content-length: 0x5"),
        with("content-length: 5 5"),
        with("content-length: 99999999999999999999"),
        with("content-length:"),
        with("transfer-encoding: gzip, chunked"),
        with("transfer-encoding: chunked, identity"),
        with("transfer-encoding: xchunked"),
        with("transfer-encoding: \"chunked\""),
        with("transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
        with("transfer-encoding:\u{b}chunked"),
        "POST /a HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n".into(),
        with("upgrade: websocket\r\ncontent-length: 5"),
        // Where does a header end, and what is its name?
        with("a: b\r\n c: d"),
        with("a: b\r\n\tc"),
        " host: g\r\n\r\n".into(),
        "GET /a HTTP/1.1\r\n host: g\r\n\r\n".into(),
        with("transfer-encoding : chunked"),
        with("a\tb: c"),
        with("a b: c"),
        with(": c"),
        with("no-colon"),
        with("a: b\0c"),
        with("a\0: b"),
        with("a: b\rc: d"),
        with("a: \u{1b}[31m"),
        with("a: b\u{7f}"),
        with("\u{fc}: b"),
        "GET /a HTTP/1.1\nhost: g\n\n".into(),
        "GET /a HTTP/1.1\r\nhost: g\n\r\n".into(),
        "GET /a HTTP/1.1\r\nhost: g\r\n\n".into(),
        // Whom is it for?
        with("host: h"),
        "GET /a HTTP/1.1\r\n\r\n".into(),
        // What is asked for?
        "\r\nGET /a HTTP/1.1\r\nhost: g\r\n\r\n".into(),
        "GET  /a HTTP/1.1\r\nhost: g\r\n\r\n".into(),
        "GET /a  HTTP/1.1\r\nhost: g\r\n\r\n".into(),
        "GET /a b HTTP/1.1\r\nhost: g\r\n\r\n".into(),
        "GET\t/a HTTP/1.1\r\nhost: g\r\n\r\n".into(),
        "GET /a\r\n\r\n".into(),
        "GET /a HTTP/2.0\r\nhost: g\r\n\r\n".into(),
        "GET /a HTTP/1.10\r\nhost: g\r\n\r\n".into(),
        "GET /a http/1.1\r\nhost: g\r\n\r\n".into(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
        "G\u{e9}T /a HTTP/1.1\r\nhost: g\r\n\r\n".into(),
        " GET /a HTTP/1.1\r\nhost: g\r\n\r\n".into(),
        format!("{} /a HTTP/1.1\r\nhost: g\r\n\r\n", "A".repeat(33)),
    ] {
        let error = refused(&text);
        assert!(matches!(error, WireError::Head(_) | WireError::Target(_)), "{text:?}: {error:?}");
        assert_eq!(error.status().code(), 400);
    }
}

#[test]
fn bypass_row_29_targets_with_two_readings_are_refused() {
    for target in [
        "http://gateway/clusters/p/api",
        "https://g:443/",
        "g:443",
        "*",
        "/a#b",
        "/a%20#",
        "/a\0b",
        "/a\u{7f}",
        "/\u{fc}",
        "/a\\b",
        "/a\"b",
        "/a<b",
        "/a|b",
        "/a{b}",
        "/a?b=^",
    ] {
        let error = refused(&format!("GET {target} HTTP/1.1\r\nhost: g\r\n\r\n"));
        assert!(matches!(error, WireError::Target(_)), "{target:?}: {error:?}");
    }
    let connect = refused("CONNECT g:443 HTTP/1.1\r\nhost: g\r\n\r\n");
    assert_eq!(connect.status().code(), 405);
}

#[test]
fn sizes_above_their_limits_are_refused_before_the_head_is_whole() {
    let long = "a".repeat(REQUEST_TARGET_BYTES_MAX);
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: g\r\n\r\n");
    let fits = request(&format!("/{}", "a".repeat(REQUEST_TARGET_BYTES_MAX - 1)));
    assert_eq!(passed([fits.as_bytes()]), (vec![head(&fits)], None));
    assert_eq!(refused(&request(&format!("/{long}"))).status().code(), 414);
    assert_eq!(refused(&format!("GET /{long}{}", "a".repeat(100))), WireError::TargetTooLong, "no line's end needed");
    let headers = |count: usize| format!("GET / HTTP/1.1\r\nhost: g\r\n{}\r\n", "a: b\r\n".repeat(count - 1));
    assert_eq!(passed([headers(5).as_bytes()]).1, None);
    assert_eq!(refused(&headers(6)).status().code(), 431);
    let large = format!("GET / HTTP/1.1\r\nhost: g\r\na: {}", "b".repeat(LIMITS.head_bytes_max));
    assert_eq!(refused(&large).status().code(), 431);
    assert_eq!(refused(&large).status().reason().as_str(), "RequestHeaderFieldsTooLarge");
}

#[test]
fn bypass_row_29_chunks_with_two_readings_are_refused() {
    for chunks in [
        "3;a=b\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        "000000003\r\nabc\r\n0\r\n\r\n",
        "0\r\ntrailer: x\r\n\r\n",
        "0\r\n\n",
        "g\r\n",
    ] {
        let text = format!("POST /a HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
        assert!(matches!(passed([text.as_bytes()]).1, Some(WireError::Body(_))), "{chunks:?}");
    }
}

#[test]
fn after_an_upgrade_nothing_is_read_as_http() {
    let asked = "GET /a HTTP/1.1\r\nhost: g\r\nconnection: upgrade\r\nuPgrade: websocket\r\n\r\n";
    let text = format!("{asked}GET /b HTTP/1.1\r\n\r\n");
    let rest = Piece::Switching(b"GET /b HTTP/1.1\r\n\r\n".to_vec());
    assert_eq!(passed([text.as_bytes()]), (vec![head(asked), rest], None));
}

#[test]
fn a_refusal_knows_the_line_it_is_about() {
    let mut inspector = Inspector::new(LIMITS);
    inspector.push(b"GET /a HTTP/1.1\r\nhost: g\r\n").unwrap();
    assert!(!inspector.is_between_requests());
    inspector.push(b"x y: z\r\n").unwrap_err();
    assert_eq!(inspector.request_line(), b"GET /a HTTP/1.1\r");
}

/// Heads and bodies near the edge of what is lawful.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just("PUT /a HTTP/1.1\r\nhost: g\r\ncontent-length: 3\r\n\r\nabc".to_owned()),
        4 => Just("PUT /a HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()),
        1 => Just("GET /a HTTP/1.1\r\n".to_owned()),
        1 => Just("POST /a HTTP/1.1\r\n".to_owned()),
        1 => Just("host: g\r\n".to_owned()),
        1 => Just("content-length: 3\r\n".to_owned()),
        1 => Just("transfer-encoding: chunked\r\n".to_owned()),
        1 => Just("upgrade: websocket\r\n".to_owned()),
        1 => Just("\r\n".to_owned()),
        4 => Just("3\r\nabc\r\n".to_owned()),
        2 => Just("0\r\n\r\n".to_owned()),
        1 => "[a-zA-Z:#; \r\n\t0-9\0]{0,6}",
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    /// However the bytes arrive, the same heads pass; and what passes is what arrived, byte for byte and in order.
    #[test]
    fn what_passes_does_not_depend_on_how_it_arrives(bytes in stream(), size in 1_usize..40) {
        let whole = passed([bytes.as_slice()]);
        let split = passed(bytes.chunks(size));
        prop_assert_eq!(&whole.1, &split.1);
        if whole.1.is_none() {
            prop_assert_eq!(&whole.0, &split.0);
        }
        let heads = |pieces: &[Piece]| pieces.iter().filter(|piece| matches!(piece, Piece::Head(_))).count();
        prop_assert_eq!(heads(&whole.0), heads(&split.0));
        let given: Vec<u8> = split.0.iter().flat_map(|piece| match piece {
            Piece::Head(bytes) | Piece::Body(bytes) | Piece::Switching(bytes) => bytes.clone(),
        }).collect();
        prop_assert!(bytes.starts_with(&given));
    }

    /// Nothing is lost either: without an error only an unfinished head is held back.
    #[test]
    fn what_is_held_back_is_an_unfinished_head(bytes in stream()) {
        let (pieces, error) = passed([bytes.as_slice()]);
        let given: usize = pieces.iter().map(|piece| match piece {
            Piece::Head(bytes) | Piece::Body(bytes) | Piece::Switching(bytes) => bytes.len(),
        }).sum();
        if error.is_none() {
            prop_assert!(!bytes[given..].windows(4).any(|window| window == b"\r\n\r\n"));
        }
    }
}
