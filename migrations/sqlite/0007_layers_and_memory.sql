-- One row for each trained network, layer and what was done to it, over the seeds. `epoch` is where training counts as ended.
CREATE VIEW layer_robustness AS
WITH found AS (
    SELECT
        sweep, model, width, depth, parameters, samples, label_noise, weight_decay,
        json_remove(axes, '$.seed') AS point_axes,
        json_extract(changed.value, '$.epoch') AS epoch,
        json_extract(changed.value, '$.layer') AS layer,
        json_extract(changed.value, '$.operation') AS operation,
        json_extract(changed.value, '$.checkpoint') AS checkpoint,
        json_extract(changed.value, '$.trained_loss') AS trained_loss,
        json_extract(changed.value, '$.trained_error') AS trained_error,
        json_extract(changed.value, '$.test_loss') AS test_loss,
        json_extract(changed.value, '$.test_error') AS test_error,
        json_extract(changed.value, '$.test_error') - json_extract(changed.value, '$.trained_error') AS error_increase,
        json_extract(changed.value, '$.distance_l2') AS distance_l2,
        json_extract(changed.value, '$.distance_rms') AS distance_rms,
        json_extract(changed.value, '$.distance_max') AS distance_max
    FROM results, json_each(results.details, '$.layer_robustness') AS changed
    WHERE experiment = 'layer-robustness'
), centred AS (
    SELECT
        sweep, model, width, depth, parameters, samples, label_noise, weight_decay, epoch, layer, operation, checkpoint, point_axes,
        trained_loss, AVG(trained_loss) OVER same_point AS trained_loss_mean,
        trained_error, AVG(trained_error) OVER same_point AS trained_error_mean,
        test_loss, AVG(test_loss) OVER same_point AS test_loss_mean,
        test_error, AVG(test_error) OVER same_point AS test_error_mean,
        error_increase, AVG(error_increase) OVER same_point AS error_increase_mean,
        distance_l2, AVG(distance_l2) OVER same_point AS distance_l2_mean,
        distance_rms, AVG(distance_rms) OVER same_point AS distance_rms_mean,
        distance_max, AVG(distance_max) OVER same_point AS distance_max_mean
    FROM found
    WINDOW same_point AS (PARTITION BY sweep, model, width, depth, parameters, samples, label_noise, weight_decay, epoch, layer, operation, checkpoint, point_axes)
), spread AS (
    SELECT
        sweep, model, width, depth, parameters, samples, label_noise, weight_decay, epoch, layer, operation, checkpoint, point_axes,
        COUNT(*) AS n,
        MAX(trained_loss_mean) AS trained_loss_mean,
        SUM((trained_loss - trained_loss_mean) * (trained_loss - trained_loss_mean)) / NULLIF(COUNT(trained_loss) - 1, 0) AS trained_loss_variance,
        MAX(trained_error_mean) AS trained_error_mean,
        SUM((trained_error - trained_error_mean) * (trained_error - trained_error_mean)) / NULLIF(COUNT(trained_error) - 1, 0) AS trained_error_variance,
        MAX(test_loss_mean) AS test_loss_mean,
        SUM((test_loss - test_loss_mean) * (test_loss - test_loss_mean)) / NULLIF(COUNT(test_loss) - 1, 0) AS test_loss_variance,
        MAX(test_error_mean) AS test_error_mean,
        SUM((test_error - test_error_mean) * (test_error - test_error_mean)) / NULLIF(COUNT(test_error) - 1, 0) AS test_error_variance,
        MAX(error_increase_mean) AS error_increase_mean,
        SUM((error_increase - error_increase_mean) * (error_increase - error_increase_mean)) / NULLIF(COUNT(error_increase) - 1, 0) AS error_increase_variance,
        MAX(distance_l2_mean) AS distance_l2_mean,
        SUM((distance_l2 - distance_l2_mean) * (distance_l2 - distance_l2_mean)) / NULLIF(COUNT(distance_l2) - 1, 0) AS distance_l2_variance,
        MAX(distance_rms_mean) AS distance_rms_mean,
        SUM((distance_rms - distance_rms_mean) * (distance_rms - distance_rms_mean)) / NULLIF(COUNT(distance_rms) - 1, 0) AS distance_rms_variance,
        MAX(distance_max_mean) AS distance_max_mean,
        SUM((distance_max - distance_max_mean) * (distance_max - distance_max_mean)) / NULLIF(COUNT(distance_max) - 1, 0) AS distance_max_variance
    FROM centred
    GROUP BY sweep, model, width, depth, parameters, samples, label_noise, weight_decay, epoch, layer, operation, checkpoint, point_axes
)
SELECT
    sweep,
    model,
    width,
    depth,
    parameters,
    samples,
    label_noise,
    weight_decay,
    epoch,
    layer,
    operation,
    checkpoint,
    n,
    trained_loss_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN trained_loss_variance > 0.0 THEN trained_loss_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + trained_loss_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN trained_loss_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS trained_loss_sd,
    trained_error_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN trained_error_variance > 0.0 THEN trained_error_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + trained_error_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN trained_error_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS trained_error_sd,
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
    error_increase_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN error_increase_variance > 0.0 THEN error_increase_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + error_increase_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN error_increase_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS error_increase_sd,
    distance_l2_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN distance_l2_variance > 0.0 THEN distance_l2_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + distance_l2_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN distance_l2_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS distance_l2_sd,
    distance_rms_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN distance_rms_variance > 0.0 THEN distance_rms_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + distance_rms_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN distance_rms_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS distance_rms_sd,
    distance_max_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN distance_max_variance > 0.0 THEN distance_max_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + distance_max_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN distance_max_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS distance_max_sd,
    point_axes AS axes
