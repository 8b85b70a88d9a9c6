// The middle pass of networks with one hidden layer: everything between the two stacked products. Activation, the member's own output layer, the
// loss's gradient, the output layer's gradient and the gradient at the hidden sums. One block per member and tile of samples.

extern "C" __global__ void middle(const Layer* layers, const Fact* facts, const float* weights, float* sums, u32 pitch,
                                  const u8* labels, u32 samples, const u32* order, const Clock* clock, u32 batch, u32 rows,
                                  u32 tile, float* gradients, u32 stride, u32* diverged) {
    __shared__ float deltas[DELTAS];
    const u32 member = blockIdx.x;
    const Layer layer = layers[member];
    const u32 units = layer.inputs, outputs = layer.columns;
    const float* w = weights + layer.weights;
    const u32 first = blockIdx.y * tile;
    const u32 here = rows - first < tile ? rows - first : tile;
    float* z = sums + (size_t)first * pitch + layer.below;

    for (u32 i = threadIdx.x; i < here * outputs; i += THREADS) {
        const u32 sample = i / outputs, output = i % outputs;
        float sum = w[(size_t)units * outputs + output];
        for (u32 unit = 0; unit < units; unit++) {
            sum = fmaf(relu(z[(size_t)sample * pitch + unit]), w[(size_t)unit * outputs + output], sum);
        }
        deltas[i] = sum;
    }
    __syncthreads();

    for (u32 sample = threadIdx.x; sample < here; sample += THREADS) {
        const u32 index = order[(size_t)clock->place * batch + first + sample];
        const u32 label = labels[(size_t)facts[member].labels * samples + index];
        if (!gradient(facts[member].loss, deltas + sample * outputs, outputs, label, 1.0f / (float)rows)) {
            mark(diverged, member, clock->serial);
        }
    }
    __syncthreads();

    // Each tile leaves its own sums; the optimizer adds them up in order.
    float* g = gradients + layer.weights + (size_t)blockIdx.y * stride;
    for (u32 i = threadIdx.x; i < (units + 1) * outputs; i += THREADS) {
        const u32 unit = i / outputs, output = i % outputs;
        float sum = 0.0f;
        for (u32 sample = 0; sample < here; sample++) {
            const float input = unit < units ? relu(z[(size_t)sample * pitch + unit]) : 1.0f;
            sum = fmaf(input, deltas[sample * outputs + output], sum);
        }
        g[i] = sum;
    }
    __syncthreads();

    for (u32 i = threadIdx.x; i < here * units; i += THREADS) {
        const u32 sample = i / units, unit = i % units;
        float* at = z + (size_t)sample * pitch + unit;
        float sum = 0.0f;
        for (u32 output = 0; output < outputs; output++) {
            sum = fmaf(deltas[sample * outputs + output], w[(size_t)unit * outputs + output], sum);
        }
        // relu'(0) is 0.
        *at = *at > 0.0f ? sum : 0.0f;
    }
}
