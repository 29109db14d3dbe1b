#!/usr/bin/env bash
# Installs, builds and runs every test.
#   deploy/test.sh               the release build's
#   deploy/test.sh sanitizers    the builds with sanitizers (Clang's with the thread-safety analysis as errors), then each fuzzer for a few seconds
#   deploy/test.sh [arguments for ctest, e.g. -L parity or -R scheduler]     those tests of the release build alone
# COPPICE_FUZZ_SECONDS sets how long each fuzzer runs (15).
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/install.sh
if [ "${1:-}" != sanitizers ]; then
  deploy/build.sh all
  if [ $# -gt 0 ]; then
    exec ctest --test-dir build/release --output-on-failure "$@"
  fi
  ctest --test-dir build/release --output-on-failure -j 2 -LE serial
  ctest --test-dir build/release --output-on-failure -L serial
  exit
fi
# Clang's build also holds every lock against its annotations (-Werror=thread-safety).
tests/sanitizers.sh asan
tests/sanitizers.sh tsan
tests/fuzz/run.sh --seconds "${COPPICE_FUZZ_SECONDS:-15}"
