//! Slow, stopped and failing commits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lockgate_core::{ApprovalState, Effect};
use lockgate_store::{StoreError, admit};
use testkit::clock::PausedClock;
use testkit::store::{FaultyStore, Mode, Progress};

use crate::sample::{agent, answer, approved, call, decision, eventually, opened, request};

#[tokio::test]
async fn a_ticket_exists_only_after_its_commit() {
    let fixture = FaultyStore::new(Arc::new(PausedClock::default())).await;
    fixture.faults.set(Mode::Stop);
    let opening = tokio::spawn({
        let store = fixture.store.clone();
        async move { opened(&store).await }
    });
    eventually("the commit is asked for", async || !fixture.faults.operations().is_empty()).await;
    assert!(!opening.is_finished(), "no ticket before the commit");
    assert_eq!(fixture.faults.durable_events(), Vec::<&str>::new());
    fixture.faults.set(Mode::Pass);
    let ticket = opening.await.unwrap();
    let operations = fixture.faults.operations();
    assert_eq!(operations.len(), 1, "one flush per request on the path");
    assert_eq!(operations[0].events, ["arrived", "decided", "dispatched"]);
    assert_eq!(operations[0].progress, Progress::Durable);
    ticket.into_parts().1.close(200, answer(200)).await.unwrap();
}

#[tokio::test]
async fn a_delayed_commit_delays_the_ticket_by_as_much() {
    let fixture = FaultyStore::new(Arc::new(PausedClock::default())).await;
    fixture.faults.set(Mode::Delay(Duration::from_millis(200)));
    let begun = Instant::now();
    let ticket = opened(&fixture.store).await;
    assert!(begun.elapsed() >= Duration::from_millis(200));
    fixture.faults.set(Mode::Pass);
    ticket.into_parts().1.close(200, answer(200)).await.unwrap();
}

#[tokio::test]
async fn a_failing_commit_gives_neither_ticket_nor_refusal() {
    let fixture = FaultyStore::new(Arc::new(PausedClock::default())).await;
    let store = &fixture.store;
    fixture.faults.fail();
    let permit = || admit(&decision(Effect::Allow), None).unwrap();
    let error = call(store).open(permit(), request(), "agent:a".into()).await.unwrap_err();
    assert!(matches!(error, StoreError::Database(_)));
    assert!(call(store).refuse(403, "Forbidden", "no", None).await.is_err());
    assert!(store.ready().await.is_err());
    fixture.faults.set(Mode::Pass);
    store.ready().await.unwrap();
    assert_eq!(store.sweep().await.unwrap(), 0, "nothing of it is in the log");
    opened(store).await.into_parts().1.close(200, answer(200)).await.unwrap();
}

#[tokio::test]
async fn a_grant_whose_dispatch_failed_leaves_its_ticket_indeterminate() {
    let clock = PausedClock::default();
    let fixture = FaultyStore::new(Arc::new(clock.clone())).await;
    let store = &fixture.store;
    let ticket = approved(store, &clock, "f").await;
    let call = call(store);
    let grant = store.consume(ticket.id, &agent("a"), "f", call.audit_id()).await.unwrap();
    fixture.faults.fail();
    let permit = admit(&decision(Effect::Ask), grant).unwrap();
    assert!(call.open(permit, request(), "agent:a".into()).await.is_err());
    fixture.faults.set(Mode::Pass);
    assert_eq!(store.sweep().await.unwrap(), 1);
    assert_eq!(store.approval(ticket.id).await.unwrap().unwrap().state, ApprovalState::Indeterminate);
}

#[tokio::test]
async fn a_receipt_that_could_not_close_is_closed_by_the_sweeper() {
    let fixture = FaultyStore::new(Arc::new(PausedClock::default())).await;
    let ticket = opened(&fixture.store).await;
    let id = ticket.audit_id();
    fixture.faults.fail();
    assert!(ticket.into_parts().1.close(200, answer(200)).await.is_err());
    fixture.faults.set(Mode::Pass);
    assert_eq!(fixture.store.sweep().await.unwrap(), 1);
    assert!(fixture.store.audit_record(id).await.unwrap().unwrap().outcome.is_some());
}
