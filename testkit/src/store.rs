//! A store whose commits can be delayed, stopped or failed, and which remembers what was committed when.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lockgate_core::{
    Approval, ApprovalId, AuditId, Clearing, Clock, Event, Freeze, FreezeId, Session, SessionId, Subject, Timestamp,
    Writer,
};
use lockgate_store::{
    ApprovalFilter, AuditFilter, Backend, Change, ChangeOutcome, DirectoryRecordings, FreezeFilter, Hold, InstanceKey,
    NewTicket, PolicyRevision, Rejection, Removal, Removed, SessionFilter, SqliteBackend, Store, StoreError,
};
use tokio::sync::watch;

/// A real SQLite store in a directory of its own, with faults between it and its caller.
pub struct FaultyStore {
    /// The store under the faults, to be given to what is tested.
    pub store: Store,
    /// The faults.
    pub faults: Faults,
    directory: TemporaryDirectory,
}

impl FaultyStore {
    /// A new store without faults so far.
    pub async fn new(clock: Arc<dyn Clock>) -> Self {
        let directory = TemporaryDirectory::new();
        let (store, faults) = open_with_faults(directory.path(), clock, "test").await;
        Self { store, faults, directory }
    }

    /// Where it lives.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// Opens the store of a directory with faults in between. Does not take the directory's lock.
pub async fn open_with_faults(directory: &Path, clock: Arc<dyn Clock>, boot: &str) -> (Store, Faults) {
    let backend = SqliteBackend::open(&directory.join("lockgate.sqlite"), None).await.expect("the database opens");
    let faults = Faults::default();
    let backend = FaultyBackend { inner: Arc::new(backend), faults: faults.clone() };
    let recordings = DirectoryRecordings::open(&directory.join("recordings")).expect("the directory opens");
    let writer = Writer { replica: "test".to_owned(), boot: boot.to_owned() };
    let key = InstanceKey::from_bytes([7; 32]);
    let store = Store::new(Arc::new(backend), Arc::new(recordings), clock, writer, key);
    store.heartbeat().await.expect("the writer registers");
    faults.forget();
    (store, faults)
}

/// What happens to writes, and what has happened. Clones share it.
#[derive(Clone)]
pub struct Faults {
    mode: Arc<watch::Sender<Mode>>,
    operations: Arc<Mutex<Vec<Operation>>>,
}

/// What happens to a write before it reaches the real backend.
#[derive(Debug, Clone)]
pub enum Mode {
    /// It goes through.
    Pass,
    /// It goes through this much later.
    Delay(Duration),
    /// It waits until the mode changes.
    Stop,
    /// It fails and leaves no trace.
    Fail(StoreError),
}

/// One write that the caller asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its name, such as `append`, `hold`, `change`.
    pub name: &'static str,
    /// For `append`: the kinds of its events, in order.
    pub events: Vec<&'static str>,
    /// How far it has come.
    pub progress: Progress,
}

/// How far a write has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Asked for, not durable.
    Asked,
    /// Durable; the caller is about to be told.
    Durable,
    /// Failed.
    Failed,
}

impl Faults {
    /// Changes what happens to writes from now on (and to those that are stopped).
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Writes fail as a broken database would make them.
    pub fn fail(&self) {
        self.set(Mode::Fail(StoreError::Database(Arc::new(std::io::Error::other("injected fault")))));
    }

    /// All writes so far, in the order in which they were asked for.
    pub fn operations(&self) -> Vec<Operation> {
        self.lock().clone()
    }

