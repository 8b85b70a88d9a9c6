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
        COALESCE(params ->> 'data.labels', 'true') AS labels,
        subspace_dim,
        axes - 'seed' AS point_axes,
        code.value ->> 'code' AS code,
        (CAST(code.value ->> 'model_bits' AS DOUBLE PRECISION) + CAST(code.value ->> 'label_bits' AS DOUBLE PRECISION)) / 1000.0 AS kbit,
        (CAST(code.value ->> 'model_bits' AS DOUBLE PRECISION) + CAST(code.value ->> 'label_bits' AS DOUBLE PRECISION)) / CAST(details -> 'description_length' -> 'codes' -> 0 ->> 'label_bits' AS DOUBLE PRECISION) AS ratio,
        CAST(code.value ->> 'test_error' AS DOUBLE PRECISION) AS test_error,
        CAST(code.value ->> 'model_bits' AS DOUBLE PRECISION) / 1000.0 AS model_kbit,
        CAST(code.value ->> 'label_bits' AS DOUBLE PRECISION) / 1000.0 AS label_kbit,
        CAST(code.value ->> 'weight_bits' AS DOUBLE PRECISION) AS weight_bits
    FROM results CROSS JOIN LATERAL jsonb_array_elements(details -> 'description_length' -> 'codes') AS code (value)
    WHERE experiment = 'description-length'
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
    COUNT(*) AS n,
    AVG(kbit) AS kbit_mean,
    STDDEV_SAMP(kbit) AS kbit_sd,
    AVG(ratio) AS ratio_mean,
    STDDEV_SAMP(ratio) AS ratio_sd,
    AVG(test_error) AS test_error_mean,
    STDDEV_SAMP(test_error) AS test_error_sd,
    AVG(model_kbit) AS model_kbit_mean,
    AVG(label_kbit) AS label_kbit_mean,
    AVG(weight_bits) AS weight_bits_mean,
    point_axes AS axes
FROM one
GROUP BY sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, code, point_axes;

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
        COALESCE(params ->> 'data.labels', 'true') AS labels,
        subspace_dim,
        axes - 'seed' AS point_axes,
        CAST(block.value ->> 'sent' AS BIGINT) AS sent,
        CAST(block.value ->> 'samples' AS BIGINT) AS block_samples,
        CAST(block.value ->> 'uniform_bits' AS DOUBLE PRECISION) / 1000.0 AS uniform_kbit,
        CAST(block.value ->> 'bits' AS DOUBLE PRECISION) / 1000.0 AS kbit,
        SUM(CAST(block.value ->> 'bits' AS DOUBLE PRECISION)) OVER (PARTITION BY sweep, point ORDER BY CAST(block.value ->> 'sent' AS BIGINT)) / 1000.0 AS cumulative_kbit,
        CAST(block.value ->> 'error' AS DOUBLE PRECISION) AS error,
        CAST(block.value ->> 'epoch' AS DOUBLE PRECISION) AS epoch
    FROM results CROSS JOIN LATERAL jsonb_array_elements(details -> 'description_length' -> 'blocks') AS block (value)
    WHERE experiment = 'description-length'
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
    COUNT(*) AS n,
    AVG(kbit) AS kbit_mean,
    STDDEV_SAMP(kbit) AS kbit_sd,
    AVG(cumulative_kbit) AS cumulative_kbit_mean,
    STDDEV_SAMP(cumulative_kbit) AS cumulative_kbit_sd,
    AVG(error) AS error_mean,
    AVG(epoch) AS epoch_mean,
    point_axes AS axes
FROM one
GROUP BY sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, sent, block_samples, uniform_kbit, point_axes;

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
        COALESCE(params ->> 'data.labels', 'true') AS labels,
        subspace_dim,
        ridge,
        weight_decay,
        epochs,
        COALESCE(CAST(params ->> 'freedom.epsilon' AS DOUBLE PRECISION), 0.01) AS epsilon,
        COALESCE(CAST(params ->> 'freedom.draws' AS BIGINT), 5) AS draws,
        COALESCE(params ->> 'freedom.probes', 'normal') AS probes,
        axes - 'seed' AS point_axes,
        CAST(details -> 'degrees_of_freedom' ->> 'estimate' AS DOUBLE PRECISION) AS freedom,
        train_loss,
        test_loss,
        test_loss - train_loss AS gap,
        CAST(details -> 'degrees_of_freedom' ->> 'standard_error' AS DOUBLE PRECISION) AS standard_error,
        CAST(details -> 'degrees_of_freedom' ->> 'closed_form' AS DOUBLE PRECISION) AS closed_form,
        train_error,
        test_error
    FROM results
    WHERE experiment = 'degrees-of-freedom'
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
    COUNT(*) AS n,
    AVG(freedom) AS freedom_mean,
    STDDEV_SAMP(freedom) AS freedom_sd,
    AVG(gap) AS gap_mean,
    STDDEV_SAMP(gap) AS gap_sd,
    AVG(train_loss) AS train_loss_mean,
    STDDEV_SAMP(train_loss) AS train_loss_sd,
    AVG(test_loss) AS test_loss_mean,
    STDDEV_SAMP(test_loss) AS test_loss_sd,
    AVG(standard_error) AS standard_error_mean,
    AVG(closed_form) AS closed_form_mean,
    AVG(train_error) AS train_error_mean,
    AVG(test_error) AS test_error_mean,
    point_axes AS axes
FROM one
GROUP BY sweep, model, width, depth, parameters, samples, outputs, label_noise, labels, subspace_dim, ridge, weight_decay, epochs, epsilon, draws, probes, point_axes;
