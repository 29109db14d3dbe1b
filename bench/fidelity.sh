#!/usr/bin/env bash
# Trains question at depth 6 and tense at depth 4 at the paper's width for 6,000 steps and prints, for each report step, our values beside the
# published ones. Exit code 1 when a gated value lies outside the published range.
#   bench/fidelity.sh [--seeds 0-1] [--steps 6000] [--out DIR]
# A second call with the same --out goes on where the first one stopped; a finished run is only printed again. About an hour for two seeds on 2 cores.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
seeds=0 steps=6000 out=$root/build/fidelity
while [ $# -gt 0 ]; do
  case "$1" in
    --seeds | --steps | --out)
      [ $# -ge 2 ] || { echo "bench/fidelity.sh: $1 needs a value" >&2; exit 2; }
      declare "${1#--}=$2"; shift 2 ;;
    *) echo "usage: bench/fidelity.sh [--seeds 0-1] [--steps 6000] [--out DIR]" >&2; exit 2 ;;
  esac
done

mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$root"
if [ -e "$out/seeds" ] && [ "$(cat "$out/seeds")" != "$seeds" ]; then
  echo "bench/fidelity.sh: $out holds seeds $(cat "$out/seeds"); choose another --out" >&2
  exit 2
fi
echo "$seeds" >"$out/seeds"
deploy/install.sh
scripts/build.sh coppice-trainer
# A copy, so that a build in the meantime does not change what runs.
cp -u build/release/bin/coppice-trainer "$out/coppice-trainer"

cores=$(nproc)
threads=$((cores > 2 ? cores / 2 : 1))
children=()
trap '[ ${#children[@]} -eq 0 ] || kill "${children[@]}" 2>/dev/null || true; wait' EXIT
trap 'exit 75' INT TERM  # the trainers write a checkpoint; the same call goes on
start() {  # TASK DEPTH
  "$out/coppice-trainer" --task "$1" --depth "$2" --seeds "$seeds" --steps "$steps" --report-every 3000 --checkpoint-every 1000 --threads "$threads" \
    --out "$out/$1" >>"$out/$1.jsonl" 2>>"$out/$1.log" &
  children+=($!)
}
start question 6
if [ "$cores" -lt 2 ]; then wait "${children[0]}"; fi
start tense 4
for child in "${children[@]}"; do
  wait "$child" || { echo "bench/fidelity.sh: a run failed; see $out/*.log and the last lines of $out/*.jsonl" >&2; exit 1; }
done
python3 bench/fidelity_table.py cli/report/published_curves.csv question:6="$out/question.jsonl" tense:4="$out/tense.jsonl"
