//! What every backend must do. Each promise is a function over a fresh [`Store`], so that another backend only adds a list.

use std::time::Duration;

use bytes::Bytes;
use lockgate_core::{ApprovalState, Clock, DecidedBy, Effect, Outcome, PolicyFacts, ShadowFacts, Verb, limit};
use lockgate_store::limit::{DENIED_FOR, LEASE, PENDING_PER_PRINCIPAL_MAX};
use lockgate_store::{
    ApprovalFilter, AuditFilter, DecideError, Hold, Instead, NotAdmitted, Rejection, RequestBody, Store, StoreError,
    Topic, Word, admit,
};
use testkit::clock::PausedClock;

use crate::sample::{
    BODY, agent, answer, approved, arrival, call, decision, held, human, new_approval, opened, request, terms, word,
};

macro_rules! on_sqlite {
    ($($promise:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    let clock = testkit::clock::PausedClock::default();
                    let fixture = testkit::store::FaultyStore::new(std::sync::Arc::new(clock.clone())).await;
                    super::$promise(&fixture.store, &clock).await;
                    fixture.store.shutdown().await.unwrap();
                }
            )+
        }
    };
}

on_sqlite![
    a_forwarded_call_reads_back_whole,
    a_refusal_and_an_abandoned_call_read_back,
    a_held_call_is_one_record,
    lists_filter_page_and_run_newest_first,
    what_a_candidate_would_have_said_is_kept_and_found,
    a_denial_admits_nothing_and_ask_needs_a_grant,
    the_same_request_joins_its_open_ticket,
    a_hundred_tasks_get_one_grant,
    a_grant_is_for_its_principal_and_fingerprint,
    time_expires_tickets,
    who_may_not_decide_is_refused,
    two_words_means_two_people,
    a_denial_carries_its_note_and_stays_in_force,
    a_decision_is_final_and_repeating_it_is_no_error,
    a_word_on_a_ticket_is_evidence,
    tickets_can_be_withdrawn,
    pending_tickets_have_a_limit,
    the_reviewed_body_is_what_goes_out,
    only_what_was_let_through_is_replaced,
    a_grant_serves_only_its_call,
    a_dropped_receipt_is_closed_by_the_sweeper,
    a_lapsed_ticket_of_a_lost_dispatch_is_indeterminate,
    a_policy_is_stored_when_it_is_new,
    writes_are_told,
];

async fn a_forwarded_call_reads_back_whole(store: &Store, clock: &PausedClock) {
    let ticket = opened(store).await;
    let id = ticket.audit_id();
    assert_eq!(ticket.user(), "agent:a");
    let open = store.audit_record(id).await.unwrap().unwrap();
    assert_eq!((open.outcome, open.upstream.unwrap().user), (None, "agent:a".to_owned()));
    clock.advance(Duration::from_millis(5));
    let (sent, receipt) = ticket.into_parts();
    assert_eq!(sent.body.bytes().as_ref(), b"what the client sent again");
    receipt.close(200, answer(200)).await.unwrap();
    let record = store.audit_record(id).await.unwrap().unwrap();
    assert_eq!(record.outcome, Some(Outcome::Completed));
    assert_eq!(record.response, Some(answer(200)));
    assert_eq!(record.finished_at.unwrap().since(record.started_at), Duration::from_millis(5));
    let kinds: Vec<_> = store.audit_events(id).await.unwrap().iter().map(|event| event.body.kind()).collect();
    assert_eq!(kinds, ["arrived", "decided", "dispatched", "closed"]);
}

async fn a_refusal_and_an_abandoned_call_read_back(store: &Store, _clock: &PausedClock) {
    let mut refused = call(store);
    refused.arrival().cluster = "learnt later".into();
    let proof = refused.refuse(403, "Forbidden", "rule r says no", None).await.unwrap();
    let record = store.audit_record(proof.audit_id()).await.unwrap().unwrap();
    assert_eq!((record.outcome, record.message.as_deref()), (Some(Outcome::Refused), Some("rule r says no")));
    assert_eq!(record.cluster, "learnt later");
    let abandoned = call(store);
    let id = abandoned.audit_id();
    abandoned.abandon("client went away").await.unwrap();
    assert_eq!(store.audit_record(id).await.unwrap().unwrap().outcome, Some(Outcome::Aborted));
}

