#!/usr/bin/env bash
# Installs, builds once more with Clang's thread-safety analysis as errors, and runs every test.
#   deploy/test.sh [arguments for ctest, e.g. -L parity or -R scheduler]
# With arguments only those tests run and the Clang build is left out.
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/install.sh
deploy/build.sh all
if [ $# -gt 0 ]; then
  exec ctest --test-dir build/release --output-on-failure "$@"
fi
cmake --preset clang-thread-safety --log-level=WARNING
cmake --build --preset clang-thread-safety
ctest --test-dir build/release --output-on-failure -j 2 -LE serial
ctest --test-dir build/release --output-on-failure -L serial
