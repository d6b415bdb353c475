-- The truth: append-only events. Everything else about calls can be rebuilt from them.
CREATE TABLE events (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    audit_id BLOB    NOT NULL,
    at       INTEGER NOT NULL, -- µs since 1970
    replica  TEXT    NOT NULL,
    boot     TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    body     TEXT    NOT NULL  -- JSON of the event's body, with its kind
) STRICT;
CREATE INDEX events_audit_id ON events (audit_id);

-- The index for lists: one row per call, folded from its events in the same transaction.
CREATE TABLE calls (
    audit_id    BLOB    NOT NULL PRIMARY KEY,
    started_at  INTEGER NOT NULL,
    boot        TEXT    NOT NULL,
    subject_id  TEXT,
    cluster     TEXT    NOT NULL,
    verb        TEXT,
    resource    TEXT,
    subresource TEXT,
    namespace   TEXT,
    name        TEXT,
    effect      TEXT,
    outcome     TEXT,
    approval_id BLOB,
    session_id  BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_started_at ON calls (started_at, audit_id);
CREATE INDEX calls_open ON calls (boot) WHERE outcome IS NULL;
CREATE INDEX calls_approval_id ON calls (approval_id) WHERE approval_id IS NOT NULL;
CREATE INDEX calls_session_id ON calls (session_id) WHERE session_id IS NOT NULL;

CREATE TABLE approvals (
    id                BLOB    NOT NULL PRIMARY KEY,
    state             TEXT    NOT NULL,
    requested_at      INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    principal         TEXT    NOT NULL, -- JSON array: issuer, id, kind, owner
    cluster           TEXT    NOT NULL,
    fingerprint       TEXT    NOT NULL,
    target_uid        TEXT,
    dispatch_audit_id BLOB,
    dispatch_boot     TEXT,
    sealed            BLOB,             -- the exact body; NULL once the ticket is not open any more
    body              TEXT    NOT NULL  -- JSON of the ticket
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_request ON approvals (principal, cluster, fingerprint);
CREATE INDEX approvals_state ON approvals (state, expires_at);
CREATE INDEX approvals_requested_at ON approvals (requested_at, id);

CREATE TABLE policies (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    digest   TEXT    NOT NULL,
    text     TEXT    NOT NULL,
    author   TEXT    NOT NULL,
    at       INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    id         BLOB    NOT NULL PRIMARY KEY,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    boot       TEXT    NOT NULL,
    subject_id TEXT    NOT NULL,
    cluster    TEXT    NOT NULL,
    body       TEXT    NOT NULL -- JSON of the session
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_started_at ON sessions (started_at, id);
CREATE INDEX sessions_live ON sessions (boot) WHERE ended_at IS NULL;

-- Leases: a writer that is not heard of any more leaves its open calls to the sweeper.
CREATE TABLE writers (
    boot         TEXT    NOT NULL PRIMARY KEY,
    replica      TEXT    NOT NULL,
    started_at   INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL,
    ended_at     INTEGER
) STRICT, WITHOUT ROWID;