async fn a_held_call_is_one_record(store: &Store, clock: &PausedClock) {
    let ask = decision(Effect::Ask);
    let mut call = call(store);
    call.decided(&ask);
    let ticket = held(store, "f").await;
    call.held(ticket.id).await.unwrap();
    let id = call.audit_id();
    assert_eq!(store.audit_record(id).await.unwrap().unwrap().approval_id, Some(ticket.id));
    store.decide(ticket.id, word(clock, "sam", true)).await.unwrap();
    let grant = store.consume(ticket.id, &agent("a"), "f", id).await.unwrap();
    let sent = call.open(admit(&ask, grant).unwrap(), request(), "agent:a".into()).await.unwrap();
    sent.into_parts().1.close(200, answer(200)).await.unwrap();
    let kinds: Vec<_> = store.audit_events(id).await.unwrap().iter().map(|event| event.body.kind()).collect();
    assert_eq!(kinds, ["arrived", "decided", "held", "dispatched", "closed"]);
    let found = store.audit_records(&AuditFilter { approval_id: Some(ticket.id), ..AuditFilter::default() }).await;
    assert_eq!(found.unwrap().iter().map(|record| record.id).collect::<Vec<_>>(), [id]);
}

async fn what_a_candidate_would_have_said_is_kept_and_found(store: &Store, _: &PausedClock) {
    let policy = PolicyFacts { revision: 7, digest: "p1".into(), author: "jane@example.com".into() };
    let shadow = ShadowFacts {
        effect: Effect::Deny,
        rule: Some("stricter".into()),
        policy_revision: "p2".into(),
        differs: vec!["effect".into()],
    };
    let mut ids = Vec::new();
    for shadow in [Some(shadow.clone()), None] {
        let mut call = call(store);
        ids.push(call.audit_id());
        let by =
            DecidedBy { policy: Some(policy.clone()), shadow, environment: "production".into(), policy_effect: None };
        call.decided_by(&decision(Effect::Ask), by);
        let _refused = call.refuse(403, "ApprovalRequired", "wait", None).await.unwrap();
    }
    let found = store.audit_records(&AuditFilter { shadow_differs: true, ..AuditFilter::default() }).await.unwrap();
    assert_eq!(found.iter().map(|record| record.id).collect::<Vec<_>>(), [ids[0]]);
    let decided = found[0].decision.clone().unwrap();
    assert_eq!((decided.policy, decided.shadow), (Some(policy.clone()), Some(shadow)));
    assert_eq!(decided.environment, "production");
    let same = store.audit_record(ids[1]).await.unwrap().unwrap().decision.unwrap();
    assert_eq!((same.policy, same.shadow), (Some(policy), None));
}

