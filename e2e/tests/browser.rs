//! A person with a browser: signs in, sees a held request appear without reloading, approves one and denies one.

use e2e::browser::{Browser, LIGHT};
use e2e::person::{approval, pending, reopen, text};
use e2e::program::{Way, admin, administrator, end_of, kubectl, run, spawn};
use e2e::{unique, until};
use serde_json::Value;

#[tokio::test]
async fn a_person_signs_in_sees_a_request_appear_and_decides() {
    let browser = Browser::start("decides", LIGHT).await;
    browser.sign_in().await;
    browser.open("/approvals").await;
    browser.find("approvals", "").await;
    // A reload would lose this.
    browser.client.execute("window.stillTheSamePage = true; return null", Vec::new()).await.unwrap();

    for (word, state) in [("approve", "consumed"), ("deny", "denied")] {
        let name = format!("browser-{}", unique());
        admin(["create", "namespace", &name]).await;
        let held = spawn(kubectl(Way::Through, ["delete", "namespace", &name]));
        let id = pending(&name, &[]).await;
        browser.find("pending", &format!("[data-id='{id}']")).await;
        let same = browser.client.execute("return window.stillTheSamePage === true", Vec::new()).await.unwrap();
        assert_eq!(same, Value::Bool(true), "it appeared without reloading");

        browser.open(&format!("/approvals/{id}")).await;
        let summary = browser.find("summary", "").await.text().await.unwrap();
        assert!(summary.contains(&name), "{summary}");
        let note = format!("seen in a browser {}", unique());
        browser.find("decide-form", " [name=note]").await.send_keys(&note).await.unwrap();
        browser.find(word, "").await.click().await.unwrap();
        let decided = until("the decision is stored", || async {
            let decided = approval(&id).await;
            (text(&decided, "/state") == state).then_some(decided)
        })
        .await;
        assert_eq!(text(&decided, "/note"), note);
        let said = end_of(held).await;
        if word == "deny" {
            reopen(&id).await;
        }
        if word == "approve" {
            assert_eq!(said.code, Some(0), "{}", said.text());
        } else {
            assert!(said.code == Some(1) && said.err().contains(&note), "{}", said.text());
            assert_eq!(run(administrator(["get", "namespace", &name])).await.code, Some(0));
        }
        admin(["delete", "namespace", &name, "--ignore-not-found", "--wait=false"]).await;
        browser.open("/approvals").await;
        browser.find("earlier", &format!("[data-id='{id}']")).await;
        browser.client.execute("window.stillTheSamePage = true; return null", Vec::new()).await.unwrap();
    }
    browser.close().await;
}

#[tokio::test]
async fn a_call_appears_in_the_list_of_requests_and_a_recording_has_its_page() {
    let browser = Browser::start("looks", LIGHT).await;
    browser.sign_in().await;
    browser.open("/requests").await;
    browser.find("requests", "").await;
    browser.client.execute("window.stillTheSamePage = true; return null", Vec::new()).await.unwrap();
    let name = format!("browser-{}", unique());
    run(kubectl(Way::Through, ["get", "configmap", &name])).await;
    let record =
        until("the call is in the log", || async { e2e::person::records(&["--name", &name]).await.into_iter().next() })
            .await;
    browser.find("request", &format!("[data-id='{}']", text(&record, "/id"))).await;
    let same = browser.client.execute("return window.stillTheSamePage === true", Vec::new()).await.unwrap();
    assert_eq!(same, Value::Bool(true), "it appeared without reloading");

    let pod = &e2e::environment::Environment::get().demo.pod;
    run(kubectl(Way::Through, ["exec", pod, "--", "echo", &name])).await.ok();
    let session = until("the recording is closed", || async {
        let sessions = e2e::person::sessions().await;
        sessions
            .into_iter()
            .find(|session| session["argv"].to_string().contains(&name) && session["endedAt"].is_string())
    })
    .await;
    browser.open(&format!("/sessions/{}", text(&session, "/id"))).await;
    let digest = browser.find("channel", "[data-channel=stdout] [data-testid=sha256]").await.text().await.unwrap();
    assert_eq!(digest, text(&session, "/channels/stdout/sha256"));
    browser.find("player", "").await;
    browser.close().await;
}

#[tokio::test]
async fn without_a_sign_in_nothing_is_shown() {
    let browser = Browser::start("nobody", LIGHT).await;
    for page in ["/approvals", "/requests", "/sessions"] {
        browser.open(page).await;
        browser.find("sign-in", "").await;
    }
    browser.close().await;
}
