//! What pages and answers say.

use crate::seed::{HOSTILE, Held, action};
use crate::support::World;
use http::{Method, StatusCode, header};
use lockgate_core::{Channel, Effect, Risk, Verb};
use serde_json::Value;

/// The ids of a run, by the order in which they show up.
fn stable(text: &str) -> String {
    let mut names: Vec<(String, String)> = Vec::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = ["apr_", "aud_", "ses_", "frz_"].iter().filter_map(|prefix| rest.find(prefix)).min() {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let id: String = found.chars().take(40).collect();
        let is_id = id.len() == 40 && id[4..].chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        let id = if is_id { id } else { found.chars().take(4).collect() };
        if is_id && !names.iter().any(|(known, _)| *known == id) {
            names.push((id.clone(), format!("{}{}", &id[..4], names.len() + 1)));
        }
        let shown = names.iter().find(|(known, _)| *known == id).map_or(id.as_str(), |(_, shown)| shown);
        out.push_str(shown);
        rest = &found[id.len()..];
    }
    out.push_str(rest);
    out
}

/// Without what differs from run to run: ids, the version of a fragment, the anti-forgery token, the issuer's port.
pub fn golden(world: &World, page: &str) -> String {
    let issuer = world.issuer.as_str().trim_end_matches('/');
    let mut text = stable(page).replace(issuer, "ISSUER");
    for before in ["?seen=", "name=\"csrf\" value=\""] {
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some((head, tail)) = rest.split_once(before) {
            out.push_str(head);
            out.push_str(before);
            out.push('…');
            let end = tail.find(['"', '&']).unwrap_or(tail.len());
            rest = &tail[end..];
        }
        out.push_str(rest);
        text = out;
    }
    text
}

#[tokio::test]
async fn the_inbox_shows_what_waits() {
    let world = World::new().await;
    let browser = world.browser("approver", 0).await;
    let (_, empty) = world.page(&browser, "/approvals/list").await;
    insta::assert_snapshot!("inbox_empty", golden(&world, &empty));
    world.hold(Held::namespace_delete("agent")).await;
    world.clock.advance(std::time::Duration::from_secs(1));
    world.hold(Held::hostile_exec()).await;
    let (_, page) = world.page(&browser, "/approvals/list").await;
    insta::assert_snapshot!("inbox", golden(&world, &page));
}

#[tokio::test]
async fn the_approval_page_says_who_where_what_and_why() {
    let world = World::new().await;
    let browser = world.browser("approver", 0).await;
    let approval = world.hold(Held::secret_patch()).await;
    let (status, page) = world.page(&browser, &format!("/approvals/{}", approval.id)).await;
    assert_eq!(status, StatusCode::OK);
    insta::assert_snapshot!("approval", golden(&world, &page));
}

#[tokio::test]
async fn an_approval_reads_the_same_in_json() {
    let world = World::new().await;
    world.hold(Held::namespace_delete("agent")).await;
    let (_, list) = world.api(Method::GET, "/api/v1/approvals", &world.token("agent", 0), None).await;
    let text = golden(&world, &serde_json::to_string_pretty(&list).unwrap());
    insta::assert_snapshot!("approvals_json", text);
}

