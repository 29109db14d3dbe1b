#!/usr/bin/env bash
# Builds a trainer with CUDA for the machine that it runs on, or for one like it, against a PyTorch or LibTorch that is there. It needs no root, no
# package manager and no network. docs/gpu.md is the guide.
#   scripts/build_gpu_trainer.sh --torch PYTHON_OR_DIR [--out DIR] [--cuda DIR] [--arch LIST] [--deps DIR] [--check]
#   scripts/build_gpu_trainer.sh --collect DIR     on Debian 12: downloads the other libraries that the trainer needs (15 MB) and unpacks them to DIR
#     --torch WHAT   a python program whose torch is used, the folder of an environment with one, or a LibTorch folder
#     --out DIR      where coppice-trainer-cuda goes: the folder of coppice-worker, which then finds it (default: build/gpu-trainer/out)
#     --cuda DIR     the CUDA toolkit (default: nvcc of the PATH, then CUDA_HOME, then /usr/local/cuda)
#     --arch LIST    compute capabilities to build for: 80,90 (default: those of the GPUs here; without a GPU one of each generation)
#     --deps DIR     what --collect has made (default: gpu-deps in the project's folder; where that is missing, the system's packages)
#     --check        only says what is missing
# CXX names the compiler, also for nvcc (default: g++). The result runs without the source tree; it uses the torch that it was built with, where that lies.
# Exit codes: 0 built, and it has trained on a GPU here; 1 something is missing, or the build failed; 2 usage;
#   3 built and installed, but there is no GPU here to try it on; 4 built and installed, but it does not train on the GPU here.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/cuda_trainer.sh"
name=coppice-trainer-cuda
usage() { echo "build_gpu_trainer: $*" >&2; exit 2; }

what='' out=$root/build/gpu-trainer/out cuda_given='' architectures='' deps_given='' check=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \?//p}' "$0"; exit 0 ;;
    --check) check=yes; shift; continue ;;
    --torch | --out | --cuda | --arch | --deps | --collect) [ -n "${2:-}" ] || usage "$1 needs a value" ;;
    *) usage "unknown argument $1 (see --help)" ;;
  esac
  case $1 in
    --torch) what=$2 ;;
    --out) out=$2 ;;
    --cuda) cuda_given=$2 ;;
    --arch) architectures=${2//[, ]/;} ;;
    --deps) deps_given=$2 ;;
    --collect) collect_libraries "$2"; exit ;;
  esac
  shift 2
done
[ -n "$what" ] || usage "--torch PYTHON_OR_DIR is missing: a python that has torch, or a LibTorch folder (see --help)"
[[ $architectures =~ ^([0-9]+a?(;[0-9]+a?)*)?$ ]] || usage "--arch takes compute capabilities without the point, such as 80,90"

problems=()
problem() { problems+=("$*"); }
major() { echo "${1%%.*}"; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

check_tools() {
  local version
  version=$(cmake --version 2>/dev/null | sed -n '1s/.*version //p') || true
  if [ -z "$version" ]; then
    problem "There is no cmake on the PATH. \`pip install cmake ninja\` brings it."
  elif [ "$(printf '%s\n' 3.25 "$version" | sort -V | head -1)" != 3.25 ]; then
    problem "This cmake is of version $version, and 3.25 is needed. \`pip install cmake\` brings a newer one."
  fi
  if command -v ninja >/dev/null; then generator=Ninja
  elif command -v make >/dev/null; then generator='Unix Makefiles'
  else problem "There is neither ninja nor make on the PATH. \`pip install ninja\` brings the first."; fi
}

# Tries what the source needs instead of comparing version numbers.
check_compiler() {
  local flags=(-std=c++20)
  cxx=$(command -v "${CXX:-g++}") || { cxx=''; problem "There is no ${CXX:-g++} on the PATH. Load a compiler (\`module avail gcc\`), or name one with CXX."; return; }
  case $(uname -m) in x86_64) flags+=(-mavx512f -mamx-tile -mamx-bf16) ;; esac
  printf '#include <compare>\n#include <concepts>\n#include <span>\nstruct A { int a; bool operator==(const A&) const = default; };\n' >"$scratch/a.cc"
  "$cxx" "${flags[@]}" -fsyntax-only "$scratch/a.cc" 2>"$scratch/cxx.log" || {
    problem "The compiler $cxx is too old (it says: $(grep -m1 error "$scratch/cxx.log" || head -1 "$scratch/cxx.log")). g++ 11 or newer is needed: load one (\`module avail gcc\`), or name one with CXX."
    cxx=''
  }
}

