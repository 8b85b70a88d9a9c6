// The minibatch: rows of the resident samples, in the order of the epoch.

// One block per row of the batch; `quads` times four numbers in a row.
extern "C" __global__ void gather(const float4* samples, const u32* order, const Clock* clock, u32 batch, u32 quads,
                                  float4* inputs) {
    const size_t from = order[(size_t)clock->place * batch + blockIdx.x];
    for (u32 i = threadIdx.x; i < quads; i += THREADS) {
        inputs[(size_t)blockIdx.x * quads + i] = samples[from * quads + i];
    }
}

// The last of a step: one thread.
extern "C" __global__ void tick(Clock* clock) {
    if (threadIdx.x == 0) {
        clock->place += 1;
        clock->serial += 1;
    }
}