#[tokio::test]
async fn a_call_reads_the_same_in_json_and_filters_find_it() {
    let world = World::new().await;
    world.call("agent", action(Verb::List, "pods", "shop", "", Risk::Read), Effect::Allow, 200).await;
    let refused = action(Verb::Delete, "deployments", "kube-system", "coredns", Risk::Destructive);
    world.call("other-agent", refused, Effect::Deny, 403).await;
    let auditor = world.token("auditor", 0);
    let (_, list) = world.api(Method::GET, "/api/v1/audit?effect=deny&subject=other-agent", &auditor, None).await;
    insta::assert_snapshot!("audit_json", golden(&world, &serde_json::to_string_pretty(&list).unwrap()));
    let (_, all) = world.api(Method::GET, "/api/v1/audit", &auditor, None).await;
    assert_eq!(all.as_array().unwrap().len(), 2);
    let (status, problem) = world.api(Method::GET, "/api/v1/audit?effect=perhaps", &auditor, None).await;
    assert_eq!((status, problem["error"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid")));
}

#[tokio::test]
async fn no_page_lets_hostile_text_act() {
    let world = World::new().await;
    let browser = world.browser("approver", 0).await;
    let approval = world.hold(Held::hostile_exec()).await;
    let frames: &[(u64, Channel, &[u8])] =
        &[(1, Channel::Stdout, HOSTILE.as_bytes()), (2, Channel::Stderr, b"\x1b]0;x\x07\xff")];
    let session = world.session(false, &["cat", HOSTILE], frames, 0).await;
    let pages = [
        "/approvals".to_owned(),
        format!("/approvals/{}", approval.id),
        "/requests".to_owned(),
        format!("/requests/{}", approval.audit_id),
        format!("/requests/{}/row", approval.audit_id),
        "/sessions".to_owned(),
        format!("/sessions/{session}"),
    ];
    for path in pages {
        let (status, page) = world.page(&browser, &path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(page.chars().all(|c| c == '\n' || !lockgate_console::inert::is_hazard(c)), "{path}");
        assert!(!page.contains("<img"), "{path}");
        if path != "/requests" {
            assert!(page.contains(r"a\x1b[2Jb\u{202e}c\u{200b}"), "{path}: the text is there, visibly");
        }
    }
}

#[tokio::test]
async fn pages_allow_no_inline_script_or_style() {
    let world = World::new().await;
    let browser = world.browser("approver", 0).await;
    let approval = world.hold(Held::namespace_delete("agent")).await;
    let session = world.terminal_session().await;
    for path in [
        "/sign-in".to_owned(),
        "/approvals".to_owned(),
        format!("/approvals/{}", approval.id),
        "/requests".to_owned(),
        format!("/sessions/{session}"),
    ] {
        let request = http::Request::get(&path).header(header::COOKIE, &browser.cookie);
        let response = world.send(request.body(axum::body::Body::empty()).unwrap()).await;
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe-inline"),
            "{policy}"
        );
        assert!(!policy.contains("'unsafe-eval'"), "{policy}");
        let page = crate::support::text(response).await;
        assert!(!page.contains(" style=") && !page.contains("<style") && !page.contains(" onclick"), "{path}");
        assert!(page.matches("<script").count() == page.matches("<script src=\"/assets/").count(), "{path}");
    }
}

#[tokio::test]
async fn an_unchanged_fragment_leaves_the_page_alone() {
    let world = World::new().await;
    let browser = world.browser("approver", 0).await;
    let (_, first) = world.page(&browser, "/approvals/list").await;
    let version = first.split_once("?seen=").unwrap().1.split('"').next().unwrap().to_owned();
    let path = format!("/approvals/list?seen={version}");
    assert_eq!(world.page(&browser, &path).await.0, StatusCode::NO_CONTENT);
    world.hold(Held::namespace_delete("agent")).await;
    let (status, page) = world.page(&browser, &path).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("delete namespace shop-old"));
}

#[tokio::test]
async fn a_recording_is_given_back_exactly() {
    let world = World::new().await;
    let frames: &[(u64, Channel, &[u8])] =
        &[(1, Channel::Stdout, b"a\x00\xff\x0e"), (2, Channel::Stderr, b"err"), (3, Channel::Stdout, b"b\n")];
    let id = world.session(false, &["cat", "/bin/ls"], frames, 0).await;
    let token = world.token("auditor", 0);
    let lines = recording(&world, &format!("/api/v1/sessions/{id}/recording"), &token).await;
    let frames: Vec<Value> = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(frames[0], serde_json::json!({"offsetMicroseconds": 1000, "channel": "stdout", "payload": "YQD/Dg=="}));
    assert_eq!(frames.len(), 3);
    let raw = recording(&world, &format!("/api/v1/sessions/{id}/recording?format=raw&channel=stdout"), &token).await;
    assert_eq!(raw, b"a\x00\xff\x0eb\n");
    let (_, session) = world.api(Method::GET, &format!("/api/v1/sessions/{id}"), &token, None).await;
    assert_eq!(session["channels"]["stdout"]["bytes"], 6);
}

async fn recording(world: &World, path: &str, token: &str) -> Vec<u8> {
    let request = http::Request::get(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
    let response = world.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()
}

#[tokio::test]
async fn a_watch_shows_what_comes_and_what_becomes_of_it() {
    use futures_util::StreamExt;
    let world = World::new().await;
    let agent = world.token("agent", 0);
    let first = world.hold(Held::namespace_delete("agent")).await;
    let request =
        http::Request::get("/api/v1/approvals/watch").header(header::AUTHORIZATION, format!("Bearer {agent}"));
    let response = world.send(request.body(axum::body::Body::empty()).unwrap()).await;
    let mut body = response.into_body().into_data_stream();
    let mut next = async || {
        let line =
            tokio::time::timeout(std::time::Duration::from_secs(20), body.next()).await.unwrap().unwrap().unwrap();
        let approval: Value = serde_json::from_slice(&line).unwrap();
        (approval["id"].as_str().unwrap().to_owned(), approval["state"].as_str().unwrap().to_owned())
    };
    assert_eq!(next().await, (first.id.to_string(), "pending".to_owned()));
    // Somebody else's ticket is not in this agent's watch.
    world.hold(Held::secret_patch()).await;
    let path = format!("/api/v1/approvals/{}/approve", first.id);
    world.api(Method::POST, &path, &world.token("approver", 0), None).await;
    assert_eq!(next().await, (first.id.to_string(), "approved".to_owned()));
    world.shutdown.cancel();
    assert!(tokio::time::timeout(std::time::Duration::from_secs(20), body.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_tail_shows_calls_from_now_on() {
    use futures_util::StreamExt;
    let world = World::new().await;
    let auditor = world.token("auditor", 0);
    world.call("agent", action(Verb::Get, "pods", "shop", "old", Risk::Read), Effect::Allow, 200).await;
    world.clock.advance(std::time::Duration::from_secs(1));
    let request = http::Request::get("/api/v1/audit/tail").header(header::AUTHORIZATION, format!("Bearer {auditor}"));
    let response = world.send(request.body(axum::body::Body::empty()).unwrap()).await;
    let id = world.call("agent", action(Verb::Get, "pods", "shop", "new", Risk::Read), Effect::Allow, 200).await;
    let mut body = response.into_body().into_data_stream();
    let line = tokio::time::timeout(std::time::Duration::from_secs(20), body.next()).await.unwrap().unwrap().unwrap();
    let record: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(record["id"], id.to_string());
}
