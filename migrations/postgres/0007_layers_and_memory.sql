-- One row for each trained network, layer and what was done to it, over the seeds. `epoch` is where training counts as ended.
CREATE VIEW layer_robustness AS
WITH found AS (
    SELECT
        sweep, model, width, depth, parameters, samples, label_noise, weight_decay,
        axes - 'seed' AS point_axes,
        CAST(changed.value ->> 'epoch' AS BIGINT) AS epoch,
        CAST(changed.value ->> 'layer' AS BIGINT) AS layer,
        changed.value ->> 'operation' AS operation,
        CAST(changed.value ->> 'checkpoint' AS BIGINT) AS checkpoint,
        CAST(changed.value ->> 'trained_loss' AS DOUBLE PRECISION) AS trained_loss,
        CAST(changed.value ->> 'trained_error' AS DOUBLE PRECISION) AS trained_error,
        CAST(changed.value ->> 'test_loss' AS DOUBLE PRECISION) AS test_loss,
        CAST(changed.value ->> 'test_error' AS DOUBLE PRECISION) AS test_error,
        CAST(changed.value ->> 'test_error' AS DOUBLE PRECISION) - CAST(changed.value ->> 'trained_error' AS DOUBLE PRECISION) AS error_increase,
        CAST(changed.value ->> 'distance_l2' AS DOUBLE PRECISION) AS distance_l2,
        CAST(changed.value ->> 'distance_rms' AS DOUBLE PRECISION) AS distance_rms,
        CAST(changed.value ->> 'distance_max' AS DOUBLE PRECISION) AS distance_max
    FROM results, jsonb_array_elements(results.details -> 'layer_robustness') AS changed (value)
    WHERE experiment = 'layer-robustness'
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
    COUNT(*) AS n,
    AVG(trained_loss) AS trained_loss_mean,
    STDDEV_SAMP(trained_loss) AS trained_loss_sd,
    AVG(trained_error) AS trained_error_mean,
    STDDEV_SAMP(trained_error) AS trained_error_sd,
    AVG(test_loss) AS test_loss_mean,
    STDDEV_SAMP(test_loss) AS test_loss_sd,
    AVG(test_error) AS test_error_mean,
    STDDEV_SAMP(test_error) AS test_error_sd,
    AVG(error_increase) AS error_increase_mean,
    STDDEV_SAMP(error_increase) AS error_increase_sd,
    AVG(distance_l2) AS distance_l2_mean,
    STDDEV_SAMP(distance_l2) AS distance_l2_sd,
    AVG(distance_rms) AS distance_rms_mean,
    STDDEV_SAMP(distance_rms) AS distance_rms_sd,
    AVG(distance_max) AS distance_max_mean,
    STDDEV_SAMP(distance_max) AS distance_max_sd,
    point_axes AS axes
FROM found
GROUP BY sweep, model, width, depth, parameters, samples, label_noise, weight_decay, epoch, layer, operation, checkpoint, point_axes;

-- One row for each point, over the seeds. A network has fitted its labels at the first measured epoch without a training error, and at the
-- first with a training loss of at most 0.1 its loss is low: NULL in a mean is one that never was.
CREATE VIEW memorization AS
WITH found AS (
    SELECT
        sweep, model, width, depth, parameters, samples, label_noise, weight_decay, epochs,
        COALESCE(params ->> 'data.inputs', 'true') AS inputs,
        COALESCE(params ->> 'data.labels', 'true') AS labels,
        COALESCE(params ->> 'data.noise_kind', 'other') AS noise_kind,
        axes - 'seed' AS point_axes,
        CAST(fit_epoch AS DOUBLE PRECISION) AS fit_epoch,
        CAST(fit_epoch * steps AS DOUBLE PRECISION) AS fit_step,
        CAST(low_loss_epoch AS DOUBLE PRECISION) AS low_loss_epoch,
        CAST(low_loss_epoch * steps AS DOUBLE PRECISION) AS low_loss_step,
        train_loss, train_error, test_loss, test_error, best_test_error
    FROM (
        SELECT
            results.*,
            (samples + CAST(COALESCE(params ->> 'train.batch', '100') AS BIGINT) - 1) / CAST(COALESCE(params ->> 'train.batch', '100') AS BIGINT) AS steps,
            (SELECT MIN(epoch) FROM metric WHERE trial_id = results.trial AND metric.train_error = 0) AS fit_epoch,
            (SELECT MIN(epoch) FROM metric WHERE trial_id = results.trial AND metric.train_loss <= 0.1) AS low_loss_epoch,
            (SELECT MIN(metric.test_error) FROM metric WHERE trial_id = results.trial) AS best_test_error
        FROM results
        WHERE experiment = 'memorization'
    ) AS fitted
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
    COUNT(*) AS n,
    CAST(AVG(CASE WHEN fit_epoch IS NULL THEN 0 ELSE 1 END) AS DOUBLE PRECISION) AS fitted_share,
    CAST(AVG(CASE WHEN low_loss_epoch IS NULL THEN 0 ELSE 1 END) AS DOUBLE PRECISION) AS low_loss_share,
    AVG(fit_epoch) AS fit_epoch_mean,
    STDDEV_SAMP(fit_epoch) AS fit_epoch_sd,
    AVG(fit_step) AS fit_step_mean,
    STDDEV_SAMP(fit_step) AS fit_step_sd,
    AVG(low_loss_epoch) AS low_loss_epoch_mean,
    STDDEV_SAMP(low_loss_epoch) AS low_loss_epoch_sd,
    AVG(low_loss_step) AS low_loss_step_mean,
    STDDEV_SAMP(low_loss_step) AS low_loss_step_sd,
    AVG(train_loss) AS train_loss_mean,
    STDDEV_SAMP(train_loss) AS train_loss_sd,
    AVG(train_error) AS train_error_mean,
    STDDEV_SAMP(train_error) AS train_error_sd,
    AVG(test_loss) AS test_loss_mean,
    STDDEV_SAMP(test_loss) AS test_loss_sd,
    AVG(test_error) AS test_error_mean,
    STDDEV_SAMP(test_error) AS test_error_sd,
    AVG(best_test_error) AS best_test_error_mean,
    STDDEV_SAMP(best_test_error) AS best_test_error_sd,
    point_axes AS axes
FROM found
GROUP BY sweep, model, width, depth, parameters, samples, inputs, labels, label_noise, noise_kind, weight_decay, epochs, point_axes;
