#include "worker/trainer/model/kernels.h"

#include "worker/trainer/model/kernels_variants.h"

namespace coppice::trainer {

int ListKernels(NamedKernels out[2]) {
  int count = 0;
  out[count++] = {"baseline", &kBaselineKernels};
#ifdef COPPICE_X86_KERNELS
  if (__builtin_cpu_supports("avx2")) out[count++] = {"avx2", &kAvx2Kernels};
#endif
  return count;
}

template <>
const Kernels<float>& GetKernels<float>() {
  static const Kernels<float>* const widest = [] {
    NamedKernels all[2];
    return all[ListKernels(all) - 1].kernels;
  }();
  return *widest;
}

template <>
const Kernels<double>& GetKernels<double>() {
  return kDoubleKernels;
}

int64_t AttentionWeightCount(const Rows& rows, int64_t heads) {
  int64_t count = 0;
  for (int64_t b = 0; b < rows.sequence_count; ++b) {
    const int64_t length = rows.sequences[b].length;
    count += heads * length * length;
  }
  return count;
}

}  // namespace coppice::trainer
