// What the kernels share: fixed sizes, the descriptions that the host uploads, and one tiled product.
//
// Every sum is taken in a fixed order by one thread: no atomics, so a launch repeats its bits. Where several threads may write to one place
// (flags), all write the same value.

typedef unsigned char u8;
typedef unsigned int u32;

// Threads of a block; and what one block of an elementwise kernel takes on.
#define THREADS 256
#define CHUNK (4 * THREADS)
// Numbers of the loss's gradient that a block of the middle pass holds.
#define DELTAS 2048
// A block's square of a product, and how much of the sum is staged at a time.
#define SIDE 64
#define SLAB 16

// One member's part of a layer after the first: weights [inputs + 1, columns], row-major, the last row the bias.
struct Layer {
    u32 weights; // the first of its weights
    u32 inputs;
    u32 columns;
    u32 below; // its first column in the sums below
    u32 above; // its first column in the sums above
};

// One square of a member's product.
struct Square {
    u32 member;
    u32 down;   // its first row
    u32 across; // its first column
};

// One member's part of any layer, as the optimizer sees it.
struct Part {
    u32 at; // the first weight
    u32 rows; // the last one is the bias
    u32 columns;
    u32 pitch; // from row to row
    u32 member;
    u32 tiled; // whether the middle pass left its gradient in tiles
};

// A member's loss (0 squared, 1 cross-entropy), and its row of training labels.
struct Fact {
    u32 loss;
    u32 labels;
};

// A member's coefficients for a step. SGD's momentum is beta1.
struct Coefficients {
    float rate, decay, beta1, rest1, beta2, rest2, root, epsilon;
};

// Where training stands: the step within the epoch, and the step since the group was put together, from 1 on.
struct Clock {
    u32 place;
    u32 serial;
};

__device__ __forceinline__ bool is_finite(float x) {
    return fabsf(x) <= 3.402823466e38f;
}

// What is not a number stays so: a network that diverged shows it.
__device__ __forceinline__ float relu(float sum) {
    return sum < 0.0f ? 0.0f : sum;
}

// Notes the first step at which a member was not finite. Blocks of one launch write the same number.
__device__ __forceinline__ void mark(u32* diverged, u32 member, u32 serial) {
    if (diverged[member] == 0) {
        diverged[member] = serial;
    }
}

// One square of out = left * right, the sum ascending. Left and Right say whether neighbours in memory lie along the sum.
template <class Left, class Right, class Out>
__device__ __forceinline__ void product(u32 rows, u32 columns, u32 depth, u32 down, u32 across, const Left& left,
                                        const Right& right, const Out& out) {
    __shared__ float a[SLAB][SIDE + 4];
    __shared__ float b[SLAB][SIDE + 4];
    const u32 thread = threadIdx.x;
    const u32 row = thread / 16 * 4, column = thread % 16 * 4;
    float sums[4][4] = {};
    for (u32 from = 0; from < depth; from += SLAB) {
        for (u32 i = thread; i < SLAB * SIDE; i += THREADS) {
            const u32 k = Left::along ? i % SLAB : i / SIDE;
            const u32 at = Left::along ? i / SLAB : i % SIDE;
            a[k][at] = from + k < depth && down + at < rows ? left(down + at, from + k) : 0.0f;
        }
        for (u32 i = thread; i < SLAB * SIDE; i += THREADS) {
            const u32 k = Right::along ? i % SLAB : i / SIDE;
            const u32 at = Right::along ? i / SLAB : i % SIDE;
            b[k][at] = from + k < depth && across + at < columns ? right(from + k, across + at) : 0.0f;
        }
        __syncthreads();
        for (u32 k = 0; k < SLAB; k++) {
            for (u32 i = 0; i < 4; i++) {
                for (u32 j = 0; j < 4; j++) {
                    sums[i][j] = fmaf(a[k][row + i], b[k][column + j], sums[i][j]);
                }
            }
        }
        __syncthreads();
    }
    for (u32 i = 0; i < 4; i++) {
        for (u32 j = 0; j < 4; j++) {
            if (down + row + i < rows && across + column + j < columns) {
                out(down + row + i, across + column + j, sums[i][j]);
            }
        }
    }
}

// Turns a sample's outputs into the gradient of `scale` times its loss. Whether the loss is finite.
__device__ __forceinline__ bool gradient(u32 loss, float* outputs, u32 count, u32 label, float scale) {
    if (loss == 0) {
        float sum = 0.0f;
        for (u32 i = 0; i < count; i++) {
            const float d = outputs[i] - (i == label ? 1.0f : 0.0f);
            sum += d * d;
            outputs[i] = 2.0f * d * scale;
        }
        return is_finite(sum);
    }
    float top = outputs[0];
    for (u32 i = 1; i < count; i++) {
        top = outputs[i] > top || outputs[i] != outputs[i] ? outputs[i] : top;
    }
    float sum = 0.0f;
    for (u32 i = 0; i < count; i++) {
        outputs[i] = expf(outputs[i] - top);
        sum += outputs[i];
    }
    for (u32 i = 0; i < count; i++) {
        outputs[i] = (outputs[i] / sum - (i == label ? 1.0f : 0.0f)) * scale;
    }
    return is_finite(top) && is_finite(sum);
}
