#!/usr/bin/env bash
# Builds the trainer alone against LibTorch 2.x and runs its tests: inside a Debian 13 (trixie) tree with LibTorch 2.6 for the CPU and g++ 14, made here
# with debootstrap. The machine's own packages are left alone, except that debootstrap is installed where it is missing.
#   scripts/libtorch2.sh [--tree DIR] [arguments for ctest, e.g. -L parity]
# --tree DIR keeps the tree, and a second call with it builds only what changed; otherwise it is a temporary one (1.5 GB) that goes away.
# Needs root, the network, and permission to mount. About half an hour on 2 cores that also do other work, a few minutes with a tree that is there.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/debian_tree.sh"
read_arguments "$@"
make_tree main "${trainer_packages[@]}" libtorch-dev
inside bash -euc 'cd /src
  cmake --preset trainer -DCOPPICE_WERROR=ON --log-level=WARNING
  cmake --build --preset trainer
  echo "libtorch2: LibTorch $(dpkg-query -W -f "\${Version}" libtorch-dev), $(g++ --version | head -n 1)"
  ctest --test-dir build/trainer --output-on-failure -j "$(nproc)" -LE serial "$@"
  ctest --test-dir build/trainer --output-on-failure -L serial "$@"' build ${rest[@]+"${rest[@]}"}
