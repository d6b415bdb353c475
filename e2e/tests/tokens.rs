//! Case C13: tokens with many groups are large; both protocols take them alike up to a limit that is named above it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::{Arc, Mutex};

use e2e::standalone::{Certificate, Client, Directory, Gateway, Issuer, Protocol, Server, Settings, whole};
use e2e::within;
use http::header::HeaderMap;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

const OBJECT: &str = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c"}}"#;
const ONE: &str = "/api/v1/namespaces/shop/configmaps/c";
const WATCH: &str = "/api/v1/namespaces/shop/configmaps?watch=1";

/// The groups, and a valid token of about so many bytes that names them.
fn token(issuer: &Issuer, groups: usize, bytes: usize) -> (Vec<String>, String) {
    let groups: Vec<String> = (0..groups).map(|number| format!("group-{number:03}")).collect();
    let claims =
        |padding: usize| json!({"aud": "lockgate", "sub": "a", "groups": groups, "padding": "p".repeat(padding)});
    let bare = issuer.sign(&claims(0)).len();
    (groups.clone(), issuer.sign(&claims((bytes - bare) / 4 * 3)))
}

async fn status_of(answer: Response<hyper::body::Incoming>) -> (StatusCode, Value) {
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c13_large_tokens_pass_alike_over_both_protocols_and_too_large_ones_are_told_the_limit() {
    let (directory, certificate) = (Directory::new("tokens"), Certificate::new());
    let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let log = Arc::clone(&seen);
    let api = Server::start(&certificate, move |head, _body| {
        log.lock().unwrap().push(head.headers);
        Response::builder().header("content-type", "application/json").body(whole(OBJECT)).unwrap()
    })
    .await;
    let issuer = Issuer::start(&certificate).await;
    let settings = Settings::new(directory.path(), &certificate, &issuer, &api.url());
    let gateway = Gateway::start(directory.path(), settings).await;
    let client = |token: &str| -> Client { gateway.client(&certificate.certificate, token) };
    let mut large = Vec::new();
    for (groups, bytes) in [(100, 8 * 1024), (200, 14 * 1024), (400, 24 * 1024)] {
        let (groups, token) = token(&issuer, groups, bytes);
        assert!(token.len().abs_diff(bytes) < 16, "{} bytes for {bytes}", token.len());
        for protocol in [Protocol::Http1, Protocol::Http2] {
            for path in [ONE, WATCH] {
                let what = format!("{bytes} bytes over {protocol:?}: {path}");
                let mut connection = client(&token).connect(protocol).await.unwrap();
                let (status, body) = within(&what, connection.send("GET", path, b"")).await.unwrap();
                assert_eq!(status, StatusCode::OK, "{what}: {}", String::from_utf8_lossy(&body));
                let headers = seen.lock().unwrap().pop().expect("a call at the API server");
                let sent: Vec<_> = headers.get_all("impersonate-group").iter().collect();
                assert_eq!(sent.len(), groups.len(), "{what}");
                assert!(groups.iter().zip(sent).all(|(group, sent)| sent == &format!("lockgate:{group}")), "{what}");
                assert!(headers.values().all(|value| !value.to_str().unwrap().contains(&token[..64])), "{what}");
            }
        }
        large.push(token);
    }
    let (_, huge) = token(&issuer, 400, 200 * 1024);
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut refused = client(&huge).connect(protocol).await.unwrap();
        let (status, body) = status_of(within("an answer", refused.open("GET", ONE, b"")).await.unwrap()).await;
        assert!(matches!(status.as_u16(), 401 | 431), "{protocol:?}: {status} {body}");
        let message = body["message"].as_str().unwrap_or_default();
        assert!(body["kind"] == "Status" && message.contains("bytes"), "{protocol:?}: {body}");
    }
    // Neither the log nor the gateway's own messages hold a token, whole or in part.
    let records = gateway.records(&certificate.certificate, &issuer.auditor()).await;
    let written = Value::from(records).to_string() + &gateway.log();
    for token in large.iter().chain([&huge]) {
        let signature = token.rsplit('.').next().unwrap();
        assert!(!written.contains(&token[token.len() / 2..][..64]) && !written.contains(signature));
    }
}
