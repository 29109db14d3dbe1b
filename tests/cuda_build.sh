#!/usr/bin/env bash
# Compiles the CUDA kernels and the trainer on a machine that has neither a GPU nor CUDA, and runs the kernels' tests, which need no GPU: inside a Debian 13
# (trixie) tree with CUDA 12.4's compiler and LibTorch 2.6 for the CPU, made here with debootstrap. Nothing runs on a device.
#   tests/cuda_build.sh [--tree DIR] [arguments for ctest instead of -L cuda]
# --tree DIR keeps the tree, and a second call with it builds only what changed; otherwise it is a temporary one (6 GB) that goes away.
# Needs root, the network (2 GB, also from Debian's contrib and non-free), and permission to mount.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tests/debian_tree.sh"
read_arguments "$@"
[ ${#rest[@]} -gt 0 ] || rest=(-L cuda)
make_tree main,contrib,non-free "${trainer_packages[@]}" libtorch-dev nvidia-cuda-toolkit
inside bash -euc 'cd /src
  cmake --preset trainer -DCOPPICE_WERROR=ON -DCOPPICE_CUDA=ON --log-level=WARNING
  cmake --build --preset trainer --target coppice_trainer_cuda coppice-trainer trainer_kernels_test \
    trainer_cuda_mask_test trainer_cuda_operations_test trainer_cuda_update_test trainer_cuda_step_test
  echo "cuda_build: nvcc $(nvcc --version | sed -n "s/.*release //p"), LibTorch $(dpkg-query -W -f "\${Version}" libtorch-dev), code for" \
    $(cuobjdump --list-elf build/trainer/worker/trainer/libcoppice_trainer_cuda.a | grep -o "sm_[0-9a-z]*" | sort -u)
  ctest --test-dir build/trainer --output-on-failure "$@"' build "${rest[@]}"
