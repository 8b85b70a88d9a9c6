-- Lottery tickets: one row for each level and control, over seeds and draws. Level 0 is the dense network. The early stop is where the
-- validation loss was least.
CREATE VIEW lottery_ticket AS
WITH pruned AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, density,
        CASE WHEN COALESCE(params ->> 'mask.kind', 'none') <> 'magnitude' THEN 0 ELSE CAST(COALESCE(params ->> 'mask.level', '1') AS BIGINT) END AS level,
        COALESCE(params ->> 'mask.control', 'ticket') AS control,
        COALESCE(params ->> 'mask.method', 'iterative') AS method,
        COALESCE(params ->> 'mask.scope', 'layer') AS scope,
        CAST(COALESCE(params ->> 'mask.rewind', '0') AS BIGINT) AS rewind,
        axes - 'seed' - 'mask.draw' AS point_axes,
        test_error, train_error, validation_error,
        CAST(details -> 'early_stop' ->> 'step' AS DOUBLE PRECISION) AS early_stop_step,
        CAST(details -> 'early_stop' ->> 'step' AS DOUBLE PRECISION) / CAST(details -> 'early_stop' ->> 'steps' AS DOUBLE PRECISION) AS early_stop_share,
        CAST(details -> 'early_stop' ->> 'test_error' AS DOUBLE PRECISION) AS test_error_at_early_stop
    FROM results
    WHERE experiment = 'lottery-ticket'
)
SELECT
    sweep,
    model,
    width,
    depth,
    parameters,
    samples,
    epochs,
    level,
    density,
    control,
    method,
    scope,
    rewind,
    COUNT(*) AS n,
    AVG(test_error) AS test_error_mean,
    STDDEV_SAMP(test_error) AS test_error_sd,
    AVG(train_error) AS train_error_mean,
    STDDEV_SAMP(train_error) AS train_error_sd,
    AVG(validation_error) AS validation_error_mean,
    STDDEV_SAMP(validation_error) AS validation_error_sd,
    AVG(early_stop_step) AS early_stop_step_mean,
    STDDEV_SAMP(early_stop_step) AS early_stop_step_sd,
    AVG(early_stop_share) AS early_stop_share_mean,
    STDDEV_SAMP(early_stop_share) AS early_stop_share_sd,
    AVG(test_error_at_early_stop) AS test_error_at_early_stop_mean,
    STDDEV_SAMP(test_error_at_early_stop) AS test_error_at_early_stop_sd,
    point_axes AS axes
FROM pruned
GROUP BY sweep, model, width, depth, parameters, samples, epochs, level, density, control, method, scope, rewind, point_axes;

-- Accuracy in random subspaces: one row for each dimension, over the seeds. With random labels, accuracy is that on the training samples.
-- `dim` 0 is the network itself; `relative` is the share of its accuracy, seed by seed.
CREATE VIEW intrinsic_dimension AS
WITH reached AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, seed,
        COALESCE(params ->> 'data.labels', 'true') AS labels,
        COALESCE(params ->> 'data.inputs', 'true') AS inputs,
        COALESCE(CAST(details -> 'subspace_search' ->> 'dim' AS BIGINT), subspace_dim) AS dim,
        projection,
        CASE WHEN CAST(details -> 'subspace_search' ->> 'dim' AS BIGINT) IS NULL THEN 0 ELSE 1 END AS is_searched,
        1.0 - CASE WHEN COALESCE(params ->> 'data.labels', 'true') = 'random' THEN train_error ELSE test_error END AS accuracy,
        axes - 'subspace_dim' - 'projection' - 'search' - 'subspace.goal' - 'subspace.low' - 'subspace.threshold' AS network,
        axes - 'seed' - 'search' AS point_axes
    FROM results
    WHERE experiment = 'intrinsic-dimension'
), compared AS (
    SELECT
        reached.*,
        itself.accuracy AS baseline,
        reached.accuracy / NULLIF(itself.accuracy, 0.0) AS relative
    FROM reached
    LEFT JOIN reached AS itself ON itself.sweep = reached.sweep AND itself.network = reached.network AND itself.seed = reached.seed AND itself.parameters = reached.parameters AND itself.dim = 0
)
SELECT
    sweep,
    model,
    width,
    depth,
    parameters,
    samples,
    epochs,
    labels,
    inputs,
    dim,
    projection,
    is_searched,
    COUNT(*) AS n,
    AVG(accuracy) AS accuracy_mean,
    STDDEV_SAMP(accuracy) AS accuracy_sd,
    AVG(baseline) AS baseline_mean,
    STDDEV_SAMP(baseline) AS baseline_sd,
    AVG(relative) AS relative_mean,
    STDDEV_SAMP(relative) AS relative_sd,
    point_axes AS axes
FROM compared
GROUP BY sweep, model, width, depth, parameters, samples, epochs, labels, inputs, dim, projection, is_searched, point_axes;

-- The smallest dimension tried that reaches a share of the network's own accuracy (local) or that accuracy itself (global), seed by seed;
-- one row for each network and threshold, over the seeds that reach it.
CREATE VIEW intrinsic_dimension_reached AS
WITH reached AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, seed,
        COALESCE(params ->> 'data.labels', 'true') AS labels,
        COALESCE(params ->> 'data.inputs', 'true') AS inputs,
        COALESCE(CAST(details -> 'subspace_search' ->> 'dim' AS BIGINT), subspace_dim) AS dim,
        projection,
        CASE WHEN CAST(details -> 'subspace_search' ->> 'dim' AS BIGINT) IS NULL THEN 0 ELSE 1 END AS is_searched,
        1.0 - CASE WHEN COALESCE(params ->> 'data.labels', 'true') = 'random' THEN train_error ELSE test_error END AS accuracy,
        axes - 'subspace_dim' - 'projection' - 'search' - 'subspace.goal' - 'subspace.low' - 'subspace.threshold' AS network,
        axes - 'seed' - 'search' AS point_axes
    FROM results
    WHERE experiment = 'intrinsic-dimension'
), compared AS (
    SELECT
        reached.*,
        itself.accuracy AS baseline,
        reached.accuracy / NULLIF(itself.accuracy, 0.0) AS relative
    FROM reached
    LEFT JOIN reached AS itself ON itself.sweep = reached.sweep AND itself.network = reached.network AND itself.seed = reached.seed AND itself.parameters = reached.parameters AND itself.dim = 0
), wanted (threshold, share) AS (
    VALUES ('local', CAST(0.9 AS DOUBLE PRECISION)), ('local', 1.0), ('global', 0.9), ('global', 1.0)
), found AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, labels, inputs, projection, threshold, share, seed,
        network - 'seed' AS point_axes,
        CAST(MIN(compared.dim) AS DOUBLE PRECISION) AS dim
    FROM compared
    CROSS JOIN wanted
    WHERE compared.dim > 0
        AND compared.accuracy >= wanted.share * CASE WHEN wanted.threshold = 'local' THEN compared.baseline ELSE 1.0 END
    GROUP BY sweep, model, width, depth, parameters, samples, epochs, labels, inputs, projection, threshold, share, seed, network - 'seed'
)
SELECT
    sweep,
    model,
    width,
    depth,
    parameters,
    samples,
    epochs,
    labels,
    inputs,
    projection,
    threshold,
    share,
    COUNT(*) AS n,
    AVG(dim) AS dim_mean,
    STDDEV_SAMP(dim) AS dim_sd,
    point_axes AS axes
FROM found
GROUP BY sweep, model, width, depth, parameters, samples, epochs, labels, inputs, projection, threshold, share, point_axes;