async fn lists_filter_page_and_run_newest_first(store: &Store, clock: &PausedClock) {
    let mut ids = Vec::new();
    for number in 0..5_u32 {
        clock.advance(Duration::from_secs(1));
        let mut arrival = arrival();
        arrival.cluster = if number % 2 == 0 { "even".into() } else { "odd".into() };
        let call = store.call(store.new_audit_id(), arrival);
        ids.insert(0, call.audit_id());
        let _refused = call.refuse(403, "Forbidden", "no", None).await.unwrap();
    }
    let list = async |filter: AuditFilter| -> Vec<_> {
        store.audit_records(&filter).await.unwrap().iter().map(|record| record.id).collect()
    };
    let all = AuditFilter::default();
    assert_eq!(list(all.clone()).await, ids);
    assert_eq!(list(AuditFilter { limit: 2, ..all.clone() }).await, ids[..2]);
    assert_eq!(list(AuditFilter { before: Some(ids[1]), ..all.clone() }).await, ids[2..]);
    assert_eq!(list(AuditFilter { cluster: Some("odd".into()), ..all.clone() }).await, [ids[1], ids[3]]);
    let since = clock.now().minus(Duration::from_secs(1));
    assert_eq!(list(AuditFilter { since: Some(since), ..all.clone() }).await, ids[..2]);
    assert_eq!(list(AuditFilter { until: Some(since), ..all.clone() }).await, ids[2..]);
    let everything = AuditFilter {
        subject: Some("a".into()),
        verb: Some(Verb::Delete),
        resource: Some("namespaces".into()),
        namespace: Some("shop".into()),
        name: Some("shop".into()),
        outcome: Some(Outcome::Refused),
        ..all.clone()
    };
    assert_eq!(list(everything).await, ids);
    let nothing = [
        AuditFilter { subject: Some("b".into()), ..all.clone() },
        AuditFilter { verb: Some(Verb::Get), ..all.clone() },
        AuditFilter { resource: Some("namespaces/finalize".into()), ..all.clone() },
        AuditFilter { namespace: Some("x".into()), ..all.clone() },
        AuditFilter { name: Some("x".into()), ..all.clone() },
        AuditFilter { outcome: Some(Outcome::Unknown), ..all.clone() },
        AuditFilter { effect: Some(Effect::Allow), ..all.clone() },
        AuditFilter { session_id: Some(store.new_session_id()), ..all.clone() },
        AuditFilter { before: Some(store.new_audit_id()), ..all },
    ];
    for filter in nothing {
        assert!(list(filter.clone()).await.is_empty(), "{filter:?}");
    }
}

async fn a_denial_admits_nothing_and_ask_needs_a_grant(store: &Store, clock: &PausedClock) {
    let ticket = approved(store, clock, "f").await;
    let grant = store.consume(ticket.id, &agent("a"), "f", store.new_audit_id()).await.unwrap();
    assert!(grant.is_some());
    assert_eq!(admit(&decision(Effect::Deny), grant).unwrap_err(), NotAdmitted::Denied);
    assert_eq!(admit(&decision(Effect::Ask), None).unwrap_err(), NotAdmitted::NeedsApproval);
    assert!(admit(&decision(Effect::Allow), None).is_ok());
}

async fn the_same_request_joins_its_open_ticket(store: &Store, clock: &PausedClock) {
    let first = held(store, "f").await;
    let joined = async |change: &dyn Fn(&mut lockgate_store::NewApproval)| {
        let mut new = new_approval(store, "f");
        change(&mut new);
        matches!(store.hold(new).await.unwrap(), Hold::Joined(ticket) if ticket.id == first.id)
    };
    assert!(joined(&|_| {}).await);
    assert!(joined(&|new| new.subject.token_id = Some("renewed".into())).await);
    assert!(!joined(&|new| new.subject = agent("b")).await);
    assert!(!joined(&|new| new.cluster = "other".into()).await);
    assert!(!joined(&|new| new.fingerprint = "g".into()).await);
    assert!(!joined(&|new| new.target_uid = Some("made again".into())).await);
    store.decide(first.id, word(clock, "sam", true)).await.unwrap();
    assert!(joined(&|_| {}).await, "an unused approval is joined");
    drop(store.consume(first.id, &agent("a"), "f", store.new_audit_id()).await.unwrap().unwrap());
    assert!(!joined(&|_| {}).await, "a used one is not");
}

async fn a_hundred_tasks_get_one_grant(store: &Store, clock: &PausedClock) {
    let ticket = approved(store, clock, "f").await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (store, id) = (store.clone(), ticket.id);
        tasks.spawn(async move { store.consume(id, &agent("a"), "f", store.new_audit_id()).await.unwrap() });
    }
    let grants: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(grants.len(), 1);
    let now = store.approval(ticket.id).await.unwrap().unwrap();
    assert_eq!((now.state, now.dispatches.len()), (ApprovalState::Consumed, 1));
}

