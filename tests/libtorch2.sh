#!/usr/bin/env bash
# Builds the trainer alone against LibTorch 2.x and runs its tests: inside a Debian 13 (trixie) tree with LibTorch 2.6 for the CPU and g++ 14, made here
# with debootstrap. The machine's own packages are left alone, except that debootstrap is installed where it is missing.
#   tests/libtorch2.sh [--tree DIR] [arguments for ctest, e.g. -L parity]
# --tree DIR keeps the tree, and a second call with it builds only what changed; otherwise it is a temporary one (1.5 GB) that goes away.
# Needs root, the network, and permission to mount. About half an hour on 2 cores that also do other work, a few minutes with a tree that is there.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tree=
if [ "${1:-}" = --tree ]; then
  [ -n "${2:-}" ] || { echo "tests/libtorch2.sh: --tree needs a folder" >&2; exit 2; }
  tree=$2
  shift 2
fi
case "${1:-}" in -h | --help) sed -n '2,6s/^# \?//p' "$0"; exit 0 ;; esac

packages=(
  g++ cmake ninja-build pkg-config python3 libtorch-dev libopenblas0-openmp libabsl-dev libcli11-dev libspdlog-dev
  nlohmann-json3-dev libxxhash-dev librandom123-dev libgtest-dev libgmock-dev
)

fail() { echo "tests/libtorch2.sh: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || fail "run it as root: debootstrap and chroot need it"
unshare --mount true 2>/dev/null || fail "this machine does not let root mount (a container without CAP_SYS_ADMIN?)"
if ! command -v debootstrap >/dev/null; then
  command -v apt-get >/dev/null || fail "install debootstrap; there is no apt-get to do it with"
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends debootstrap ||
    fail "cannot install debootstrap; is there a network?"
fi
if [ -z "$tree" ]; then
  tree=$(mktemp -d)
  chmod 755 "$tree"
  trap 'rm -rf --one-file-system "$tree"' EXIT
fi
mkdir -p "$tree"
tree=$(cd "$tree" && pwd)

# The mounts are this process's alone and end with it.
inside() {
  unshare --mount bash -euc 'tree=$1; shift
    mount -t proc proc "$tree/proc"
    mount --rbind /dev "$tree/dev"
    exec chroot "$tree" env -i HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"' \
    inside "$tree" "$@"
}

# Written when the tree is whole, so that one that was broken off is made again.
made=$tree/coppice-made
if [ ! -e "$made" ] || [ "$(cat "$made")" != "${packages[*]}" ]; then
  if [ ! -e "$tree/coppice-base" ]; then
    [ -z "$(ls -A "$tree")" ] || [ -e "$tree/debootstrap" ] || fail "$tree is neither empty nor a tree of this script"
    debootstrap --variant=minbase trixie "$tree" ||
      fail "debootstrap failed (the lines above say why); it needs the network and a disk that allows device files and programs"
    touch "$tree/coppice-base"
  fi
  cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
  inside sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends "$@" && apt-get clean' install "${packages[@]}" ||
    fail "cannot install the packages in $tree; is there a network?"
  echo "${packages[*]}" >"$made"
fi

# A file that is gone here goes there too. The build folder stays.
mkdir -p "$tree/src"
find "$tree/src" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
tar -c -C "$root" --exclude=./.git --exclude=./build --exclude='./coppice-*' . | tar -x -C "$tree/src" --no-same-owner

inside bash -euc 'cd /src
  cmake --preset trainer -DCOPPICE_WERROR=ON --log-level=WARNING
  cmake --build --preset trainer
  echo "libtorch2: LibTorch $(dpkg-query -W -f "\${Version}" libtorch-dev), $(g++ --version | head -n 1)"
  ctest --test-dir build/trainer --output-on-failure -j "$(nproc)" -LE serial "$@"
  ctest --test-dir build/trainer --output-on-failure -L serial "$@"' build "$@"
