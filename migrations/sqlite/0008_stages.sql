-- Lottery tickets: one row for each level and control, over seeds and draws. Level 0 is the dense network. The early stop is where the
-- validation loss was least.
CREATE VIEW lottery_ticket AS
WITH pruned AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, density,
        CASE WHEN COALESCE(json_extract(params, '$."mask.kind"'), 'none') <> 'magnitude' THEN 0 ELSE COALESCE(json_extract(params, '$."mask.level"'), 1) END AS level,
        COALESCE(json_extract(params, '$."mask.control"'), 'ticket') AS control,
        COALESCE(json_extract(params, '$."mask.method"'), 'iterative') AS method,
        COALESCE(json_extract(params, '$."mask.scope"'), 'layer') AS scope,
        COALESCE(json_extract(params, '$."mask.rewind"'), 0) AS rewind,
        json_remove(axes, '$.seed', '$."mask.draw"') AS point_axes,
        test_error, train_error, validation_error,
        CAST(json_extract(details, '$.early_stop.step') AS REAL) AS early_stop_step,
        CAST(json_extract(details, '$.early_stop.step') AS REAL) / CAST(json_extract(details, '$.early_stop.steps') AS REAL) AS early_stop_share,
        CAST(json_extract(details, '$.early_stop.test_error') AS REAL) AS test_error_at_early_stop
    FROM results
    WHERE experiment = 'lottery-ticket'
), centred AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, level, density, control, method, scope, rewind, point_axes,
        test_error, AVG(test_error) OVER same_point AS test_error_mean,
        train_error, AVG(train_error) OVER same_point AS train_error_mean,
        validation_error, AVG(validation_error) OVER same_point AS validation_error_mean,
        early_stop_step, AVG(early_stop_step) OVER same_point AS early_stop_step_mean,
        early_stop_share, AVG(early_stop_share) OVER same_point AS early_stop_share_mean,
        test_error_at_early_stop, AVG(test_error_at_early_stop) OVER same_point AS test_error_at_early_stop_mean
    FROM pruned
    WINDOW same_point AS (PARTITION BY sweep, model, width, depth, parameters, samples, epochs, level, density, control, method, scope, rewind, point_axes)
), spread AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, level, density, control, method, scope, rewind, point_axes,
        COUNT(*) AS n,
        MAX(test_error_mean) AS test_error_mean,
        SUM((test_error - test_error_mean) * (test_error - test_error_mean)) / NULLIF(COUNT(test_error) - 1, 0) AS test_error_variance,
        MAX(train_error_mean) AS train_error_mean,
        SUM((train_error - train_error_mean) * (train_error - train_error_mean)) / NULLIF(COUNT(train_error) - 1, 0) AS train_error_variance,
        MAX(validation_error_mean) AS validation_error_mean,
        SUM((validation_error - validation_error_mean) * (validation_error - validation_error_mean)) / NULLIF(COUNT(validation_error) - 1, 0) AS validation_error_variance,
        MAX(early_stop_step_mean) AS early_stop_step_mean,
        SUM((early_stop_step - early_stop_step_mean) * (early_stop_step - early_stop_step_mean)) / NULLIF(COUNT(early_stop_step) - 1, 0) AS early_stop_step_variance,
        MAX(early_stop_share_mean) AS early_stop_share_mean,
        SUM((early_stop_share - early_stop_share_mean) * (early_stop_share - early_stop_share_mean)) / NULLIF(COUNT(early_stop_share) - 1, 0) AS early_stop_share_variance,
        MAX(test_error_at_early_stop_mean) AS test_error_at_early_stop_mean,
        SUM((test_error_at_early_stop - test_error_at_early_stop_mean) * (test_error_at_early_stop - test_error_at_early_stop_mean)) / NULLIF(COUNT(test_error_at_early_stop) - 1, 0) AS test_error_at_early_stop_variance
    FROM centred
    GROUP BY sweep, model, width, depth, parameters, samples, epochs, level, density, control, method, scope, rewind, point_axes
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
    n,
    test_error_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN test_error_variance > 0.0 THEN test_error_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + test_error_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN test_error_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS test_error_sd,
    train_error_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN train_error_variance > 0.0 THEN train_error_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + train_error_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN train_error_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS train_error_sd,
    validation_error_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN validation_error_variance > 0.0 THEN validation_error_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + validation_error_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN validation_error_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS validation_error_sd,
    early_stop_step_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN early_stop_step_variance > 0.0 THEN early_stop_step_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + early_stop_step_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN early_stop_step_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS early_stop_step_sd,
    early_stop_share_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN early_stop_share_variance > 0.0 THEN early_stop_share_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + early_stop_share_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN early_stop_share_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS early_stop_share_sd,
    test_error_at_early_stop_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN test_error_at_early_stop_variance > 0.0 THEN test_error_at_early_stop_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + test_error_at_early_stop_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN test_error_at_early_stop_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS test_error_at_early_stop_sd,
    point_axes AS axes
FROM spread;