async fn a_grant_is_for_its_principal_and_fingerprint(store: &Store, clock: &PausedClock) {
    let pending = held(store, "pending").await;
    assert!(store.consume(pending.id, &agent("a"), "pending", store.new_audit_id()).await.unwrap().is_none());
    let ticket = approved(store, clock, "f").await;
    for (subject, fingerprint) in [(agent("b"), "f"), (agent("a"), "g"), (human("a"), "f")] {
        assert!(store.consume(ticket.id, &subject, fingerprint, store.new_audit_id()).await.unwrap().is_none());
    }
    assert!(store.consume(ticket.id, &agent("a"), "f", store.new_audit_id()).await.unwrap().is_some());
}

async fn time_expires_tickets(store: &Store, clock: &PausedClock) {
    let pending = held(store, "pending").await;
    let unused = approved(store, clock, "unused").await;
    let ttl = Duration::from_secs(terms().ttl_seconds);
    clock.advance(ttl.checked_sub(Duration::from_micros(1)).unwrap());
    assert_eq!(store.approval(pending.id).await.unwrap().unwrap().state, ApprovalState::Pending);
    assert_eq!(store.usable(&agent("a"), "shop", "unused").await.unwrap().unwrap().id, unused.id);
    clock.advance(Duration::from_micros(1));
    for (ticket, fingerprint) in [(&pending, "pending"), (&unused, "unused")] {
        assert_eq!(store.approval(ticket.id).await.unwrap().unwrap().state, ApprovalState::Expired);
        assert!(store.usable(&agent("a"), "shop", fingerprint).await.unwrap().is_none());
        assert!(store.consume(ticket.id, &agent("a"), fingerprint, store.new_audit_id()).await.unwrap().is_none());
    }
    let late = store.decide(pending.id, word(clock, "sam", true)).await.unwrap_err();
    assert!(matches!(late, DecideError::Rejected(Rejection::AlreadyDecided { .. })), "{late}");
    let in_state = async |state| {
        store.approvals(&ApprovalFilter { state: Some(state), ..ApprovalFilter::default() }).await.unwrap().len()
    };
    let before = (in_state(ApprovalState::Pending).await, in_state(ApprovalState::Expired).await);
    assert_eq!(store.sweep().await.unwrap(), 2);
    let after = (in_state(ApprovalState::Pending).await, in_state(ApprovalState::Expired).await);
    assert_eq!((before, after), ((0, 2), (0, 2)));
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert!(matches!(store.hold(new_approval(store, "pending")).await.unwrap(), Hold::New(_)));
}

