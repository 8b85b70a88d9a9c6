// CUDA's words for a C++ compiler: enough to run the kernels' sources unchanged. A block's threads are fibers on one thread of the processor;
// each runs until it ends or comes to __syncthreads, then the next has its turn.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
// Blocks run one after the other, so one copy serves them all.
#define __shared__ static

struct Dim {
    unsigned x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};

static Dim threadIdx, blockIdx;

constexpr unsigned MOST_THREADS = 1024;
constexpr size_t STACK = 64 * 1024;

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[STACK]};
    bool over = false;
    unsigned barriers = 0;
};

static std::vector<Fiber> fibers(MOST_THREADS);
static ucontext_t scheduler;
static const std::function<void()>* running;

static void __syncthreads() {
    Fiber& fiber = fibers[threadIdx.x];
    fiber.barriers++;
    swapcontext(&fiber.context, &scheduler);
}

static void fiber_main() {
    (*running)();
    Fiber& fiber = fibers[threadIdx.x];
    fiber.over = true;
    swapcontext(&fiber.context, &scheduler);
}

// Every thread from barrier to barrier. Threads of one block that do not meet at the same barriers end the process.
inline void run_block(unsigned x, unsigned y, unsigned threads, const std::function<void()>& body) {
    blockIdx = {x, y};
    running = &body;
    for (unsigned t = 0; t < threads; t++) {
        Fiber& fiber = fibers[t];
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = nullptr;
        fiber.over = false;
        fiber.barriers = 0;
        makecontext(&fiber.context, fiber_main, 0);
    }
    for (bool any = true; any;) {
        any = false;
        for (unsigned t = 0; t < threads; t++) {
            if (!fibers[t].over) {
                threadIdx = {t, 0};
                swapcontext(&scheduler, &fibers[t].context);
                any |= !fibers[t].over;
            }
            if (fibers[t].barriers != fibers[0].barriers || fibers[t].over != fibers[0].over) {
                fprintf(stderr, "emulator: threads part at a barrier\n");
                exit(3);
            }
        }
    }
}
