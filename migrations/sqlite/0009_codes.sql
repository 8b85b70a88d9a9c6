-- Codes of labels: one row for each point and code, and one for each point and block, over its seeds.
CREATE VIEW description_length AS
WITH one AS (
    SELECT
        sweep,
        model,
        width,
        depth,
        parameters,
        samples,
        outputs,
        label_noise,
        COALESCE(json_extract(params, '$."data.labels"'), 'true') AS labels,
        subspace_dim,
        json_remove(axes, '$.seed') AS point_axes,
        json_extract(code.value, '$.code') AS code,
        (json_extract(code.value, '$.model_bits') + json_extract(code.value, '$.label_bits')) / 1000.0 AS kbit,
        (json_extract(code.value, '$.model_bits') + json_extract(code.value, '$.label_bits')) / json_extract(results.details, '$.description_length.codes[0].label_bits') AS ratio,
        json_extract(code.value, '$.test_error') AS test_error,
        json_extract(code.value, '$.model_bits') / 1000.0 AS model_kbit,
        json_extract(code.value, '$.label_bits') / 1000.0 AS label_kbit,
        json_extract(code.value, '$.weight_bits') AS weight_bits
    FROM results, json_each(results.details, '$.description_length.codes') AS code
    WHERE experiment = 'description-length'
), centred AS (
    SELECT
        sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, code, point_axes,
        model_kbit, label_kbit, weight_bits,
        kbit, AVG(kbit) OVER same_point AS kbit_mean,
        ratio, AVG(ratio) OVER same_point AS ratio_mean,
        test_error, AVG(test_error) OVER same_point AS test_error_mean
    FROM one
    WINDOW same_point AS (PARTITION BY sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, code, point_axes)
), spread AS (
    SELECT
        sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, code, point_axes,
        COUNT(*) AS n,
        MAX(kbit_mean) AS kbit_mean,
        SUM((kbit - kbit_mean) * (kbit - kbit_mean)) / NULLIF(COUNT(kbit) - 1, 0) AS kbit_variance,
        MAX(ratio_mean) AS ratio_mean,
        SUM((ratio - ratio_mean) * (ratio - ratio_mean)) / NULLIF(COUNT(ratio) - 1, 0) AS ratio_variance,
        MAX(test_error_mean) AS test_error_mean,
        SUM((test_error - test_error_mean) * (test_error - test_error_mean)) / NULLIF(COUNT(test_error) - 1, 0) AS test_error_variance,
        AVG(model_kbit) AS model_kbit_mean,
        AVG(label_kbit) AS label_kbit_mean,
        AVG(weight_bits) AS weight_bits_mean
    FROM centred
    GROUP BY sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, code, point_axes
)
SELECT
    sweep,
    model,
    width,
    depth,
    parameters,
    samples,
    outputs,
    label_noise,
    labels,
    subspace_dim,
    code,
    n,
    kbit_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN kbit_variance > 0.0 THEN kbit_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + kbit_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN kbit_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS kbit_sd,
    ratio_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN ratio_variance > 0.0 THEN ratio_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + ratio_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN ratio_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS ratio_sd,
    test_error_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN test_error_variance > 0.0 THEN test_error_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + test_error_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN test_error_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS test_error_sd,
    model_kbit_mean,
    label_kbit_mean,
    weight_bits_mean,
    point_axes AS axes
FROM spread;

CREATE VIEW description_length_blocks AS
WITH one AS (
    SELECT
        sweep,
        model,
        width,
        depth,
        parameters,
        samples,
        outputs,
        label_noise,
        COALESCE(json_extract(params, '$."data.labels"'), 'true') AS labels,
        subspace_dim,
        json_remove(axes, '$.seed') AS point_axes,
        json_extract(block.value, '$.sent') AS sent,
        json_extract(block.value, '$.samples') AS block_samples,
        json_extract(block.value, '$.uniform_bits') / 1000.0 AS uniform_kbit,
        json_extract(block.value, '$.bits') / 1000.0 AS kbit,
        SUM(json_extract(block.value, '$.bits')) OVER (PARTITION BY sweep, point ORDER BY json_extract(block.value, '$.sent')) / 1000.0 AS cumulative_kbit,
        json_extract(block.value, '$.error') AS error,
        json_extract(block.value, '$.epoch') AS epoch
    FROM results, json_each(results.details, '$.description_length.blocks') AS block
    WHERE experiment = 'description-length'
), centred AS (
    SELECT
        sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, sent, block_samples, uniform_kbit, point_axes,
        error, epoch,
        kbit, AVG(kbit) OVER same_point AS kbit_mean,
        cumulative_kbit, AVG(cumulative_kbit) OVER same_point AS cumulative_kbit_mean
    FROM one
    WINDOW same_point AS (PARTITION BY sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, sent, block_samples, uniform_kbit, point_axes)
), spread AS (
    SELECT
        sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, sent, block_samples, uniform_kbit, point_axes,
        COUNT(*) AS n,
        MAX(kbit_mean) AS kbit_mean,
        SUM((kbit - kbit_mean) * (kbit - kbit_mean)) / NULLIF(COUNT(kbit) - 1, 0) AS kbit_variance,
        MAX(cumulative_kbit_mean) AS cumulative_kbit_mean,
        SUM((cumulative_kbit - cumulative_kbit_mean) * (cumulative_kbit - cumulative_kbit_mean)) / NULLIF(COUNT(cumulative_kbit) - 1, 0) AS cumulative_kbit_variance,
        AVG(error) AS error_mean,
        AVG(epoch) AS epoch_mean
    FROM centred
    GROUP BY sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, sent, block_samples, uniform_kbit, point_axes
)
SELECT
    sweep,
    model,
    width,
    depth,
    parameters,
    samples,
    outputs,
    label_noise,
    labels,
    subspace_dim,
    sent,
    block_samples,
    uniform_kbit,
    n,
    kbit_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN kbit_variance > 0.0 THEN kbit_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + kbit_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN kbit_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS kbit_sd,
    cumulative_kbit_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN cumulative_kbit_variance > 0.0 THEN cumulative_kbit_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + cumulative_kbit_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN cumulative_kbit_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS cumulative_kbit_sd,
    error_mean,
    epoch_mean,
    point_axes AS axes
