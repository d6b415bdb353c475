//! The one writer: a task that takes whatever is queued, puts it into one transaction, commits (which flushes), and only
//! then answers everybody. A failing commit fails everybody in it.

use std::fs::File;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::database;
use super::events::{self, CallEvents};
use crate::error::StoreError;
use crate::limit::{BATCH_EVENTS_MAX, LINGER_WRITES_MIN, LINGER_YIELDS_MAX, QUEUED_WRITES_MAX};

/// Something to do inside the writer's transaction. An error rolls the whole batch back: what is only a refusal belongs
/// into the output.
#[async_trait]
pub(super) trait Write: Send + 'static {
    type Output: Send + 'static;

    async fn execute(&mut self, connection: &mut SqliteConnection) -> Result<Self::Output, StoreError>;
}

/// The way to the writer task.
pub(super) struct WriterHandle {
    queue: mpsc::Sender<Queued>,
    task: TaskTracker,
}

impl WriterHandle {
    pub(super) fn start(options: SqliteConnectOptions, connection: SqliteConnection, lock: Option<File>) -> Self {
        let (queue, queued) = mpsc::channel(QUEUED_WRITES_MAX);
        let task = TaskTracker::new();
        let writer =
            WriterTask { options, connection: Some(connection), queued, last_batch: 0, bytes_max: None, _lock: lock };
        task.spawn(writer.run());
        task.close();
        Self { queue, task }
    }

