#!/usr/bin/env bash
# Configures and builds the release preset; what is up to date is skipped.
#   scripts/build.sh [TARGET ...]     default: binaries
# COPPICE_WERROR=ON makes warnings errors (CI does).
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset release -DCOPPICE_WERROR="${COPPICE_WERROR:-OFF}" --log-level=WARNING
cmake --build --preset release --target "${@:-binaries}"
