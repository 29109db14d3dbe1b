# Sourced by every script that runs tests: what it runs is counted, and its last line is "N passed, N failed" (tally.py). A script that
# another one of them started adds to that one's count and prints none. Exit code 1 if anything failed.
#   tally ctest|build|add ...     see tally.py; a failure does not end the script
#   tally_remove FOLDER           removes it when the script ends
tally_script=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/tally.py
tally_folders=()
tally_owner=
if [ -z "${COPPICE_TALLY:-}" ]; then
  COPPICE_TALLY=$(mktemp)
  export COPPICE_TALLY
  tally_owner=yes
fi

tally() { "$tally_script" "$@"; }

tally_remove() { tally_folders+=("$1"); }

tally_end() {
  local status=$?
  trap - EXIT
  [ ${#tally_folders[@]} -eq 0 ] || rm -rf "${tally_folders[@]}"
  if [ -n "$tally_owner" ]; then
    "$tally_script" sum --status "$status" || status=1
    rm -f "$COPPICE_TALLY"
  fi
  exit "$status"
}
trap tally_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
