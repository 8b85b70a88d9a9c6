#!/usr/bin/env bash
# Compiles the CUDA kernels as a worker would, without a GPU: with NVRTC from its PyPI wheel (90 MB, kept for the next time). Prints the size of each PTX.
#
#   scripts/cuda-check.sh [CAPABILITY …]      such as 80 90, the default
set -euo pipefail
cd "$(dirname "$0")/.."

version=13.0.88
held="${XDG_CACHE_HOME:-$HOME/.cache}/descent/nvrtc-$version"
if ! compgen -G "$held/nvidia/cu13/lib/libnvrtc.so.*" >/dev/null; then
    wheels="$(mktemp -d)"
    trap 'rm -rf "$wheels"' EXIT
    python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$wheels" "nvidia-cuda-nvrtc==$version"
    mkdir -p "$held"
    for wheel in "$wheels"/*.whl; do python3 -m zipfile -e "$wheel" "$held"; done
fi

kernels=training/src/cuda/kernels
# On the loader's path, because NVRTC opens its own part (libnvrtc-builtins) by name.
LD_LIBRARY_PATH="$held/nvidia/cu13/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" python3 - "$kernels" "${@:-80 90}" <<'PY'
import ctypes, pathlib, sys

nvrtc = ctypes.CDLL("libnvrtc.so.13")
folder = pathlib.Path(sys.argv[1])
common = (folder / "common.cuh").read_text()


def compile(name, source, capability):
    program = ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), name.encode(), 0, None, None)
    options = [f"--gpu-architecture=compute_{capability}".encode()]
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    if failed:
        sys.exit(f"{name} for {capability}:\n{log.value.decode()}")
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    print(f"{name} for compute capability {capability}: {size.value} bytes of PTX")


for capability in " ".join(sys.argv[2:]).split():
    sources = sorted(folder.glob("*.cu"))
    for source in sources:
        compile(source.name, common + source.read_text(), capability)
    compile("all together", common + "".join(source.read_text() for source in sources), capability)
PY
