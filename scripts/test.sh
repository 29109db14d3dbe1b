#!/usr/bin/env bash
# Installs, builds and runs every test: the release build's, those of bits again with the kernels of lesser CPUs, those that need no
# LibTorch again under AddressSanitizer and UBSan, each fuzzer for some seconds, and what has threads of its own and no gRPC under
# ThreadSanitizer.
#   scripts/test.sh                 all of that: what continuous integration runs
#   scripts/test.sh release         the release build's alone, and those of lesser CPUs
#   scripts/test.sh sanitizers      what is not the release build's, and nothing left out: every test that needs no LibTorch under either sanitizer
#   scripts/test.sh [arguments for ctest, e.g. -L parity or -R scheduler]     those tests of the release build
# The last line is "N passed, N failed", over all that ran; a fuzzer counts as one test. Exit code 1 if anything failed.
# COPPICE_FUZZ_SECONDS sets how long each fuzzer runs (15).
set -uo pipefail
cd "$(dirname "$0")/.."
. tests/tally/tally.sh

# A failure does not keep the rest from running: it is counted.
test_release() {
  tally build release scripts/build.sh all || return
  if [ $# -gt 0 ]; then
    tally ctest release --test-dir build/release "$@"
    return
  fi
  tally ctest release --test-dir build/release -j 2 -LE serial
  tally ctest "release, one by one" --test-dir build/release -L serial
  scripts/lesser_cpus.sh
  tally build "clang-tidy on the change" tests/lint/check_tidy.py .
}

# Clang's build also holds every lock against its annotations (-Werror=thread-safety).
test_asan() {
  scripts/sanitizers.sh asan "$@"
  tests/fuzz/run.sh --seconds "${COPPICE_FUZZ_SECONDS:-15}"
}

# gRPC's headers would take most of the time.
threads="base_files_test base_time_test base_logging_test tsan_control_test core_units_test core_durability_test service_acceptor_test store_contract_test store_open_test"

tally build install deploy/install.sh || exit 1
case "${1:-}" in
  "")
    test_release
    test_asan -E '^simulation_'  # on one thread, and ten times as slow there
    scripts/sanitizers.sh tsan --targets "$threads"
    ;;
  release) test_release ;;
  sanitizers)
    test_asan
    scripts/sanitizers.sh tsan
    ;;
  *) test_release "$@" ;;
esac
exit 0  # the count says whether all is well
