//! A risky request waits for a human, on the wire: approving releases it exactly once, denying returns the note, and nobody but a person who has
//! just signed in decides.

use std::time::Duration;

use e2e::environment::{AGENT_USER, Environment};
use e2e::http::{Door, Protocol};
use e2e::person::{Who, approval, decide, lockgate, lockgate_with, pending, reopen, sign_approver_in, text};
use e2e::program::{Said, Way, admin, administrator, end_of, kubectl, run, spawn};
use e2e::{token, unique, until};
use serde_json::{Value, json};
use tokio::process::Child;

/// A namespace that only this test knows.
async fn namespace() -> String {
    let name = format!("approvals-{}", unique());
    admin(["create", "namespace", &name]).await;
    name
}

fn delete(name: &str) -> Child {
    spawn(kubectl(Way::Through, ["delete", "namespace", name]))
}

async fn exists(name: &str) -> bool {
    run(administrator(["get", "namespace", name])).await.code == Some(0)
}

async fn remove(name: &str) {
    admin(["delete", "namespace", name, "--ignore-not-found", "--wait=false"]).await;
}

/// The deletes of this namespace that the cluster itself saw from the agent.
fn deletes_in_the_clusters_log(name: &str) -> Vec<Value> {
    let events = Environment::get().cluster_events().into_iter();
    let is_it = |event: &Value| {
        text(event, "/verb") == "delete"
            && text(event, "/objectRef/name") == name
            && text(event, "/impersonatedUser/username") == AGENT_USER
            && text(event, "/stage") == "ResponseComplete"
    };
    events.filter(is_it).collect()
}

#[tokio::test]
async fn approved_it_goes_through_exactly_once() {
    let name = namespace().await;
    let mut held = delete(&name);
    let id = pending(&name, &[]).await;
    assert!(exists(&name).await, "nothing is sent while it waits");
    assert_eq!(held.try_wait().unwrap().map(|status| status.code()), None, "kubectl waits");
    let shown = approval(&id).await;
    assert_eq!(text(&shown, "/action/verb"), "delete");
    assert_eq!(text(&shown, "/subject/id"), "shop-agent");
    assert!(text(&shown, "/summary").contains(&name), "{shown}");

    decide("approve", &id, "go ahead").await.ok();
    let said = end_of(held).await.ok();
    assert!(said.out().contains(&name), "{}", said.text());
    let used = approval(&id).await;
    assert_eq!(text(&used, "/state"), "consumed");
    assert_eq!(used["dispatches"].as_array().map(Vec::len), Some(1), "{used}");
    until("the cluster's log has the delete", || async {
        (!deletes_in_the_clusters_log(&name).is_empty()).then_some(())
    })
    .await;
    assert_eq!(deletes_in_the_clusters_log(&name).len(), 1);
    // Approving it once more changes nothing: the namespace, made again, is asked anew.
    decide("approve", &id, "once more").await;
    let again = approval(&id).await;
    assert_eq!((text(&again, "/state"), text(&again, "/note")), ("consumed", "go ahead"));
    until("the namespace is gone", || async { (!exists(&name).await).then_some(()) }).await;
    admin(["create", "namespace", &name]).await;
    let held = delete(&name);
    let second = pending(&name, &[&id]).await;
    decide("deny", &second, "a test").await.ok();
    assert_eq!(end_of(held).await.code, Some(1));
    assert_eq!(deletes_in_the_clusters_log(&name).len(), 1);
    remove(&name).await;
}

#[tokio::test]
async fn denied_kubectl_is_told_the_note() {
    let name = namespace().await;
    let held = delete(&name);
    let id = pending(&name, &[]).await;
    let note = format!("not on a Friday ({})", unique());
    decide("deny", &id, &note).await.ok();
    let said = end_of(held).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err().contains(&note) && said.err().contains(&id), "{}", said.text());
    assert!(exists(&name).await);
    assert_eq!(text(&approval(&id).await, "/note"), note);
    let waited = lockgate(Who::Agent, &["approvals", "wait", &id, "--timeout", "5s"]).await;
    assert_eq!(waited.code, Some(3), "the agent sees what became of its request: {}", waited.text());
    assert!(deletes_in_the_clusters_log(&name).is_empty(), "nothing was sent");
    remove(&name).await;
}

#[tokio::test]
async fn the_agent_cannot_approve_its_own_request() {
    let name = namespace().await;
    let mut held = delete(&name);
    let id = pending(&name, &[]).await;
    let own = lockgate(Who::Agent, &["approvals", "approve", &id, "--note", "let me"]).await;
    assert_ne!(own.code, Some(0), "{}", own.text());
    let raw = Door::console(&token::agent().await)
        .send("POST", &format!("/api/v1/approvals/{id}/approve"), &[JSON], NOTE)
        .await;
    assert!([401, 403].contains(&raw.status.as_u16()), "{} {}", raw.status, raw.text());
    // Nor by a body that says who decides, nor without any credential, nor at the gateway's own door.
    let nobody = Door::console("").send("POST", &format!("/api/v1/approvals/{id}/approve"), &[JSON], NOTE).await;
    assert!([400, 401, 403].contains(&nobody.status.as_u16()), "{}", nobody.status);
    let gateway = Door::to(&Environment::get().demo.gateway_url, &token::agent().await, Protocol::Http1);
    let gateway = gateway.send("POST", &format!("/api/v1/approvals/{id}/approve"), &[JSON], NOTE).await;
    assert_eq!(gateway.status, 404, "{}", gateway.text());
    for who in [Who::Auditor] {
        let said = lockgate(who, &["approvals", "approve", &id]).await;
        assert_ne!(said.code, Some(0), "who only reads decides nothing: {}", said.text());
    }
    assert_eq!(text(&approval(&id).await, "/state"), "pending");
    assert!(held.try_wait().unwrap().is_none());
    decide("deny", &id, "a test").await.ok();
    assert_eq!(end_of(held).await.code, Some(1));
    remove(&name).await;
}