FROM spread;

-- One row for each point, over the seeds. A network has fitted its labels at the first measured epoch without a training error, and at the
-- first with a training loss of at most 0.1 its loss is low: NULL in a mean is one that never was.
CREATE VIEW memorization AS
WITH found AS (
    SELECT
        sweep, model, width, depth, parameters, samples, label_noise, weight_decay, epochs,
        COALESCE(json_extract(params, '$."data.inputs"'), 'true') AS inputs,
        COALESCE(json_extract(params, '$."data.labels"'), 'true') AS labels,
        COALESCE(json_extract(params, '$."data.noise_kind"'), 'other') AS noise_kind,
        json_remove(axes, '$.seed') AS point_axes,
        CAST(fit_epoch AS REAL) AS fit_epoch,
        CAST(fit_epoch * steps AS REAL) AS fit_step,
        CAST(low_loss_epoch AS REAL) AS low_loss_epoch,
        CAST(low_loss_epoch * steps AS REAL) AS low_loss_step,
        train_loss, train_error, test_loss, test_error, best_test_error
    FROM (
        SELECT
            results.*,
            (samples + COALESCE(json_extract(params, '$."train.batch"'), 100) - 1) / COALESCE(json_extract(params, '$."train.batch"'), 100) AS steps,
            (SELECT MIN(epoch) FROM metric WHERE trial_id = results.trial AND metric.train_error = 0) AS fit_epoch,
            (SELECT MIN(epoch) FROM metric WHERE trial_id = results.trial AND metric.train_loss <= 0.1) AS low_loss_epoch,
            (SELECT MIN(metric.test_error) FROM metric WHERE trial_id = results.trial) AS best_test_error
        FROM results
        WHERE experiment = 'memorization'
    ) AS fitted
), centred AS (
    SELECT
        sweep, model, width, depth, parameters, samples, inputs, labels, label_noise, noise_kind, weight_decay, epochs, point_axes,
        CASE WHEN fit_epoch IS NULL THEN 0.0 ELSE 1.0 END AS fitted,
        CASE WHEN low_loss_epoch IS NULL THEN 0.0 ELSE 1.0 END AS low,
        fit_epoch, AVG(fit_epoch) OVER same_point AS fit_epoch_mean,
        fit_step, AVG(fit_step) OVER same_point AS fit_step_mean,
        low_loss_epoch, AVG(low_loss_epoch) OVER same_point AS low_loss_epoch_mean,
        low_loss_step, AVG(low_loss_step) OVER same_point AS low_loss_step_mean,
        train_loss, AVG(train_loss) OVER same_point AS train_loss_mean,
        train_error, AVG(train_error) OVER same_point AS train_error_mean,
        test_loss, AVG(test_loss) OVER same_point AS test_loss_mean,
        test_error, AVG(test_error) OVER same_point AS test_error_mean,
        best_test_error, AVG(best_test_error) OVER same_point AS best_test_error_mean
    FROM found
    WINDOW same_point AS (PARTITION BY sweep, model, width, depth, parameters, samples, inputs, labels, label_noise, noise_kind, weight_decay, epochs, point_axes)
), spread AS (
    SELECT
        sweep, model, width, depth, parameters, samples, inputs, labels, label_noise, noise_kind, weight_decay, epochs, point_axes,
        COUNT(*) AS n,
        AVG(fitted) AS fitted_share,
        AVG(low) AS low_loss_share,
        MAX(fit_epoch_mean) AS fit_epoch_mean,
        SUM((fit_epoch - fit_epoch_mean) * (fit_epoch - fit_epoch_mean)) / NULLIF(COUNT(fit_epoch) - 1, 0) AS fit_epoch_variance,
        MAX(fit_step_mean) AS fit_step_mean,
        SUM((fit_step - fit_step_mean) * (fit_step - fit_step_mean)) / NULLIF(COUNT(fit_step) - 1, 0) AS fit_step_variance,
        MAX(low_loss_epoch_mean) AS low_loss_epoch_mean,
        SUM((low_loss_epoch - low_loss_epoch_mean) * (low_loss_epoch - low_loss_epoch_mean)) / NULLIF(COUNT(low_loss_epoch) - 1, 0) AS low_loss_epoch_variance,
        MAX(low_loss_step_mean) AS low_loss_step_mean,
        SUM((low_loss_step - low_loss_step_mean) * (low_loss_step - low_loss_step_mean)) / NULLIF(COUNT(low_loss_step) - 1, 0) AS low_loss_step_variance,
        MAX(train_loss_mean) AS train_loss_mean,
        SUM((train_loss - train_loss_mean) * (train_loss - train_loss_mean)) / NULLIF(COUNT(train_loss) - 1, 0) AS train_loss_variance,
        MAX(train_error_mean) AS train_error_mean,
        SUM((train_error - train_error_mean) * (train_error - train_error_mean)) / NULLIF(COUNT(train_error) - 1, 0) AS train_error_variance,
        MAX(test_loss_mean) AS test_loss_mean,
        SUM((test_loss - test_loss_mean) * (test_loss - test_loss_mean)) / NULLIF(COUNT(test_loss) - 1, 0) AS test_loss_variance,
        MAX(test_error_mean) AS test_error_mean,
        SUM((test_error - test_error_mean) * (test_error - test_error_mean)) / NULLIF(COUNT(test_error) - 1, 0) AS test_error_variance,
        MAX(best_test_error_mean) AS best_test_error_mean,
        SUM((best_test_error - best_test_error_mean) * (best_test_error - best_test_error_mean)) / NULLIF(COUNT(best_test_error) - 1, 0) AS best_test_error_variance
    FROM centred
    GROUP BY sweep, model, width, depth, parameters, samples, inputs, labels, label_noise, noise_kind, weight_decay, epochs, point_axes
)
SELECT
    sweep,
    model,
    width,
    depth,
    parameters,
    samples,
    inputs,
    labels,
    label_noise,
    noise_kind,
    weight_decay,
    epochs,
    n,
    fitted_share,
    low_loss_share,
    fit_epoch_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN fit_epoch_variance > 0.0 THEN fit_epoch_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + fit_epoch_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN fit_epoch_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS fit_epoch_sd,
    fit_step_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN fit_step_variance > 0.0 THEN fit_step_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + fit_step_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN fit_step_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS fit_step_sd,
    low_loss_epoch_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN low_loss_epoch_variance > 0.0 THEN low_loss_epoch_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + low_loss_epoch_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN low_loss_epoch_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS low_loss_epoch_sd,
    low_loss_step_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN low_loss_step_variance > 0.0 THEN low_loss_step_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + low_loss_step_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN low_loss_step_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS low_loss_step_sd,
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
    best_test_error_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN best_test_error_variance > 0.0 THEN best_test_error_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + best_test_error_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN best_test_error_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS best_test_error_sd,
    point_axes AS axes
FROM spread;
