#!/usr/bin/env bash
# Runs sweeps under random faults on this machine until the time is over, and prints what was tried and what was lost (nothing).
#   tests/chaos/soak.sh --minutes 60 --seed 1 [--bin build/release/bin] [--out build/chaos]
# Needs built programs (scripts/build.sh). Full disks are tried where root or an unprivileged user namespace lets it mount small ones; everything
# else needs no privilege. A failed round leaves its logs, database, checkpoints and schedule in --out, and `--round N` runs it again.
exec python3 "$(dirname "$0")/soak.py" "$@"
