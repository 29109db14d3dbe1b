#!/usr/bin/env bash
# The test command stands in scripts/; this name is for callers that still know it by its former place.
exec "$(dirname "$0")/../scripts/test.sh" "$@"
