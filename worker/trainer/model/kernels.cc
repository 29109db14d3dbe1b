#include "worker/trainer/model/kernels.h"

#include <cstdlib>
#include <string_view>

#include "worker/trainer/model/kernels_variants.h"

namespace coppice::trainer {

#ifdef COPPICE_X86_KERNELS
bool IsOff(const char* variable) {
  const char* setting = std::getenv(variable);
  return setting != nullptr && std::string_view(setting) == "off";
}

bool HasAvx2() {
  return !IsOff("COPPICE_AVX2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool HasAvx512() {
  return !IsOff("COPPICE_AVX512") && HasAvx2() && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
#endif

int ListKernels(NamedKernels out[kKernelVariants]) {
  int count = 0;
  out[count++] = {"baseline", &kBaselineKernels};
#ifdef COPPICE_X86_KERNELS
  if (HasAvx2()) out[count++] = {"avx2", &kAvx2Kernels};
  if (HasAvx512()) out[count++] = {"avx512", &kAvx512Kernels};
#endif
  return count;
}

template <>
const Kernels<float>& GetKernels<float>() {
  static const Kernels<float>* const widest = [] {
    NamedKernels all[kKernelVariants];
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
