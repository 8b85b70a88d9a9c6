-- Risk curves by epoch: one row for each point and measured epoch, over the seeds that were measured there. `axes` is the point without
-- the seed.
CREATE VIEW risk_curve_by_epoch AS
SELECT
    results.sweep AS sweep,
    results.width AS width,
    results.depth AS depth,
    results.parameters AS parameters,
    results.samples AS samples,
    results.outputs AS outputs,
    results.label_noise AS label_noise,
    results.weight_decay AS weight_decay,
    results.epochs AS epochs,
    results.model AS model,
    metric.epoch AS epoch,
    COUNT(*) AS n,
    AVG(metric.train_loss) AS train_loss_mean,
    STDDEV_SAMP(metric.train_loss) AS train_loss_sd,
    AVG(metric.train_error) AS train_error_mean,
    STDDEV_SAMP(metric.train_error) AS train_error_sd,
    AVG(metric.test_loss) AS test_loss_mean,
    STDDEV_SAMP(metric.test_loss) AS test_loss_sd,
    AVG(metric.test_error) AS test_error_mean,
    STDDEV_SAMP(metric.test_error) AS test_error_sd,
    results.axes - 'seed' AS axes
FROM results
JOIN metric ON metric.trial_id = results.trial
WHERE results.experiment = 'risk-curve'
GROUP BY results.sweep, results.width, results.depth, results.parameters, results.samples, results.outputs, results.label_noise, results.weight_decay, results.epochs, results.model, metric.epoch, results.axes - 'seed';
