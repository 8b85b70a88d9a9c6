#!/bin/sh
# Runs reproductions and keeps what they found: scripts/reproduce.sh [-w WORKERS] sweeps/paper/risk-curve.toml …
#
# For each sweep file: trials that docs/results/NAME.parquet has are taken over, with what NAME.metrics.parquet has of their way, the others
# are trained (stop it whenever you like, it goes on where it was), and both files, docs/figures/NAME.{svg,png,csv} and docs/figures/NAME.md
# are written anew. So a reproduction that takes a day grows over many evenings and several machines. DESCENT names the binary.
set -eu
cd "$(dirname "$0")/.."
workers=$(nproc)
while getopts w: option; do
    case $option in
    w) workers=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { echo "usage: scripts/reproduce.sh [-w WORKERS] SWEEP.toml ..." >&2; exit 2; }
descent=${DESCENT:-target/release/descent}
[ -x "$descent" ] || cargo build --release --locked
mkdir -p target/reproduce docs/results docs/figures

for file in "$@"; do
    name=$(sed -n 's/^name *= *"\(.*\)"/\1/p' "$file")
    export DESCENT_DB="sqlite:target/reproduce/$name.db"
    kept=docs/results/$name.parquet
    "$descent" submit "$file" --yes
    measured=docs/results/$name.metrics.parquet
    if [ -f "$measured" ]; then
        "$descent" import "$kept" --metrics "$measured"
    elif [ -f "$kept" ]; then
        "$descent" import "$kept"
    fi
    # Some trials may fail, and an interruption is no end: what there is, is kept.
    status=0
    "$descent" run "$file" --workers "$workers" --no-figure >/dev/null || status=$?
    "$descent" export "$name" --out "$kept"
    "$descent" export "$name" --table metrics --out "$measured"
    "$descent" plot "$name" -o "docs/figures/$name.svg"
    "$descent" plot "$name" -o "docs/figures/$name.png"
    "$descent" report "$name" >"docs/figures/$name.md"
    [ "$status" -eq 0 ] || exit "$status"
done
