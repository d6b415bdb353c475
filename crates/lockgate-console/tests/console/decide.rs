//! Who may decide a held request, through the API and the page.

use crate::seed::Held;
use crate::support::{World, text};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use serde_json::json;

async fn decide(world: &World, id: impl std::fmt::Display, word: &str, who: &str, ago: i64) -> (StatusCode, String) {
    let token = world.token(who, ago);
    let path = format!("/api/v1/approvals/{id}/{word}");
    let (status, body) = world.api(Method::POST, &path, &token, Some(json!({"note": "looked at it"}))).await;
    let code = body.pointer("/error/code").or(body.pointer("/state")).and_then(|code| code.as_str());
    (status, code.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn only_a_fresh_approver_who_is_not_the_owner_decides() {
    let world = World::new().await;
    let approval = world.hold(Held::namespace_delete("agent")).await;
    let refused = |code: &str| (StatusCode::FORBIDDEN, code.to_owned());
    // The agent's own token names the approvers' group, and still: an agent never decides.
    assert_eq!(decide(&world, approval.id, "approve", "agent", 0).await, refused("forbidden"));
    assert_eq!(decide(&world, approval.id, "approve", "stranger", 0).await, refused("forbidden"));
    assert_eq!(decide(&world, approval.id, "approve", "auditor", 0).await, refused("forbidden"));
    assert_eq!(decide(&world, approval.id, "approve", "approver", 301).await, refused("freshSignInRequired"));
    assert_eq!(decide(&world, approval.id, "approve", "owner", 0).await, refused("forbidden"));
    let stored = world.store.approval(approval.id).await.unwrap().unwrap();
    assert!(stored.decided_by.is_empty() && stored.state == approval.state);

    assert_eq!(decide(&world, approval.id, "approve", "approver", 299).await, (StatusCode::OK, "approved".into()));
    // The same word again changes nothing; the other word comes too late.
    assert_eq!(decide(&world, approval.id, "approve", "approver", 0).await, (StatusCode::OK, "approved".into()));
    let late = decide(&world, approval.id, "deny", "approver2", 0).await;
    assert_eq!(late, (StatusCode::CONFLICT, "alreadyDecided".into()));
}

#[tokio::test]
async fn a_stale_sign_in_is_told_what_to_do() {
    let world = World::new().await;
    let approval = world.hold(Held::namespace_delete("agent")).await;
    let path = format!("/api/v1/approvals/{}/approve", approval.id);
    let (_, body) = world.api(Method::POST, &path, &world.token("approver", 3600), None).await;
    insta::assert_json_snapshot!(body, @r#"
    {
      "error": {
        "code": "freshSignInRequired",
        "message": "Deciding needs a sign-in of the last 300 seconds; yours is older.",
        "next": "Run `lockgate login --fresh`, then decide again."
      }
    }
    "#);
}

#[tokio::test]
async fn a_denial_needs_a_note_and_the_agent_reads_it() {
    let world = World::new().await;
    let approval = world.hold(Held::namespace_delete("agent")).await;
    let path = format!("/api/v1/approvals/{}", approval.id);
    let approver = world.token("approver", 0);
    let (status, _) = world.api(Method::POST, &format!("{path}/deny"), &approver, Some(json!({"note": "  "}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let note = json!({"note": "Not on a Friday."});
    let (status, _) = world.api(Method::POST, &format!("{path}/deny"), &approver, Some(note)).await;
    assert_eq!(status, StatusCode::OK);
    let (_, seen) = world.api(Method::GET, &format!("{path}?waitSeconds=10"), &world.token("agent", 0), None).await;
    assert_eq!((seen["state"].as_str(), seen["note"].as_str()), (Some("denied"), Some("Not on a Friday.")));
}

#[tokio::test]
async fn an_agent_sees_its_own_tickets_only() {
    let world = World::new().await;
    let mine = world.hold(Held::namespace_delete("agent")).await;
    let other = world.hold(Held::secret_patch()).await;
    let token = world.token("agent", 0);
    let (_, list) = world.api(Method::GET, "/api/v1/approvals", &token, None).await;
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|approval| approval["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [mine.id.to_string()]);
    let (status, _) = world.api(Method::GET, &format!("/api/v1/approvals/{}", other.id), &token, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (_, all) = world.api(Method::GET, "/api/v1/approvals", &world.token("auditor", 9999), None).await;
    assert_eq!(all.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_wait_ends_when_somebody_decides() {
    let world = World::new().await;
    let approval = world.hold(Held::namespace_delete("agent")).await;
    let token = world.token("agent", 0);
    let path = format!("/api/v1/approvals/{}?waitSeconds=45", approval.id);
    let waiting = world.api(Method::GET, &path, &token, None);
    let deciding = decide(&world, approval.id, "approve", "approver", 0);
    let both = async { tokio::join!(waiting, deciding) };
    let ((_, seen), _) = tokio::time::timeout(std::time::Duration::from_secs(20), both).await.unwrap();
    assert_eq!(seen["state"], "approved");
}

#[tokio::test]
async fn the_page_decides_only_with_its_own_form_and_a_fresh_sign_in() {
    let world = World::new().await;
    let approval = world.hold(Held::namespace_delete("agent")).await;
    let path = format!("/approvals/{}/approve", approval.id);
    let browser = world.browser("approver", 0).await;

    let forged = world.post(&browser, &path, &[("note", "n")]).await;
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    let other = world.browser("approver2", 0).await;
    let forged = world.post(&browser, &path, &[("csrf", &other.csrf)]).await;
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    let foreign = Request::post(&path)
        .header(header::COOKIE, &browser.cookie)
        .header(header::ORIGIN, "https://evil.example")
        .body(Body::from(format!("csrf={}", browser.csrf)))
        .unwrap();
    assert_eq!(world.send(foreign).await.status(), StatusCode::FORBIDDEN);
    assert!(world.store.approval(approval.id).await.unwrap().unwrap().decided_by.is_empty());

    // The same browser, six minutes later: the page says so, and the way leads through a new sign-in.
    let stale = world.browser("approver", 360).await;
    let response = world.post(&stale, &path, &[("csrf", &stale.csrf)]).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let page = text(response).await;
    assert!(page.contains(&format!("/sign-in/start?fresh=1&#38;next=%2Fapprovals%2F{}", approval.id)), "{page}");
    let (_, page) = world.page(&stale, &format!("/approvals/{}", approval.id)).await;
    assert!(page.contains("Sign in again to decide") && !page.contains("data-testid=\"approve\""));

    let decided = world.post(&browser, &path, &[("csrf", &browser.csrf), ("note", "fine")]).await;
    assert_eq!(decided.status(), StatusCode::SEE_OTHER);
    assert_eq!(decided.headers()[header::LOCATION], format!("/approvals/{}", approval.id).as_str());
    let stored = world.store.approval(approval.id).await.unwrap().unwrap();
    assert_eq!((stored.state.as_str(), stored.note.as_deref()), ("approved", Some("fine")));
}