-- Accuracy in random subspaces: one row for each dimension, over the seeds. With random labels, accuracy is that on the training samples.
-- `dim` 0 is the network itself; `relative` is the share of its accuracy, seed by seed.
CREATE VIEW intrinsic_dimension AS
WITH reached AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, seed,
        COALESCE(json_extract(params, '$."data.labels"'), 'true') AS labels,
        COALESCE(json_extract(params, '$."data.inputs"'), 'true') AS inputs,
        COALESCE(json_extract(details, '$.subspace_search.dim'), subspace_dim) AS dim,
        projection,
        CASE WHEN json_extract(details, '$.subspace_search.dim') IS NULL THEN 0 ELSE 1 END AS is_searched,
        1.0 - CASE WHEN COALESCE(json_extract(params, '$."data.labels"'), 'true') = 'random' THEN train_error ELSE test_error END AS accuracy,
        json_remove(axes, '$.subspace_dim', '$.projection', '$.search', '$."subspace.goal"', '$."subspace.low"', '$."subspace.threshold"') AS network,
        json_remove(axes, '$.seed', '$.search') AS point_axes
    FROM results
    WHERE experiment = 'intrinsic-dimension'
), compared AS (
    SELECT
        reached.*,
        itself.accuracy AS baseline,
        reached.accuracy / NULLIF(itself.accuracy, 0.0) AS relative
    FROM reached
    LEFT JOIN reached AS itself ON itself.sweep = reached.sweep AND itself.network = reached.network AND itself.seed = reached.seed AND itself.parameters = reached.parameters AND itself.dim = 0
), centred AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, labels, inputs, dim, projection, is_searched, point_axes,
        accuracy, AVG(accuracy) OVER same_point AS accuracy_mean,
        baseline, AVG(baseline) OVER same_point AS baseline_mean,
        relative, AVG(relative) OVER same_point AS relative_mean
    FROM compared
    WINDOW same_point AS (PARTITION BY sweep, model, width, depth, parameters, samples, epochs, labels, inputs, dim, projection, is_searched, point_axes)
), spread AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, labels, inputs, dim, projection, is_searched, point_axes,
        COUNT(*) AS n,
        MAX(accuracy_mean) AS accuracy_mean,
        SUM((accuracy - accuracy_mean) * (accuracy - accuracy_mean)) / NULLIF(COUNT(accuracy) - 1, 0) AS accuracy_variance,
        MAX(baseline_mean) AS baseline_mean,
        SUM((baseline - baseline_mean) * (baseline - baseline_mean)) / NULLIF(COUNT(baseline) - 1, 0) AS baseline_variance,
        MAX(relative_mean) AS relative_mean,
        SUM((relative - relative_mean) * (relative - relative_mean)) / NULLIF(COUNT(relative) - 1, 0) AS relative_variance
    FROM centred
    GROUP BY sweep, model, width, depth, parameters, samples, epochs, labels, inputs, dim, projection, is_searched, point_axes
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
    n,
    accuracy_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN accuracy_variance > 0.0 THEN accuracy_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + accuracy_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN accuracy_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS accuracy_sd,
    baseline_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN baseline_variance > 0.0 THEN baseline_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + baseline_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN baseline_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS baseline_sd,
    relative_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN relative_variance > 0.0 THEN relative_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + relative_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN relative_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS relative_sd,
    point_axes AS axes
FROM spread;

-- The smallest dimension tried that reaches a share of the network's own accuracy (local) or that accuracy itself (global), seed by seed;
-- one row for each network and threshold, over the seeds that reach it.
CREATE VIEW intrinsic_dimension_reached AS
WITH reached AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, seed,
        COALESCE(json_extract(params, '$."data.labels"'), 'true') AS labels,
        COALESCE(json_extract(params, '$."data.inputs"'), 'true') AS inputs,
        COALESCE(json_extract(details, '$.subspace_search.dim'), subspace_dim) AS dim,
        projection,
        CASE WHEN json_extract(details, '$.subspace_search.dim') IS NULL THEN 0 ELSE 1 END AS is_searched,
        1.0 - CASE WHEN COALESCE(json_extract(params, '$."data.labels"'), 'true') = 'random' THEN train_error ELSE test_error END AS accuracy,
        json_remove(axes, '$.subspace_dim', '$.projection', '$.search', '$."subspace.goal"', '$."subspace.low"', '$."subspace.threshold"') AS network,
        json_remove(axes, '$.seed', '$.search') AS point_axes
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
    VALUES ('local', 0.9), ('local', 1.0), ('global', 0.9), ('global', 1.0)
), found AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, labels, inputs, projection, threshold, share, seed,
        json_remove(network, '$.seed') AS point_axes,
        CAST(MIN(compared.dim) AS REAL) AS dim
    FROM compared
    CROSS JOIN wanted
    WHERE compared.dim > 0
        AND compared.accuracy >= wanted.share * CASE WHEN wanted.threshold = 'local' THEN compared.baseline ELSE 1.0 END
    GROUP BY sweep, model, width, depth, parameters, samples, epochs, labels, inputs, projection, threshold, share, seed, json_remove(network, '$.seed')
), centred AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, labels, inputs, projection, threshold, share, point_axes,
        dim, AVG(dim) OVER same_point AS dim_mean
    FROM found
    WINDOW same_point AS (PARTITION BY sweep, model, width, depth, parameters, samples, epochs, labels, inputs, projection, threshold, share, point_axes)
), spread AS (
    SELECT
        sweep, model, width, depth, parameters, samples, epochs, labels, inputs, projection, threshold, share, point_axes,
        COUNT(*) AS n,
        MAX(dim_mean) AS dim_mean,
        SUM((dim - dim_mean) * (dim - dim_mean)) / NULLIF(COUNT(dim) - 1, 0) AS dim_variance
    FROM centred
    GROUP BY sweep, model, width, depth, parameters, samples, epochs, labels, inputs, projection, threshold, share, point_axes
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
    n,
    dim_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN dim_variance > 0.0 THEN dim_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + dim_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN dim_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS dim_sd,
    point_axes AS axes
FROM spread;
