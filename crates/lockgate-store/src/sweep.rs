//! The sweeper: gives every call, ticket and session that nobody ended the end that is known.
//!
//! It closes only what belongs to writers whose lease is over, or what this process's own tasks dropped. The first end of a
//! call stands, so sweeping from several replicas at once is harmless.

use lockgate_core::{ApprovalId, AuditId, AuditRecord, EventBody, Outcome, ResponseFacts, Timestamp, Writer};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::backend::{Change, ChangeOutcome};
use crate::error::StoreError;
use crate::limit::{HEARTBEAT_EVERY, LEASE, SWEEP_EVERY, SWEEP_ROWS_MAX};
use crate::store::Store;

const GATEWAY_LOST: &str = "gateway lost";
const WRITER_GONE: &str = "the gateway process that handled this call is gone; nobody knows how it ended";
const TASK_GONE: &str = "the task that handled this call ended without saying how";

impl Store {
    /// One sweep: closes calls of lapsed writers as `unknown`, ends their sessions with digests from the file, makes
    /// tickets indeterminate whose dispatch has no known outcome, and expires tickets. Returns how many things it ended.
    /// Cancelled or failed: what it has done stays, and the next sweep goes on.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        // Renews the lease, and waits for all that is queued: the loose ends' own events are in the log after it.
        self.heartbeat().await?;
        let mut ended = self.tie_loose_ends().await?;
        let heard_before = self.clock().now().minus(LEASE);
        let lapsed = self.backend().lapsed_writers(self.writer(), heard_before).await?;
        for writer in &lapsed {
            self.backend().retire(writer.clone(), self.clock().now()).await?;
            ended += self.close_calls(writer).await?;
            ended += self.end_sessions(writer).await?;
        }
        ended += self.settle_tickets(heard_before).await?;
        ended += self.expire_tickets().await?;
        Ok(ended)
    }

    /// Heartbeats and sweeps until told to stop. A failing store is logged once per change of its condition; readiness is
    /// what [`Store::ready`] says.
    pub async fn upkeep(&self, stop: CancellationToken) {
        let mut heartbeat = interval(HEARTBEAT_EVERY);
        let mut sweep = interval(SWEEP_EVERY);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return,
                _ = heartbeat.tick() => self.heartbeat().await.map(|()| 0),
                _ = sweep.tick() => self.sweep().await,
            };
            match done {
                Ok(ended) => {
                    if ended > 0 {
                        tracing::info!(ended, "closed what nobody had ended");
                    }
                    if failing {
                        tracing::info!("the store works again");
                    }
                    failing = false;
                }
                Err(error) => {
                    if !failing {
                        tracing::error!(error = &error as &dyn std::error::Error, "the store fails; calls are refused");
                    }
                    failing = true;
                }
            }
        }
    }

    async fn tie_loose_ends(&self) -> Result<usize, StoreError> {
        let loose = self.take_loose_ends();
        let mut calls = loose.calls.into_iter();
        let mut grants = loose.grants.into_iter();
        let result = self.tie(&mut calls, &mut grants).await;
        if result.is_err() {
            // The one that failed is lost to the lease; the others get another chance.
            calls.for_each(|(id, outcome)| self.leave_call(id, outcome));
            grants.for_each(|id| self.leave_grant(id));
        }
        result
    }

    async fn tie(
        &self,
        calls: &mut impl Iterator<Item = (AuditId, Outcome)>,
        grants: &mut impl Iterator<Item = ApprovalId>,
    ) -> Result<usize, StoreError> {
        let mut ended = 0;
        for (id, outcome) in calls {
            let record = AuditRecord::fold(&self.backend().events(id).await?);
            // Without a record its commit failed and nothing happened; with an outcome its end made it to the log.
            if record.is_some_and(|record| record.outcome.is_none()) {
                self.abort_all(vec![id], outcome, TASK_GONE).await?;
                ended += 1;
            }
        }
        for id in grants {
            ended += self.settle(id, Change::Indeterminate).await?;
        }
        Ok(ended)
    }

    async fn close_calls(&self, writer: &Writer) -> Result<usize, StoreError> {
        let mut ended = 0;
        loop {
            let open = self.backend().open_calls(writer, SWEEP_ROWS_MAX).await?;
            if open.is_empty() {
                return Ok(ended);
            }
            ended += open.len();
            self.abort_all(open, Outcome::Unknown, WRITER_GONE).await?;
        }
    }

    async fn abort_all(&self, calls: Vec<AuditId>, outcome: Outcome, reason: &str) -> Result<(), StoreError> {
        let at = self.clock().now();
        let end = |id| {
            let reason = reason.to_owned();
            self.event_at(at, id, EventBody::Aborted { outcome, reason, response: ResponseFacts::default() })
        };
        self.append(calls.into_iter().map(end).collect()).await
    }

    async fn end_sessions(&self, writer: &Writer) -> Result<usize, StoreError> {
        let mut ended = 0;
        loop {
            let live = self.backend().live_sessions(writer, SWEEP_ROWS_MAX).await?;
            if live.is_empty() {
                return Ok(ended);
            }
            for session in live {
                self.end_lost_session(session, GATEWAY_LOST).await?;
                ended += 1;
            }
        }
    }

    async fn settle_tickets(&self, heard_before: Timestamp) -> Result<usize, StoreError> {
        let mut ended = 0;
        loop {
            let unsettled = self.backend().unsettled(self.writer(), heard_before, SWEEP_ROWS_MAX).await?;
            let settled = self.settle_all(unsettled, &Change::Indeterminate).await?;
            ended += settled;
            if settled == 0 {
                return Ok(ended);
            }
        }
    }

    async fn expire_tickets(&self) -> Result<usize, StoreError> {
        let mut ended = 0;
        loop {
            let overdue = self.backend().overdue(self.clock().now(), SWEEP_ROWS_MAX).await?;
            let expired = self.settle_all(overdue, &Change::Expire).await?;
            ended += expired;
            if expired == 0 {
                return Ok(ended);
            }
        }
    }

    async fn settle_all(&self, tickets: Vec<ApprovalId>, change: &Change) -> Result<usize, StoreError> {
        let mut settled = 0;
        for id in tickets {
            settled += self.settle(id, change.clone()).await?;
        }
        Ok(settled)
    }

    async fn settle(&self, id: ApprovalId, change: Change) -> Result<usize, StoreError> {
        let outcome = self.change(id, change).await?;
        Ok(usize::from(matches!(outcome, Some(ChangeOutcome::Changed { .. }))))
    }
}
