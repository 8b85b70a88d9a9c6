-- The queue and what comes out of it. Times are milliseconds since 1970-01-01 UTC; digests are lower-case hexadecimal.

-- Facts about the database itself.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- A sweep as it was submitted. `edition` grows with every submission, so that links of an older one can be told.
CREATE TABLE sweep (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    view_name TEXT NOT NULL UNIQUE,
    experiment TEXT NOT NULL,
    source TEXT NOT NULL,
    data TEXT NOT NULL,
    axes TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('expanding', 'running', 'paused', 'finished', 'cancelled')),
    expanded SMALLINT NOT NULL DEFAULT 0 CHECK (expanded IN (0, 1)),
    edition BIGINT NOT NULL DEFAULT 1,
    position BIGINT NOT NULL DEFAULT 0 CHECK (position >= 0),
    points BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    cost_total DOUBLE PRECISION NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    first_failure TEXT,
    CHECK ((state IN ('finished', 'cancelled')) = (finished_at IS NOT NULL)),
    CHECK (state <> 'expanding' OR expanded = 0),
    CHECK (state NOT IN ('running', 'finished') OR expanded = 1)
);

-- What decides who can train a trial and beside which others: few rows, so that a claim looks at few.
CREATE TABLE class (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pack_key TEXT NOT NULL CHECK (length(pack_key) = 32),
    data TEXT NOT NULL CHECK (length(data) = 64),
    device TEXT NOT NULL,
    instruction_set TEXT NOT NULL,
    UNIQUE (pack_key, data, device, instruction_set)
);

-- The queue: narrow, because every claim and every result rewrites its row. What a trial is stands in trial_spec.
CREATE TABLE trial (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE CHECK (length(identity) = 32),
    class_id BIGINT NOT NULL REFERENCES class (id),
    parent_id BIGINT REFERENCES trial (id),
    state TEXT NOT NULL CHECK (state IN ('blocked', 'ready', 'leased', 'delayed', 'succeeded', 'failed', 'poisoned', 'cancelled', 'skipped')),
    -- Only paused sweeps want it.
    held SMALLINT NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
    -- Its lease ran out, and nobody has claimed it since.
    suspect SMALLINT NOT NULL DEFAULT 0 CHECK (suspect IN (0, 1)),
    priority BIGINT NOT NULL,
    ord BIGINT NOT NULL,
    cost DOUBLE PRECISION NOT NULL,
    -- The fencing token: +1 at every claim, never reset.
    attempt BIGINT NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    failures BIGINT NOT NULL DEFAULT 0,
    crashes BIGINT NOT NULL DEFAULT 0,
    releases BIGINT NOT NULL DEFAULT 0,
    session TEXT,
    leased_at BIGINT,
    run_after BIGINT,
    CHECK ((state = 'delayed') = (run_after IS NOT NULL)),
    CHECK (suspect = 0 OR state = 'ready'),
    CHECK ((session IS NOT NULL) = (state = 'leased' OR suspect = 1)),
    CHECK ((session IS NOT NULL) = (leased_at IS NOT NULL)),
    CHECK (state <> 'blocked' OR parent_id IS NOT NULL)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01);

-- Only what can be claimed is in here, so a claim costs the same however many trials are done.
CREATE INDEX trial_claim ON trial (class_id, priority DESC, ord, id) WHERE state = 'ready' AND held = 0;
CREATE INDEX trial_delayed ON trial (run_after) WHERE state = 'delayed';
CREATE INDEX trial_session ON trial (session) WHERE session IS NOT NULL;
CREATE INDEX trial_parent ON trial (parent_id) WHERE parent_id IS NOT NULL;

-- What a trial is. Canonical settings, some of them as columns, and how it is run.
CREATE TABLE trial_spec (
    trial_id BIGINT PRIMARY KEY REFERENCES trial (id) ON DELETE CASCADE,
    params TEXT NOT NULL,
    width BIGINT NOT NULL,
    depth BIGINT NOT NULL,
    parameters BIGINT NOT NULL,
    samples BIGINT NOT NULL,
    outputs BIGINT NOT NULL,
    label_noise DOUBLE PRECISION NOT NULL,
    ridge DOUBLE PRECISION NOT NULL,
    weight_decay DOUBLE PRECISION NOT NULL,
    epochs BIGINT NOT NULL,
    seed BIGINT NOT NULL,
    time_limit_ms BIGINT NOT NULL,
    max_failures BIGINT NOT NULL,
    checkpoint_ms BIGINT NOT NULL,
    checkpoint_epochs BIGINT NOT NULL,
    keep_weights SMALLINT NOT NULL CHECK (keep_weights IN (0, 1))
);

-- Which sweep wants which trial; a trial that two sweeps want is trained once.
CREATE TABLE sweep_trial (
    sweep_id BIGINT NOT NULL REFERENCES sweep (id),
    trial_id BIGINT NOT NULL REFERENCES trial (id),
    point BIGINT NOT NULL,
    axes TEXT NOT NULL,
    edition BIGINT NOT NULL,
    PRIMARY KEY (sweep_id, trial_id)
);
CREATE INDEX sweep_trial_trial ON sweep_trial (trial_id, sweep_id);

-- Trials and their cost per sweep and state, kept by the triggers below. Rows are only ever added, so that two
-- transactions never wait for one counter; maintenance folds them into one row each. The count is the sum.
CREATE TABLE sweep_tally (
    sweep_id BIGINT NOT NULL,
    state TEXT NOT NULL,
    trials BIGINT NOT NULL,
    cost DOUBLE PRECISION NOT NULL
);
CREATE INDEX sweep_tally_sweep ON sweep_tally (sweep_id, state);

