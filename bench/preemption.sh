#!/usr/bin/env bash
# Preempts a worker at the paper's model size (d_model 512, 8 heads, d_ff 2048, batch 8) and prints, in seconds from SIGTERM, when the checkpoint
# was committed, the lease released (both from the coordinator's event log) and the worker gone: while it trains, in the midst of an
# evaluation, in the midst of its probes; with checkpoints on a shared folder and over gRPC streams. Exit code 1 when one took more than 30 s.
#   bench/preemption.sh [--task question] [--depths 6,10] [--stores shared,streamed] [--bin build/release/bin]
exec python3 "$(dirname "$0")/preemption.py" "$@"
