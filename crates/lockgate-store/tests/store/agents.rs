//! What every backend must do about agents: denials in a row freeze them, humans clear them, denials stand, and what was
//! removed is remembered.

use std::sync::Arc;
use std::time::Duration;

use lockgate_core::{Approval, Clock, EventBody, Freeze, FreezeCause, FreezeId, Subject};
use lockgate_store::limit::{
    ASKED_PER_HOUR_MAX, DENIALS_COUNT_FOR, DENIED_FOR, INVOCATION_GAP_MAX, INVOCATION_MAX, REMOVALS_KEPT,
};
use lockgate_store::{
    Agent, DecideError, FreezeFilter, Hold, HumanWord, Rejection, Removal, Removed, Store, StoreError, Topic, Word,
};
use testkit::clock::PausedClock;
use testkit::store::{FaultyStore, TemporaryDirectory, open_with_faults};

use crate::sample::{agent, arrival, human, new_approval, word};

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
    three_denied_invocations_freeze_and_a_human_clears,
    an_approval_in_between_starts_anew,
    denials_long_ago_do_not_count,
    what_is_asked_before_the_first_answer_is_one_invocation,
    a_clients_word_groups_for_so_long_only,
    another_agents_denials_do_not_count,
    who_may_not_clear_is_refused,
    a_human_freezes_by_hand,
    a_denial_stands_until_a_human_reopens_it,
    asking_has_a_limit_per_hour,
    removals_are_counted_by_rule_and_window,
    agents_are_listed,
];

async fn ask(store: &Store, fingerprint: &str, invocation: Option<&str>) -> Approval {
    let mut new = new_approval(store, fingerprint);
    new.invocation = invocation.map(str::to_owned);
    new.effect = Some(format!("gone /namespaces//{fingerprint}"));
    match store.hold(new).await.unwrap() {
        Hold::New(ticket) => ticket,
        Hold::Joined(_) => panic!("joined instead of new"),
    }
}

async fn deny(store: &Store, clock: &PausedClock, ticket: &Approval) {
    store.decide(ticket.id, word(clock, "sam", false)).await.unwrap();
    clock.advance(Duration::from_secs(1));
}

/// Asks and is denied, as a command of its own.
async fn denied(store: &Store, clock: &PausedClock, fingerprint: &str) -> Approval {
    let ticket = ask(store, fingerprint, Some(fingerprint)).await;
    clock.advance(Duration::from_secs(1));
    deny(store, clock, &ticket).await;
    ticket
}

async fn frozen(store: &Store) -> Option<Freeze> {
    store.active_freeze(&agent("a")).await.unwrap()
}

fn says(clock: &PausedClock, by: Subject, note: &str) -> HumanWord {
    HumanWord { by, auth_time: clock.now().minus(Duration::from_secs(60)), note: note.into() }
}

async fn kinds(store: &Store, freeze: &Freeze) -> Vec<bool> {
    let events = store.audit_events(freeze.audit_id).await.unwrap();
    let freezes = events.iter().filter_map(|event| match &event.body {
        EventBody::Freeze { freeze } => Some(freeze.is_active()),
        _ => None,
    });
    freezes.collect()
}

async fn three_denied_invocations_freeze_and_a_human_clears(store: &Store, clock: &PausedClock) {
    let mut told = store.changes(Topic::Agents);
    let first = denied(store, clock, "one").await;
    let second = denied(store, clock, "two").await;
    assert_eq!(frozen(store).await, None);
    told.borrow_and_update();
    let third = denied(store, clock, "three").await;
    assert!(told.has_changed().unwrap());
    let freeze = frozen(store).await.unwrap();
    assert_eq!(freeze.cause, FreezeCause::Denials { approvals: vec![first.id, second.id, third.id] });
    assert_eq!((freeze.subject.id.as_str(), freeze.audit_id), ("a", third.audit_id));
    assert!(freeze.terms.four_eyes && freeze.terms.approver_groups == ["sre"], "who denies may clear");
    denied(store, clock, "four").await;
    assert_eq!(frozen(store).await.unwrap().id, freeze.id, "it is frozen once");

    let cleared = store.clear_freeze(freeze.id, says(clock, human("kim"), "talked to the team")).await.unwrap();
    let clearing = cleared.cleared.clone().unwrap();
    assert_eq!((clearing.by.id.as_str(), clearing.note.as_str()), ("kim", "talked to the team"));
    assert_eq!(frozen(store).await, None);
    let again = store.clear_freeze(freeze.id, says(clock, human("sam"), "me too")).await.unwrap();
    assert_eq!(again, cleared, "clearing again changes nothing");
    assert_eq!(kinds(store, &freeze).await, [true, false], "both are evidence");
    assert_eq!(store.freezes(&FreezeFilter::default()).await.unwrap(), [cleared]);

    clock.advance(Duration::from_secs(1));
    denied(store, clock, "five").await;
    denied(store, clock, "six").await;
    assert_eq!(frozen(store).await, None, "it starts anew");
    denied(store, clock, "seven").await;
    assert_ne!(frozen(store).await.unwrap().id, freeze.id);
}

