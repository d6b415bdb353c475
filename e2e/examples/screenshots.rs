//! Pictures of the console in light, dark and phone width: `cargo xtask demo screenshots`.
//!
//! It makes something to look at first: a held request, a recording, calls.

use std::path::PathBuf;

use e2e::agent::Agent;
use e2e::browser::{Browser, DARK, LIGHT, PHONE};
use e2e::environment::Environment;
use e2e::person::{Who, decide, lockgate, pending, sessions, sign_approver_in, text};
use e2e::program::{Way, admin, end_of, kubectl, run, spawn};
use e2e::{unique, until};

#[tokio::main]
async fn main() {
    let directory =
        std::env::args_os().nth(1).map_or_else(|| Environment::get().demo.state_dir.join("screenshots"), PathBuf::from);
    std::fs::create_dir_all(&directory).expect("a directory for the pictures");
    let name = format!("screenshots-{}", e2e::unique());
    admin(["create", "namespace", &name]).await;
    let held = spawn(kubectl(Way::Through, ["delete", "namespace", &name]));
    let id = pending(&name, &[]).await;
    let script = format!(": {name}; ls -la /; echo; echo something went wrong >&2; exit 3");
    run(kubectl(Way::Through, ["exec", &Environment::get().demo.pod, "--", "sh", "-c", &script])).await;
    let session = until("the recording is closed", || async {
        sessions()
            .await
            .into_iter()
            .find(|session| session["argv"].to_string().contains(&name) && session["endedAt"].is_string())
    })
    .await;

    let (stopped, key) = frozen().await;
    for screen in [LIGHT, DARK, PHONE] {
        let browser = Browser::start(&format!("screenshots-{}", screen.name), screen).await;
        browser.open("/approvals").await;
        browser.find("sign-in", "").await;
        let save = |page: &str, picture: Vec<u8>| {
            let file = directory.join(format!("{page}-{}.png", screen.name));
            std::fs::write(&file, picture).expect("a picture");
            println!("{}", file.display());
        };
        save("sign-in", browser.picture().await);
        browser.sign_in().await;
        for (page, path, testid) in [
            ("approvals", "/approvals".to_owned(), "approvals"),
            ("approval", format!("/approvals/{id}"), "summary"),
            ("agents", "/agents".to_owned(), "agents"),
            ("agent", format!("/agents/{key}"), "standing"),
            ("requests", "/requests".to_owned(), "requests"),
            ("sessions", "/sessions".to_owned(), "sessions"),
            ("session", format!("/sessions/{}", text(&session, "/id")), "player"),
        ] {
            browser.open(&path).await;
            browser.find(testid, "").await;
            save(page, browser.picture().await);
        }
        browser.close().await;
    }
    decide("deny", &id, "only for the pictures").await.ok();
    end_of(held).await;
    admin(["delete", "namespace", &name, "--wait=false"]).await;
    stopped.remove().await;
}

/// An agent whose requests were denied three times in a row, and its key.
async fn frozen() -> (Agent, String) {
    let agent = Agent::at_the_demos().await;
    sign_approver_in().await;
    for note in ["Not while the sale is on.", "Still no: ask the shop team.", "Stop asking. Talk to Ada."] {
        let name = format!("pictures-{}", unique());
        admin(["create", "namespace", &name]).await;
        let held = spawn(agent.kubectl(["delete", "namespace", &name]));
        let id = pending(&name, &[]).await;
        lockgate(Who::Approver, &["approvals", "deny", &id, "--note", note]).await.ok();
        end_of(held).await;
        admin(["delete", "namespace", &name, "--wait=false"]).await;
    }
    let list = lockgate(Who::Approver, &["agents", "list", "--frozen"]).await.ok().json();
    let mut agents = list.as_array().expect("a list").iter();
    let own = agents.find(|frozen| text(frozen, "/subject/id") == agent.name).expect("it is frozen");
    let key = text(own, "/key").to_owned();
    (agent, key)
}
