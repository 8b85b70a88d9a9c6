-- What an experiment says of a trial beyond the numbers that all have, as JSON; each experiment's view shows it as columns.
ALTER TABLE result ADD COLUMN details TEXT;

-- The views on it find the new column when they are next asked.
DROP VIEW trials;
CREATE VIEW trials AS
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
    result.diverged AS diverged,
    result.weights AS weights,
    result.device AS device,
    result.instruction_set AS instruction_set,
    attempt.worker AS worker,
    result.train_ms AS train_ms,
    strftime('%Y-%m-%dT%H:%M:%fZ', attempt.started_at / 1000.0, 'unixepoch') AS started_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', attempt.ended_at / 1000.0, 'unixepoch') AS finished_at,
    link.point AS point,
    spec.params AS params,
    link.axes AS axes,
    spec.model AS model,
    spec.subspace_dim AS subspace_dim,
    spec.projection AS projection,
    spec.density AS density,
    result.details AS details
FROM sweep_trial AS link
JOIN sweep ON sweep.id = link.sweep_id
JOIN trial ON trial.id = link.trial_id
JOIN trial_spec AS spec ON spec.trial_id = trial.id
LEFT JOIN attempt ON attempt.trial_id = trial.id AND attempt.attempt = trial.attempt
LEFT JOIN result ON result.trial_id = trial.id;

-- One row for each point, over its seeds. Errors, gaps and weights span many orders of magnitude: their extremes stand in place of deviations.
CREATE VIEW expressivity AS
SELECT
    sweep,
    samples,
    parameters,
    outputs,
    label_noise,
    COALESCE(json_extract(params, '$."data.labels"'), 'true') AS labels,
    COALESCE(json_extract(params, '$."model.precision"'), 'double-double') AS precision,
    COALESCE(json_extract(params, '$."model.directions"'), 1) AS directions,
    COUNT(*) AS n,
    AVG(CASE WHEN json_extract(details, '$.expressivity.misfits') = 0 THEN 1.0 ELSE 0.0 END) AS exact_share,
    MIN(json_extract(details, '$.expressivity.distinct')) AS distinct_min,
    AVG(json_extract(details, '$.expressivity.misfits')) AS misfits_mean,
    MAX(json_extract(details, '$.expressivity.misfits')) AS misfits_max,
    AVG(json_extract(details, '$.expressivity.max_error')) AS max_error_mean,
    MAX(json_extract(details, '$.expressivity.max_error')) AS max_error_max,
    AVG(json_extract(details, '$.expressivity.smallest_gap')) AS smallest_gap_mean,
    MIN(json_extract(details, '$.expressivity.smallest_gap')) AS smallest_gap_min,
    AVG(json_extract(details, '$.expressivity.largest_weight')) AS largest_weight_mean,
    MAX(json_extract(details, '$.expressivity.largest_weight')) AS largest_weight_max,
    AVG(test_error) AS test_error_mean,
    json_remove(axes, '$.seed') AS axes
FROM results
WHERE experiment = 'expressivity'
GROUP BY sweep, samples, parameters, outputs, label_noise, COALESCE(json_extract(params, '$."data.labels"'), 'true'), COALESCE(json_extract(params, '$."model.precision"'), 'double-double'), COALESCE(json_extract(params, '$."model.directions"'), 1), json_remove(axes, '$.seed');
