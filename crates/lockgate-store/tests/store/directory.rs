//! The store of a directory: who may open it, what a crash leaves, a full disk, what lies on the disk.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use lockgate_core::{ApprovalState, AuditId, Channel, Clock, Outcome};
use lockgate_store::{Backend, SqliteBackend, Store, StoreError};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use testkit::clock::PausedClock;
use testkit::store::TemporaryDirectory;

use crate::sample::{BODY, agent, answer, approved, eventually, held, opened, session, word};

async fn open(path: &Path, clock: &PausedClock) -> Store {
    Store::open_directory(path, Arc::new(clock.clone()), "test".into()).await.unwrap()
}

/// Opens again after the store before was dropped like a process that died: its writer lets go in the background.
async fn reopen(path: &Path, clock: &PausedClock) -> Store {
    let mut store = None;
    eventually("the directory is free", async || {
        match Store::open_directory(path, Arc::new(clock.clone()), "test".into()).await {
            Ok(opened) => store = Some(opened),
            Err(StoreError::InUse { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        store.is_some()
    })
    .await;
    store.unwrap()
}

async fn connect(path: &Path) -> SqliteConnection {
    sqlx::sqlite::SqliteConnectOptions::new().filename(path.join("lockgate.sqlite")).connect().await.unwrap()
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_gone() {
    let (directory, clock) = (TemporaryDirectory::new(), PausedClock::default());
    let first = open(directory.path(), &clock).await;
    let second = Store::open_directory(directory.path(), Arc::new(clock.clone()), "test".into()).await;
    assert!(matches!(second, Err(StoreError::InUse { .. })));
    first.shutdown().await.unwrap();
    assert!(matches!(first.ready().await, Err(StoreError::Closed)));
    drop(open(directory.path(), &clock).await);
}

#[tokio::test]
async fn what_lies_on_the_disk_is_private_and_shows_no_body() {
    let (directory, clock) = (TemporaryDirectory::new(), PausedClock::default());
    let store = open(directory.path(), &clock).await;
    let ticket = held(&store, "f").await;
    let recorder = store.record_session(session(&store, store.new_session_id())).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut files = 0;
    for directory in [directory.path().to_owned(), directory.path().join("recordings")] {
        assert_eq!(mode(&directory), 0o700);
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() || path.ends_with("lock") {
                continue;
            }
            files += 1;
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(BODY.len()).any(|window| window == BODY), "{}", path.display());
        }
    }
    assert_eq!(files, 5, "database, WAL, shared memory, key, recording");
    let mut connection = connect(directory.path()).await;
    let mut sealed = async || -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM approvals WHERE sealed IS NOT NULL")
            .fetch_one(&mut connection)
            .await
            .unwrap()
    };
    assert_eq!(sealed().await, 1);
    store.decide(ticket.id, word(&clock, "sam", false)).await.unwrap();
    assert_eq!(sealed().await, 0, "a denied ticket's body is wiped");
    let used = approved(&store, &clock, "g").await;
    assert_eq!(sealed().await, 1, "an approved one's is kept");
    drop(store.consume(used.id, &agent("a"), "g", store.new_audit_id()).await.unwrap().unwrap());
    assert_eq!(sealed().await, 0, "a used one's is wiped");
    recorder.finish("completed", None).await.unwrap();
}

#[tokio::test]
async fn a_key_that_others_may_read_is_refused() {
    let (directory, clock) = (TemporaryDirectory::new(), PausedClock::default());
    drop(open(directory.path(), &clock).await);
    let key = directory.path().join("instance.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    eventually("the directory is free", async || {
        match Store::open_directory(directory.path(), Arc::new(clock.clone()), "test".into()).await {
            Err(StoreError::InUse { .. }) => false,
            Err(StoreError::Key { .. }) => true,
            other => panic!("{other:?}"),
        }
    })
    .await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (directory, clock) = (TemporaryDirectory::new(), PausedClock::default());
    open(directory.path(), &clock).await.shutdown().await.unwrap();
    let mut connection = connect(directory.path()).await;
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let refused = Store::open_directory(directory.path(), Arc::new(clock), "test".into()).await;
    assert!(matches!(refused, Err(StoreError::NewerSchema { found: 99, .. })));
}

