//! Who is frozen, and who may stop an agent or let it go on, through the API and the page.

use std::time::Duration;

use crate::pages::golden;
use crate::seed::{HOSTILE, Held};
use crate::support::{World, subject};
use http::{Method, StatusCode, header};
use lockgate_core::{ApprovalId, Freeze, Risk, Verb};
use lockgate_store::{Agent, Word};
use serde_json::{Value, json};

/// The agent asks for one thing after the other and is denied each time.
async fn denied_three_times(world: &World) -> Vec<ApprovalId> {
    let mut tickets = Vec::new();
    for _ in 0..3 {
        let ticket = world.hold(Held::namespace_delete("agent")).await;
        world.clock.advance(Duration::from_secs(1));
        let by = subject(world.issuer.as_str(), "approver").unwrap();
        let auth_time = world.store.clock().now();
        let word = Word { by, auth_time, approve: false, note: Some("Not on a Friday.".into()) };
        world.store.decide(ticket.id, word).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
        tickets.push(ticket.id);
    }
    tickets
}

async fn freeze(world: &World) -> Option<Freeze> {
    world.store.active_freeze(&subject(world.issuer.as_str(), "agent").unwrap()).await.unwrap()
}

fn key(world: &World) -> String {
    Agent::key_of(&subject(world.issuer.as_str(), "agent").unwrap())
}

async fn say(world: &World, word: &str, who: &str, ago: i64, note: Value) -> (StatusCode, Value) {
    let path = format!("/api/v1/agents/{}/{word}", key(world));
    world.api(Method::POST, &path, &world.token(who, ago), Some(json!({"note": note}))).await
}

fn code(answer: &(StatusCode, Value)) -> (u16, &str) {
    let word = answer.1.pointer("/error/code").and_then(Value::as_str);
    (answer.0.as_u16(), word.unwrap_or_default())
}

#[tokio::test]
async fn only_a_fresh_approver_who_is_not_the_owner_clears() {
    let world = World::new().await;
    let tickets = denied_three_times(&world).await;
    let frozen = freeze(&world).await.unwrap();
    for (who, ago, expected) in [
        ("agent", 0, (403, "forbidden")),
        ("auditor", 0, (403, "forbidden")),
        ("stranger", 0, (403, "forbidden")),
        ("approver", 301, (403, "freshSignInRequired")),
        ("owner", 0, (403, "forbidden")),
    ] {
        assert_eq!(code(&say(&world, "clear", who, ago, "n".into()).await), expected, "{who}");
    }
    assert_eq!(code(&say(&world, "clear", "approver", 0, " ".into()).await), (400, "invalid"));
    assert_eq!(freeze(&world).await, Some(frozen.clone()));

    let (_, list) = world.api(Method::GET, "/api/v1/agents", &world.token("auditor", 9999), None).await;
    let agent = &list[0];
    assert_eq!((agent["key"].as_str(), agent["subject"]["id"].as_str()), (Some(key(&world).as_str()), Some("agent")));
    assert_eq!(agent["freeze"]["cause"]["approvals"].as_array().unwrap().len(), tickets.len());
    assert_eq!(agent["subject"]["groups"], json!([]), "groups change; they are not part of who it is");

    let cleared = say(&world, "clear", "approver2", 0, "Talked to the team.".into()).await;
    assert_eq!((cleared.0, cleared.1["cleared"]["note"].as_str()), (StatusCode::OK, Some("Talked to the team.")));
    assert_eq!(freeze(&world).await, None);
    assert_eq!(code(&say(&world, "clear", "approver2", 0, "again".into()).await), (409, "notFrozen"));
    let (_, shown) = world.api(Method::GET, "/api/v1/agents/agent", &world.token("approver", 0), None).await;
    assert_eq!(shown["freezes"][0]["id"], frozen.id.to_string());
    assert_eq!(shown.get("freeze"), None);
}

