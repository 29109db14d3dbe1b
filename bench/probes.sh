#!/usr/bin/env bash
# Builds what it needs and measures what share of a run's time its probes take, and how many times as long one forward pass per span would take: the
# table of docs/performance.md. First proves that both give the same scores.
#   bench/probes.sh [--quick] [--rounds N] [--only NAME]   exit code 1 when a share is above 10%
#   bench/probes.sh --whole --rounds 1     the whole of probes and evaluation, not scaled; one pass per span still is
# One thread, by CPU time. About 10 minutes (--quick: 2, targets are not judged).
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh bench_probes >&2
exec build/release/bench/bench_probes "$@"
