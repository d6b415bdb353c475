//! The store's limits: every queue, batch, list and file has one.

use std::time::Duration;

/// Writes that may wait for the writer task. When full, callers wait: a slow disk makes slow calls, never lost ones.
pub const QUEUED_WRITES_MAX: usize = 4_096;

/// Events that go into one commit. One write is never split, so a batch may exceed it by one write.
pub const BATCH_EVENTS_MAX: usize = 512;

/// A batch waits for company only when the last one had at least this many writes.
pub const LINGER_WRITES_MIN: usize = 3;

/// How often the writer lets other tasks run, to see whether they add to its batch, before it commits.
pub const LINGER_YIELDS_MAX: usize = 8;

/// Connections that serve reads beside the writer.
pub const READ_CONNECTIONS_MAX: u32 = 4;

/// How long a statement waits for a lock that another connection holds.
pub const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Most audit records, approvals or sessions in one list.
pub const LIST_ROWS_MAX: u32 = 1_000;

/// A list of audit records ends early, at a multiple of some tens of calls, once their events exceed so many bytes: payloads
/// can be large. The cursor goes on from the last one given.
pub const LIST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// List length when the caller names none.
pub const LIST_ROWS_DEFAULT: u32 = 100;

/// Events of one call that are read back. A call has fewer than ten, a ticket adds a few.
pub const CALL_EVENTS_MAX: u32 = 1_000;

/// Tickets that one principal may have pending. Above it a request that must be asked for is refused.
pub const PENDING_PER_PRINCIPAL_MAX: u32 = 64;

/// Tickets that one principal may open in an hour. Above it a request that must be asked for is refused: people who are
/// asked too often stop reading.
pub const ASKED_PER_HOUR_MAX: u32 = 240;

/// How long a human's denial stays in force at least, for the same request and for whatever brings about the same.
pub const DENIED_FOR: Duration = Duration::from_secs(30 * 60);

/// Denials of one principal in one cluster that are looked at, newest first. Far more than people give in [`DENIED_FOR`].
pub const DENIALS_IN_FORCE_MAX: u32 = 1_000;

/// So many distinct invocations denied by humans in a row freeze a principal.
pub const DENIED_INVOCATIONS_MAX: usize = 3;

/// Denials older than this do not count towards a freeze.
pub const DENIALS_COUNT_FOR: Duration = Duration::from_secs(24 * 3600);

/// Decided tickets that are looked at to count denials in a row.
pub const DECIDED_TICKETS_MAX: u32 = 200;

/// A request that its client says belongs to a denied invocation does so only when it comes this soon after the denial.
pub const INVOCATION_GAP_MAX: Duration = Duration::from_secs(10);

/// An invocation is at most this long: what a client says of its requests cannot stretch one for ever.
pub const INVOCATION_MAX: Duration = Duration::from_secs(10 * 60);

/// How far back removals are kept, so also the longest window of a limit on them.
pub const REMOVALS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// The newest calls that are looked through for who calls.
pub const AGENTS_CALLS_MAX: u32 = 10_000;

/// Most agents in one list.
pub const AGENTS_MAX: u32 = 500;

/// Largest policy text, in bytes.
pub const POLICY_BYTES_MAX: usize = 1024 * 1024;

/// Oldest sign-in with which a person may decide.
pub const SIGN_IN_AGE_MAX: Duration = Duration::from_secs(5 * 60);

/// How far the identity provider's clock may run ahead of ours.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60);

/// A writer that has not been heard of for this long is gone, and its open calls are closed as `unknown`.
pub const LEASE: Duration = Duration::from_secs(15);

/// How often a writer says that it lives.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);

/// How often the sweeper runs.
pub const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Rows that one step of a sweep takes at once; it repeats until none are left.
pub const SWEEP_ROWS_MAX: u32 = 256;

/// Ends of calls and grants that a dropped task left to the sweeper. Above it they wait for the writer's lease instead.
pub const LOOSE_ENDS_MAX: usize = 4_096;

/// Largest payload of one frame in a recording file; longer messages take several frames.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Largest recording. A session that would exceed it ends.
pub const RECORDING_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// A recording is pushed to the disk at least this often while frames come, and at its end.
pub const RECORDING_SYNC_EVERY: Duration = Duration::from_millis(500);
