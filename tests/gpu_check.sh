#!/usr/bin/env bash
# Builds the trainer with CUDA on a machine with a GPU and little else, runs on the GPU the tests that compare it with the CPU, and measures its speed:
# what no check without a GPU can tell. It takes nvcc, cmake, ninja, g++ and PyTorch from the machine, and the few other libraries from a folder that
# was collected where there is a network; it needs neither a package manager nor a network itself.
#   tests/gpu_check.sh --collect DIR    on Debian 12: downloads those libraries (3 MB) and unpacks them to DIR
#   tests/gpu_check.sh [--deps DIR] [--out DIR] [--seconds S] [--max-width N] [--test-limit S] [--profile] [--build-only]
#     --deps DIR     what --collect has made (default: gpu-deps in the project's folder)
#     --out DIR      where figures.txt, the events of each measurement (measure-*.jsonl) and the logs go (default: build/gpu/check)
#     --seconds S    for the packs of all widths of one model (default: 20; 64 members at d=512 take about 60)
#     --max-width N  the widest pack (default: 64)
#     --test-limit S after which a test program, or a measurement that has not ended S seconds after its time, is ended and has failed (default: 240)
#     --profile      also what each kernel of a pack of 8 at d=512 takes and moves, to kernels.csv (needs ncu, of the CUDA toolkit)
#     --build-only   stops before what needs a GPU: shows that all of it builds on a machine without one, and that what was built starts where
#                    the system has none of the collected libraries (in a mount namespace)
# LibTorch is that of `python3 -c "import torch"`, or the one in CMAKE_PREFIX_PATH. What fails does not keep the rest from running.
# Exit code 0: built, all tests passed, figures written. 1: the last lines say what failed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/cuda_trainer.sh"

deps=$root/gpu-deps out=$root/build/gpu/check seconds=20 max_width=64 test_limit=240 build_only= profile=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \?//p}' "$0"; exit 0 ;;
    --build-only) build_only=yes; shift; continue ;;
    --profile) profile=yes; shift; continue ;;
    --collect | --deps | --out | --seconds | --max-width | --test-limit) [ $# -gt 1 ] || { echo "gpu_check: $1 needs a value" >&2; exit 2; } ;;
    *) echo "gpu_check: unknown argument $1 (see --help)" >&2; exit 2 ;;
  esac
  case $1 in
    --collect) collect_libraries "$2"; exit ;;
    --deps) deps=$2 ;;
    --out) out=$2 ;;
    --seconds) seconds=$2 ;;
    --max-width) max_width=$2 ;;
    --test-limit) test_limit=$2 ;;
  esac
  shift 2
done

[ -d "$deps/usr/include/absl" ] || fail "$deps does not hold the libraries: tests/gpu_check.sh --collect DIR on Debian 12 makes such a folder, --deps DIR names it"
use_libraries "$deps"
for tool in cmake ninja g++; do command -v $tool >/dev/null || fail "$tool is not on the PATH"; done
find_nvcc || fail "nvcc is not on the PATH"
architecture=90
if [ -z "$build_only" ]; then
  command -v nvidia-smi >/dev/null || fail "no GPU: there is no nvidia-smi here (--build-only builds without one)"
  gpu=$(nvidia-smi --query-gpu=name,driver_version,compute_cap --format=csv,noheader 2>&1 | head -1) ||
    fail "no GPU: nvidia-smi says: $gpu"
  case $gpu in *,*,*) ;; *) fail "no GPU: nvidia-smi says: $gpu" ;; esac
  architecture=$(echo "${gpu##*,}" | tr -d ' .')
fi
torch=${CMAKE_PREFIX_PATH:-$(python3 -c 'import torch; print(torch.utils.cmake_prefix_path)')} || fail "python3 has no torch, and CMAKE_PREFIX_PATH names no LibTorch"

mkdir -p "$out"
out=$(cd "$out" && pwd)
build=$root/build/gpu
echo "gpu_check: building for sm_$architecture with CUDA $nvcc_version, LibTorch in $torch"
link_flags="-Wl,-rpath,\"$libraries\""
configure_trainer "$build" "$out/configure.log" "$architecture" "$torch" -G Ninja ||
  { tail -20 "$out/configure.log" >&2; fail "cmake failed: $out/configure.log"; }
grep -q cuda_device.cc "$build/build.ninja" || fail "the LibTorch in $torch has no CUDA"
tests=(trainer_cuda_device_test trainer_stacked_pack_test trainer_stacked_engine_test)
cmake --build "$build" --target coppice-trainer "${tests[@]}" >"$out/build.log" 2>&1 ||
  { grep -A5 -E 'error|FAILED' "$out/build.log" | head -40 >&2; fail "the build failed: $out/build.log"; }
