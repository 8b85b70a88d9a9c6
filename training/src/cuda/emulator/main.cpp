// A device in a process of its own, for tests: runs the kernels' own sources on the processor, one block after the other, every thread a fiber,
// and talks over standard input and output. Slow, and strict: arguments are checked against the kernels' signatures, addresses against the
// buffers' ends, and fresh memory is filled with NaN so that reading what was never written shows.
//
// One text for the compiler: shim.h, the kernels, this.

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

// Canaries on both sides of every buffer.
constexpr size_t GUARD = 256;
constexpr unsigned char CANARY = 0xA5;

struct Memory {
    std::vector<unsigned char> bytes;
    size_t size = 0;
    unsigned char* begin() { return bytes.data() + GUARD; }
};

std::map<uint32_t, Memory> memories;

[[noreturn]] void die(const std::string& why) {
    fprintf(stderr, "emulator: %s\n", why.c_str());
    exit(3);
}

void check_guards(const char* after) {
    for (auto& [id, memory] : memories) {
        for (size_t i = 0; i < GUARD; i++) {
            if (memory.bytes[i] != CANARY || memory.bytes[GUARD + memory.size + i] != CANARY) {
                die(std::string(after) + " wrote outside of buffer " + std::to_string(id));
            }
        }
    }
}

void get(void* to, size_t size) {
    if (fread(to, 1, size, stdin) != size) {
        exit(0); // the test is over
    }
}

template <class T>
T get() {
    T value;
    get(&value, sizeof value);
    return value;
}

unsigned char* address(uint32_t id, uint64_t offset, uint64_t size) {
    auto found = memories.find(id);
    if (found == memories.end()) {
        die("no buffer " + std::to_string(id));
    }
    if (offset + size > found->second.size) {
        die("outside of buffer " + std::to_string(id));
    }
    return found->second.begin() + offset;
}

struct Argument {
    bool pointer;
    uint64_t value;
    unsigned char* at;
};

// An argument as the kernel's parameter of this type.
template <class T>
T as(const Argument& argument) {
    if constexpr (std::is_pointer_v<T>) {
        if (!argument.pointer) {
            die("a number where a buffer belongs");
        }
        if (reinterpret_cast<uintptr_t>(argument.at) % alignof(std::remove_pointer_t<T>) != 0) {
            die("a buffer that is not aligned");
        }
        return reinterpret_cast<T>(argument.at);
    } else {
        static_assert(std::is_same_v<T, u32>);
        if (argument.pointer) {
            die("a buffer where a number belongs");
        }
        return static_cast<u32>(argument.value);
    }
}

template <class... P, size_t... I>
std::function<void()> prepare(void (*kernel)(P...), const std::vector<Argument>& arguments, std::index_sequence<I...>) {
    return [=] { kernel(as<P>(arguments[I])...); };
}

template <class... P>
std::function<void()> prepare(void (*kernel)(P...), const std::vector<Argument>& arguments) {
    if (arguments.size() != sizeof...(P)) {
        die("wrong number of arguments");
    }
    return prepare(kernel, arguments, std::index_sequence_for<P...>{});
}

std::function<void()> find(const std::string& name, const std::vector<Argument>& arguments) {
#define KERNEL(kernel) \
    if (name == #kernel) { \
        return prepare(kernel, arguments); \
    }
    KERNEL(gather) KERNEL(tick) KERNEL(middle) KERNEL(forward) KERNEL(weigh) KERNEL(backward) KERNEL(lose)
    KERNEL(momentum) KERNEL(adam) KERNEL(measure) KERNEL(total) KERNEL(note_live)
#undef KERNEL
    die("no kernel " + name);
}

void launch() {
    std::string name(get<uint32_t>(), ' ');
    get(name.data(), name.size());
    const auto x = get<uint32_t>(), y = get<uint32_t>(), threads = get<uint32_t>();
    std::vector<Argument> arguments(get<uint32_t>());
    for (auto& argument : arguments) {
        argument.pointer = get<uint32_t>() != 0;
        const auto id = get<uint32_t>();
        argument.value = get<uint64_t>();
        argument.at = argument.pointer ? address(id, argument.value, 0) : nullptr;
    }
    if (threads > MOST_THREADS || x == 0 || y == 0 || y > 65535) {
        die("a grid that no device takes");
    }
    const auto body = find(name, arguments);
    for (uint32_t j = 0; j < y; j++) {
        for (uint32_t i = 0; i < x; i++) {
            run_block(i, j, threads, body);
        }
    }
    check_guards(name.c_str());
}

// out [rows, columns] = left [rows, depth] * right [depth, columns], left transposed on demand. Sums ascend, as one chain of fused steps.
void multiply() {
    const auto transposed = get<uint32_t>(), rows = get<uint32_t>(), columns = get<uint32_t>(), depth = get<uint32_t>();
    struct { const float* at; size_t pitch; } matrix[3];
    for (auto& m : matrix) {
        const auto id = get<uint32_t>();
        const auto offset = get<uint64_t>();
        m.pitch = get<uint32_t>();
        const size_t high = &m == &matrix[0] ? (transposed ? depth : rows) : &m == &matrix[1] ? depth : rows;
        const size_t wide = &m == &matrix[0] ? (transposed ? rows : depth) : columns;
        m.at = reinterpret_cast<const float*>(address(id, offset, 4 * (m.pitch * (high - 1) + wide)));
    }
    float* out = const_cast<float*>(matrix[2].at);
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            float sum = 0.0f;
            for (size_t k = 0; k < depth; k++) {
                const float l = transposed ? matrix[0].at[k * matrix[0].pitch + i] : matrix[0].at[i * matrix[0].pitch + k];
                sum = fmaf(l, matrix[1].at[k * matrix[1].pitch + j], sum);
            }
            out[i * matrix[2].pitch + j] = sum;
        }
    }
    check_guards("multiply");
}

} // namespace

int main() {
    for (;;) {
        switch (get<uint32_t>()) {
        case 0: { // allocate
            const auto id = get<uint32_t>();
            const auto size = get<uint64_t>();
            Memory& memory = memories[id];
            memory.size = size;
            memory.bytes.assign(size + 2 * GUARD, CANARY);
            memset(memory.begin(), 0xFF, size);
            break;
        }
        case 1: // free
            memories.erase(get<uint32_t>());
            break;
        case 2: { // write
            const auto id = get<uint32_t>();
            const auto offset = get<uint64_t>(), size = get<uint64_t>();
            get(address(id, offset, size), size);
            break;
        }
        case 3: { // read
            const auto id = get<uint32_t>();
            const auto offset = get<uint64_t>(), size = get<uint64_t>();
            fwrite(address(id, offset, size), 1, size, stdout);
            fflush(stdout);
            break;
        }
        case 4:
            launch();
            break;
        case 5:
            multiply();
            break;
        default:
            die("unknown command");
        }
    }
}
