-- The queue and what comes out of it. Times are milliseconds since 1970-01-01 UTC; digests are lower-case hexadecimal.

-- Facts about the database itself.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- A sweep as it was submitted. `edition` grows with every submission, so that links of an older one can be told.
CREATE TABLE sweep (
    -- A number is never given twice, so that a late report about a deleted sweep meets nobody else's.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    view_name TEXT NOT NULL UNIQUE,
    experiment TEXT NOT NULL,
    source TEXT NOT NULL,
    data TEXT NOT NULL,
    axes TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('expanding', 'running', 'paused', 'finished', 'cancelled')),
    expanded INTEGER NOT NULL DEFAULT 0 CHECK (expanded IN (0, 1)),
    edition INTEGER NOT NULL DEFAULT 1,
    position INTEGER NOT NULL DEFAULT 0 CHECK (position >= 0),
    points INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    cost_total REAL NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    first_failure TEXT,
    CHECK ((state IN ('finished', 'cancelled')) = (finished_at IS NOT NULL)),
    CHECK (state <> 'expanding' OR expanded = 0),
    CHECK (state NOT IN ('running', 'finished') OR expanded = 1)
) STRICT;

-- What decides who can train a trial and beside which others: few rows, so that a claim looks at few.
CREATE TABLE class (
    id INTEGER PRIMARY KEY,
    pack_key TEXT NOT NULL CHECK (length(pack_key) = 32),
    data TEXT NOT NULL CHECK (length(data) = 64),
    device TEXT NOT NULL,
    instruction_set TEXT NOT NULL,
    UNIQUE (pack_key, data, device, instruction_set)
) STRICT;

-- The queue: narrow, because every claim and every result rewrites its row. What a trial is stands in trial_spec.
CREATE TABLE trial (
    -- A number is never given twice, so that a late report about a deleted trial meets nobody else's.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    identity TEXT NOT NULL UNIQUE CHECK (length(identity) = 32),
    class_id INTEGER NOT NULL REFERENCES class (id),
    parent_id INTEGER REFERENCES trial (id),
    state TEXT NOT NULL CHECK (state IN ('blocked', 'ready', 'leased', 'delayed', 'succeeded', 'failed', 'poisoned', 'cancelled', 'skipped')),
    -- Only paused sweeps want it.
    held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
    -- Its lease ran out, and nobody has claimed it since.
    suspect INTEGER NOT NULL DEFAULT 0 CHECK (suspect IN (0, 1)),
    priority INTEGER NOT NULL,
    ord INTEGER NOT NULL,
    cost REAL NOT NULL,
    -- The fencing token: +1 at every claim, never reset.
    attempt INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    failures INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    releases INTEGER NOT NULL DEFAULT 0,
    session TEXT,
    leased_at INTEGER,
    run_after INTEGER,
    CHECK ((state = 'delayed') = (run_after IS NOT NULL)),
    CHECK (suspect = 0 OR state = 'ready'),
    CHECK ((session IS NOT NULL) = (state = 'leased' OR suspect = 1)),
    CHECK ((session IS NOT NULL) = (leased_at IS NOT NULL)),
    CHECK (state <> 'blocked' OR parent_id IS NOT NULL)
) STRICT;

-- Only what can be claimed is in here, so a claim costs the same however many trials are done.
CREATE INDEX trial_claim ON trial (class_id, priority DESC, ord, id) WHERE state = 'ready' AND held = 0;
CREATE INDEX trial_delayed ON trial (run_after) WHERE state = 'delayed';
CREATE INDEX trial_session ON trial (session) WHERE session IS NOT NULL;
CREATE INDEX trial_parent ON trial (parent_id) WHERE parent_id IS NOT NULL;

-- What a trial is. Canonical settings, some of them as columns, and how it is run.
CREATE TABLE trial_spec (
    trial_id INTEGER PRIMARY KEY REFERENCES trial (id) ON DELETE CASCADE,
    params TEXT NOT NULL,
    width INTEGER NOT NULL,
    depth INTEGER NOT NULL,
    parameters INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    outputs INTEGER NOT NULL,
    label_noise REAL NOT NULL,
    ridge REAL NOT NULL,
    weight_decay REAL NOT NULL,
    epochs INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    time_limit_ms INTEGER NOT NULL,
    max_failures INTEGER NOT NULL,
    checkpoint_ms INTEGER NOT NULL,
    checkpoint_epochs INTEGER NOT NULL,
    keep_weights INTEGER NOT NULL CHECK (keep_weights IN (0, 1))
) STRICT;