check_cuda() {
  find_nvcc "$cuda_given" || {
    problem "There is no nvcc${cuda_given:+ in $cuda_given/bin}. A driver does not bring it: load the CUDA toolkit (\`module avail cuda\`), or name its folder with --cuda."
    return
  }
  local driver
  driver=$(nvidia-smi 2>/dev/null | sed -n 's/.*CUDA Version: *\([0-9.]*\).*/\1/p' | head -1) || true
  if [ -n "$driver" ] && [ "$(major "$nvcc_version")" -gt "$(major "$driver")" ]; then
    problem "The driver here supports CUDA up to $driver, and $nvcc is of CUDA $nvcc_version. Name an older toolkit with --cuda (and a torch for it), or have the driver updated."
  fi
  [ -n "$cxx" ] || return 0
  printf '#include <vector>\n__global__ void kernel() {}\nint main() { kernel<<<1, 1>>>(); }\n' >"$scratch/a.cu"
  # One compiler for all: the libraries of another one's folder would be linked first.
  "$nvcc" -std=c++17 -ccbin "$cxx" -c "$scratch/a.cu" -o "$scratch/a.o" >"$scratch/nvcc.log" 2>&1 ||
    problem "$nvcc (CUDA $nvcc_version) does not work with the compiler $cxx (it says: $(grep -m1 -i -E 'error|unsupported' "$scratch/nvcc.log" || head -1 "$scratch/nvcc.log")). Name an older compiler with CXX, such as CXX=g++-12, or a newer toolkit with --cuda."
}

# Sets torch (for CMake), torch_libraries (folders), torch_version, torch_cuda and torch_abi, as far as they are known.
read_torch_of_python() {
  local answer site
  answer=$("$1" -c 'import torch
print(torch.utils.cmake_prefix_path, torch.__path__[0] + "/lib", torch.__version__, torch.version.cuda or "", int(torch._C._GLIBCXX_USE_CXX11_ABI), sep="\n")' \
    2>"$scratch/torch.log") || {
    problem "$1 has no torch that can be imported (it says: $(tail -1 "$scratch/torch.log")). Install one there: \`$1 -m pip install torch\`."
    return
  }
  { read -r torch; read -r torch_libraries; read -r torch_version; read -r torch_cuda; read -r torch_abi; } <<<"$answer"
  [ -n "$torch_cuda" ] || problem "The torch of $1 ($torch_version) was built without CUDA. Install one with CUDA: \`$1 -m pip install --force-reinstall torch\`."
  site=$(dirname "$(dirname "$torch_libraries")")
  for folder in "$site"/nvidia/*/lib; do [ ! -d "$folder" ] || torch_libraries+=";$folder"; done
}

read_torch_of_folder() {
  local place config=''
  for place in "$1" "$1/libtorch"; do
    for config in "$place"/share/cmake/Torch "$place"/lib/cmake/Torch "$place"/lib/*-linux-gnu/cmake/Torch; do
      [ ! -e "$config/TorchConfig.cmake" ] || break 2
    done
  done
  [ -e "$config/TorchConfig.cmake" ] || {
    problem "$1 is neither a python program, nor an environment with one, nor a LibTorch folder (it has no share/cmake/Torch/TorchConfig.cmake)."
    return
  }
  torch=$(cd "$place" && pwd)
  torch_version=$(cat "$torch/build-version" 2>/dev/null) || torch_version='of an unknown version'
  torch_libraries=$(ls -d "$torch"/lib/libtorch_cuda.so "$torch"/lib/*-linux-gnu/libtorch_cuda.so 2>/dev/null | head -1) || true
  [ -n "$torch_libraries" ] || {
    problem "The LibTorch in $1 has no CUDA: there is no libtorch_cuda.so. Take the archive for CUDA, or a python that has torch with CUDA."
    return
  }
  torch_libraries=$(dirname "$torch_libraries")
  torch_cuda=$(ls "$torch_libraries" | sed -n 's/^libcudart.*\.so\.\([0-9]*\).*/\1/p' | head -1)
  ! grep -q '_GLIBCXX_USE_CXX11_ABI=0' "$config/TorchConfig.cmake" || torch_abi=0
}