async fn an_approval_in_between_starts_anew(store: &Store, clock: &PausedClock) {
    denied(store, clock, "one").await;
    denied(store, clock, "two").await;
    let good = ask(store, "good", None).await;
    store.decide(good.id, word(clock, "sam", true)).await.unwrap();
    clock.advance(Duration::from_secs(1));
    denied(store, clock, "three").await;
    denied(store, clock, "four").await;
    assert_eq!(frozen(store).await, None);
    denied(store, clock, "five").await;
    assert!(frozen(store).await.is_some());
}

async fn denials_long_ago_do_not_count(store: &Store, clock: &PausedClock) {
    denied(store, clock, "one").await;
    denied(store, clock, "two").await;
    clock.advance(DENIALS_COUNT_FOR);
    denied(store, clock, "three").await;
    assert_eq!(frozen(store).await, None);
}

async fn what_is_asked_before_the_first_answer_is_one_invocation(store: &Store, clock: &PausedClock) {
    let mut tickets = Vec::new();
    for number in 0..5 {
        tickets.push(ask(store, &format!("at once {number}"), Some(&format!("its own word {number}"))).await);
        clock.advance(Duration::from_secs(1));
    }
    for ticket in &tickets {
        deny(store, clock, ticket).await;
    }
    assert_eq!(frozen(store).await, None, "nobody was told no before they were asked");
    denied(store, clock, "two").await;
    assert_eq!(frozen(store).await, None);
    denied(store, clock, "three").await;
    assert!(frozen(store).await.is_some());
}

async fn a_clients_word_groups_for_so_long_only(store: &Store, clock: &PausedClock) {
    // `apply -f` of many objects: each is asked when the one before was denied.
    for number in 0..5 {
        let ticket = ask(store, &format!("apply {number}"), Some("one run")).await;
        clock.advance(Duration::from_secs(20));
        deny(store, clock, &ticket).await;
    }
    assert_eq!(frozen(store).await, None, "one run counts once");
    clock.advance(INVOCATION_GAP_MAX);
    let late = ask(store, "late", Some("one run")).await;
    clock.advance(Duration::from_secs(1));
    deny(store, clock, &late).await;
    // A client that says the same word for ever, and asks again at once each time.
    let mut runs = 0;
    while frozen(store).await.is_none() {
        let ticket = ask(store, &format!("again {runs}"), Some("one run")).await;
        clock.advance(Duration::from_secs(30));
        deny(store, clock, &ticket).await;
        runs += 1;
        assert!(runs * 31 <= INVOCATION_MAX.as_secs() + 62, "the word stretches no invocation for ever");
    }
    assert!(runs > 3, "within its time it still counts once");
}

async fn another_agents_denials_do_not_count(store: &Store, clock: &PausedClock) {
    denied(store, clock, "one").await;
    denied(store, clock, "two").await;
    let mut new = new_approval(store, "other");
    new.subject = agent("b");
    let other = store.hold(new).await.unwrap().approval().clone();
    deny(store, clock, &other).await;
    assert_eq!(frozen(store).await, None);
    assert_eq!(store.active_freeze(&agent("b")).await.unwrap(), None);
}

