-- What an experiment says of a trial beyond the numbers that all have, as JSON; each experiment's view shows it as columns.
ALTER TABLE result ADD COLUMN details TEXT;

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
    spec.density AS density,
    CAST(result.details AS JSONB) AS details
FROM sweep_trial AS link
JOIN sweep ON sweep.id = link.sweep_id
JOIN trial ON trial.id = link.trial_id
JOIN trial_spec AS spec ON spec.trial_id = trial.id
LEFT JOIN attempt ON attempt.trial_id = trial.id AND attempt.attempt = trial.attempt
LEFT JOIN result ON result.trial_id = trial.id;

CREATE OR REPLACE VIEW results AS
SELECT * FROM trials WHERE stop IS NOT NULL;

-- One row for each point, over its seeds. Errors, gaps and weights span many orders of magnitude: their extremes stand in place of deviations.
CREATE VIEW expressivity AS
SELECT
    sweep,
    samples,
    parameters,
    outputs,
    label_noise,
    COALESCE(params ->> 'data.labels', 'true') AS labels,
    COALESCE(params ->> 'model.precision', 'double-double') AS precision,
    CAST(COALESCE(params ->> 'model.directions', '1') AS BIGINT) AS directions,
    COUNT(*) AS n,
    CAST(AVG(CASE WHEN CAST(details -> 'expressivity' ->> 'misfits' AS DOUBLE PRECISION) = 0 THEN 1 ELSE 0 END) AS DOUBLE PRECISION) AS exact_share,
    CAST(MIN(CAST(details -> 'expressivity' ->> 'distinct' AS DOUBLE PRECISION)) AS BIGINT) AS distinct_min,
    AVG(CAST(details -> 'expressivity' ->> 'misfits' AS DOUBLE PRECISION)) AS misfits_mean,
    CAST(MAX(CAST(details -> 'expressivity' ->> 'misfits' AS DOUBLE PRECISION)) AS BIGINT) AS misfits_max,
    AVG(CAST(details -> 'expressivity' ->> 'max_error' AS DOUBLE PRECISION)) AS max_error_mean,
    MAX(CAST(details -> 'expressivity' ->> 'max_error' AS DOUBLE PRECISION)) AS max_error_max,
    AVG(CAST(details -> 'expressivity' ->> 'smallest_gap' AS DOUBLE PRECISION)) AS smallest_gap_mean,
    MIN(CAST(details -> 'expressivity' ->> 'smallest_gap' AS DOUBLE PRECISION)) AS smallest_gap_min,
    AVG(CAST(details -> 'expressivity' ->> 'largest_weight' AS DOUBLE PRECISION)) AS largest_weight_mean,
    MAX(CAST(details -> 'expressivity' ->> 'largest_weight' AS DOUBLE PRECISION)) AS largest_weight_max,
    AVG(test_error) AS test_error_mean,
    axes - 'seed' AS axes
FROM results
WHERE experiment = 'expressivity'
GROUP BY sweep, samples, parameters, outputs, label_noise, COALESCE(params ->> 'data.labels', 'true'), COALESCE(params ->> 'model.precision', 'double-double'), CAST(COALESCE(params ->> 'model.directions', '1') AS BIGINT), axes - 'seed';