#[tokio::test]
async fn a_crash_leaves_calls_unknown_sessions_ended_and_grants_indeterminate() {
    let (directory, clock) = (TemporaryDirectory::new(), PausedClock::default());
    let store = open(directory.path(), &clock).await;
    let closed = opened(&store).await;
    let closed_id = closed.audit_id();
    closed.into_parts().1.close(200, answer(200)).await.unwrap();
    let open_call = opened(&store).await;
    let consumed = approved(&store, &clock, "f").await;
    let grant = store.consume(consumed.id, &agent("a"), "f", store.new_audit_id()).await.unwrap().unwrap();
    let pending = held(&store, "pending").await;
    let session_id = store.new_session_id();
    let mut recorder = store.record_session(session(&store, session_id)).await.unwrap();
    clock.advance(std::time::Duration::from_secs(2));
    recorder.frame(Channel::Stdout, b"abc").await.unwrap();
    let open_id = open_call.audit_id();
    drop((open_call, grant, recorder, store));

    let store = reopen(directory.path(), &clock).await;
    assert_eq!(store.sweep().await.unwrap(), 3, "the open call, the session, the consumed ticket");
    let outcome = async |id| store.audit_record(id).await.unwrap().unwrap().outcome;
    assert_eq!(outcome(closed_id).await, Some(Outcome::Completed));
    assert_eq!(outcome(open_id).await, Some(Outcome::Unknown));
    assert_eq!(store.approval(consumed.id).await.unwrap().unwrap().state, ApprovalState::Indeterminate);
    assert_eq!(store.approval(pending.id).await.unwrap().unwrap().state, ApprovalState::Pending);
    let lost = store.session(session_id).await.unwrap().unwrap();
    assert_eq!(lost.end_reason.as_deref(), Some("gateway lost"));
    assert_eq!(lost.ended_at, Some(clock.now()), "when its last frame came");
    assert_eq!(lost.channels[&Channel::Stdout].bytes, 3);
    // The key outlived the process: what was held before can still go out as reviewed.
    store.decide(pending.id, word(&clock, "sam", true)).await.unwrap();
    assert!(store.consume(pending.id, &agent("a"), "pending", store.new_audit_id()).await.unwrap().is_some());
    assert_eq!(store.audit_records(&lockgate_store::AuditFilter::default()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_full_database_says_so_and_recovers() {
    let directory = TemporaryDirectory::new();
    let clock = PausedClock::default();
    let backend = Arc::new(SqliteBackend::open(&directory.path().join("lockgate.sqlite"), None).await.unwrap());
    let recordings = lockgate_store::DirectoryRecordings::open(&directory.path().join("recordings")).unwrap();
    let store = Store::new(
        backend.clone(),
        Arc::new(recordings),
        Arc::new(clock),
        lockgate_core::Writer { replica: "test".into(), boot: "1".into() },
        lockgate_store::InstanceKey::from_bytes([1; 32]),
    );
    store.ready().await.unwrap();
    backend.limit_bytes(256 * 1024).await.unwrap();
    let mut written = 0;
    let error = loop {
        let mut call = crate::sample::call(&store);
        call.arrival().request_uri = "/x".repeat(4_096);
        match call.refuse(403, "Forbidden", "no", None).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1_000, "the limit never bites");
    };
    assert!(matches!(error, StoreError::DiskFull), "{error:?}");
    backend.limit_bytes(64 * 1024 * 1024).await.unwrap();
    let ticket = opened(&store).await;
    ticket.into_parts().1.close(200, answer(200)).await.unwrap();
    let listed =
        store.audit_records(&lockgate_store::AuditFilter { limit: 1_000, ..Default::default() }).await.unwrap();
    assert_eq!(listed.len(), written + 1, "what was acknowledged is there, what failed is not");
    backend.close().await.unwrap();
}

const DIRECTORY: &str = "LOCKGATE_TEST_DIRECTORY";

/// Not a test by itself: the process that the next test kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by a_killed_process_has_kept_every_word"]
async fn write_until_killed() {
    let directory = std::env::var(DIRECTORY).unwrap();
    let clock = Arc::new(lockgate_store::SystemClock);
    let store = Store::open_directory(Path::new(&directory), clock, "test".into()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            loop {
                let ticket = opened(&store).await;
                println!("dispatched {}", ticket.audit_id());
                let id = ticket.audit_id();
                ticket.into_parts().1.close(200, answer(200)).await.unwrap();
                println!("closed {id}");
            }
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn a_killed_process_has_kept_every_word() {
    let directory = TemporaryDirectory::new();
    let child = ["--ignored", "--exact", "directory::write_until_killed", "--nocapture"];
    let mut dispatched: Vec<AuditId> = Vec::new();
    let mut closed: Vec<AuditId> = Vec::new();
    for round in 1..=3 {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(child)
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut hear = |line: String| match line.split_once(' ') {
            Some(("dispatched", id)) => dispatched.extend(id.parse::<AuditId>()),
            Some(("closed", id)) => closed.extend(id.parse::<AuditId>()),
            _ => {}
        };
        let mut heard = 0;
        while heard < 200 {
            hear(lines.next().expect("the child writes on").unwrap());
            heard += 1;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        lines.map_while(Result::ok).for_each(hear);
        let store = Store::open_directory(directory.path(), Arc::new(lockgate_store::SystemClock), "test".into())
            .await
            .unwrap();
        store.sweep().await.unwrap();
        for id in &dispatched {
            let record = store.audit_record(*id).await.unwrap().expect("no dispatched call is without a record");
            let expected: &[Outcome] =
                if closed.contains(id) { &[Outcome::Completed] } else { &[Outcome::Completed, Outcome::Unknown] };
            assert!(expected.contains(&record.outcome.unwrap()), "round {round}: {record:?}");
        }
        store.shutdown().await.unwrap();
    }
    assert!(dispatched.len() >= 200, "{}", dispatched.len());
}
