#!/usr/bin/env bash
# Builds the whole product and runs its tests on a Debian of choice: in a tree of its own, made here with debootstrap, where deploy/install.sh installs the
# packages. The machine's own packages are left alone, except that debootstrap is installed where it is missing.
#   scripts/on_debian.sh bookworm|trixie [--tree DIR] [arguments for ctest, e.g. -R scheduler]
# bookworm is Debian 12 (LibTorch 1.13, g++ 12), trixie Debian 13 (LibTorch 2.6, g++ 14, newer Abseil). Without arguments every test of the release build
# runs, those of the label serial last and one by one. The last line is "N passed, N failed". Exit code 1 if anything failed.
# --tree DIR keeps the tree, and a second call with it builds only what changed; otherwise it is a temporary one (8 GB) that goes away.
# COPPICE_JOBS sets how many processes build and test (one a core). Needs root, the network (2 GB), and permission to mount.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
case "${1:-}" in
  bookworm | trixie) release=$1; shift ;;
  -h | --help) ;;
  *) echo "usage: scripts/on_debian.sh bookworm|trixie [--tree DIR] [arguments for ctest] (--help says more)" >&2; exit 2 ;;
esac
. "$root/scripts/debian_tree.sh"
read_arguments "$@"
make_tree main ca-certificates python3
inside env COPPICE_WERROR=ON CMAKE_BUILD_PARALLEL_LEVEL="${COPPICE_JOBS:-$(nproc)}" bash -euc 'cd /src
  . tests/tally/tally.sh
  tally build install deploy/install.sh || exit 1
  tally build release scripts/build.sh all || exit 1
  . /etc/os-release
  stage="$PRETTY_NAME, LibTorch $(dpkg-query -W -f "\${Version}" libtorch-dev), $(g++ --version | head -n 1)"
  if [ $# -gt 0 ]; then
    tally ctest "$stage" --test-dir build/release "$@"
  else
    tally ctest "$stage" --test-dir build/release -j "$CMAKE_BUILD_PARALLEL_LEVEL" -LE serial || true
    tally ctest "$stage, one by one" --test-dir build/release -L serial
  fi' on_debian "${rest[@]}"