async fn who_may_not_decide_is_refused(store: &Store, clock: &PausedClock) {
    let ticket = held(store, "f").await;
    let good = word(clock, "sam", true);
    let with = |by| Word { by, ..good.clone() };
    let mut outsider = human("sam");
    outsider.groups = vec!["other".into()];
    let mut the_agent_as_human = human("a");
    the_agent_as_human.groups = vec!["sre".into()];
    let cases = [
        (with(agent("robot")), Rejection::NotHuman),
        (with(the_agent_as_human), Rejection::OwnRequest),
        (with(human("olga")), Rejection::Owner),
        (with(human("OLGA")), Rejection::Owner),
        (with(outsider), Rejection::NotInGroup { groups: vec!["sre".into()] }),
        (
            Word { auth_time: clock.now().minus(Duration::from_secs(301)), ..good.clone() },
            Rejection::StaleSignIn { max_seconds: 300 },
        ),
        (
            Word { auth_time: clock.now().plus(Duration::from_secs(61)), ..good.clone() },
            Rejection::StaleSignIn { max_seconds: 300 },
        ),
        (
            Word { note: Some("x".repeat(limit::NOTE_BYTES_MAX + 1)), ..good.clone() },
            Rejection::NoteTooLong { bytes_max: limit::NOTE_BYTES_MAX },
        ),
    ];
    for (word, expected) in cases {
        match store.decide(ticket.id, word).await {
            Err(DecideError::Rejected(rejection)) => assert_eq!(rejection, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert_eq!(store.approval(ticket.id).await.unwrap().unwrap(), ticket);
    let unknown = lockgate_core::ApprovalId::new(uuid::Uuid::from_u128(1));
    assert!(matches!(store.decide(unknown, good).await, Err(DecideError::NotFound(_))));
}

async fn two_words_means_two_people(store: &Store, clock: &PausedClock) {
    let mut new = new_approval(store, "f");
    new.terms.count = 2;
    let ticket = store.hold(new).await.unwrap().approval().clone();
    for _ in 0..2 {
        let now = store.decide(ticket.id, word(clock, "sam", true)).await.unwrap();
        assert_eq!((now.state, now.decided_by.len()), (ApprovalState::Pending, 1));
    }
    let now = store.decide(ticket.id, word(clock, "kim", true)).await.unwrap();
    assert_eq!((now.state, now.decided_by.len()), (ApprovalState::Approved, 2));
    assert_eq!(now.decided_at, Some(clock.now()));
}

async fn a_denial_carries_its_note_and_stays_in_force(store: &Store, clock: &PausedClock) {
    let ticket = held(store, "f").await;
    let no = Word { note: Some("use the staging one".into()), ..word(clock, "sam", false) };
    store.decide(ticket.id, no).await.unwrap();
    let in_force = store.usable(&agent("a"), "shop", "f").await.unwrap().unwrap();
    assert_eq!((in_force.state, in_force.note.as_deref()), (ApprovalState::Denied, Some("use the staging one")));
    clock.advance(DENIED_FOR.checked_sub(Duration::from_micros(1)).unwrap());
    assert!(store.usable(&agent("a"), "shop", "f").await.unwrap().is_some(), "longer than a ticket lives");
    clock.advance(Duration::from_micros(1));
    assert!(store.usable(&agent("a"), "shop", "f").await.unwrap().is_none());
    assert_eq!(store.approval(ticket.id).await.unwrap().unwrap().state, ApprovalState::Denied);
}

async fn a_decision_is_final_and_repeating_it_is_no_error(store: &Store, clock: &PausedClock) {
    let (yes, no) = (held(store, "yes").await, held(store, "no").await);
    let first = store.decide(yes.id, word(clock, "sam", true)).await.unwrap();
    store.decide(no.id, word(clock, "sam", false)).await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.decide(yes.id, word(clock, "kim", true)).await.unwrap(), first);
    for (id, approve) in [(yes.id, false), (no.id, true)] {
        let error = store.decide(id, word(clock, "kim", approve)).await.unwrap_err();
        assert!(matches!(error, DecideError::Rejected(Rejection::AlreadyDecided { .. })), "{error}");
    }
}

async fn a_word_on_a_ticket_is_evidence(store: &Store, clock: &PausedClock) {
    let ticket = approved(store, clock, "f").await;
    let grant = store.consume(ticket.id, &agent("a"), "f", store.new_audit_id()).await.unwrap();
    drop(grant);
    assert_eq!(store.sweep().await.unwrap(), 1, "an unused grant leaves an indeterminate ticket");
    assert_eq!(store.approval(ticket.id).await.unwrap().unwrap().state, ApprovalState::Indeterminate);
    let events = store.audit_events(ticket.audit_id).await.unwrap();
    let states: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.body {
            lockgate_core::EventBody::Approval { state, .. } => Some(*state),
            _ => None,
        })
        .collect();
    assert_eq!(states, [ApprovalState::Approved, ApprovalState::Consumed, ApprovalState::Indeterminate]);
}

async fn tickets_can_be_withdrawn(store: &Store, clock: &PausedClock) {
    let ticket = held(store, "f").await;
    let stranger = store.cancel(ticket.id, &agent("b")).await.unwrap_err();
    assert!(matches!(stranger, DecideError::Rejected(Rejection::MayNotCancel)));
    assert_eq!(store.cancel(ticket.id, &agent("a")).await.unwrap().state, ApprovalState::Cancelled);
    assert_eq!(store.cancel(ticket.id, &agent("a")).await.unwrap().state, ApprovalState::Cancelled);
    assert!(store.decide(ticket.id, word(clock, "sam", true)).await.is_err());
    let unused = approved(store, clock, "g").await;
    assert_eq!(store.cancel(unused.id, &human("sam")).await.unwrap().state, ApprovalState::Cancelled);
    assert!(store.consume(unused.id, &agent("a"), "g", store.new_audit_id()).await.unwrap().is_none());
}

async fn pending_tickets_have_a_limit(store: &Store, clock: &PausedClock) {
    for number in 0..PENDING_PER_PRINCIPAL_MAX {
        held(store, &number.to_string()).await;
    }
    let error = store.hold(new_approval(store, "one more")).await.unwrap_err();
    assert!(matches!(error, StoreError::TooManyPending { .. }), "{error}");
    assert!(matches!(store.hold(new_approval(store, "0")).await.unwrap(), Hold::Joined(_)), "joining is free");
    let mut other = new_approval(store, "one more");
    other.subject = agent("b");
    assert!(matches!(store.hold(other).await.unwrap(), Hold::New(_)), "another agent is not affected");
    clock.advance(Duration::from_secs(terms().ttl_seconds));
    assert!(matches!(store.hold(new_approval(store, "one more")).await.unwrap(), Hold::New(_)));
}

async fn the_reviewed_body_is_what_goes_out(store: &Store, clock: &PausedClock) {
    let ticket = approved(store, clock, "f").await;
    let call = call(store);
    let grant = store.consume(ticket.id, &agent("a"), "f", call.audit_id()).await.unwrap();
    let permit = admit(&decision(Effect::Ask), grant).unwrap();
    let ticket = call.open(permit, request(), "agent:a".into()).await.unwrap();
    let (sent, receipt) = ticket.into_parts();
    assert_eq!(sent.body.bytes().as_ref(), BODY);
    assert_eq!(sent.headers["content-type"], "application/json");
    assert!(!format!("{sent:?}").contains("canary"));
    receipt.close(200, answer(200)).await.unwrap();
    assert_eq!(store.sweep().await.unwrap(), 0, "a used grant is no loose end");
}

/// What is sent instead of a body was made of that body: the reviewed one, or without a review the request's own.
async fn only_what_was_let_through_is_replaced(store: &Store, clock: &PausedClock) {
    let instead = |of: &'static [u8]| Instead {
        of: RequestBody::whole(Bytes::from_static(of)),
        body: RequestBody::whole(Bytes::from_static(b"with what was masked")),
        content_type: http::HeaderValue::from_static("application/apply-patch+yaml"),
    };
    let sent_again = b"what the client sent again";
    for (reviewed, of, is_sent) in
        [(true, BODY, true), (true, sent_again, false), (false, BODY, false), (false, sent_again, true)]
    {
        let call = call(store);
        let (effect, grant) = if reviewed {
            let ticket = approved(store, clock, "f").await;
            (Effect::Ask, store.consume(ticket.id, &agent("a"), "f", call.audit_id()).await.unwrap())
        } else {
            (Effect::Allow, None)
        };
        let permit = admit(&decision(effect), grant).unwrap().instead(instead(of));
        match call.open(permit, request(), "agent:a".into()).await {
            Ok(ticket) => {
                let (sent, receipt) = ticket.into_parts();
                assert_eq!(sent.body.bytes().as_ref(), b"with what was masked");
                assert_eq!(sent.headers["content-type"], "application/apply-patch+yaml");
                receipt.close(200, answer(200)).await.unwrap();
                assert!(is_sent);
            }
            Err(error) => {
                assert!(matches!(error, StoreError::ForeignBody), "{error}");
                assert!(!is_sent);
            }
        }
    }
    assert_eq!(store.mark(b"a").expose(), store.mark(b"a").expose());
    assert_ne!(store.mark(b"a").expose(), store.mark(b"b").expose());
}

