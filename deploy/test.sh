#!/usr/bin/env bash
# Installs, builds and runs every test; then builds once with Clang's thread-safety analysis as errors.
#   deploy/test.sh [arguments for ctest, e.g. -L parity or -R scheduler]
# With arguments only those tests run and the Clang build is left out.
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/install.sh
deploy/build.sh all
if [ $# -gt 0 ]; then
  exec ctest --test-dir build/release --output-on-failure "$@"
fi
ctest --test-dir build/release --output-on-failure -j 2 -LE serial
ctest --test-dir build/release --output-on-failure -L serial
cmake --preset clang-thread-safety --log-level=WARNING
cmake --build --preset clang-thread-safety
