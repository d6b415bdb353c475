//! Sessions and their recordings, as the gateway and the console use them.

use lockgate_core::{ChannelDigest, Session, SessionId};

use crate::backend::SessionFilter;
use crate::error::StoreError;
use crate::recording::{Recorder, RecordingEnd, RecordingReader};
use crate::store::{Store, Topic};

impl Store {
    /// Begins a recording. The file with its header, then the session's row, are durable on return. Cancelled: a file
    /// without a row, or a row that the sweeper ends, may be left.
    pub async fn record_session(&self, session: Session) -> Result<Recorder, StoreError> {
        let sink = self.recordings().create(session.id).await?;
        let recorder = Recorder::begin(self.clone(), session.clone(), sink).await?;
        self.put_session(session).await?;
        Ok(recorder)
    }

    /// Sessions, newest first.
    pub async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<Session>, StoreError> {
        self.backend().sessions(filter).await
    }

    /// One session.
    pub async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.backend().session(id).await
    }

    /// A recording, from its beginning: of a live session as far as it has come, of a crashed one up to the last whole
    /// frame.
    pub async fn recording(&self, id: SessionId) -> Result<RecordingReader, StoreError> {
        RecordingReader::begin(id, self.recordings().open(id).await?).await
    }

    pub(crate) async fn put_session(&self, session: Session) -> Result<(), StoreError> {
        self.backend().put_session(session, self.writer().clone()).await?;
        self.changed(Topic::Sessions);
        Ok(())
    }

    /// Ends a session whose recorder is gone, with what its file holds.
    pub(crate) async fn end_lost_session(&self, mut session: Session, reason: &str) -> Result<(), StoreError> {
        let mut ended_at = session.started_at;
        session.end_reason = Some(reason.to_owned());
        match self.recording(session.id).await {
            Ok(mut reader) => {
                while let Some(frame) = reader.next().await? {
                    ended_at = session.started_at.plus(std::time::Duration::from_micros(frame.offset_us));
                }
                session.channels = reader.digests();
                // Its recorder finished the file and died before the row was written.
                if let RecordingEnd::Finished { end_reason, exit_code } = reader.end() {
                    session.end_reason = Some(end_reason.clone());
                    session.exit_code = *exit_code;
                }
            }
            Err(StoreError::NoRecording { .. } | StoreError::NotARecording { .. }) => {
                session.end_reason = Some(format!("{reason}; its recording is missing"));
            }
            Err(error) => return Err(error),
        }
        session.channels.retain(|_, digest: &mut ChannelDigest| digest.bytes > 0);
        session.ended_at = Some(ended_at);
        self.put_session(session).await
    }
}
