//! Recordings in a directory whose disk can be made to fail or to be slow.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lockgate_core::SessionId;
use lockgate_store::{DirectoryRecordings, RecordingSink, RecordingSource, Recordings, StoreError};
use tokio::sync::watch;

/// What the recordings' disk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// Writes.
    Works,
    /// Writes each piece after this time.
    Slow(Duration),
    /// Refuses.
    Broken,
}

/// Recordings with faults in front of their writes.
pub struct FaultyRecordings {
    inner: DirectoryRecordings,
    disk: watch::Receiver<Disk>,
}

impl FaultyRecordings {
    /// The recordings, and the disk's switch.
    pub fn new(inner: DirectoryRecordings) -> (Arc<Self>, watch::Sender<Disk>) {
        let (switch, disk) = watch::channel(Disk::Works);
        (Arc::new(Self { inner, disk }), switch)
    }
}

struct Sink {
    id: SessionId,
    inner: Box<dyn RecordingSink>,
    disk: watch::Receiver<Disk>,
}

#[async_trait]
impl Recordings for FaultyRecordings {
    async fn create(&self, id: SessionId) -> Result<Box<dyn RecordingSink>, StoreError> {
        let inner = self.inner.create(id).await?;
        Ok(Box::new(Sink { id, inner, disk: self.disk.clone() }))
    }

    async fn open(&self, id: SessionId) -> Result<Box<dyn RecordingSource>, StoreError> {
        self.inner.open(id).await
    }
}

#[async_trait]
impl RecordingSink for Sink {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let disk = *self.disk.borrow();
        match disk {
            Disk::Works => {}
            Disk::Slow(pause) => tokio::time::sleep(pause).await,
            Disk::Broken => {
                let source = Arc::new(std::io::Error::other("the test's disk is broken"));
                return Err(StoreError::Recording { id: self.id, source });
            }
        }
        self.inner.write(bytes).await
    }

    async fn sync(&mut self) -> Result<(), StoreError> {
        self.inner.sync().await
    }
}
