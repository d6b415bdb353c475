//! Recordings as files `<session id>.lgr`, mode 0600, in one directory.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use lockgate_core::SessionId;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{RecordingSink, RecordingSource, Recordings};
use crate::error::StoreError;
use crate::seal::sync_parent;
use crate::store::private_directory;

/// Bytes asked of the file at once.
const READ_BYTES: usize = 64 * 1024;

/// A directory of recordings.
#[derive(Debug)]
pub struct DirectoryRecordings {
    directory: PathBuf,
}

impl DirectoryRecordings {
    /// Uses the directory, making it (mode 0700) if need be.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        private_directory(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    fn path(&self, id: SessionId) -> PathBuf {
        self.directory.join(format!("{id}.lgr"))
    }
}

#[async_trait]
impl Recordings for DirectoryRecordings {
    async fn create(&self, id: SessionId) -> Result<Box<dyn RecordingSink>, StoreError> {
        let path = self.path(id);
        let created = tokio::task::spawn_blocking(move || {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            sync_parent(&path)?;
            Ok(file)
        });
        let file = created.await.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)));
        Ok(Box::new(FileSink { id, file: File::from_std(file.map_err(|error| StoreError::recording(id, error))?) }))
    }

    async fn open(&self, id: SessionId) -> Result<Box<dyn RecordingSource>, StoreError> {
        let file = File::open(self.path(id)).await.map_err(|error| StoreError::recording(id, error))?;
        Ok(Box::new(FileSource { id, file }))
    }
}

struct FileSink {
    id: SessionId,
    file: File,
}

#[async_trait]
impl RecordingSink for FileSink {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let written = async {
            self.file.write_all(&bytes).await?;
            // tokio's file works behind our back until it is flushed: only then has the kernel the bytes.
            self.file.flush().await
        };
        written.await.map_err(|error| StoreError::recording(self.id, error))
    }

    async fn sync(&mut self) -> Result<(), StoreError> {
        self.file.sync_data().await.map_err(|error| StoreError::recording(self.id, error))
    }
}

struct FileSource {
    id: SessionId,
    file: File,
}

#[async_trait]
impl RecordingSource for FileSource {
    async fn read(&mut self) -> Result<Bytes, StoreError> {
        let mut bytes = BytesMut::with_capacity(READ_BYTES);
        self.file.read_buf(&mut bytes).await.map_err(|error| StoreError::recording(self.id, error))?;
        Ok(bytes.freeze())
    }
}
