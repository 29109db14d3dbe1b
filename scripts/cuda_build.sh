#!/usr/bin/env bash
# Compiles the CUDA kernels and the trainer on a machine that has neither a GPU nor CUDA, and runs the tests of the CUDA path, which need no GPU: inside a
# Debian 13 (trixie) tree with CUDA 12.4's compiler and LibTorch 2.6 for the CPU, made here with debootstrap. The one file that needs a LibTorch with CUDA is
# compiled against that library's headers, and not linked: Debian's package of it wants a library that Debian does not have. Nothing runs on a device.
#   scripts/cuda_build.sh [--tree DIR] [arguments for ctest instead of -L cuda]
# --tree DIR keeps the tree, and a second call with it builds only what changed; otherwise it is a temporary one (6 GB) that goes away.
# Needs root, the network (2 GB, also from Debian's contrib and non-free), and permission to mount.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/debian_tree.sh"
read_arguments "$@"
[ ${#rest[@]} -gt 0 ] || rest=(-L cuda)
make_tree main,contrib,non-free "${trainer_packages[@]}" libtorch-dev nvidia-cuda-toolkit
inside bash -euc 'cd /src
  headers=/opt/libtorch-cuda-headers
  if [ ! -d $headers/usr ]; then
    (mkdir -p /tmp/deb && cd /tmp/deb && apt-get update -q && apt-get download -q libtorch-cuda-dev && dpkg-deb -x libtorch-cuda-dev_*.deb $headers)
  fi
  include=$headers/usr/include
  g++ -std=c++20 -fsyntax-only -Wall -Wextra -Wno-unused-parameter -Werror -I. -isystem $include -isystem $include/torch/csrc/api/include \
    worker/trainer/cuda/cuda_device.cc
  echo "cuda_build: cuda_device.cc compiles with LibTorch with CUDA"
  cmake --preset trainer -DCOPPICE_WERROR=ON -DCOPPICE_CUDA=ON --log-level=WARNING
  cmake --build --preset trainer --target coppice_trainer_cuda coppice-trainer trainer_kernels_test trainer_dropout_mask_test \
    trainer_stacked_operations_test trainer_adamw_test trainer_stacked_step_test trainer_batch_feed_test \
    trainer_stacked_inference_test trainer_stacked_pack_test trainer_stacked_engine_test trainer_cuda_device_test
  echo "cuda_build: nvcc $(nvcc --version | sed -n "s/.*release //p"), LibTorch $(dpkg-query -W -f "\${Version}" libtorch-dev), code for" \
    $(cuobjdump --list-elf build/trainer/worker/trainer/libcoppice_trainer_cuda.a | grep -o "sm_[0-9a-z]*" | sort -u)
  ctest --test-dir build/trainer --output-on-failure "$@"' build "${rest[@]}"
