-- Networks of several kinds, in random subspaces, with masks: what tells them apart stands in columns of its own.
ALTER TABLE trial_spec ADD COLUMN model TEXT NOT NULL DEFAULT 'mlp';
-- Dimension of the subspace, 0 without one, and how its projection is drawn.
ALTER TABLE trial_spec ADD COLUMN subspace_dim INTEGER NOT NULL DEFAULT 0;
ALTER TABLE trial_spec ADD COLUMN projection TEXT;
-- Share of the weights that a mask keeps.
ALTER TABLE trial_spec ADD COLUMN density REAL NOT NULL DEFAULT 1.0;
UPDATE trial_spec SET model = COALESCE(params ->> '$."model.kind"', 'mlp');

-- Views stand on one another: all those on `trials` are made again. New columns come last, where PostgreSQL can add them.
DROP VIEW random_features;
DROP VIEW risk_curve;
DROP VIEW results;
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
    spec.density AS density
FROM sweep_trial AS link
JOIN sweep ON sweep.id = link.sweep_id
JOIN trial ON trial.id = link.trial_id
JOIN trial_spec AS spec ON spec.trial_id = trial.id
LEFT JOIN attempt ON attempt.trial_id = trial.id AND attempt.attempt = trial.attempt
LEFT JOIN result ON result.trial_id = trial.id;

CREATE VIEW results AS
SELECT * FROM trials WHERE stop IS NOT NULL;

-- One row for each point, over its seeds. `axes` is the point without the seed.
-- SQLite is often built without sqrt(), so Newton takes it: 80 steps reach the root of anything between 1e-40 and 1e40.
-- The variance is summed around the mean, not as a difference of squares, which would lose small ones.
CREATE VIEW risk_curve AS
WITH centred AS (
    SELECT
        sweep, width, depth, parameters, samples, outputs, label_noise, weight_decay, epochs, model, subspace_dim, projection, density,
        json_remove(axes, '$.seed') AS point_axes,
        train_loss, AVG(train_loss) OVER same_point AS train_loss_mean,
        train_error, AVG(train_error) OVER same_point AS train_error_mean,
        test_loss, AVG(test_loss) OVER same_point AS test_loss_mean,
        test_error, AVG(test_error) OVER same_point AS test_error_mean,
        dead_units, AVG(dead_units) OVER same_point AS dead_units_mean
    FROM results
    WHERE experiment = 'risk-curve'
    WINDOW same_point AS (PARTITION BY sweep, width, depth, parameters, samples, outputs, label_noise, weight_decay, epochs, model, subspace_dim, projection, density, json_remove(axes, '$.seed'))
), spread AS (
    SELECT
        sweep, width, depth, parameters, samples, outputs, label_noise, weight_decay, epochs, model, subspace_dim, projection, density, point_axes,
        COUNT(*) AS n,
        MAX(train_loss_mean) AS train_loss_mean,
        SUM((train_loss - train_loss_mean) * (train_loss - train_loss_mean)) / NULLIF(COUNT(train_loss) - 1, 0) AS train_loss_variance,
        MAX(train_error_mean) AS train_error_mean,
        SUM((train_error - train_error_mean) * (train_error - train_error_mean)) / NULLIF(COUNT(train_error) - 1, 0) AS train_error_variance,
        MAX(test_loss_mean) AS test_loss_mean,
        SUM((test_loss - test_loss_mean) * (test_loss - test_loss_mean)) / NULLIF(COUNT(test_loss) - 1, 0) AS test_loss_variance,
        MAX(test_error_mean) AS test_error_mean,
        SUM((test_error - test_error_mean) * (test_error - test_error_mean)) / NULLIF(COUNT(test_error) - 1, 0) AS test_error_variance,
        MAX(dead_units_mean) AS dead_units_mean,
        SUM((dead_units - dead_units_mean) * (dead_units - dead_units_mean)) / NULLIF(COUNT(dead_units) - 1, 0) AS dead_units_variance
    FROM centred
    GROUP BY sweep, width, depth, parameters, samples, outputs, label_noise, weight_decay, epochs, model, subspace_dim, projection, density, point_axes
)
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
    n,
    train_loss_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN train_loss_variance > 0.0 THEN train_loss_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + train_loss_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN train_loss_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS train_loss_sd,
    train_error_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN train_error_variance > 0.0 THEN train_error_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + train_error_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN train_error_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS train_error_sd,
    test_loss_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN test_loss_variance > 0.0 THEN test_loss_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + test_loss_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN test_loss_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS test_loss_sd,
    test_error_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN test_error_variance > 0.0 THEN test_error_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + test_error_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN test_error_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS test_error_sd,
    dead_units_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN dead_units_variance > 0.0 THEN dead_units_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + dead_units_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN dead_units_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS dead_units_sd,
    point_axes AS axes,
    model,
    subspace_dim,
    projection,
    density
