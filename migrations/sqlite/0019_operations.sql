-- Failures that are alike: how many trials in a row pause a sweep (0: never), the row so far, and why it was paused.
ALTER TABLE sweep ADD COLUMN max_alike INTEGER NOT NULL DEFAULT 10 CHECK (max_alike >= 0);
ALTER TABLE sweep ADD COLUMN alike TEXT;
ALTER TABLE sweep ADD COLUMN pause_reason TEXT;

-- Time without a step after which an attempt counts as hung.
ALTER TABLE trial_spec ADD COLUMN stall_ms INTEGER NOT NULL DEFAULT 600000;

-- Sessions asked to hand everything back and exit.
ALTER TABLE session ADD COLUMN draining INTEGER NOT NULL DEFAULT 0 CHECK (draining IN (0, 1));

-- Workers, by name, that get no trials for a while.
CREATE TABLE quarantine (
    worker TEXT PRIMARY KEY,
    since_at INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
