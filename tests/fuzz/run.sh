#!/usr/bin/env bash
# Builds the fuzzers (preset asan) and runs them, two at a time; fails on a finding. Each counts as a test: the last line is
# "N passed, N failed".
#   tests/fuzz/run.sh [--seconds N] [TARGET ...]     default: 20 seconds each, every target
# What they learn stays in build/fuzzing/corpus/TARGET for the next run. A finding lies in build/fuzzing/findings: once the reader is mended,
# copy it to tests/fuzz/corpus/TARGET, where every build's tests run it.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=20
if [ "${1:-}" = --seconds ]; then
  [[ "${2:-}" =~ ^[0-9]+$ ]] || { echo "usage: tests/fuzz/run.sh [--seconds N] [TARGET ...]" >&2; exit 2; }
  seconds=$2
  shift 2
fi
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for file in tests/fuzz/*_fuzz.cc; do targets+=("$(basename "$file" _fuzz.cc)"); done
fi
for target in "${targets[@]}"; do
  [ -f "tests/fuzz/${target}_fuzz.cc" ] || { echo "fuzz: no target $target; there are: $(cd tests/fuzz && ls ./*_fuzz.cc | sed 's/..\(.*\)_fuzz.cc/\1/' | xargs)" >&2; exit 2; }
done

. tests/tally/tally.sh
tally build fuzzers cmake --preset asan --log-level=WARNING
tally build fuzzers cmake --build build/asan --target "${targets[@]/#/fuzz_}"

logs=build/fuzzing/logs
mkdir -p build/fuzzing/findings "$logs"
# Inputs of up to 16 KiB reach every branch; what only a large input shows is among the seeds and in the readers' own tests.
run_one() {
  local target=$1 options=()
  [ -f "tests/fuzz/dictionaries/$target.dict" ] && options+=("-dict=tests/fuzz/dictionaries/$target.dict")
  mkdir -p "build/fuzzing/corpus/$target"
  "build/asan/bin/fuzz_$target" "${options[@]}" -max_total_time="$seconds" -max_len=16384 -timeout=25 -rss_limit_mb=1024 \
    -malloc_limit_mb=512 -print_final_stats=1 -artifact_prefix="build/fuzzing/findings/$target-" \
    "build/fuzzing/corpus/$target" "tests/fuzz/corpus/$target" >"$logs/$target.log" 2>&1
}

failed=()
running=()
collect() {
  local target
  for target in "${running[@]}"; do
    if wait "${pid[$target]}"; then
      tally add fuzzers "fuzz_$target" passed
    else
      failed+=("$target")
      tally add fuzzers "fuzz_$target" failed
    fi
  done
  running=()
}
declare -A pid
for target in "${targets[@]}"; do
  run_one "$target" &
  pid[$target]=$!
  running+=("$target")
  [ ${#running[@]} -lt 2 ] || collect
done
collect

printf '%-16s %12s %10s %10s %8s\n' target executions coverage corpus 'peak MiB'
for target in "${targets[@]}"; do
  log=$logs/$target.log
  last=$(grep -aE '^#[0-9]+' "$log" | tail -n 1 || true)
  printf '%-16s %12s %10s %10s %8s\n' "$target" \
    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
    "$(grep -oE 'cov: [0-9]+' <<<"$last" | cut -d' ' -f2)" \
    "$(grep -oE 'corp: [0-9]+' <<<"$last" | cut -d' ' -f2)" \
    "$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")"
done
if [ ${#failed[@]} -gt 0 ]; then
  for target in "${failed[@]}"; do
    echo "fuzz: $target found something; the end of $logs/$target.log:" >&2
    tail -n 60 "$logs/$target.log" >&2
  done
  exit 1
fi
