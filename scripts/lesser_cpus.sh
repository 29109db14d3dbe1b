#!/usr/bin/env bash
# Runs the release build's tests of bits and of parity (label bits) again as lesser CPUs compute: with what this one has beyond them
# left out by the trainer, oneDNN, OpenBLAS and LibTorch. A kind of CPU that is this one, or more than it, is left out.
#   scripts/lesser_cpus.sh [arguments for ctest]
set -uo pipefail
cd "$(dirname "$0")/.."
. tests/tally/tally.sh

has() { grep -qwm1 "$1" /proc/cpuinfo; }
as() {
  local name=$1
  shift
  local variables=()
  while [ "$1" != -- ]; do variables+=("$1"); shift; done
  shift
  env "${variables[@]}" tests/tally/tally.py ctest "$name" --test-dir build/release -j 2 -L '^bits$' "$@"
}

if has amx_tile; then
  as "no AMX" COPPICE_AMX=off ONEDNN_MAX_CPU_ISA=AVX512_CORE OPENBLAS_CORETYPE=SkylakeX ATEN_CPU_CAPABILITY=avx512 -- "$@"
fi
if has avx512f; then
  as "no AVX-512" COPPICE_AVX512=off ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell ATEN_CPU_CAPABILITY=avx2 -- "$@"
fi
if has avx2; then
  as "no AVX2" COPPICE_AVX2=off ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Nehalem ATEN_CPU_CAPABILITY=default -- "$@"
fi
exit 0  # the count says whether all is well
