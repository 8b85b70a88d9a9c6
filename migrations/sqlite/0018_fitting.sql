-- What else decides whether a worker can take a trial: the data sets that it has, as a JSON list of hashes (NULL: not told), and
-- the samples that trials of a class share.
ALTER TABLE session ADD COLUMN data TEXT;
ALTER TABLE class ADD COLUMN data_memory INTEGER NOT NULL DEFAULT 0;

-- The most urgent of a class that there is memory for, without reading a row.
DROP INDEX trial_claim;
CREATE INDEX trial_claim ON trial (class_id, priority DESC, ord, id, cost, memory) WHERE state = 'ready' AND held = 0;