const JSON: (&str, &str) = ("content-type", "application/json");
const NOTE: &[u8] = br#"{"note":"a test"}"#;

#[tokio::test]
async fn an_old_sign_in_cannot_decide() {
    let name = namespace().await;
    let held = delete(&name);
    let id = pending(&name, &[]).await;
    sign_approver_in().await;
    // The approver's own token, valid in every way, of somebody who signed in six minutes ago.
    let mut claims = token::claims(&token::approver());
    let now = claims["iat"].as_i64().unwrap();
    claims["auth_time"] = json!(now - 6 * 60);
    let old = token::signed(&claims, "JWT");
    let door = Door::console(&old);
    assert_eq!(door.get(&format!("/api/v1/approvals/{id}"), &[]).await.status, 200, "it is good for reading");
    let refused = door.send("POST", &format!("/api/v1/approvals/{id}/approve"), &[JSON], NOTE).await;
    assert!([401, 403].contains(&refused.status.as_u16()), "{} {}", refused.status, refused.text());

    let directory = Environment::get().directory(&format!("old-sign-in-{name}"));
    let mut client: Value =
        serde_json::from_str(&e2e::environment::read(&Environment::get().demo.approver_client)).unwrap();
    std::fs::write(directory.join("tokens.json"), json!({"idToken": old}).to_string()).unwrap();
    client["tokens"] = "tokens.json".into();
    let file = directory.join("client.yaml");
    std::fs::write(&file, client.to_string()).unwrap();
    let said = run(lockgate_with(&file, &["approvals", "approve", &id])).await;
    assert_ne!(said.code, Some(0));
    assert!(said.err().contains("lockgate login"), "the next step is named: {}", said.text());
    assert_eq!(text(&approval(&id).await, "/state"), "pending");

    // The same claims with a fresh sign-in do decide: it was the age, and nothing else.
    claims["auth_time"] = json!(now);
    let fresh = Door::console(&token::signed(&claims, "JWT"));
    let denied = fresh.send("POST", &format!("/api/v1/approvals/{id}/deny"), &[JSON], NOTE).await;
    assert_eq!(denied.status, 200, "{}", denied.text());
    reopen(&id).await;
    assert_eq!(end_of(held).await.code, Some(1));
    remove(&name).await;
}

#[tokio::test]
async fn a_namespace_made_again_is_asked_anew() {
    let name = namespace().await;
    let held = delete(&name);
    let first = pending(&name, &[]).await;
    // It disappears, and another one of that name comes, while the human looks at the first.
    admin(["delete", "namespace", &name, "--timeout=60s"]).await;
    admin(["create", "namespace", &name]).await;
    decide("approve", &first, "the old one").await.ok();
    let said = end_of(held).await;
    assert_eq!(said.code, Some(1), "{}", said.text());
    assert!(exists(&name).await, "the new namespace is not what was approved");

    let held = delete(&name);
    let second = pending(&name, &[&first]).await;
    assert_ne!(first, second);
    decide("deny", &second, "a test").await.ok();
    assert_eq!(end_of(held).await.code, Some(1));
    assert!(
        deletes_in_the_clusters_log(&name).iter().all(|event| event["responseStatus"]["code"] != 200),
        "nothing of it took effect"
    );
    remove(&name).await;
}

/// Nobody decides in time: kubectl gets the ticket; approved later, the same request goes through once, and not a second time.
#[tokio::test]
async fn a_hold_that_ends_leaves_a_ticket_that_works_once() {
    let name = namespace().await;
    let held = delete(&name);
    let id = pending(&name, &[]).await;
    let said: Said = end_of(held).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err().contains(&id), "{}", said.text());
    let waited = lockgate(Who::Agent, &["approvals", "wait", &id, "--timeout", "1s"]).await;
    assert_eq!(waited.code, Some(75), "{}", waited.text());
    decide("approve", &id, "now").await.ok();
    let started = std::time::Instant::now();
    end_of(delete(&name)).await.ok();
    assert!(started.elapsed() < Duration::from_secs(40), "it was not held again");
    assert_eq!(text(&approval(&id).await, "/state"), "consumed");
    until("the cluster's log has the delete", || async {
        (!deletes_in_the_clusters_log(&name).is_empty()).then_some(())
    })
    .await;
    assert_eq!(deletes_in_the_clusters_log(&name).len(), 1);

    admin(["create", "namespace", &name]).await;
    let held = delete(&name);
    let second = pending(&name, &[&id]).await;
    decide("deny", &second, "once was enough").await.ok();
    assert_eq!(end_of(held).await.code, Some(1));
    remove(&name).await;
}