#[tokio::test]
async fn a_person_stops_an_agent_by_hand() {
    let world = World::new().await;
    let list = crate::seed::action(Verb::List, "pods", "shop", "", Risk::Read);
    world.call("agent", list, lockgate_core::Effect::Allow, 200).await;
    assert_eq!(code(&say(&world, "freeze", "agent", 0, "n".into()).await), (403, "forbidden"));
    assert_eq!(code(&say(&world, "freeze", "auditor", 0, "n".into()).await), (403, "forbidden"));
    assert_eq!(code(&say(&world, "freeze", "approver", 0, "".into()).await), (400, "invalid"));
    assert_eq!(freeze(&world).await, None);
    assert_eq!(say(&world, "freeze", "approver", 0, "It runs wild.".into()).await.0, StatusCode::OK);
    assert!(freeze(&world).await.is_some());
    let unknown = world.api(Method::GET, "/api/v1/agents/nobody", &world.token("approver", 0), None).await;
    assert_eq!(code(&unknown), (404, "notFound"));
}

#[tokio::test]
async fn the_pages_show_who_is_frozen_and_let_it_go_on() {
    let world = World::new().await;
    let browser = world.browser("approver", 0).await;
    let (_, nobody) = world.page(&browser, "/agents/list").await;
    assert!(nobody.contains("none-frozen"), "{nobody}");
    denied_three_times(&world).await;
    let path = format!("/agents/{}", key(&world));
    let (_, inbox) = world.page(&browser, "/approvals").await;
    assert!(inbox.contains("frozen-notice") && inbox.contains("href=\"/agents\""), "{inbox}");
    let (_, list) = world.page(&browser, "/agents/list").await;
    insta::assert_snapshot!("agents", golden(&world, &list).replace(&key(&world), "KEY"));
    let (_, page) = world.page(&browser, &path).await;
    insta::assert_snapshot!("agent_frozen", golden(&world, &page).replace(&key(&world), "KEY"));

    let stale = world.browser("approver", 360).await;
    let (_, page) = world.page(&stale, &path).await;
    assert!(page.contains("Sign in again to decide") && !page.contains("data-testid=\"clear\""), "{page}");
    let forged = world.post(&browser, &format!("{path}/clear"), &[("note", "n")]).await;
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    let form = [("csrf", browser.csrf.as_str()), ("note", "Talked to it.")];
    let cleared = world.post(&browser, &format!("{path}/clear"), &form).await;
    assert_eq!(
        (cleared.status(), cleared.headers()[header::LOCATION].to_str().unwrap()),
        (StatusCode::SEE_OTHER, path.as_str())
    );
    assert_eq!(freeze(&world).await, None);
    let (_, page) = world.page(&browser, &path).await;
    assert!(page.contains("Talked to it.") && page.contains("data-testid=\"freeze\""), "{page}");
    let hostile = [("csrf", browser.csrf.as_str()), ("note", HOSTILE)];
    let frozen = world.post(&browser, &format!("{path}/freeze"), &hostile).await;
    assert_eq!(frozen.status(), StatusCode::SEE_OTHER);
    for path in ["/agents".to_owned(), path] {
        let (_, page) = world.page(&browser, &path).await;
        assert!(page.chars().all(|c| c == '\n' || !lockgate_console::inert::is_hazard(c)), "{path}");
        assert!(!page.contains("<img"), "{path}");
    }
}

#[tokio::test]
async fn a_denied_request_is_reopened_by_who_may_decide_it() {
    let world = World::new().await;
    let ticket = denied_three_times(&world).await[0];
    let path = format!("/api/v1/approvals/{ticket}/reopen");
    let reopen = async |who: &str, note: &str| {
        world.api(Method::POST, &path, &world.token(who, 0), Some(json!({"note": note}))).await
    };
    assert_eq!(code(&reopen("agent", "n").await), (403, "forbidden"));
    assert_eq!(code(&reopen("owner", "n").await), (403, "forbidden"));
    assert_eq!(code(&reopen("approver", "").await), (400, "invalid"));
    let browser = world.browser("approver", 0).await;
    let (_, page) = world.page(&browser, &format!("/approvals/{ticket}")).await;
    assert!(page.contains("data-testid=\"reopen\""), "{page}");
    let (status, reopened) = reopen("approver", "The team agrees.").await;
    assert_eq!((status, reopened["state"].as_str()), (StatusCode::OK, Some("denied")));
    assert_eq!(reopened["reopenedBy"]["subject"]["id"], "approver");
    let (_, page) = world.page(&browser, &format!("/approvals/{ticket}")).await;
    assert!(page.contains("data-testid=\"reopened\"") && !page.contains("data-testid=\"reopen\""), "{page}");
}
