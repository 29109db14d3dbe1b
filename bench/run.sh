#!/usr/bin/env bash
# Builds what it needs and measures the trainer's speed beside the same model written with stock LibTorch modules: the table of
# docs/performance.md.
#   bench/run.sh [--quick] [--rounds N] [--seconds S] [--cores N] [--cpu-time]   the table; exit code 1 when a target was missed
#   bench/run.sh --limits                                                        what a step computes and moves at least
#   bench/run.sh --guard FILE | --record FILE                                    the regression guard and what it compares with
# About 6 minutes (--quick: 3); use a machine that does nothing else, or --cpu-time.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
scripts/build.sh bench_trainer >&2
exec build/release/bench/bench_trainer "$@"
