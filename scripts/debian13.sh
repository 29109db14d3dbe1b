#!/usr/bin/env bash
# Builds the whole product and runs its tests on Debian 13 (trixie): LibTorch 2.6, g++ 14, and newer Abseil, gRPC, protobuf, {fmt} and spdlog than Debian
# 12 has. All of it happens inside a tree of its own, made here with debootstrap, where deploy/install.sh installs the packages. The machine's own packages
# are left alone, except that debootstrap is installed where it is missing.
#   scripts/debian13.sh [--tree DIR] [arguments for ctest instead of -LE "serial|chaos|bench"]
# --tree DIR keeps the tree, and a second call with it builds only what changed; otherwise it is a temporary one (7 GB) that goes away.
# COPPICE_JOBS=N limits the compiler to N processes. Needs root, the network (2 GB), and permission to mount. An hour on 2 cores, minutes with a tree that
# is there.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/debian_tree.sh"
read_arguments "$@"
[ ${#rest[@]} -gt 0 ] || rest=(-LE 'serial|chaos|bench')
make_tree main python3 ca-certificates
inside bash -euc 'cd /src
  jobs=$1; shift
  git config --global --replace-all safe.directory /src 2>/dev/null || true
  deploy/install.sh
  cmake --preset release -DCOPPICE_WERROR=ON --log-level=WARNING
  cmake --build --preset release -j "$jobs"
  echo "debian13: $(g++ --version | head -n 1), LibTorch $(dpkg-query -W -f "\${Version}" libtorch-dev)," \
    "gRPC $(dpkg-query -W -f "\${Version}" libgrpc++-dev), Abseil $(dpkg-query -W -f "\${Version}" libabsl-dev)"
  ctest --test-dir build/release --output-on-failure -j "$jobs" "$@"' build "${COPPICE_JOBS:-$(nproc)}" "${rest[@]}"