echo "gpu_check: built"
failed=()
# A bare machine has nothing but the folder.
start() {
  local status=0
  timeout -k 5 60 "$root/tests/start_without.sh" "$libraries" "$@" >"$out/start.log" 2>&1 || status=$?
  case $status in
    0) ;;
    77) no_namespace=yes ;;
    *) tail -3 "$out/start.log" >&2; failed+=("${1##*/} does not start where the collected libraries are not installed") ;;
  esac
}
if [ -n "$build_only" ]; then
  no_namespace=
  start "$build/bin/coppice-trainer" --version
  for test in "${tests[@]}"; do start "$build/tests/$test" --gtest_list_tests; done
  [ ${#failed[@]} -eq 0 ] || fail "${failed[*]}"
  if [ -n "$no_namespace" ]; then
    echo "gpu_check: not tried whether it starts on a bare machine: there is no permission for a mount namespace here"
  else
    echo "gpu_check: what was built starts without the system's copies of the collected libraries"
  fi
  exit 0
fi

for test in "${tests[@]}"; do
  status=0
  COPPICE_REQUIRE_CUDA=1 timeout -k 10 "$test_limit" "$build/tests/$test" >"$out/$test.log" 2>&1 || status=$?
  if [ "$status" -eq 0 ]; then
    echo "gpu_check: $test: $(grep -c '^\[       OK' "$out/$test.log") passed"
  else
    case $status in
      124 | 137) failed+=("$test (ended after $test_limit s, in $(sed -n 's/^\[ RUN      \] //p' "$out/$test.log" | tail -1))") ;;
      *) failed+=("$test (exit code $status)") ;;
    esac
    grep -E -B8 '^\[  FAILED' "$out/$test.log" | head -60 || tail -5 "$out/$test.log"
  fi
done

# The models of bench/run.sh. A width that was measured twice counts with the faster one: what else the machine does makes it slower, never faster.
measure() {
  local name=$1 events=$out/measure-$2.jsonl status=0
  shift 2
  timeout -k 10 $((seconds + test_limit)) "$build/bin/coppice-trainer" measure --device cuda --task question --batch-size 8 --max-width "$max_width" \
    --seconds "$seconds" "$@" >"$events" 2>"${events%.jsonl}.log" || status=$?
  if [ "$status" -ne 0 ]; then
    tail -3 "${events%.jsonl}.log" >&2
    failed+=("the measurement of $name (exit code $status)")
  fi
  python3 - "$name" "$events" <<'PYTHON' || failed+=("the figures of $name")
import json, sys
best = {}
for line in open(sys.argv[2]):
    try:
        event = json.loads(line)
    except ValueError:
        continue  # the last one, of a measurement that was ended
    if event["event"] == "width" and event.get("seed_steps_per_second", 0) > best.get(event["width"], {}).get("seed_steps_per_second", 0):
        best[event["width"]] = event
if not best:
    sys.exit(f"gpu_check: nothing was measured of {sys.argv[1]}")
for width, event in sorted(best.items()):
    print(f"| {sys.argv[1]} | {width} | {event['steps_per_second']:.1f} | {event['seed_steps_per_second']:.0f} | {event['peak_bytes'] / 1e9:.2f} |")
PYTHON
}
figures() {
  echo "$gpu, CUDA $nvcc_version, $(cd "$root" && git rev-parse --short HEAD 2>/dev/null || echo 'no git')"
  printf '\n| model | pack | pack steps/s | seed-steps/s | GB |\n|---|---:|---:|---:|---:|\n'
  measure "d=64, depth 2" d64 --depth 2 --d-model 64 --heads 4 --d-ff 256
  measure "d=128, depth 4" d128 --depth 4 --d-model 128 --heads 4 --d-ff 512
  measure "d=512, depth 6" d512 --depth 6 --d-model 512 --heads 8 --d-ff 2048
  measure "d=512, depth 6, float32" d512-float32 --depth 6 --d-model 512 --heads 8 --d-ff 2048 --precision float32
}
profile() {
  timeout -k 10 $((seconds + test_limit)) ncu --clock-control none --graph-profiling node --csv --launch-skip 2000 --launch-count 400 \
    --metrics gpu__time_duration.sum,dram__bytes_read.sum,dram__bytes_write.sum --log-file "$out/kernels.csv" \
    "$build/bin/coppice-trainer" measure --device cuda --task question --batch-size 8 --max-width 8 --seconds "$seconds" \
    --depth 6 --d-model 512 --heads 8 --d-ff 2048 >"$out/profile.log" 2>&1 || failed+=("the profile (exit code $?)")
}
figures >"$out/figures.txt"
cat "$out/figures.txt"
[ -z "$profile" ] || profile
echo "gpu_check: $out/figures.txt"
if [ ${#failed[@]} -gt 0 ]; then
  for what in "${failed[@]}"; do echo "gpu_check: failed: $what" >&2; done
  fail "${#failed[@]} failed; the logs are in $out"
fi
