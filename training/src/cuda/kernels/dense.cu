// Layers after the first, each member's own, whatever their shapes: one launch does a whole level of all members. Blocks take squares.

struct Activations { // relu of the sums below, and 1 for the bias
    static const bool along = true;
    const float* sums;
    u32 pitch, inputs;
    __device__ float operator()(u32 sample, u32 input) const {
        return input < inputs ? relu(sums[(size_t)sample * pitch + input]) : 1.0f;
    }
};

struct ActivationsAcross { // the same, transposed
    static const bool along = false;
    const float* sums;
    u32 pitch, inputs;
    __device__ float operator()(u32 input, u32 sample) const {
        return input < inputs ? relu(sums[(size_t)sample * pitch + input]) : 1.0f;
    }
};

struct Rows { // a matrix as the right factor: [depth, columns]
    static const bool along = false;
    const float* values;
    u32 pitch;
    __device__ float operator()(u32 row, u32 column) const { return values[(size_t)row * pitch + column]; }
};

struct Columns { // a matrix as the left factor: [rows, depth]
    static const bool along = true;
    const float* values;
    u32 pitch;
    __device__ float operator()(u32 row, u32 column) const { return values[(size_t)row * pitch + column]; }
};

struct Transposed { // a matrix [columns, depth], as the right factor
    static const bool along = true;
    const float* values;
    u32 pitch;
    __device__ float operator()(u32 row, u32 column) const { return values[(size_t)column * pitch + row]; }
};

struct Put {
    float* values;
    u32 pitch;
    __device__ void operator()(u32 row, u32 column, float sum) const { values[(size_t)row * pitch + column] = sum; }
};

struct PutThroughRelu { // over the sums that the gradient is for; relu'(0) is 0
    float* sums;
    u32 pitch;
    __device__ void operator()(u32 row, u32 column, float sum) const {
        float* at = sums + (size_t)row * pitch + column;
        *at = *at > 0.0f ? sum : 0.0f;
    }
};

// above = relu(below) * weights + bias. Blocks: squares across the columns, by tiles of samples.
extern "C" __global__ void forward(const Layer* layers, const Square* squares, const float* weights, const float* below,
                                   u32 below_pitch, float* above, u32 above_pitch, u32 rows) {
    const Square square = squares[blockIdx.x];
    const Layer layer = layers[square.member];
    const Activations left = {below + layer.below, below_pitch, layer.inputs};
    const Rows right = {weights + layer.weights, layer.columns};
    const Put out = {above + layer.above, above_pitch};
    product(rows, layer.columns, layer.inputs + 1, blockIdx.y * SIDE, square.across, left, right, out);
}

// gradients = relu(below)ᵀ * deltas above. Blocks: squares of the weights.
extern "C" __global__ void weigh(const Layer* layers, const Square* squares, const float* below, u32 below_pitch,
                                 const float* above, u32 above_pitch, u32 rows, float* gradients) {
    const Square square = squares[blockIdx.x];
    const Layer layer = layers[square.member];
    const ActivationsAcross left = {below + layer.below, below_pitch, layer.inputs};
    const Rows right = {above + layer.above, above_pitch};
    const Put out = {gradients + layer.weights, layer.columns};
    product(layer.inputs + 1, layer.columns, rows, square.down, square.across, left, right, out);
}

// below = (deltas above * weightsᵀ) through relu, over the sums. Blocks: squares across the inputs, by tiles of samples.
extern "C" __global__ void backward(const Layer* layers, const Square* squares, const float* weights, float* below,
                                    u32 below_pitch, const float* above, u32 above_pitch, u32 rows) {
    const Square square = squares[blockIdx.x];
    const Layer layer = layers[square.member];
    const Columns left = {above + layer.above, above_pitch};
    const Transposed right = {weights + layer.weights, layer.columns};
    const PutThroughRelu out = {below + layer.below, below_pitch};
    product(rows, layer.inputs, layer.columns, blockIdx.y * SIDE, square.across, left, right, out);
}

// Turns outputs into the loss's gradient. One block per member, by chunks of samples.
extern "C" __global__ void lose(const Layer* layers, const Fact* facts, float* sums, u32 pitch, const u8* labels, u32 samples,
                                const u32* order, const Clock* clock, u32 batch, u32 rows, u32* diverged) {
    const u32 member = blockIdx.x;
    const Layer layer = layers[member];
    const u32 sample = blockIdx.y * THREADS + threadIdx.x;
    if (sample < rows) {
        const u32 index = order[(size_t)clock->place * batch + sample];
        const u32 label = labels[(size_t)facts[member].labels * samples + index];
        float* outputs = sums + (size_t)sample * pitch + layer.above;
        if (!gradient(facts[member].loss, outputs, layer.columns, label, 1.0f / (float)rows)) {
            mark(diverged, member, clock->serial);
        }
    }
}
