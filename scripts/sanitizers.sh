#!/usr/bin/env bash
# Builds with a sanitizer and runs every test that needs no LibTorch.
#   scripts/sanitizers.sh asan|tsan [--targets "TEST ..."] [arguments for ctest, e.g. -R service]
# --targets builds and runs those tests alone.
# asan: AddressSanitizer and UBSan; tsan: ThreadSanitizer (docs of what it sees: tests/sanitizers/tsan_absl.cc).
# Fails on a failed test and on any report, also one of a process that a test started and killed. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
kind=${1:-}
case "$kind" in
  asan | tsan) shift ;;
  *) echo "usage: scripts/sanitizers.sh asan|tsan [--targets \"TEST ...\"] [arguments for ctest]" >&2; exit 2 ;;
esac
targets=()
if [ "${1:-}" = --targets ]; then
  read -ra targets <<<"${2:-}"
  [ ${#targets[@]} -gt 0 ] || { echo "scripts/sanitizers.sh: --targets needs the names of tests" >&2; exit 2; }
  shift 2
  set -- -R "^($(IFS='|'; echo "${targets[*]}"))\$" "$@"
fi

. tests/tally/tally.sh
tally build "$kind" cmake --preset "$kind" ${COPPICE_WERROR:+-DCOPPICE_WERROR="$COPPICE_WERROR"} --log-level=WARNING || exit 1
tally build "$kind" cmake --build --preset "$kind" ${targets:+--target "${targets[@]}"} || exit 1

reports=$(mktemp -d)
tally_remove "$reports"
# A program's own defaults are in tests/sanitizers/; what stands here comes on top.
export ASAN_OPTIONS="log_path=$reports/asan:detect_stack_use_after_return=1:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="log_path=$reports/ubsan:print_stacktrace=1:${UBSAN_OPTIONS:-}"
export LSAN_OPTIONS="suppressions=$PWD/tests/sanitizers/lsan.supp:print_suppressions=0:${LSAN_OPTIONS:-}"
export TSAN_OPTIONS="log_path=$reports/tsan:${TSAN_OPTIONS:-}"
# Where the kernel scatters addresses widely (vm.mmap_rnd_bits above 28) the sanitizers' shadow memory has no place.
fixed=()
if [ "$kind" = tsan ] && setarch "$(uname -m)" -R true 2>/dev/null; then fixed=(setarch "$(uname -m)" -R); fi
status=0
"${fixed[@]}" tests/tally/tally.py ctest "$kind" --test-dir "build/$kind" -j "$(nproc)" -LE serial "$@" || status=1
"${fixed[@]}" tests/tally/tally.py ctest "$kind, one by one" --test-dir "build/$kind" -L serial "$@" || status=1

shopt -s nullglob
for report in "$reports"/*; do
  echo "==== $(basename "$report")"
  head -n 100 "$report"
  tally add "$kind" "report $(basename "$report")" failed
  status=1
done
[ "$status" -eq 0 ] && echo "sanitizers: $kind is clean"
exit "$status"
