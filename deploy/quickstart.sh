#!/usr/bin/env bash
# From a fresh Debian 12 machine to a finished sweep: installs the packages, builds the binaries, runs the demo sweep.
#   deploy/quickstart.sh [arguments for `coppice local`, e.g. --dir DIR]
# A second call skips what is installed and built, and finds the demo sweep finished in its run folder.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
"$root/deploy/install.sh"
"$root/scripts/build.sh" binaries
exec "$root/build/release/bin/coppice" local "$root/deploy/sweeps/demo.yaml" "$@"
