#!/usr/bin/env bash
# Breaks real coordinators, workers and databases on purpose, and checks what is left: see docs/reliability.md.
#
#   scripts/chaos.sh                 each kind of fault for a minute
#   scripts/chaos.sh 3600            each for an hour
#   scripts/chaos.sh 60 42           the same with another seed
#   scripts/chaos.sh 60 1 links      only tests whose name holds `links`
#
# Ends with one row a kind of fault: times tried, acknowledged work lost, training steps wasted, seconds to recover (median / longest).
set -euo pipefail
cd "$(dirname "$0")/.."

export CHAOS_SECONDS="${1:-60}" CHAOS_SEED="${2:-1}" CHAOS_STORMS="$((3 + ${1:-60} / 20))"
only="${3:-}"
unset "${!DESCENT_@}"

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
# One at a time: seconds to recover mean something only on a machine that has nothing else to do.
cargo test --locked --workspace --test chaos -- --test-threads 1 --nocapture ${only:+"$only"} 2>&1 | tee "$log"

echo
echo "| fault | database | times | acknowledged work lost | training steps wasted | seconds to recover (median / longest) |"
echo "|---|---|---|---|---|---|"
sed -n 's/.*ROW //p' "$log"
