#!/usr/bin/env bash
# Installs, builds and runs every test: the release build's, those that need no LibTorch again under AddressSanitizer and UBSan, each fuzzer
# for some seconds, and what has threads of its own and no gRPC under ThreadSanitizer.
#   deploy/test.sh                 all of that: what continuous integration runs
#   deploy/test.sh release         the release build's alone
#   deploy/test.sh sanitizers      what is not the release build's, and nothing left out: every test that needs no LibTorch under either sanitizer
#   deploy/test.sh [arguments for ctest, e.g. -L parity or -R scheduler]     those tests of the release build
# COPPICE_FUZZ_SECONDS sets how long each fuzzer runs (15).
set -euo pipefail
cd "$(dirname "$0")/.."

test_release() {
  deploy/build.sh all
  if [ $# -gt 0 ]; then
    exec ctest --test-dir build/release --output-on-failure "$@"
  fi
  ctest --test-dir build/release --output-on-failure -j 2 -LE serial
  ctest --test-dir build/release --output-on-failure -L serial
}

# Clang's build also holds every lock against its annotations (-Werror=thread-safety).
test_asan() {
  tests/sanitizers.sh asan "$@"
  tests/fuzz/run.sh --seconds "${COPPICE_FUZZ_SECONDS:-15}"
}

# gRPC's headers would take most of the time.
threads="base_files_test base_time_test base_logging_test tsan_control_test core_units_test core_durability_test service_acceptor_test store_contract_test store_open_test"

deploy/install.sh
case "${1:-}" in
  "")
    test_release
    test_asan -E '^simulation_'  # on one thread, and ten times as slow there
    tests/sanitizers.sh tsan --targets "$threads"
    ;;
  release) test_release ;;
  sanitizers)
    test_asan
    tests/sanitizers.sh tsan
    ;;
  *) test_release "$@" ;;
esac