FROM spread;

CREATE VIEW random_features AS
WITH centred AS (
    SELECT
        sweep, width, depth, parameters, samples, outputs, label_noise, ridge, weight_decay, epochs,
        json_remove(axes, '$.seed') AS point_axes,
        train_loss, AVG(train_loss) OVER same_point AS train_loss_mean,
        train_error, AVG(train_error) OVER same_point AS train_error_mean,
        test_loss, AVG(test_loss) OVER same_point AS test_loss_mean,
        test_error, AVG(test_error) OVER same_point AS test_error_mean,
        coefficient_norm, AVG(coefficient_norm) OVER same_point AS coefficient_norm_mean
    FROM results
    WHERE experiment = 'random-features'
    WINDOW same_point AS (PARTITION BY sweep, width, depth, parameters, samples, outputs, label_noise, ridge, weight_decay, epochs, json_remove(axes, '$.seed'))
), spread AS (
    SELECT
        sweep, width, depth, parameters, samples, outputs, label_noise, ridge, weight_decay, epochs, point_axes,
        COUNT(*) AS n,
        MAX(train_loss_mean) AS train_loss_mean,
        SUM((train_loss - train_loss_mean) * (train_loss - train_loss_mean)) / NULLIF(COUNT(train_loss) - 1, 0) AS train_loss_variance,
        MAX(train_error_mean) AS train_error_mean,
        SUM((train_error - train_error_mean) * (train_error - train_error_mean)) / NULLIF(COUNT(train_error) - 1, 0) AS train_error_variance,
        MAX(test_loss_mean) AS test_loss_mean,
        SUM((test_loss - test_loss_mean) * (test_loss - test_loss_mean)) / NULLIF(COUNT(test_loss) - 1, 0) AS test_loss_variance,
        MAX(test_error_mean) AS test_error_mean,
        SUM((test_error - test_error_mean) * (test_error - test_error_mean)) / NULLIF(COUNT(test_error) - 1, 0) AS test_error_variance,
        MAX(coefficient_norm_mean) AS coefficient_norm_mean,
        SUM((coefficient_norm - coefficient_norm_mean) * (coefficient_norm - coefficient_norm_mean)) / NULLIF(COUNT(coefficient_norm) - 1, 0) AS coefficient_norm_variance
    FROM centred
    GROUP BY sweep, width, depth, parameters, samples, outputs, label_noise, ridge, weight_decay, epochs, point_axes
)
SELECT
    sweep,
    width,
    depth,
    parameters,
    samples,
    outputs,
    label_noise,
    ridge,
    weight_decay,
    epochs,
    n,
    train_loss_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN train_loss_variance > 0.0 THEN train_loss_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + train_loss_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN train_loss_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS train_loss_sd,
    train_error_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN train_error_variance > 0.0 THEN train_error_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + train_error_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN train_error_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS train_error_sd,
    test_loss_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN test_loss_variance > 0.0 THEN test_loss_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + test_loss_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN test_loss_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS test_loss_sd,
    test_error_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN test_error_variance > 0.0 THEN test_error_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + test_error_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN test_error_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS test_error_sd,
    coefficient_norm_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN coefficient_norm_variance > 0.0 THEN coefficient_norm_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + coefficient_norm_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN coefficient_norm_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS coefficient_norm_sd,
    point_axes AS axes
FROM spread;
