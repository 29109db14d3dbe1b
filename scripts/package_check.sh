#!/usr/bin/env bash
# Makes the Debian package of build/release and checks it: lintian finds no error; in a fresh tree of this machine's Debian, made with debootstrap, apt
# installs it with what it depends on, the demo sweep runs to its end, and after a purge only its data is left.
#   scripts/package_check.sh
# Needs root, lintian, the network, and permission to mount; build/release must be built.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/debian_tree.sh"
read_arguments "$@"
check_machine
command -v lintian >/dev/null || fail "there is no lintian; install it"
(cd "$root/build/release" && cpack --config CPackConfig.cmake >/dev/null)
package=$(ls -t "$root"/build/release/package/coppice_*_amd64.deb | head -n 1)
lintian --allow-root --fail-on error "$package" || fail "lintian found errors"
echo "package_check: lintian finds no error"

tree=$(mktemp -d)
chmod 755 "$tree"
trap 'rm -rf --one-file-system "$tree"' EXIT
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
debootstrap --variant=minbase "$codename" "$tree" >"$tree.log" 2>&1 || fail "debootstrap failed: $(tail -n 3 "$tree.log")"
rm -f "$tree.log"
cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
cp "$package" "$tree/coppice.deb"
inside bash -euc 'said() { echo "package_check: $*"; }
  wrong() { said "$*" >&2; exit 1; }
  apt-get update -q >/dev/null
  apt-get install -y -q --no-install-recommends /coppice.deb >/install.log 2>&1 || { tail -n 20 /install.log; exit 1; }
  said "apt installs it with $(grep -c "^Setting up" /install.log) packages"
  id coppice >/dev/null
  coppice local /usr/share/coppice/sweeps/demo.yaml --dir /tmp/demo >/demo.log 2>&1 || { tail -n 20 /demo.log; exit 1; }
  [ "$(grep -c " succeeded at step" /demo.log)" -eq 12 ] || { tail -n 20 /demo.log; wrong "not all 12 jobs of the demo succeeded"; }
  said "the 12 jobs of the demo succeeded"
  echo "COPPICE_COORDINATOR_FLAGS=--listen 0.0.0.0:7070" >/etc/default/coppice-coordinator
  mkdir -p /var/lib/coppice/data
  dpkg -i --force-confold /coppice.deb >/dev/null 2>&1
  grep -q 7070 /etc/default/coppice-coordinator || wrong "an upgrade overwrote settings"
  said "an upgrade leaves settings alone"
  apt-get purge -y -q coppice >/purge.log 2>&1 || { tail -n 20 /purge.log; exit 1; }
  left=$(find /usr /etc -name "*coppice*")
  [ -z "$left" ] || wrong "a purge leaves $left"
  [ -d /var/lib/coppice/data ] || wrong "a purge removed data"
  said "a purge leaves its data alone"'