-- A worker process's life.
CREATE TABLE session (
    id TEXT PRIMARY KEY CHECK (length(id) = 32),
    worker TEXT NOT NULL,
    version TEXT NOT NULL,
    device TEXT NOT NULL,
    device_kind TEXT NOT NULL,
    instruction_set TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'expired', 'closed')),
    opened_at BIGINT NOT NULL,
    lease_until BIGINT NOT NULL
);
CREATE INDEX session_lease ON session (lease_until) WHERE state = 'open';

-- One execution of a trial.
CREATE TABLE attempt (
    trial_id BIGINT NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
    attempt BIGINT NOT NULL CHECK (attempt > 0),
    session TEXT NOT NULL,
    worker TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    outcome TEXT NOT NULL
        CHECK (outcome IN ('active', 'suspect', 'succeeded', 'failed', 'lost', 'released', 'cancelled')),
    failure TEXT,
    message TEXT,
    metric_seq BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (trial_id, attempt),
    CHECK ((outcome IN ('active', 'suspect')) = (ended_at IS NULL)),
    CHECK ((outcome = 'failed') = (failure IS NOT NULL))
);

-- Files that a trial refers to: where its next attempt goes on from, and its final weights.
CREATE TABLE artifact (
    trial_id BIGINT NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
    purpose TEXT NOT NULL CHECK (purpose IN ('checkpoint', 'weights')),
    hash TEXT NOT NULL CHECK (length(hash) = 64),
    bytes BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    step BIGINT NOT NULL,
    committed_at BIGINT NOT NULL,
    PRIMARY KEY (trial_id, purpose)
);

-- The one result of a trial. Its primary key is the latch: there cannot be two.
CREATE TABLE result (
    trial_id BIGINT PRIMARY KEY REFERENCES trial (id) ON DELETE CASCADE,
    attempt BIGINT NOT NULL,
    stop TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    train_loss DOUBLE PRECISION,
    train_error DOUBLE PRECISION,
    validation_loss DOUBLE PRECISION,
    validation_error DOUBLE PRECISION,
    test_loss DOUBLE PRECISION,
    test_error DOUBLE PRECISION,
    dead_units BIGINT,
    coefficient_norm DOUBLE PRECISION,
    diverged SMALLINT NOT NULL CHECK (diverged IN (0, 1)),
    parameters BIGINT NOT NULL,
    weights TEXT CHECK (length(weights) = 64),
    device TEXT NOT NULL,
    instruction_set TEXT NOT NULL,
    train_ms BIGINT NOT NULL,
    finished_at BIGINT NOT NULL
);

-- What was measured at the end of an epoch; a later attempt that comes by again replaces the row.
CREATE TABLE metric (
    trial_id BIGINT NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
    epoch BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    train_loss DOUBLE PRECISION,
    train_error DOUBLE PRECISION,
    validation_loss DOUBLE PRECISION,
    validation_error DOUBLE PRECISION,
    test_loss DOUBLE PRECISION,
    test_error DOUBLE PRECISION,
    dead_units BIGINT,
    PRIMARY KEY (trial_id, epoch)
);

-- Scratch of the one transaction that takes trials away from a sweep: empty outside of it.
CREATE TABLE removal (
    sweep_id BIGINT NOT NULL,
    trial_id BIGINT NOT NULL,
    fate TEXT NOT NULL CHECK (fate IN ('keep', 'cancel', 'delete')),
    PRIMARY KEY (sweep_id, trial_id)
);

-- Calls that may be repeated, and what they were answered with.
CREATE TABLE request_log (
    request TEXT PRIMARY KEY CHECK (length(request) = 32),
    answer TEXT NOT NULL,
    answered_at BIGINT NOT NULL
);
CREATE INDEX request_log_time ON request_log (answered_at);

CREATE FUNCTION tally_moved_trials() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sweep_tally (sweep_id, state, trials, cost)
    SELECT moved.sweep_id, moved.state, SUM(moved.trials), SUM(moved.cost)
    FROM (
        SELECT link.sweep_id, old_row.state, -1 AS trials, -old_row.cost AS cost
        FROM old_rows AS old_row
        JOIN new_rows AS new_row ON new_row.id = old_row.id AND new_row.state <> old_row.state
        JOIN sweep_trial AS link ON link.trial_id = old_row.id
        UNION ALL
        SELECT link.sweep_id, new_row.state, 1 AS trials, new_row.cost AS cost
        FROM old_rows AS old_row
        JOIN new_rows AS new_row ON new_row.id = old_row.id AND new_row.state <> old_row.state
        JOIN sweep_trial AS link ON link.trial_id = old_row.id
    ) AS moved
    GROUP BY moved.sweep_id, moved.state;
    RETURN NULL;
END $$;
CREATE TRIGGER trial_moved AFTER UPDATE ON trial
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION tally_moved_trials();

CREATE FUNCTION tally_linked_trials() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sweep_tally (sweep_id, state, trials, cost)
    SELECT link.sweep_id, trial.state, COUNT(*), SUM(trial.cost)
    FROM new_rows AS link JOIN trial ON trial.id = link.trial_id
    GROUP BY link.sweep_id, trial.state;
    RETURN NULL;
END $$;
CREATE TRIGGER trial_linked AFTER INSERT ON sweep_trial
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION tally_linked_trials();

CREATE FUNCTION tally_unlinked_trials() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sweep_tally (sweep_id, state, trials, cost)
    SELECT link.sweep_id, trial.state, -COUNT(*), -SUM(trial.cost)
    FROM old_rows AS link JOIN trial ON trial.id = link.trial_id
    GROUP BY link.sweep_id, trial.state;
    RETURN NULL;
END $$;
CREATE TRIGGER trial_unlinked AFTER DELETE ON sweep_trial
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION tally_unlinked_trials();
