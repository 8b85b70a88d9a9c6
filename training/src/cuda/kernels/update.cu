// The optimizer's step over all weights. One block per chunk of a part; coefficients are each member's own, read from the device.

// A chunk of a part.
struct Chunk {
    u32 part;
    u32 first;
};

// The gradient of a weight: what the tiles of the middle pass add up to, in order.
__device__ __forceinline__ float gathered(const float* gradients, const Part& part, size_t at, u32 tiles, u32 stride) {
    float g = gradients[at];
    if (part.tiled) {
        for (u32 tile = 1; tile < tiles; tile++) {
            g += gradients[at + (size_t)tile * stride];
        }
    }
    return g;
}

// v = momentum v + g + decay w; w = w - rate v. Masked weights stay.
extern "C" __global__ void momentum(const Part* parts, const Chunk* chunks, const Coefficients* table, u32 moving,
                                    const Clock* clock, u32 last, const u8* trained, u32 masked, const float* gradients,
                                    u32 tiles, u32 stride, float* weights, float* velocity, u32* diverged) {
    const Chunk chunk = chunks[blockIdx.x];
    const Part part = parts[chunk.part];
    const Coefficients by = table[(size_t)clock->place * moving + part.member];
    for (u32 i = chunk.first + threadIdx.x; i < chunk.first + CHUNK && i < part.rows * part.columns; i += THREADS) {
        const u32 row = i / part.columns, column = i % part.columns;
        const size_t at = part.at + (size_t)row * part.pitch + column;
        if (masked && !trained[at]) {
            continue;
        }
        const float w = weights[at];
        float g = gathered(gradients, part, at, tiles, stride);
        if (row + 1 < part.rows) { // biases do not decay
            g = fmaf(by.decay, w, g);
        }
        const float v = fmaf(by.beta1, velocity[at], g);
        const float moved = fmaf(-by.rate, v, w);
        velocity[at] = v;
        weights[at] = moved;
        if (clock->place == last && !is_finite(moved)) {
            mark(diverged, part.member, clock->serial);
        }
    }
}

// g = g + decay w; m = beta1 m + rest1 g; s = beta2 s + rest2 g^2; w = w - rate m / (root sqrt(s) + epsilon), as Adam (Kingma & Ba 2015) with the
// corrections of bias folded into rate and root.
extern "C" __global__ void adam(const Part* parts, const Chunk* chunks, const Coefficients* table, u32 moving,
                                const Clock* clock, u32 last, const u8* trained, u32 masked, const float* gradients,
                                u32 tiles, u32 stride, float* weights, float* first, float* second, u32* diverged) {
    const Chunk chunk = chunks[blockIdx.x];
    const Part part = parts[chunk.part];
    const Coefficients by = table[(size_t)clock->place * moving + part.member];
    for (u32 i = chunk.first + threadIdx.x; i < chunk.first + CHUNK && i < part.rows * part.columns; i += THREADS) {
        const u32 row = i / part.columns, column = i % part.columns;
        const size_t at = part.at + (size_t)row * part.pitch + column;
        if (masked && !trained[at]) {
            continue;
        }
        const float w = weights[at];
        float g = gathered(gradients, part, at, tiles, stride);
        if (row + 1 < part.rows) {
            g = fmaf(by.decay, w, g);
        }
        const float m = fmaf(by.beta1, first[at], by.rest1 * g);
        const float s = fmaf(by.beta2, second[at], by.rest2 * (g * g));
        first[at] = m;
        second[at] = s;
        const float moved = w - by.rate * m / fmaf(by.root, sqrtf(s), by.epsilon);
        weights[at] = moved;
        if (clock->place == last && !is_finite(moved)) {
            mark(diverged, part.member, clock->serial);
        }
    }
}
