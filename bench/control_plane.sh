#!/usr/bin/env bash
# Builds what it needs and measures one coordinator under load: the table of docs/control-plane.md.
#   bench/control_plane.sh [--runs N] [flags of bench_control_plane, e.g. --jobs 100000 --seconds 10 --data-dir DIR]
# Exit code 1 when a target was missed in the last run. About 6 minutes a run with the default sizes; use a machine that does nothing else.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${COPPICE_BUILD_DIR:-$root/build/bench}
runs=1
if [ "${1:-}" = --runs ]; then
  [ $# -ge 2 ] || { echo "bench/control_plane.sh: --runs needs a number" >&2; exit 2; }
  runs=$2
  shift 2
fi
cd "$root"
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCOPPICE_TRAINER=OFF >/dev/null
cmake --build "$build" --target coppice coppice-coordinator bench_control_plane
code=0
for run in $(seq "$runs"); do
  [ "$runs" = 1 ] || echo "# run $run of $runs"
  code=0
  "$build/bench/bench_control_plane" --coordinator "$build/bin/coppice-coordinator" --coppice "$build/bin/coppice" "$@" || code=$?
done
exit "$code"
