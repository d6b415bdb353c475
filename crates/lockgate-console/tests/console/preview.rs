//! Serves a console full of things for people to look at: `cargo test -p lockgate-console --test console -- --ignored preview`.
//! It prints the link that signs in, and stops after PREVIEW_SECONDS (600).

use std::time::Duration;

use crate::seed::{Held, action};
use crate::support::World;
use lockgate_core::{Channel, Effect, Risk, Timestamp, Verb};
use testkit::clock::PausedClock;
use tokio_util::sync::CancellationToken;

#[tokio::test]
#[ignore = "for looking at"]
async fn preview() {
    let port = std::env::var("PREVIEW_PORT").unwrap_or_else(|_| "18444".into());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    let clock = PausedClock::at(Timestamp::from_seconds(jiff::Timestamp::now().as_second() - 600));
    let world = World::at(clock, &format!("http://localhost:{port}/")).await;
    let done = world.hold(Held::namespace_delete("other-agent")).await;
    decide(&world, done.id, "approve", "The move is done; go ahead.").await;
    let denied = world
        .hold(Held {
            summary: "delete deployment shop/checkout",
            reason: Some("It looked unused."),
            action: action(Verb::Delete, "deployments", "shop", "checkout", Risk::Destructive),
            ..Held::namespace_delete("agent")
        })
        .await;
    decide(&world, denied.id, "deny", "Checkout is live. Scale it down first and watch the orders.").await;
    let terminal = world.terminal_session().await;
    let files: &[(u64, Channel, &[u8])] = &[
        (5, Channel::Stdout, b"worker_processes 4;\nevents {}\n"),
        (9, Channel::Stderr, b"cat: missing.conf: No such file or directory\n"),
    ];
    let plain = world.session(false, &["cat", "nginx.conf", "missing.conf"], files, 1).await;
    for name in ["web-6c9f7d5b8-x2x7q", "web-6c9f7d5b8-p9k2m", "api-7d9c-44xw"] {
        world.call("agent", action(Verb::Get, "pods", "shop", name, Risk::Read), Effect::Allow, 200).await;
    }
    let refused = action(Verb::Delete, "deployments", "kube-system", "coredns", Risk::Destructive);
    world.call("other-agent", refused, Effect::Deny, 403).await;
    world.clock.advance(Duration::from_secs(420));
    let waiting = world.hold(Held::namespace_delete("agent")).await;
    let secret = world.hold(Held::secret_patch()).await;
    let exec = world.hold(Held::hostile_exec()).await;
    let now = jiff::Timestamp::now().as_second() - world.now().seconds();
    world.clock.advance(Duration::from_secs(u64::try_from(now).unwrap_or(0)));
    println!("http://localhost:{port}/sign-in/start?next=/approvals");
    println!(
        "waiting /approvals/{} secret /approvals/{} exec /approvals/{} denied /approvals/{}",
        waiting.id, secret.id, exec.id, denied.id
    );
    println!("terminal /sessions/{terminal} plain /sessions/{plain} request /requests/{}", waiting.audit_id);
    let seconds = std::env::var("PREVIEW_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let shutdown = CancellationToken::new();
    let clock = world.clock.clone();
    // From here on it goes with the real time.
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tick.tick().await;
            clock.advance(Duration::from_secs(1));
        }
    });
    let serving = lockgate_console::serve(listener, None, world.router.clone(), shutdown.clone());
    drop(tokio::time::timeout(Duration::from_secs(seconds), serving).await);
}

async fn decide(world: &World, id: lockgate_core::ApprovalId, word: &str, note: &str) {
    let path = format!("/api/v1/approvals/{id}/{word}");
    let note = serde_json::json!({"note": note});
    let (status, body) = world.api(http::Method::POST, &path, &world.token("approver", 0), Some(note)).await;
    assert!(status.is_success(), "{body}");
    world.clock.advance(Duration::from_secs(30));
}
