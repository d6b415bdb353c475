-- The principal of each call, so that agents can be listed and told apart.
ALTER TABLE calls ADD COLUMN principal TEXT; -- JSON array: issuer, id, kind, owner

-- When the last needed word was spoken, so that denials in a row can be counted.
ALTER TABLE approvals ADD COLUMN decided_at INTEGER;
UPDATE approvals
SET decided_at = CAST(strftime('%s', json_extract(body, '$.decidedAt')) AS INTEGER) * 1000000
WHERE json_extract(body, '$.decidedAt') IS NOT NULL;
CREATE INDEX approvals_decided ON approvals (principal, decided_at) WHERE decided_at IS NOT NULL;
CREATE INDEX approvals_denied ON approvals (principal, cluster, expires_at) WHERE state = 'denied';
CREATE INDEX approvals_asked ON approvals (principal, requested_at);

-- Agents whose writes are stopped until a human clears it. At most one freeze of a principal is in force.
CREATE TABLE freezes (
    id         BLOB    NOT NULL PRIMARY KEY,
    principal  TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    cleared_at INTEGER,
    body       TEXT    NOT NULL -- JSON of the freeze
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX freezes_active ON freezes (principal) WHERE cleared_at IS NULL;
CREATE INDEX freezes_at ON freezes (at, id);
CREATE INDEX freezes_principal ON freezes (principal, cleared_at);

-- What agents were let remove, for limits on how much in which time.
CREATE TABLE removals (
    principal TEXT    NOT NULL,
    cluster   TEXT    NOT NULL,
    rule      TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    audit_id  BLOB    NOT NULL,
    count     INTEGER NOT NULL
) STRICT;
CREATE INDEX removals_at ON removals (principal, cluster, rule, at);
CREATE INDEX removals_age ON removals (at);
