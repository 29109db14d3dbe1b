#!/usr/bin/env bash
# Installs with apt every package that building, testing and running Coppice needs on Debian 12 or 13. What is there already is skipped.
#   deploy/install.sh            everything
#   deploy/install.sh --run      only what the built binaries need at run time
set -euo pipefail

# COPPICE_OS_RELEASE is for tests.
release=$(. "${COPPICE_OS_RELEASE:-/etc/os-release}" && echo "${ID:-} ${VERSION_ID:-}")
case "$release" in
  "debian 12") libraries=(libtorch1.13 libdnnl2 libgrpc++1.51 libprotobuf32 libabsl20220623 libssl3 libyaml-cpp0.7 libspdlog1.10 libfmt9) ;;
  "debian 13") libraries=(libtorch2.6 libdnnl3.6 libgrpc++1.51t64 libprotobuf32t64 libabsl20240722 libssl3t64 libyaml-cpp0.8 libspdlog1.15 libfmt10) ;;
  *)
    echo "install: this script knows the packages of Debian 12 and 13, and this is '$release'; run Coppice from a bundle here (docs/install.md)," \
      "or install what docs/install.md lists for a build" >&2
    exit 1
    ;;
esac
runtime=(
  "${libraries[@]}" libopenblas0-openmp libsqlite3-0 ca-certificates
  gnuplot-nox fonts-liberation  # the figures of `coppice report`
)
build=(
  g++ clang clang-format clang-tidy libclang-rt-dev llvm cmake ninja-build ccache git pkg-config
  libtorch-dev libdnnl-dev libgrpc++-dev libssl-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libabsl-dev
  libsqlite3-dev libyaml-cpp-dev libcli11-dev libspdlog-dev nlohmann-json3-dev libxxhash-dev
  librandom123-dev libgtest-dev libgmock-dev python3 python3-numpy
  python3-torch python3-pandas mypy python3-pip  # the tests of python/
  zsh fish       # the tests of completion
  systemd        # the test of its units
  slurmctld slurmd slurm-client munge  # the tests on a Slurm of their own
)

case "${1:-}" in
  "") packages=("${runtime[@]}" "${build[@]}") ;;
  --run) packages=("${runtime[@]}") ;;
  *) echo "usage: deploy/install.sh [--run]" >&2; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "install: all ${#packages[@]} packages are there"
  exit 0
fi
echo "install: ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "install: this script needs apt-get; install the packages above with your system's tools" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install: run it as root, or install sudo" >&2; exit 1; }
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
