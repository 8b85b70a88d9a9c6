-- Risk curves by epoch: one row for each point and measured epoch, over the seeds that were measured there. `axes` is the point without
-- the seed. Roots and variances as in `risk_curve`.
CREATE VIEW risk_curve_by_epoch AS
WITH centred AS (
    SELECT
        results.sweep, results.width, results.depth, results.parameters, results.samples, results.outputs, results.label_noise, results.weight_decay, results.epochs, results.model, metric.epoch, json_remove(results.axes, '$.seed') AS point_axes,
        metric.train_loss, AVG(metric.train_loss) OVER same_point AS train_loss_mean,
        metric.train_error, AVG(metric.train_error) OVER same_point AS train_error_mean,
        metric.test_loss, AVG(metric.test_loss) OVER same_point AS test_loss_mean,
        metric.test_error, AVG(metric.test_error) OVER same_point AS test_error_mean
    FROM results
    JOIN metric ON metric.trial_id = results.trial
    WHERE results.experiment = 'risk-curve'
    WINDOW same_point AS (PARTITION BY results.sweep, results.width, results.depth, results.parameters, results.samples, results.outputs, results.label_noise, results.weight_decay, results.epochs, results.model, metric.epoch, json_remove(results.axes, '$.seed'))
), spread AS (
    SELECT
        sweep, width, depth, parameters, samples, outputs, label_noise, weight_decay, epochs, model, epoch, point_axes,
        COUNT(*) AS n,
        MAX(train_loss_mean) AS train_loss_mean,
        SUM((train_loss - train_loss_mean) * (train_loss - train_loss_mean)) / NULLIF(COUNT(train_loss) - 1, 0) AS train_loss_variance,
        MAX(train_error_mean) AS train_error_mean,
        SUM((train_error - train_error_mean) * (train_error - train_error_mean)) / NULLIF(COUNT(train_error) - 1, 0) AS train_error_variance,
        MAX(test_loss_mean) AS test_loss_mean,
        SUM((test_loss - test_loss_mean) * (test_loss - test_loss_mean)) / NULLIF(COUNT(test_loss) - 1, 0) AS test_loss_variance,
        MAX(test_error_mean) AS test_error_mean,
        SUM((test_error - test_error_mean) * (test_error - test_error_mean)) / NULLIF(COUNT(test_error) - 1, 0) AS test_error_variance
    FROM centred
    GROUP BY sweep, width, depth, parameters, samples, outputs, label_noise, weight_decay, epochs, model, epoch, point_axes
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
    model,
    epoch,
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
    point_axes AS axes
FROM spread;
