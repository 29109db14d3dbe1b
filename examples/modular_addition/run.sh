#!/usr/bin/env bash
# Runs the study on this machine and reports. Called again, it goes on where it was.
#   run.sh [FOLDER]      FOLDER: for the results, ./modular-addition by default
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-modular-addition}
command -v coppice >/dev/null || { echo "run.sh: there is no coppice in PATH; add the folder of the programs to it" >&2; exit 1; }
python3 -c 'import torch' 2>/dev/null || { echo "run.sh: python3 has no torch; install it (Debian: apt install python3-torch)" >&2; exit 1; }

coppice local "$here/sweep.yaml" --dir "$out"
python3 "$here/report.py" "$out/metrics.csv" --out "$out-figures"
