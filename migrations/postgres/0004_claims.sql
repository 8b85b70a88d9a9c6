-- What a claim weighs: how many packs and how much memory a worker has, and what each trial takes.
ALTER TABLE session ADD COLUMN slots BIGINT NOT NULL DEFAULT 1 CHECK (slots >= 0);
ALTER TABLE session ADD COLUMN memory BIGINT NOT NULL DEFAULT 0;
ALTER TABLE trial ADD COLUMN memory BIGINT NOT NULL DEFAULT 0;

-- What can be claimed, the most urgent first, whatever its class: a claim looks at the front of it. All that it weighs is in
-- here, so that it reads no row.
CREATE INDEX trial_front ON trial (priority DESC, ord, id, class_id, cost, memory) WHERE state = 'ready' AND held = 0;
