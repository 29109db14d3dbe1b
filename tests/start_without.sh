#!/usr/bin/env bash
# Starts a program as on a machine that lacks some libraries: in a mount namespace of its own, in which the system's copies of the
# libraries in DIR are empty files. What it then loads comes from elsewhere, or it does not start.
#   tests/start_without.sh DIR PROGRAM [ARGUMENT ...]
# Exit code: the program's; 77: there is no permission for such a namespace (root has it, as do users where they may make their own).
set -uo pipefail
[ $# -ge 2 ] && [ -d "$1" ] || { sed -n '2,/^set /{/^set /d;s/^# \?//p}' "$0" >&2; exit 2; }
dir=$(cd "$1" && pwd -P)
shift
namespace=(unshare --mount)
[ "$(id -u)" -eq 0 ] || namespace=(unshare --mount --map-root-user)
"${namespace[@]}" true 2>/dev/null || exit 77
empty=$(mktemp)
trap 'rm -f "$empty"' EXIT
"${namespace[@]}" bash -euc '
  dir=$1 empty=$2
  shift 2
  declare -A seen
  for library in "$dir"/*.so*; do
    for place in /lib /lib64 /usr/lib /usr/lib64 /usr/local/lib /lib/*-linux-gnu /usr/lib/*-linux-gnu; do
      [ -f "$place/${library##*/}" ] || continue
      file=$(readlink -f "$place/${library##*/}")
      [ -z "${seen[$file]:-}" ] && [ "${file%/*}" != "$dir" ] || continue
      seen[$file]=1
      mount --bind "$empty" "$file" || exit 77
    done
  done
  exec "$@"' start_without "$dir" "$empty" "$@"
