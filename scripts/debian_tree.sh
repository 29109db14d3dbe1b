# Read by scripts that build and test inside a Debian tree of their own, made with debootstrap. The machine's own packages are left alone, except that
# debootstrap is installed where it is missing. Needs root, the network, and permission to mount.
#   root, tree    the project's folder; the tree's, or empty for a temporary one that goes away with the script
#   release       the Debian in the tree: trixie (Debian 13) unless the script names another one
#   make_tree COMPONENTS PACKAGE ..   makes the tree, or completes one that a call like it has made, and copies the project's files to its /src
#   inside COMMAND ..                 runs a command in the tree

release=${release:-trixie}

fail() { echo "scripts/$(basename "$0"): $*" >&2; exit 1; }

# Takes `--tree DIR` and `--help` from the arguments that are given; `rest` is what is left of them.
read_arguments() {
  tree=
  if [ "${1:-}" = --tree ]; then
    [ -n "${2:-}" ] || { echo "scripts/$(basename "$0"): --tree needs a folder" >&2; exit 2; }
    tree=$2
    shift 2
  fi
  case "${1:-}" in -h | --help) sed -n '2,/^set /{s/^# \?//p}' "$0"; exit 0 ;; esac
  rest=("$@")
}

# The mounts are this process's alone and end with it.
inside() {
  unshare --mount bash -euc 'tree=$1; shift
    mount -t proc proc "$tree/proc"
    mount --rbind /sys "$tree/sys"
    mount --rbind /dev "$tree/dev"
    exec chroot "$tree" env -i HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"' \
    inside "$tree" "$@"
}

check_machine() {
  [ "$(id -u)" -eq 0 ] || fail "run it as root: debootstrap and chroot need it"
  unshare --mount true 2>/dev/null || fail "this machine does not let root mount (a container without CAP_SYS_ADMIN?)"
  command -v debootstrap >/dev/null && return
  command -v apt-get >/dev/null || fail "install debootstrap; there is no apt-get to do it with"
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends debootstrap ||
    fail "cannot install debootstrap; is there a network?"
}

# What debootstrap made is marked with its release.
make_base() {
  local components=$1 base=$tree/coppice-base found
  if [ ! -e "$base" ]; then
    [ -z "$(ls -A "$tree")" ] || [ -e "$tree/debootstrap" ] || fail "$tree is neither empty nor a tree of this script"
    debootstrap --variant=minbase --components="$components" "$release" "$tree" ||
      fail "debootstrap failed (the lines above say why); it needs the network and a disk that allows device files and programs"
    echo "$release" >"$base"
  fi
  found=$(cat "$base")
  [ "${found:=trixie}" = "$release" ] || fail "$tree holds $found, and not $release; name another folder"  # the mark once was empty
}

make_tree() {
  local components=$1 made
  shift
  check_machine
  if [ -z "$tree" ]; then
    tree=$(mktemp -d)
    chmod 755 "$tree"
    trap 'rm -rf --one-file-system "$tree"' EXIT
  fi
  mkdir -p "$tree"
  tree=$(cd "$tree" && pwd)
  make_base "$components"
  # Written when the tree is whole, so that one that was broken off is made again.
  made=$tree/coppice-made
  if [ ! -e "$made" ] || [ "$(cat "$made")" != "$*" ]; then
    cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
    inside sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends "$@" && apt-get clean' install "$@" ||
      fail "cannot install the packages in $tree; is there a network?"
    echo "$*" >"$made"
  fi
  # A file that is gone here goes there too. The build folder stays.
  mkdir -p "$tree/src"
  find "$tree/src" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
  tar -c -C "$root" --exclude=./.git --exclude=./build --exclude='./coppice-*' . | tar -x -C "$tree/src" --no-same-owner
}

# What the trainer and its tests need beside LibTorch.
trainer_packages=(
  g++ cmake ninja-build pkg-config python3 libopenblas0-openmp libabsl-dev libcli11-dev libspdlog-dev
  nlohmann-json3-dev libxxhash-dev librandom123-dev libgtest-dev libgmock-dev
)
