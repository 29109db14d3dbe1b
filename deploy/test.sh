#!/usr/bin/env bash
# Installs, builds and runs every test: the release build's, then those that need no LibTorch under sanitizers, then each fuzzer for some seconds.
#   deploy/test.sh [release | sanitizers]        all of it, or that part alone
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
test_sanitizers() {
  tests/sanitizers.sh asan
  tests/fuzz/run.sh --seconds "${COPPICE_FUZZ_SECONDS:-15}"
  tests/sanitizers.sh tsan
}

deploy/install.sh
case "${1:-}" in
  "") test_release; test_sanitizers ;;
  release) test_release ;;
  sanitizers) test_sanitizers ;;
  *) test_release "$@" ;;
esac
