#!/usr/bin/env bash
# Runs the demo sweep from a bundle: in a tree that holds nothing else, as on a kernel of 2016; from a path with spaces and a colon; and in an older Debian,
# made with debootstrap.
#   scripts/bundle_check.sh [--bundle ARCHIVE] [DEBIAN_RELEASE ...]     bullseye (Debian 11) unless releases are named; "none" for no Debian
# Without --bundle it makes one. Needs root, permission to mount, and, for a Debian release, the network.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tree=
. "$root/scripts/debian_tree.sh"
archive=
if [ "${1:-}" = --bundle ]; then
  [ -n "${2:-}" ] || { echo "scripts/bundle_check.sh: --bundle needs an archive" >&2; exit 2; }
  archive=$2
  shift 2
fi
read_arguments "$@"
[ ${#rest[@]} -gt 0 ] || rest=(bullseye)
check_machine
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf --one-file-system "$work"' EXIT
if [ -z "$archive" ]; then
  "$root/scripts/bundle.sh" --out "$work/made"
  archive=$(echo "$work"/made/*.tar.xz)
fi

# The demo in the tree, by a prefix command on this machine.
demo() {
  local name=$1 said
  shift
  mkdir -p "$tree/my place: coppice" "$tree/tmp" "$tree/proc" "$tree/dev"
  tar -C "$tree/my place: coppice" -xf "$archive" --strip-components=1
  said=$(enter "$@" '/my place: coppice/bin/coppice' local '/my place: coppice/share/coppice/sweeps/demo.yaml' --dir /tmp/demo 2>&1) ||
    fail "$name: the demo failed: $said"
  [ "$(grep -c ' succeeded at step' <<<"$said")" -eq 12 ] || fail "$name: not all 12 jobs of the demo succeeded: $said"
  rm -rf "$tree/my place: coppice"
  echo "bundle_check: $name: the demo's 12 jobs succeeded"
}

enter() {
  unshare --mount bash -euc 'tree=$1 before=$2; shift 2
    mount -t proc proc "$tree/proc"
    mount --rbind /dev "$tree/dev"
    exec $before env -i HOME=/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$tree" "$@"' enter "$tree" "$@"
}

tree=$work/bare
mkdir "$tree"
demo "a tree without anything else, system calls of Linux 4.4" "python3 $root/tests/scripts/old_kernel.py"
for release in "${rest[@]}"; do
  [ "$release" != none ] || continue
  tree=$work/$release
  debootstrap --variant=minbase "$release" "$tree" >"$work/debootstrap.log" 2>&1 || fail "debootstrap $release: $(tail -n 3 "$work/debootstrap.log")"
  demo "Debian $(cat "$tree/etc/debian_version")" ""
done