    /// The kinds of the events that are durable, in order.
    pub fn durable_events(&self) -> Vec<&'static str> {
        let operations = self.lock();
        operations.iter().filter(|one| one.progress == Progress::Durable).flat_map(|one| one.events.clone()).collect()
    }

    /// Forgets the writes so far. Call it while none is under way.
    pub fn forget(&self) {
        self.lock().clear();
    }

    async fn around<T>(
        &self,
        name: &'static str,
        events: Vec<&'static str>,
        write: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let index = {
            let mut operations = self.lock();
            operations.push(Operation { name, events, progress: Progress::Asked });
            operations.len() - 1
        };
        let result = match self.pass().await {
            Ok(()) => write.await,
            Err(error) => Err(error),
        };
        if let Some(operation) = self.lock().get_mut(index) {
            operation.progress = if result.is_ok() { Progress::Durable } else { Progress::Failed };
        }
        result
    }

    async fn pass(&self) -> Result<(), StoreError> {
        let mut mode = self.mode.subscribe();
        loop {
            let now = mode.borrow_and_update().clone();
            match now {
                Mode::Pass => return Ok(()),
                Mode::Delay(delay) => {
                    tokio::time::sleep(delay).await;
                    return Ok(());
                }
                Mode::Fail(error) => return Err(error),
                Mode::Stop => mode.changed().await.map_err(|_| StoreError::Closed)?,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Operation>> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self { mode: Arc::new(watch::channel(Mode::Pass).0), operations: Arc::default() }
    }
}

/// A backend with faults in front of its writes. Reads pass.
pub struct FaultyBackend {
    inner: Arc<dyn Backend>,
    faults: Faults,
}

impl FaultyBackend {
    /// Puts the faults in front of a backend.
    pub fn new(inner: Arc<dyn Backend>, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

#[async_trait]
impl Backend for FaultyBackend {
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        let kinds = events.iter().map(|event| event.body.kind()).collect();
        self.faults.around("append", kinds, self.inner.append(events)).await
    }

    async fn calls(&self, filter: &AuditFilter) -> Result<Vec<Vec<Event>>, StoreError> {
        self.inner.calls(filter).await
    }

    async fn events(&self, id: AuditId) -> Result<Vec<Event>, StoreError> {
        self.inner.events(id).await
    }

    async fn hold(&self, ticket: NewTicket) -> Result<Hold, StoreError> {
        self.faults.around("hold", Vec::new(), self.inner.hold(ticket)).await
    }

    async fn change(
        &self,
        id: ApprovalId,
        change: Change,
        at: Timestamp,
        writer: Writer,
    ) -> Result<Option<ChangeOutcome>, StoreError> {
        self.faults.around("change", Vec::new(), self.inner.change(id, change, at, writer)).await
    }

    async fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        self.inner.approval(id).await
    }

    async fn approvals(&self, filter: &ApprovalFilter, now: Timestamp) -> Result<Vec<Approval>, StoreError> {
        self.inner.approvals(filter, now).await
    }

    async fn usable(
        &self,
        subject: &Subject,
        cluster: &str,
        fingerprint: &str,
        now: Timestamp,
    ) -> Result<Option<Approval>, StoreError> {
        self.inner.usable(subject, cluster, fingerprint, now).await
    }

    async fn denials(&self, subject: &Subject, cluster: &str, now: Timestamp) -> Result<Vec<Approval>, StoreError> {
        self.inner.denials(subject, cluster, now).await
    }

    async fn freeze(&self, freeze: Freeze, writer: Writer) -> Result<Freeze, StoreError> {
        self.faults.around("freeze", Vec::new(), self.inner.freeze(freeze, writer)).await
    }

    async fn clear_freeze(
        &self,
        id: FreezeId,
        clearing: Clearing,
        writer: Writer,
    ) -> Result<Option<Result<Freeze, Rejection>>, StoreError> {
        self.faults.around("clear_freeze", Vec::new(), self.inner.clear_freeze(id, clearing, writer)).await
    }

    async fn active_freeze(&self, subject: &Subject) -> Result<Option<Freeze>, StoreError> {
        self.inner.active_freeze(subject).await
    }

    async fn freezes(&self, filter: &FreezeFilter) -> Result<Vec<Freeze>, StoreError> {
        self.inner.freezes(filter).await
    }

    async fn principals(&self) -> Result<Vec<(Subject, Timestamp)>, StoreError> {
        self.inner.principals().await
    }

    async fn remove(&self, removal: Removal) -> Result<Removed, StoreError> {
        self.faults.around("remove", Vec::new(), self.inner.remove(removal)).await
    }

    async fn removed(
        &self,
        subject: &Subject,
        cluster: &str,
        since: Timestamp,
    ) -> Result<Vec<(String, u32)>, StoreError> {
        self.inner.removed(subject, cluster, since).await
    }

    async fn insert_policy(&self, revision: PolicyRevision) -> Result<PolicyRevision, StoreError> {
        self.faults.around("insert_policy", Vec::new(), self.inner.insert_policy(revision)).await
    }

    async fn newest_policy(&self) -> Result<Option<PolicyRevision>, StoreError> {
        self.inner.newest_policy().await
    }

    async fn put_session(&self, session: Session, writer: Writer) -> Result<(), StoreError> {
        self.faults.around("put_session", Vec::new(), self.inner.put_session(session, writer)).await
    }

    async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<Session>, StoreError> {
        self.inner.sessions(filter).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.inner.session(id).await
    }

    async fn heartbeat(&self, writer: Writer, now: Timestamp) -> Result<(), StoreError> {
        self.faults.around("heartbeat", Vec::new(), self.inner.heartbeat(writer, now)).await
    }

    async fn lapsed_writers(&self, own: &Writer, heard_before: Timestamp) -> Result<Vec<Writer>, StoreError> {
        self.inner.lapsed_writers(own, heard_before).await
    }

    async fn retire(&self, writer: Writer, now: Timestamp) -> Result<(), StoreError> {
        self.faults.around("retire", Vec::new(), self.inner.retire(writer, now)).await
    }

    async fn open_calls(&self, writer: &Writer, rows_max: u32) -> Result<Vec<AuditId>, StoreError> {
        self.inner.open_calls(writer, rows_max).await
    }

    async fn live_sessions(&self, writer: &Writer, rows_max: u32) -> Result<Vec<Session>, StoreError> {
        self.inner.live_sessions(writer, rows_max).await
    }

    async fn unsettled(
        &self,
        own: &Writer,
        heard_before: Timestamp,
        rows_max: u32,
    ) -> Result<Vec<ApprovalId>, StoreError> {
        self.inner.unsettled(own, heard_before, rows_max).await
    }

    async fn overdue(&self, now: Timestamp, rows_max: u32) -> Result<Vec<ApprovalId>, StoreError> {
        self.inner.overdue(now, rows_max).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

/// A directory that goes with the value.
pub struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    /// A new, empty one.
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("lockgate-test-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&path).expect("the temporary directory takes a directory");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for TemporaryDirectory {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} stays behind: {error}", self.0.display());
        }
    }
}