    pub(super) async fn append(&self, calls: Vec<CallEvents>) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Queued::Append { calls, reply }, answer).await
    }

    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Queued::Other(Box::new(Job { write, output: None, reply })), answer).await
    }

    pub(super) async fn limit_bytes(&self, bytes_max: u64) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Queued::Limit { bytes_max, reply }, answer).await
    }

    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        let closed = self.send(Queued::Close { reply }, answer).await;
        self.task.wait().await;
        closed
    }

    async fn send<T>(&self, queued: Queued, answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
        self.queue.send(queued).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Queued {
    /// Appends are kept apart, so that a batch's events go into the database many rows at a time.
    Append {
        calls: Vec<CallEvents>,
        reply: Reply<()>,
    },
    Other(Box<dyn Queueable>),
    Limit {
        bytes_max: u64,
        reply: Reply<()>,
    },
    Close {
        reply: Reply<()>,
    },
}

impl Queued {
    fn weight(&self) -> usize {
        match self {
            Self::Append { calls, .. } => calls.iter().map(CallEvents::len).sum(),
            Self::Other(_) | Self::Limit { .. } | Self::Close { .. } => 1,
        }
    }
}

#[async_trait]
trait Queueable: Send {
    async fn execute(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError>;

    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Job<W: Write> {
    write: W,
    output: Option<W::Output>,
    reply: Reply<W::Output>,
}

#[async_trait]
impl<W: Write> Queueable for Job<W> {
    async fn execute(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        self.output = Some(self.write.execute(connection).await?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { output, reply, .. } = *self;
        answer(reply, committed.and_then(|()| output.ok_or(StoreError::Closed)));
    }
}

/// Nobody may be waiting any more: the write stands all the same.
fn answer<T>(reply: Reply<T>, result: Result<T, StoreError>) {
    drop(reply.send(result));
}

struct WriterTask {
    options: SqliteConnectOptions,
    /// `None` after a fault that left the connection in doubt; the next batch makes a new one.
    connection: Option<SqliteConnection>,
    queued: mpsc::Receiver<Queued>,
    last_batch: usize,
    bytes_max: Option<u64>,
    _lock: Option<File>,
}

impl WriterTask {
    async fn run(mut self) {
        while let Some(first) = self.queued.recv().await {
            let mut batch = self.gather(first).await;
            let close = take_close(&mut batch);
            self.last_batch = batch.len();
            self.write(batch).await;
            if let Some(reply) = close {
                self.queued.close();
                let closed = match self.connection.take() {
                    Some(connection) => connection.close().await.map_err(database),
                    None => Ok(()),
                };
                return answer(reply, closed);
            }
        }
    }

    /// What is queued now, up to a batch's size. When the last batch had company, gives others a moment to join.
    async fn gather(&mut self, first: Queued) -> Vec<Queued> {
        let mut events = first.weight();
        let mut batch = vec![first];
        let mut yields = if self.last_batch >= LINGER_WRITES_MIN { LINGER_YIELDS_MAX } else { 0 };
        while events < BATCH_EVENTS_MAX {
            match self.queued.try_recv() {
                Ok(queued) => {
                    events += queued.weight();
                    batch.push(queued);
                }
                Err(mpsc::error::TryRecvError::Empty) if yields > 0 => {
                    yields -= 1;
                    tokio::task::yield_now().await;
                }
                Err(_) => break,
            }
        }
        batch
    }

    async fn write(&mut self, mut batch: Vec<Queued>) {
        if batch.is_empty() {
            return;
        }
        let committed = self.commit(&mut batch).await;
        for queued in batch {
            match queued {
                Queued::Append { reply, .. } => answer(reply, committed.clone()),
                Queued::Other(job) => job.answer(committed.clone()),
                Queued::Limit { reply, .. } | Queued::Close { reply } => answer(reply, committed.clone()),
            }
        }
    }

    /// One transaction for the whole batch. On an error nothing of it stands.
    async fn commit(&mut self, batch: &mut [Queued]) -> Result<(), StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let limit =
            |queued: &Queued| if let Queued::Limit { bytes_max, .. } = queued { Some(*bytes_max) } else { None };
        let raised = batch.iter().rev().find_map(limit);
        if let Some(bytes_max) = raised {
            self.bytes_max = Some(bytes_max);
            apply_limit(&mut connection, bytes_max).await?;
        }
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(database)?;
        let executed = execute(&mut transaction, batch).await;
        match executed {
            Ok(()) => transaction.commit().await.map_err(database)?,
            Err(error) => {
                // SQLite rolls back by itself on some faults (a full disk is one) and then refuses to do it again: such a
                // connection is dropped. What the callers must learn is the first error.
                if transaction.rollback().await.is_ok() {
                    self.connection = Some(connection);
                }
                return Err(error);
            }
        }
        self.connection = Some(connection);
        Ok(())
    }

    async fn connect(&self) -> Result<SqliteConnection, StoreError> {
        let mut connection = self.options.connect().await.map_err(database)?;
        if let Some(bytes_max) = self.bytes_max {
            apply_limit(&mut connection, bytes_max).await?;
        }
        Ok(connection)
    }
}

fn take_close(batch: &mut Vec<Queued>) -> Option<Reply<()>> {
    let index = batch.iter().position(|queued| matches!(queued, Queued::Close { .. }))?;
    match batch.remove(index) {
        Queued::Close { reply } => Some(reply),
        Queued::Append { .. } | Queued::Other(_) | Queued::Limit { .. } => None,
    }
}

async fn execute(connection: &mut SqliteConnection, batch: &mut [Queued]) -> Result<(), StoreError> {
    let mut appends: Vec<&CallEvents> = Vec::new();
    for queued in batch {
        match queued {
            Queued::Append { calls, .. } => appends.extend(calls.iter()),
            Queued::Other(job) => {
                // In order: what a job reads must show the appends queued before it.
                events::insert(connection, &std::mem::take(&mut appends)).await?;
                job.execute(connection).await?;
            }
            Queued::Limit { .. } | Queued::Close { .. } => {}
        }
    }
    events::insert(connection, &appends).await
}

/// A pragma of the connection (<https://www.sqlite.org/pragma.html#pragma_max_page_count>).
async fn apply_limit(connection: &mut SqliteConnection, bytes_max: u64) -> Result<(), StoreError> {
    let page_bytes: i64 = sqlx::query_scalar("PRAGMA page_size").fetch_one(&mut *connection).await.map_err(database)?;
    let pages_max = bytes_max / u64::try_from(page_bytes).unwrap_or(4_096).max(1);
    let pragma = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages_max}"));
    sqlx::raw_sql(pragma).execute(connection).await.map_err(database)?;
    Ok(())
}