-- Which sweep wants which trial; a trial that two sweeps want is trained once.
CREATE TABLE sweep_trial (
    sweep_id INTEGER NOT NULL REFERENCES sweep (id),
    trial_id INTEGER NOT NULL REFERENCES trial (id),
    point INTEGER NOT NULL,
    axes TEXT NOT NULL,
    edition INTEGER NOT NULL,
    PRIMARY KEY (sweep_id, trial_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX sweep_trial_trial ON sweep_trial (trial_id, sweep_id);

-- Trials and their cost per sweep and state, kept by the triggers below
-- in the same transaction as the rows they count.
CREATE TABLE sweep_tally (
    sweep_id INTEGER NOT NULL,
    state TEXT NOT NULL,
    trials INTEGER NOT NULL CHECK (trials >= 0),
    cost REAL NOT NULL,
    PRIMARY KEY (sweep_id, state)
) STRICT, WITHOUT ROWID;

-- A worker process's life.
CREATE TABLE session (
    id TEXT PRIMARY KEY CHECK (length(id) = 32),
    worker TEXT NOT NULL,
    version TEXT NOT NULL,
    device TEXT NOT NULL,
    device_kind TEXT NOT NULL,
    instruction_set TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'expired', 'closed')),
    opened_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_lease ON session (lease_until) WHERE state = 'open';

-- One execution of a trial.
CREATE TABLE attempt (
    trial_id INTEGER NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL CHECK (attempt > 0),
    session TEXT NOT NULL,
    worker TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT NOT NULL
        CHECK (outcome IN ('active', 'suspect', 'succeeded', 'failed', 'lost', 'released', 'cancelled')),
    failure TEXT,
    message TEXT,
    metric_seq INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (trial_id, attempt),
    CHECK ((outcome IN ('active', 'suspect')) = (ended_at IS NULL)),
    CHECK ((outcome = 'failed') = (failure IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Files that a trial refers to: where its next attempt goes on from, and its final weights.
CREATE TABLE artifact (
    trial_id INTEGER NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
    purpose TEXT NOT NULL CHECK (purpose IN ('checkpoint', 'weights')),
    hash TEXT NOT NULL CHECK (length(hash) = 64),
    bytes INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    step INTEGER NOT NULL,
    committed_at INTEGER NOT NULL,
    PRIMARY KEY (trial_id, purpose)
) STRICT, WITHOUT ROWID;

-- The one result of a trial. Its primary key is the latch: there cannot be two.
CREATE TABLE result (
    trial_id INTEGER PRIMARY KEY REFERENCES trial (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    stop TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    train_loss REAL,
    train_error REAL,
    validation_loss REAL,
    validation_error REAL,
    test_loss REAL,
    test_error REAL,
    dead_units INTEGER,
    coefficient_norm REAL,
    diverged INTEGER NOT NULL CHECK (diverged IN (0, 1)),
    parameters INTEGER NOT NULL,
    weights TEXT CHECK (length(weights) = 64),
    device TEXT NOT NULL,
    instruction_set TEXT NOT NULL,
    train_ms INTEGER NOT NULL,
    finished_at INTEGER NOT NULL
) STRICT;

-- What was measured at the end of an epoch; a later attempt that comes by again replaces the row.
CREATE TABLE metric (
    trial_id INTEGER NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    train_loss REAL,
    train_error REAL,
    validation_loss REAL,
    validation_error REAL,
    test_loss REAL,
    test_error REAL,
    dead_units INTEGER,
    PRIMARY KEY (trial_id, epoch)
) STRICT, WITHOUT ROWID;

-- Scratch of the one transaction that takes trials away from a sweep: empty outside of it.
CREATE TABLE removal (
    sweep_id INTEGER NOT NULL,
    trial_id INTEGER NOT NULL,
    fate TEXT NOT NULL CHECK (fate IN ('keep', 'cancel', 'delete')),
    PRIMARY KEY (sweep_id, trial_id)
) STRICT, WITHOUT ROWID;

-- Calls that may be repeated, and what they were answered with.
CREATE TABLE request_log (
    request TEXT PRIMARY KEY CHECK (length(request) = 32),
    answer TEXT NOT NULL,
    answered_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX request_log_time ON request_log (answered_at);

CREATE TRIGGER trial_moved AFTER UPDATE OF state ON trial WHEN OLD.state <> NEW.state BEGIN
    UPDATE sweep_tally SET trials = trials - 1, cost = cost - OLD.cost
    WHERE state = OLD.state AND sweep_id IN (SELECT sweep_id FROM sweep_trial WHERE trial_id = OLD.id);
    INSERT INTO sweep_tally (sweep_id, state, trials, cost)
    SELECT sweep_id, NEW.state, 1, NEW.cost FROM sweep_trial WHERE trial_id = NEW.id
    ON CONFLICT (sweep_id, state) DO UPDATE SET trials = trials + 1, cost = cost + excluded.cost;
END;

CREATE TRIGGER trial_linked AFTER INSERT ON sweep_trial BEGIN
    INSERT INTO sweep_tally (sweep_id, state, trials, cost)
    SELECT NEW.sweep_id, state, 1, cost FROM trial WHERE id = NEW.trial_id
    ON CONFLICT (sweep_id, state) DO UPDATE SET trials = trials + 1, cost = cost + excluded.cost;
END;

CREATE TRIGGER trial_unlinked AFTER DELETE ON sweep_trial BEGIN
    UPDATE sweep_tally
    SET trials = trials - 1, cost = cost - (SELECT cost FROM trial WHERE id = OLD.trial_id)
    WHERE sweep_id = OLD.sweep_id AND state = (SELECT state FROM trial WHERE id = OLD.trial_id);
END;
