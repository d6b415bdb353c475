//! The store: one backend, one home of recordings, one clock, one writer identity.

use std::fmt;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use lockgate_core::{
    ApprovalId, Arrival, AuditId, AuditRecord, Clock, Event, EventBody, Outcome, Secret, SessionId, Timestamp, Writer,
};
use tokio::sync::watch;
use uuid::{NoContext, Uuid};

use crate::backend::{AuditFilter, Backend, PolicyRevision};
use crate::call::CallLog;
use crate::error::StoreError;
use crate::limit::{LOOSE_ENDS_MAX, POLICY_BYTES_MAX};
use crate::recording::{DirectoryRecordings, Recordings};
use crate::seal::InstanceKey;
use crate::sqlite::SqliteBackend;

/// Something that others wait for. Waiting is "notify plus poll": with several replicas a notification can be missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A ticket was opened or changed.
    Approvals,
    /// A policy revision was stored.
    Policy,
    /// A session began or ended.
    Sessions,
    /// Events were appended.
    Audit,
    /// An agent was frozen or cleared.
    Agents,
}

/// The durable truth. A cheap clone of one shared store.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Arc<dyn Backend>,
    recordings: Arc<dyn Recordings>,
    clock: Arc<dyn Clock>,
    writer: Writer,
    key: InstanceKey,
    topics: Topics,
    loose_ends: Mutex<LooseEnds>,
}

/// What dropped tasks left for the sweeper.
#[derive(Default)]
pub(crate) struct LooseEnds {
    pub(crate) calls: Vec<(AuditId, Outcome)>,
    pub(crate) grants: Vec<ApprovalId>,
}

impl Store {
    /// Puts a store together. Call [`Store::heartbeat`] before the first write: it registers the writer's lease.
    pub fn new(
        backend: Arc<dyn Backend>,
        recordings: Arc<dyn Recordings>,
        clock: Arc<dyn Clock>,
        writer: Writer,
        key: InstanceKey,
    ) -> Self {
        let topics = Topics::default();
        let loose_ends = Mutex::default();
        Self { shared: Arc::new(Shared { backend, recordings, clock, writer, key, topics, loose_ends }) }
    }

    /// Opens (or makes) the store in a directory: `lockgate.sqlite`, `recordings/`, `instance.key`, `lock`. The directory
    /// gets mode 0700. A second process is refused while this one lives. What an earlier life left open is for
    /// [`Store::sweep`].
    pub async fn open_directory(directory: &Path, clock: Arc<dyn Clock>, replica: String) -> Result<Self, StoreError> {
        private_directory(directory)?;
        let lock = lock(directory)?;
        let key = InstanceKey::load_or_create(&directory.join("instance.key"))?;
        let recordings = DirectoryRecordings::open(&directory.join("recordings"))?;
        let backend = SqliteBackend::open(&directory.join("lockgate.sqlite"), Some(lock)).await?;
        let writer = Writer { replica, boot: Uuid::now_v7().to_string() };
        // Whoever wrote here before is gone: we have the lock.
        backend.retire_all(clock.now()).await?;
        let store = Self::new(Arc::new(backend), Arc::new(recordings), clock, writer, key);
        store.heartbeat().await?;
        Ok(store)
    }

    /// The clock that stamps everything.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// Who writes.
    pub fn writer(&self) -> &Writer {
        &self.shared.writer
    }

    /// A new call's id: a UUIDv7 by the store's clock.
    pub fn new_audit_id(&self) -> AuditId {
        AuditId::new(self.fresh_uuid())
    }

    /// A new session's id: a UUIDv7 by the store's clock.
    pub fn new_session_id(&self) -> SessionId {
        SessionId::new(self.fresh_uuid())
    }

    /// Begins a call's evidence. Nothing is written until something must be durable.
    pub fn call(&self, audit_id: AuditId, arrival: Arrival) -> CallLog {
        CallLog::new(self.clone(), audit_id, arrival)
    }

