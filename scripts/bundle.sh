#!/usr/bin/env bash
# Makes coppice-VERSION-linux-x86_64.tar.xz: the programs with every library and the loader that they need. It is unpacked anywhere, needs no root, and
# runs on any x86-64 Linux, whatever its C library (docs/install.md).
#   scripts/bundle.sh [--out DIR] [--build DIR] [--folder]
# --out DIR    where the archive goes (build/bundle)
# --build DIR  takes the programs of this build folder as they are; otherwise build/release is brought up to date first
# --folder     leaves the folder coppice-VERSION-linux-x86_64 in place of the archive; it must not be there yet
# The same programs and packages give the same archive, to the byte.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/build/bundle build='' folder=''

usage() { sed -n '2,/^set /{s/^# \?//p}' "$0"; }
fail() { echo "bundle: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case "$1" in
    --out | --build)
      [ -n "${2:-}" ] || { echo "bundle: $1 needs a folder" >&2; exit 2; }
      if [ "$1" = --out ]; then out=$2; else build=$2; fi
      shift 2
      ;;
    --folder) folder=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
[ "$(uname -sm)" = "Linux x86_64" ] || fail "it is made on x86-64 Linux alone, and this is $(uname -sm)"
for tool in ldd dpkg-query python3 cmake tar xz; do
  command -v "$tool" >/dev/null || fail "there is no $tool; a bundle is made on Debian or Ubuntu, with deploy/install.sh's packages"
done

if [ -z "$build" ]; then
  build=$root/build/release
  "$root/scripts/build.sh" binaries coppice-launcher
fi
[ -e "$build/CMakeCache.txt" ] || fail "$build is no build folder"
version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")
name=coppice-$version-linux-x86_64
mkdir -p "$out"
out=$(cd "$out" && pwd)
[ -z "$folder" ] || [ ! -e "$out/$name" ] || fail "$out/$name is there already; remove it, or name another place with --out"

work=$(mktemp -d "$out/.bundle-XXXXXX")
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --strip --prefix "$work/installed" >/dev/null
PYTHONDONTWRITEBYTECODE=1 python3 "$root/scripts/bundle_files.py" --installed "$work/installed" --launcher "$build/launcher/coppice-launcher" \
  --out "$work/$name"
for program in coppice coppice-coordinator coppice-worker coppice-trainer; do
  env -i HOME="$work" "$work/$name/bin/$program" --version >/dev/null || fail "the bundled $program does not start"
done
chmod -R u=rwX,go=rX "$work/$name"
if [ -n "$folder" ]; then
  mv "$work/$name" "$out/$name"
  echo "bundle: $out/$name, $(du -sm "$out/$name" | cut -f1) MB"
  exit
fi
# The commit's time, so that the archive tells nothing of when it was made.
when=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)}
tar -c -C "$work" --format=gnu --sort=name --mtime="@$when" --owner=0 --group=0 --numeric-owner "$name" | xz -6 -T2 >"$work/archive"
mv "$work/archive" "$out/$name.tar.xz"
chmod 644 "$out/$name.tar.xz"
echo "bundle: $out/$name.tar.xz, $(($(stat -c %s "$out/$name.tar.xz") / 1000000)) MB, unpacked $(du -sm "$work/$name" | cut -f1) MB"
echo "bundle: sha256 $(sha256sum "$out/$name.tar.xz" | cut -d' ' -f1)"