async fn who_may_not_clear_is_refused(store: &Store, clock: &PausedClock) {
    for fingerprint in ["one", "two", "three"] {
        denied(store, clock, fingerprint).await;
    }
    let freeze = frozen(store).await.unwrap();
    let mut outsider = human("sam");
    outsider.groups = vec!["other".into()];
    let mut itself = human("a");
    itself.groups = vec!["sre".into()];
    let stale = HumanWord { auth_time: clock.now().minus(Duration::from_secs(301)), ..says(clock, human("sam"), "x") };
    let cases = [
        (says(clock, agent("b"), "x"), Rejection::NotHuman),
        (says(clock, itself, "x"), Rejection::OwnRequest),
        (says(clock, human("olga"), "x"), Rejection::Owner),
        (says(clock, outsider, "x"), Rejection::NotInGroup { groups: vec!["sre".into()] }),
        (stale, Rejection::StaleSignIn { max_seconds: 300 }),
        (says(clock, human("sam"), " "), Rejection::NoteMissing),
    ];
    for (word, expected) in cases {
        match store.clear_freeze(freeze.id, word).await {
            Err(DecideError::Rejected(rejection)) => assert_eq!(rejection, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert_eq!(frozen(store).await, Some(freeze));
    let unknown = FreezeId::new(uuid::Uuid::from_u128(1));
    let none = store.clear_freeze(unknown, says(clock, human("sam"), "x")).await;
    assert!(matches!(none, Err(DecideError::NoFreeze(id)) if id == unknown));
}

async fn a_human_freezes_by_hand(store: &Store, clock: &PausedClock) {
    for (word, expected) in
        [(says(clock, agent("b"), "x"), Rejection::NotHuman), (says(clock, human("sam"), ""), Rejection::NoteMissing)]
    {
        assert!(matches!(store.freeze(agent("a"), word).await, Err(DecideError::Rejected(it)) if it == expected));
    }
    let freeze = store.freeze(agent("a"), says(clock, human("sam"), "deletes too much")).await.unwrap();
    assert!(
        matches!(&freeze.cause, FreezeCause::Human { by, note, .. } if by.id == "sam" && note == "deletes too much")
    );
    assert_eq!(store.freeze(agent("a"), says(clock, human("kim"), "again")).await.unwrap(), freeze);
    assert_eq!(kinds(store, &freeze).await, [true]);
    let owner = store.clear_freeze(freeze.id, says(clock, human("olga"), "it is mine")).await;
    assert!(matches!(owner, Err(DecideError::Rejected(Rejection::Owner))), "the owner does not undo another's stop");
    store.clear_freeze(freeze.id, says(clock, human("kim"), "fixed")).await.unwrap();
    assert_eq!(frozen(store).await, None);
    let own = store.freeze(agent("a"), says(clock, human("olga"), "my agent runs wild")).await.unwrap();
    store.clear_freeze(own.id, says(clock, human("olga"), "stopped it")).await.unwrap();
}

async fn a_denial_stands_until_a_human_reopens_it(store: &Store, clock: &PausedClock) {
    let first = denied(store, clock, "one").await;
    let second = denied(store, clock, "two").await;
    let standing = async || -> Vec<_> {
        store.denials(&agent("a"), "shop").await.unwrap().iter().map(|denial| denial.id).collect()
    };
    assert_eq!(standing().await, [second.id, first.id]);
    assert_eq!(store.denials(&agent("b"), "shop").await.unwrap(), []);
    assert_eq!(store.denials(&agent("a"), "elsewhere").await.unwrap(), []);
    let word = Word { note: Some("the team agrees now".into()), ..word(clock, "kim", true) };
    let nobody = store.reopen(first.id, Word { note: None, ..word.clone() }).await;
    assert!(matches!(nobody, Err(DecideError::Rejected(Rejection::NoteMissing))));
    let owner = store.reopen(first.id, Word { by: human("olga"), ..word.clone() }).await;
    assert!(matches!(owner, Err(DecideError::Rejected(Rejection::Owner))));
    let reopened = store.reopen(first.id, word.clone()).await.unwrap();
    assert_eq!(reopened.reopened_by.unwrap().subject.id, "kim");
    assert_eq!(standing().await, [second.id]);
    assert!(store.usable(&agent("a"), "shop", "one").await.unwrap().is_none());
    assert!(matches!(store.hold(new_approval(store, "one")).await.unwrap(), Hold::New(_)), "a human is asked anew");
    let pending = store.reopen(ask(store, "pending", None).await.id, word).await;
    assert!(matches!(pending, Err(DecideError::Rejected(Rejection::NotDenied { .. }))));
    clock.advance(DENIED_FOR);
    assert_eq!(standing().await, []);
}

async fn asking_has_a_limit_per_hour(store: &Store, clock: &PausedClock) {
    for number in 0..ASKED_PER_HOUR_MAX {
        let ticket = ask(store, &number.to_string(), None).await;
        store.cancel(ticket.id, &agent("a")).await.unwrap();
    }
    let error = store.hold(new_approval(store, "one more")).await.unwrap_err();
    assert!(matches!(error, StoreError::TooManyAsked { asked_max: ASKED_PER_HOUR_MAX }), "{error}");
    clock.advance(Duration::from_secs(3600));
    ask(store, "one more", None).await;
}

fn removal(store: &Store, rule: &str, subject: Subject) -> Removal {
    Removal {
        subject,
        cluster: "shop".into(),
        rule: rule.into(),
        audit_id: store.new_audit_id(),
        count: 1,
        count_max: 2,
        window: Duration::from_secs(600),
        at: store.clock().now(),
    }
}

async fn removals_are_counted_by_rule_and_window(store: &Store, clock: &PausedClock) {
    let remove = async |rule, who| store.remove(removal(store, rule, agent(who))).await.unwrap();
    let start = clock.now();
    assert_eq!(remove("r", "a").await, Removed::Fits);
    clock.advance(Duration::from_secs(300));
    assert_eq!(remove("r", "a").await, Removed::Fits);
    for _ in 0..2 {
        assert_eq!(remove("r", "a").await, Removed::Exceeds { removed: 2 }, "what exceeds is not counted");
    }
    assert_eq!(remove("other rule", "a").await, Removed::Fits);
    assert_eq!(remove("r", "b").await, Removed::Fits);
    let removed = async |since| {
        let mut removed = store.removed(&agent("a"), "shop", since).await.unwrap();
        removed.sort();
        removed
    };
    let ago = |seconds| clock.now().minus(Duration::from_secs(seconds));
    for _ in 0..2 {
        assert_eq!(removed(ago(600)).await, [("other rule".into(), 1), ("r".into(), 2)], "looking counts nothing");
    }
    assert_eq!(removed(ago(300)).await, [("other rule".into(), 1), ("r".into(), 1)]);
    assert_eq!(store.removed(&agent("a"), "other", ago(600)).await.unwrap(), []);
    clock.advance(Duration::from_secs(300));
    assert_eq!(clock.now().since(start), Duration::from_secs(600));
    assert_eq!(remove("r", "a").await, Removed::Fits, "the first has left the window");
    assert_eq!(remove("r", "a").await, Removed::Exceeds { removed: 2 });
    clock.advance(REMOVALS_KEPT * 2);
    assert_eq!(remove("r", "a").await, Removed::Fits);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        tasks.spawn(async move { store.remove(removal(&store, "race", agent("a"))).await.unwrap() });
    }
    let fits = tasks.join_all().await.into_iter().filter(|removed| *removed == Removed::Fits).count();
    assert_eq!(fits, 2, "whoever comes at once shares one window");
}

async fn agents_are_listed(store: &Store, clock: &PausedClock) {
    for who in ["a", "b", "a"] {
        clock.advance(Duration::from_secs(1));
        let mut arrival = arrival();
        arrival.subject = Some(agent(who));
        let _refused = store.call(store.new_audit_id(), arrival).refuse(403, "Forbidden", "no", None).await.unwrap();
    }
    let seen = clock.now();
    clock.advance(Duration::from_secs(1));
    store.freeze(agent("never seen"), says(clock, human("sam"), "x")).await.unwrap();
    let agents = store.agents().await.unwrap();
    let names: Vec<_> = agents.iter().map(|agent| (agent.subject.id.as_str(), agent.freeze.is_some())).collect();
    assert_eq!(names, [("never seen", true), ("a", false), ("b", false)]);
    assert_eq!(agents[1].last_seen_at, Some(seen));
    assert_eq!(agents[1].key, Agent::key_of(&agent("a")));
    assert_ne!(agents[1].key, Agent::key_of(&Subject { owner: None, ..agent("a") }));
}

/// Nothing of it is in memory: another process over the same files sees the same.
#[tokio::test]
async fn freezes_and_removals_survive_a_restart() {
    let (directory, clock) = (TemporaryDirectory::new(), PausedClock::default());
    let freeze = {
        let (store, _) = open_with_faults(directory.path(), Arc::new(clock.clone()), "first").await;
        for fingerprint in ["one", "two", "three"] {
            denied(&store, &clock, fingerprint).await;
        }
        for _ in 0..2 {
            assert_eq!(store.remove(removal(&store, "r", agent("a"))).await.unwrap(), Removed::Fits);
        }
        frozen(&store).await.unwrap()
    };
    let (store, _) = open_with_faults(directory.path(), Arc::new(clock.clone()), "second").await;
    assert_eq!(frozen(&store).await, Some(freeze));
    assert_eq!(store.remove(removal(&store, "r", agent("a"))).await.unwrap(), Removed::Exceeds { removed: 2 });
}

/// The freeze rides on the denial's own commit: there is no moment in which one is on the disk without the other.
#[tokio::test]
async fn a_denial_that_is_not_durable_freezes_nobody() {
    let clock = PausedClock::default();
    let fixture = FaultyStore::new(Arc::new(clock.clone())).await;
    let store = &fixture.store;
    denied(store, &clock, "one").await;
    denied(store, &clock, "two").await;
    let third = ask(store, "three", Some("three")).await;
    clock.advance(Duration::from_secs(1));
    fixture.faults.forget();
    fixture.faults.fail();
    assert!(store.decide(third.id, word(&clock, "sam", false)).await.is_err());
    fixture.faults.set(testkit::store::Mode::Pass);
    assert_eq!(frozen(store).await, None);
    fixture.faults.forget();
    deny(store, &clock, &third).await;
    assert!(frozen(store).await.is_some());
    assert_eq!(fixture.faults.operations().len(), 1, "one write for both");
}