check_torch() {
  local python=''
  torch='' torch_libraries='' torch_version='' torch_cuda='' torch_abi=1
  # A name without a slash is a program first: the project has a folder python.
  if [ -d "$what" ] && { [[ $what == */* ]] || ! command -v "$what" >/dev/null; }; then
    for python in "$what/bin/python3" "$what/bin/python" ''; do [ ! -x "$python" ] || break; done
    [ "$what" != /usr ] || python=
  else
    python=$(command -v "$what") || { problem "There is no $what: --torch takes a python program, the folder of its environment, or a LibTorch folder."; return; }
  fi
  if [ -n "$python" ]; then read_torch_of_python "$python"; else read_torch_of_folder "$what"; fi
  [ "$torch_abi" = 1 ] || problem "This torch ($torch_version) has the old C++ ABI (_GLIBCXX_USE_CXX11_ABI=0), which the other libraries do not have. Take torch 2.7 or newer, or the LibTorch archive whose name has cxx11-abi."
  if [ -n "$nvcc" ] && [ -n "$torch_cuda" ] && [ "$(major "$nvcc_version")" != "$(major "$torch_cuda")" ]; then
    problem "This torch was built with CUDA $torch_cuda, and $nvcc is of CUDA $nvcc_version. They must have the same first number: name another toolkit with --cuda, or take a torch for CUDA $(major "$nvcc_version")."
  fi
}

# PyTorch's headers need those of more libraries than nvcc does. pip brings them along with torch.
check_headers() {
  local folder
  compile_flags=
  [ -n "$nvcc" ] && [ -n "$torch" ] || return 0
  for folder in "$cuda/include" "${torch_libraries%%;*}"/../../nvidia/*/include; do
    [ -e "$folder/cusparse.h" ] || continue
    [ "$folder" = "$cuda/include" ] || compile_flags=$(for each in "${torch_libraries%%;*}"/../../nvidia/*/include; do printf -- '-idirafter "%s" ' "$each"; done)
    return
  done
  problem "The toolkit in $cuda has no cusparse.h, which the headers of torch need. Name a whole toolkit with --cuda."
}

# Starts a program with the libraries: they may want a newer system than this one.
check_libraries() {
  if [ -z "$deps_given" ] && [ -d "$root/gpu-deps" ]; then deps_given=$root/gpu-deps; fi
  if [ -n "$deps_given" ] && [ ! -d "$deps_given/usr/include/absl" ]; then
    problem "$deps_given does not hold the libraries. \`scripts/build_gpu_trainer.sh --collect DIR\` on Debian 12 makes such a folder, and --deps names it."
    return
  fi
  use_libraries "$deps_given"
  [ -n "$cxx" ] || return 0
  printf '#include <CLI/CLI.hpp>\n#include <Random123/philox.h>\n#include <absl/strings/str_cat.h>\n#include <nlohmann/json.hpp>\n#include <spdlog/spdlog.h>\n#include <xxhash.h>\nint main() { spdlog::info(absl::StrCat(nlohmann::json(1).dump(), "")); }\n' >"$scratch/b.cc"
  local flags=()
  [ -z "$deps" ] || flags=(-isystem "$deps/usr/include" -L"$libraries" "-Wl,--disable-new-dtags,-rpath,$libraries,-rpath-link,$libraries")
  if ! "$cxx" -std=c++20 -DSPDLOG_COMPILED_LIB -DSPDLOG_SHARED_LIB -DSPDLOG_FMT_EXTERNAL "$scratch/b.cc" -o "$scratch/b" "${flags[@]}" -lspdlog -lfmt -labsl_strings -labsl_throw_delegate \
    >"$scratch/b.log" 2>&1 || ! "$scratch/b" >>"$scratch/b.log" 2>&1; then
    if [ -n "$deps" ]; then
      problem "A program with the libraries in $deps does not build or start here (it says: $(grep -m1 -E 'error|undefined|GLIBC' "$scratch/b.log" || head -1 "$scratch/b.log")). They are those of Debian 12 and need glibc 2.36; on an older system, build in a Debian 12 container on this node."
    else
      problem "The libraries that the trainer needs beside torch are not here, or do not go with this compiler (it says: $(grep -m1 -E 'undefined|error' "$scratch/b.log" || head -1 "$scratch/b.log")). Where there is Debian 12 and a network, \`scripts/build_gpu_trainer.sh --collect gpu-deps\` in this folder collects them; or install Abseil, spdlog, fmt, nlohmann-json, xxhash, Random123 and CLI11 for development."
    fi
  fi
}

check_architectures() {
  local known each
  [ -n "$nvcc" ] || return 0
  if [ -z "$architectures" ]; then
    architectures=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | tr -d ' .' | grep -E '^[0-9]+$' | sort -un | paste -sd';') || true
  fi
  if [ -z "$architectures" ]; then architectures=all-major; return; fi
  known=$("$nvcc" --list-gpu-arch 2>/dev/null | sed -n 's/^compute_//p')
  for each in ${architectures//;/ }; do
    grep -qx "${each%a}" <<<"$known" ||
      problem "CUDA $nvcc_version does not build for compute capability $each, only for $(paste -sd' ' <<<"$known"). Name a toolkit that does with --cuda."
  done
}

# What is there under the name is replaced only where this script has made it.
check_out() {
  mark=$out/$name.libs/made-by-build_gpu_trainer
  { [ ! -e "$out/$name" ] && [ ! -e "$out/$name.libs" ]; } || [ -f "$mark" ] ||
    problem "$out has a $name that this script has not made. Move it away, or name another folder with --out."
}

check_tools
check_compiler
check_cuda
check_torch
check_headers
check_libraries
check_architectures
check_out
if [ ${#problems[@]} -gt 0 ]; then
  for each in "${problems[@]}"; do echo "build_gpu_trainer: $each" >&2; done
  exit 1
fi
echo "build_gpu_trainer: CUDA $nvcc_version, torch $torch_version${torch_cuda:+ for CUDA $torch_cuda}, $("$cxx" --version | head -1), for $architectures"
[ -z "$check" ] || exit 0

. "$root/scripts/cuda_trainer_install.sh"
build_trainer
install_trainer
try_trainer
