# Read by scripts that build the trainer with CUDA on a machine with little else than a GPU: scripts/build_gpu_trainer.sh and tests/gpu_check.sh.
# `root` is the project's folder. What the trainer needs beside LibTorch comes from a folder that was collected where there is a network.
#   collect_libraries DIR              downloads those libraries (Debian 12) and unpacks them to DIR
#   use_libraries DIR                  takes DIR as such a folder: sets `deps` and `libraries`; with an empty DIR the system's are taken
#   find_nvcc [CUDA]                   sets `nvcc`, its folder `cuda` and `nvcc_version` ("12.4"); 1: there is none
#   configure_trainer BUILD LOG ARCHITECTURES TORCH [ARGUMENT ..]   configures the trainer with CUDA, with the words of `compile_flags` and `link_flags`
#                                      in the style of a shell; 1: it failed, and LOG says why

fail() { echo "$(basename "$0" .sh): $*" >&2; exit 1; }

library_packages=(
  libabsl-dev libabsl20220623 libspdlog-dev libspdlog1.10 libfmt-dev libfmt9 nlohmann-json3-dev libxxhash-dev libxxhash0
  librandom123-dev libcli11-dev libgtest-dev libgmock-dev
)

collect_libraries() {
  local dir=$1
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "--collect needs apt-get: run it on Debian 12"
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  debs=$(mktemp -d)
  trap 'rm -rf "$debs"' EXIT  # which outlives this function: not a local one
  (cd "$debs" && apt-get download -q "${library_packages[@]}") || fail "cannot download; is there a network? (apt-get update first)"
  for deb in "$debs"/*.deb; do dpkg-deb -x "$deb" "$dir"; done
  rm -rf "$dir/usr/share/doc" "$dir/usr/src"
  echo "$(basename "$0" .sh): $dir holds ${#library_packages[@]} packages, $(du -sh "$dir" | cut -f1)"
}

use_libraries() {
  deps='' libraries=''
  [ -n "$1" ] || return 0
  deps=$(cd "$1" && pwd)
  libraries=$deps/usr/lib/x86_64-linux-gnu
}

find_nvcc() {
  local place
  nvcc=
  for place in ${1:+"$1/bin/nvcc"} ${1:-"$(command -v nvcc || true)" "${CUDA_HOME:-}/bin/nvcc" /usr/local/cuda/bin/nvcc}; do
    [ -n "$place" ] && [ -f "$place" ] && [ -x "$place" ] || continue
    nvcc=$place
    break
  done
  [ -n "$nvcc" ] || return 1
  cuda=$(dirname "$(dirname "$nvcc")")
  nvcc_version=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')
  [ -n "$nvcc_version" ]
}

# Old tags: the libraries need each other and name no path of their own, and DT_RUNPATH would count for a program's direct needs alone.
configure_trainer() {
  local build=$1 log=$2 architectures=$3 torch=$4 include='' link="-Wl,--disable-new-dtags ${link_flags:-}"
  shift 4
  if [ -n "$deps" ]; then
    include="-isystem \"$deps/usr/include\""
    link="-L\"$libraries\" -Wl,-rpath-link,\"$libraries\" $link"
  fi
  env -u CMAKE_PREFIX_PATH cmake -S "$root" -B "$build" --log-level=WARNING -DCMAKE_BUILD_TYPE=Release \
    -DCOPPICE_TRAINER_ONLY=ON -DCOPPICE_CUDA=ON -DCMAKE_CUDA_COMPILER="$nvcc" -DCMAKE_CUDA_ARCHITECTURES="$architectures" \
    -DCMAKE_PREFIX_PATH="${deps:+$deps/usr;}$torch" -DCMAKE_CXX_FLAGS="$include ${compile_flags:-}" -DCMAKE_EXE_LINKER_FLAGS="$link" "$@" >"$log" 2>&1
}
