#!/usr/bin/env bash
# Installs what the tests need and runs all of them. Stops at the first step that fails and names it.
#
#   scripts/test.sh              everything
#   scripts/test.sh -E 'test(figure)'   the checks, then only these tests (arguments go to cargo-nextest)
set -euo pipefail
cd "$(dirname "$0")/.."

export LC_ALL=C.UTF-8 TZ=UTC RUST_BACKTRACE=1 CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-auto}"
# Options of the command line that a shell may carry must not reach the tests.
unset "${!DESCENT_@}"

step="start"
trap '[ $? -eq 0 ] || echo "scripts/test.sh: step \"$step\" failed" >&2' EXIT
step() {
    step="$1"
    echo "== $step"
}

# Installs Debian packages: as root, or where sudo asks for no password.
install() {
    command -v apt-get >/dev/null || return 1
    local as=()
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        as=(sudo -n)
    fi
    DEBIAN_FRONTEND=noninteractive "${as[@]}" apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive "${as[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

step "tools"
command -v cargo >/dev/null || { echo "cargo is missing: https://rustup.rs" >&2; exit 1; }
command -v cc >/dev/null || install gcc libc6-dev || { echo "a C compiler is missing: install gcc" >&2; exit 1; }
postgres() { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
postgres || install postgresql || { echo "PostgreSQL's initdb is missing: install the package postgresql" >&2; exit 1; }
if [ "$(id -u)" -eq 0 ] && ! command -v runuser >/dev/null && ! command -v setpriv >/dev/null; then
    install util-linux # PostgreSQL refuses to run as root
fi

step "format"
cargo fmt --all --check

step "clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings

step "clippy of the control plane alone"
cargo clippy -p descent --no-default-features --locked -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

step "deployment files"
scripts/check-deploy.sh

step "CUDA kernels"
if compgen -G "${XDG_CACHE_HOME:-$HOME/.cache}/descent/nvrtc-*/nvidia" >/dev/null; then
    scripts/cuda-check.sh
else
    echo "not compiled here: scripts/cuda-check.sh fetches NVRTC (90 MB) once, then this step compiles them too"
fi

step "tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --no-fail-fast "$@"
else
    cargo test --workspace --locked --no-fail-fast
fi