    /// Calls as people read them, newest first.
    pub async fn audit_records(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, StoreError> {
        let calls = self.backend().calls(filter).await?;
        Ok(calls.iter().filter_map(AuditRecord::fold).collect())
    }

    /// One call as people read it.
    pub async fn audit_record(&self, id: AuditId) -> Result<Option<AuditRecord>, StoreError> {
        Ok(AuditRecord::fold(&self.backend().events(id).await?))
    }

    /// One call's events, in order; empty when there is none.
    pub async fn audit_events(&self, id: AuditId) -> Result<Vec<Event>, StoreError> {
        self.backend().events(id).await
    }

    /// Stores a policy unless the newest stored one has the same digest, and returns the newest. Durable on return.
    pub async fn insert_policy(&self, text: &str, digest: &str, author: &str) -> Result<PolicyRevision, StoreError> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(StoreError::TooLarge { what: "policy", bytes_max: POLICY_BYTES_MAX });
        }
        let revision = PolicyRevision {
            revision: 0,
            digest: digest.to_owned(),
            text: text.to_owned(),
            author: author.to_owned(),
            at: self.clock().now(),
        };
        let newest = self.backend().insert_policy(revision).await?;
        self.changed(Topic::Policy);
        Ok(newest)
    }

    /// The policy in force: the revision stored last.
    pub async fn newest_policy(&self) -> Result<Option<PolicyRevision>, StoreError> {
        self.backend().newest_policy().await
    }

    /// Told when something about the topic is written through this store. Other replicas' writes are not told: also poll.
    pub fn changes(&self, topic: Topic) -> watch::Receiver<u64> {
        self.shared.topics.sender(topic).subscribe()
    }

    /// Says that this writer lives. A real write.
    pub async fn heartbeat(&self) -> Result<(), StoreError> {
        self.backend().heartbeat(self.writer().clone(), self.clock().now()).await
    }

    /// Whether the store takes writes, by writing.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.heartbeat().await
    }

    /// Returns when everything queued before is durable.
    pub async fn flush(&self) -> Result<(), StoreError> {
        // Writes are taken in order, so one more of ours is durable only after all of them.
        self.heartbeat().await
    }

    /// Sweeps, says farewell and closes the database. Later writes fail with [`StoreError::Closed`].
    pub async fn shutdown(&self) -> Result<(), StoreError> {
        self.sweep().await?;
        self.backend().retire(self.writer().clone(), self.clock().now()).await?;
        self.backend().close().await
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.shared.backend
    }

    pub(crate) fn recordings(&self) -> &dyn Recordings {
        &*self.shared.recordings
    }

    /// The mark of secret bytes, to tell whether they are the same later: nobody without the instance key can check a guess
    /// against it.
    pub fn mark(&self, bytes: &[u8]) -> Secret<Vec<u8>> {
        self.key().mark(bytes)
    }

    pub(crate) fn key(&self) -> &InstanceKey {
        &self.shared.key
    }

    pub(crate) fn event_at(&self, at: Timestamp, audit_id: AuditId, body: EventBody) -> Event {
        Event { audit_id, at, writer: self.shared.writer.clone(), body }
    }

    pub(crate) async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        self.backend().append(events).await?;
        self.changed(Topic::Audit);
        Ok(())
    }

    pub(crate) fn changed(&self, topic: Topic) {
        self.shared.topics.sender(topic).send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn leave_call(&self, id: AuditId, outcome: Outcome) {
        let mut loose = self.shared.loose_ends.lock().unwrap_or_else(PoisonError::into_inner);
        if loose.calls.len() < LOOSE_ENDS_MAX {
            loose.calls.push((id, outcome));
        }
    }

    pub(crate) fn leave_grant(&self, id: ApprovalId) {
        let mut loose = self.shared.loose_ends.lock().unwrap_or_else(PoisonError::into_inner);
        if loose.grants.len() < LOOSE_ENDS_MAX {
            loose.grants.push(id);
        }
    }

    pub(crate) fn take_loose_ends(&self) -> LooseEnds {
        std::mem::take(&mut *self.shared.loose_ends.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn fresh_uuid(&self) -> Uuid {
        let now = self.clock().now();
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        let nanoseconds = u32::try_from(now.microseconds().rem_euclid(1_000_000)).unwrap_or(0).saturating_mul(1_000);
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanoseconds))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("writer", &self.shared.writer).finish_non_exhaustive()
    }
}

struct Topics {
    approvals: watch::Sender<u64>,
    policy: watch::Sender<u64>,
    sessions: watch::Sender<u64>,
    audit: watch::Sender<u64>,
    agents: watch::Sender<u64>,
}

impl Topics {
    const fn sender(&self, topic: Topic) -> &watch::Sender<u64> {
        match topic {
            Topic::Approvals => &self.approvals,
            Topic::Policy => &self.policy,
            Topic::Sessions => &self.sessions,
            Topic::Audit => &self.audit,
            Topic::Agents => &self.agents,
        }
    }
}

impl Default for Topics {
    fn default() -> Self {
        let sender = || watch::channel(0).0;
        Self { approvals: sender(), policy: sender(), sessions: sender(), audit: sender(), agents: sender() }
    }
}

/// Makes the directory if need be, for its owner only.
pub(crate) fn private_directory(path: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
        .map_err(|error| StoreError::file(path, error))
}

/// Takes the directory for this process; the lock goes with the file handle, however the process ends.
fn lock(directory: &Path) -> Result<fs::File, StoreError> {
    let path = directory.join("lock");
    let opened = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(|error| StoreError::file(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::InUse { path: directory.to_owned() }),
        Err(fs::TryLockError::Error(error)) => Err(StoreError::file(path, error)),
    }
}
