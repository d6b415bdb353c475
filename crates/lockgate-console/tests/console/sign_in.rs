//! Signing in with a browser.

use crate::support::{START, World};
use axum::body::Body;
use http::{Request, StatusCode, header};

#[tokio::test]
async fn a_person_comes_back_to_where_they_were_going() {
    let world = World::new().await;
    let (response, url) = world.trip("approver", START, "/sign-in/start?next=/requests%3Fverb%3Ddelete", None).await;
    assert_eq!(response.headers()[header::LOCATION], "/requests?verb=delete");
    assert!(url.contains("code_challenge_method=S256") && url.contains("nonce=") && !url.contains("prompt=login"));
    assert!(url.contains("redirect_uri=https%3A%2F%2Fgate.example.com%3A8444%2Fsign-in%2Fcallback"), "{url}");
}

#[tokio::test]
async fn another_browsers_answer_is_refused() {
    let world = World::new().await;
    let (response, _) = world.trip("approver", START, "/sign-in/start", Some("__Host-lockgate-sign-in=other")).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(!response.headers().contains_key(header::SET_COOKIE));
}

#[tokio::test]
async fn an_agent_cannot_sign_in_to_the_pages() {
    let world = World::new().await;
    let (response, _) = world.trip("agent", START, "/sign-in/start", None).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(!response.headers().contains_key(header::SET_COOKIE));
}

#[tokio::test]
async fn a_fresh_sign_in_that_was_not_fresh_is_refused() {
    let world = World::new().await;
    let (response, url) = world.trip("approver", START - 3600, "/sign-in/start?fresh=1", None).await;
    assert!(url.contains("prompt=login") && url.contains("max_age=300"), "{url}");
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let (response, _) = world.trip("approver", START, "/sign-in/start?fresh=1", None).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn signing_out_ends_the_session_everywhere() {
    let world = World::new().await;
    let browser = world.browser("approver", 0).await;
    assert_eq!(world.page(&browser, "/approvals").await.0, StatusCode::OK);
    let response = world.post(&browser, "/sign-out", &[("csrf", &browser.csrf)]).await;
    assert_eq!(response.headers()[header::LOCATION], "/sign-in");
    assert_eq!(world.page(&browser, "/approvals").await.0, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_session_ends_after_eight_hours() {
    let world = World::new().await;
    let browser = world.browser("approver", 0).await;
    world.clock.advance(std::time::Duration::from_secs(8 * 3600 - 1));
    assert_eq!(world.page(&browser, "/approvals").await.0, StatusCode::OK);
    world.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(world.page(&browser, "/approvals").await.0, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_fragment_of_somebody_signed_out_leads_the_window_away() {
    let world = World::new().await;
    let request = Request::get("/approvals/list").header("hx-request", "true").body(Body::empty()).unwrap();
    let response = world.send(request).await;
    assert_eq!(
        (response.status(), &response.headers()["hx-redirect"]),
        (StatusCode::UNAUTHORIZED, &"/sign-in".parse().unwrap())
    );
}
