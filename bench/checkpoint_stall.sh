#!/usr/bin/env bash
# Trains at the paper's model size (d_model 512, 8 heads, d_ff 2048, batch 8) with a checkpoint every few steps and prints how long a step takes, how
# long training stands still for a checkpoint, how long it takes until that is durable, and by how much the steps beside the writing are slower.
# Exit code 1 when the median checkpoint stops training for longer than two steps.
#   bench/checkpoint_stall.sh [--task question] [--depths 6,10] [--checkpoints 8] [--threads 1] [--seeds 0] [--dir DIR] [--bin build/release/bin]
exec python3 "$(dirname "$0")/checkpoint_stall.py" "$@"
