-- Trials of deleted sweeps whose rows are still to go, a slice at a time: a large sweep has millions of them.
CREATE TABLE grave (
    trial_id INTEGER PRIMARY KEY
) STRICT;
