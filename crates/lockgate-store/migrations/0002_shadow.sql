-- Calls that a candidate policy in shadow mode would have decided otherwise.
ALTER TABLE calls ADD COLUMN shadow_differs INTEGER;
CREATE INDEX calls_shadow_differs ON calls (started_at, audit_id) WHERE shadow_differs = 1;
