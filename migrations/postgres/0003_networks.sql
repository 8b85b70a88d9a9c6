-- Networks of several kinds, in random subspaces, with masks: what tells them apart stands in columns of its own.
ALTER TABLE trial_spec ADD COLUMN model TEXT NOT NULL DEFAULT 'mlp';
-- Dimension of the subspace, 0 without one, and how its projection is drawn.
ALTER TABLE trial_spec ADD COLUMN subspace_dim BIGINT NOT NULL DEFAULT 0;
ALTER TABLE trial_spec ADD COLUMN projection TEXT;
-- Share of the weights that a mask keeps.
ALTER TABLE trial_spec ADD COLUMN density DOUBLE PRECISION NOT NULL DEFAULT 1.0;
UPDATE trial_spec SET model = COALESCE(CAST(params AS JSONB) ->> 'model.kind', 'mlp');

CREATE OR REPLACE VIEW trials AS
SELECT
    sweep.name AS sweep,
    trial.id AS trial,
    trial.identity AS identity,
    sweep.experiment AS experiment,
    trial.state AS state,
    trial.attempt AS attempts,
    spec.seed AS seed,
    spec.width AS width,
    spec.depth AS depth,
    spec.parameters AS parameters,
    spec.samples AS samples,
    spec.outputs AS outputs,
    spec.label_noise AS label_noise,
    spec.ridge AS ridge,
    spec.weight_decay AS weight_decay,
    spec.epochs AS epochs,
    result.stop AS stop,
    result.epoch AS last_epoch,
    result.train_loss AS train_loss,
    result.train_error AS train_error,
    result.validation_loss AS validation_loss,
    result.validation_error AS validation_error,
    result.test_loss AS test_loss,
    result.test_error AS test_error,
    result.dead_units AS dead_units,
    result.coefficient_norm AS coefficient_norm,
    result.diverged = 1 AS diverged,
    result.weights AS weights,
    result.device AS device,
    result.instruction_set AS instruction_set,
    attempt.worker AS worker,
    result.train_ms AS train_ms,
    to_timestamp(attempt.started_at / 1000.0) AS started_at,
    to_timestamp(attempt.ended_at / 1000.0) AS finished_at,
    link.point AS point,
    CAST(spec.params AS JSONB) AS params,
    CAST(link.axes AS JSONB) AS axes,
    spec.model AS model,
    spec.subspace_dim AS subspace_dim,
    spec.projection AS projection,
    spec.density AS density
FROM sweep_trial AS link
JOIN sweep ON sweep.id = link.sweep_id
JOIN trial ON trial.id = link.trial_id
JOIN trial_spec AS spec ON spec.trial_id = trial.id
LEFT JOIN attempt ON attempt.trial_id = trial.id AND attempt.attempt = trial.attempt
LEFT JOIN result ON result.trial_id = trial.id;

CREATE OR REPLACE VIEW results AS
SELECT * FROM trials WHERE stop IS NOT NULL;

-- One row for each point, over its seeds. `axes` is the point without the seed.
CREATE OR REPLACE VIEW risk_curve AS
SELECT
    sweep,
    width,
    depth,
    parameters,
    samples,
    outputs,
    label_noise,
    weight_decay,
    epochs,
    COUNT(*) AS n,
    AVG(train_loss) AS train_loss_mean,
    STDDEV_SAMP(train_loss) AS train_loss_sd,
    AVG(train_error) AS train_error_mean,
    STDDEV_SAMP(train_error) AS train_error_sd,
    AVG(test_loss) AS test_loss_mean,
    STDDEV_SAMP(test_loss) AS test_loss_sd,
    AVG(test_error) AS test_error_mean,
    STDDEV_SAMP(test_error) AS test_error_sd,
    AVG(CAST(dead_units AS DOUBLE PRECISION)) AS dead_units_mean,
    STDDEV_SAMP(CAST(dead_units AS DOUBLE PRECISION)) AS dead_units_sd,
    axes - 'seed' AS axes,
    model,
    subspace_dim,
    projection,
    density
FROM results
WHERE experiment = 'risk-curve'
GROUP BY sweep, width, depth, parameters, samples, outputs, label_noise, weight_decay, epochs, model, subspace_dim, projection, density, axes - 'seed';