async fn a_grant_serves_only_its_call(store: &Store, clock: &PausedClock) {
    let ticket = approved(store, clock, "f").await;
    let grant = store.consume(ticket.id, &agent("a"), "f", store.new_audit_id()).await.unwrap();
    let permit = admit(&decision(Effect::Ask), grant).unwrap();
    let error = call(store).open(permit, request(), "agent:a".into()).await.unwrap_err();
    assert!(matches!(error, StoreError::ForeignGrant));
}

async fn a_dropped_receipt_is_closed_by_the_sweeper(store: &Store, clock: &PausedClock) {
    let dispatched = opened(store).await;
    let dispatched_id = dispatched.audit_id();
    drop(dispatched);
    let mut waiting = call(store);
    let waiting_id = waiting.audit_id();
    waiting.held(held(store, "f").await.id).await.unwrap();
    drop(waiting);
    let live = opened(store).await;
    clock.advance(LEASE * 3);
    assert_eq!(store.sweep().await.unwrap(), 2);
    let outcome = async |id| store.audit_record(id).await.unwrap().unwrap().outcome;
    assert_eq!(outcome(dispatched_id).await, Some(Outcome::Unknown));
    assert_eq!(outcome(waiting_id).await, Some(Outcome::Aborted));
    assert_eq!(outcome(live.audit_id()).await, None, "a live call of this process is never swept");
    live.into_parts().1.close(200, answer(200)).await.unwrap();
}