FROM spread;

-- Degrees of freedom beside the number of parameters and the gap between test and training loss.
CREATE VIEW degrees_of_freedom AS
WITH one AS (
    SELECT
        sweep,
        model,
        width,
        depth,
        parameters,
        samples,
        outputs,
        label_noise,
        COALESCE(json_extract(params, '$."data.labels"'), 'true') AS labels,
        subspace_dim,
        ridge,
        weight_decay,
        epochs,
        COALESCE(json_extract(params, '$."freedom.epsilon"'), 0.01) AS epsilon,
        COALESCE(json_extract(params, '$."freedom.draws"'), 5) AS draws,
        COALESCE(json_extract(params, '$."freedom.probes"'), 'normal') AS probes,
        json_remove(axes, '$.seed') AS point_axes,
        json_extract(details, '$.degrees_of_freedom.estimate') AS freedom,
        train_loss,
        test_loss,
        test_loss - train_loss AS gap,
        json_extract(details, '$.degrees_of_freedom.standard_error') AS standard_error,
        json_extract(details, '$.degrees_of_freedom.closed_form') AS closed_form,
        train_error,
        test_error
    FROM results
    WHERE experiment = 'degrees-of-freedom'
), centred AS (
    SELECT
        sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, ridge, weight_decay, epochs, epsilon, draws, probes, point_axes,
        standard_error, closed_form, train_error, test_error,
        freedom, AVG(freedom) OVER same_point AS freedom_mean,
        gap, AVG(gap) OVER same_point AS gap_mean,
        train_loss, AVG(train_loss) OVER same_point AS train_loss_mean,
        test_loss, AVG(test_loss) OVER same_point AS test_loss_mean
    FROM one
    WINDOW same_point AS (PARTITION BY sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, ridge, weight_decay, epochs, epsilon, draws, probes, point_axes)
), spread AS (
    SELECT
        sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, ridge, weight_decay, epochs, epsilon, draws, probes, point_axes,
        COUNT(*) AS n,
        MAX(freedom_mean) AS freedom_mean,
        SUM((freedom - freedom_mean) * (freedom - freedom_mean)) / NULLIF(COUNT(freedom) - 1, 0) AS freedom_variance,
        MAX(gap_mean) AS gap_mean,
        SUM((gap - gap_mean) * (gap - gap_mean)) / NULLIF(COUNT(gap) - 1, 0) AS gap_variance,
        MAX(train_loss_mean) AS train_loss_mean,
        SUM((train_loss - train_loss_mean) * (train_loss - train_loss_mean)) / NULLIF(COUNT(train_loss) - 1, 0) AS train_loss_variance,
        MAX(test_loss_mean) AS test_loss_mean,
        SUM((test_loss - test_loss_mean) * (test_loss - test_loss_mean)) / NULLIF(COUNT(test_loss) - 1, 0) AS test_loss_variance,
        AVG(standard_error) AS standard_error_mean,
        AVG(closed_form) AS closed_form_mean,
        AVG(train_error) AS train_error_mean,
        AVG(test_error) AS test_error_mean
    FROM centred
    GROUP BY sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, ridge, weight_decay, epochs, epsilon, draws, probes, point_axes
)
SELECT
    sweep,
    model,
    width,
    depth,
    parameters,
    samples,
    outputs,
    label_noise,
    labels,
    subspace_dim,
    ridge,
    weight_decay,
    epochs,
    epsilon,
    draws,
    probes,
    n,
    freedom_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN freedom_variance > 0.0 THEN freedom_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + freedom_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN freedom_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS freedom_sd,
    gap_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN gap_variance > 0.0 THEN gap_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + gap_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN gap_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS gap_sd,
    train_loss_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN train_loss_variance > 0.0 THEN train_loss_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + train_loss_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN train_loss_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS train_loss_sd,
    test_loss_mean,
    (WITH RECURSIVE newton (step, root) AS (
        SELECT 0, CASE WHEN test_loss_variance > 0.0 THEN test_loss_variance END
        UNION ALL
        SELECT step + 1, 0.5 * (root + test_loss_variance / root) FROM newton WHERE step < 80
    ) SELECT CASE WHEN test_loss_variance = 0.0 THEN 0.0 ELSE root END FROM newton WHERE step = 80) AS test_loss_sd,
    standard_error_mean,
    closed_form_mean,
    train_error_mean,
    test_error_mean,
    point_axes AS axes
FROM spread;
