// Measuring: losses and errors in double precision, and units that never were above 0.

// A sample's loss: squared, summed over outputs; or cross-entropy in nats.
__device__ __forceinline__ double loss_of(u32 loss, const float* outputs, u32 count, u32 label) {
    if (loss == 0) {
        double sum = 0.0;
        for (u32 i = 0; i < count; i++) {
            const double d = (double)outputs[i] - (i == label ? 1.0 : 0.0);
            sum += d * d;
        }
        return sum;
    }
    double top = outputs[0];
    for (u32 i = 1; i < count; i++) {
        top = (double)outputs[i] > top ? (double)outputs[i] : top;
    }
    double sum = 0.0;
    for (u32 i = 0; i < count; i++) {
        sum += exp((double)outputs[i] - top);
    }
    return log(sum) + top - (double)outputs[label];
}

// Whether the largest output, the first of equals, is another class than the label. Outputs that are not numbers are wrong.
__device__ __forceinline__ u32 is_wrong(const float* outputs, u32 count, u32 label) {
    const float winner = outputs[label];
    u32 wrong = winner != winner;
    for (u32 i = 0; i < count; i++) {
        const float f = outputs[i];
        wrong |= f > winner || f != f || (f == winner && i < label);
    }
    return wrong;
}

// Losses and errors of a stretch of samples, from `start` on. One block per member, by tiles of THREADS samples; each leaves its sums at
// [tile, member] of `losses` and `errors`, from `tile0` on. `own`: labels are each member's row, not the only one.
extern "C" __global__ void measure(const Layer* layers, const Fact* facts, const float* sums, u32 pitch, const u8* labels,
                                   u32 samples, u32 own, u32 start, u32 rows, double* losses, u32* errors, u32 tile0,
                                   u32 members) {
    __shared__ double loss[THREADS];
    __shared__ u32 wrong[THREADS];
    const u32 member = blockIdx.x;
    const Layer layer = layers[member];
    const u32 sample = blockIdx.y * THREADS + threadIdx.x;
    loss[threadIdx.x] = 0.0;
    wrong[threadIdx.x] = 0;
    if (sample < rows) {
        const size_t row = own ? facts[member].labels : 0;
        const u32 label = labels[row * samples + start + sample];
        const float* outputs = sums + (size_t)sample * pitch + layer.above;
        loss[threadIdx.x] = loss_of(facts[member].loss, outputs, layer.columns, label);
        wrong[threadIdx.x] = is_wrong(outputs, layer.columns, label);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        double sum = 0.0;
        u32 count = 0;
        for (u32 i = 0; i < THREADS; i++) {
            sum += loss[i];
            count += wrong[i];
        }
        losses[(size_t)(tile0 + blockIdx.y) * members + member] = sum;
        errors[(size_t)(tile0 + blockIdx.y) * members + member] = count;
    }
}

// The sums over tiles, in order, into the first row. One thread per member.
extern "C" __global__ void total(double* losses, u32* errors, u32 tiles, u32 members) {
    const u32 member = blockIdx.x * THREADS + threadIdx.x;
    if (member < members) {
        double sum = 0.0;
        u32 count = 0;
        for (u32 tile = 0; tile < tiles; tile++) {
            sum += losses[(size_t)tile * members + member];
            count += errors[(size_t)tile * members + member];
        }
        losses[member] = sum;
        errors[member] = count;
    }
}

// Notes every hidden unit that is above 0 on some sample. One thread per column, by chunks of SIDE samples.
extern "C" __global__ void note_live(const float* sums, u32 pitch, u32 columns, u32 rows, u32* live) {
    const u32 column = blockIdx.x * THREADS + threadIdx.x;
    const u32 first = blockIdx.y * SIDE;
    if (column < columns) {
        u32 any = 0;
        for (u32 sample = first; sample < rows && sample < first + SIDE; sample++) {
            any |= sums[(size_t)sample * pitch + column] > 0.0f;
        }
        if (any) {
            live[column] = 1;
        }
    }
}