async fn a_lapsed_ticket_of_a_lost_dispatch_is_indeterminate(store: &Store, clock: &PausedClock) {
    let ticket = approved(store, clock, "f").await;
    let call = call(store);
    let grant = store.consume(ticket.id, &agent("a"), "f", call.audit_id()).await.unwrap();
    let permit = admit(&decision(Effect::Ask), grant).unwrap();
    drop(call.open(permit, request(), "agent:a".into()).await.unwrap());
    assert_eq!(store.sweep().await.unwrap(), 2, "the call and its ticket");
    assert_eq!(store.approval(ticket.id).await.unwrap().unwrap().state, ApprovalState::Indeterminate);
    assert!(store.consume(ticket.id, &agent("a"), "f", store.new_audit_id()).await.unwrap().is_none());
}

async fn a_policy_is_stored_when_it_is_new(store: &Store, clock: &PausedClock) {
    assert!(store.newest_policy().await.unwrap().is_none());
    let first = store.insert_policy("a", "digest a", "file").await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.insert_policy("a", "digest a", "file").await.unwrap(), first);
    let second = store.insert_policy("b", "digest b", "file").await.unwrap();
    assert!(second.revision > first.revision && first.revision > 0, "{} {}", first.revision, second.revision);
    let back = store.insert_policy("a", "digest a", "file").await.unwrap();
    assert_eq!((back.at, back.text.as_str()), (clock.now(), "a"), "going back to an old text makes it the newest");
    assert_eq!(store.newest_policy().await.unwrap(), Some(back));
}

async fn writes_are_told(store: &Store, clock: &PausedClock) {
    let mut approvals = store.changes(Topic::Approvals);
    let mut audit = store.changes(Topic::Audit);
    approvals.borrow_and_update();
    audit.borrow_and_update();
    let ticket = held(store, "f").await;
    assert!(approvals.has_changed().unwrap());
    approvals.borrow_and_update();
    assert!(!audit.has_changed().unwrap());
    store.decide(ticket.id, word(clock, "sam", true)).await.unwrap();
    assert!(approvals.has_changed().unwrap() && audit.has_changed().unwrap());
}
