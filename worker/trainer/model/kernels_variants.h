#ifndef COPPICE_WORKER_TRAINER_MODEL_KERNELS_VARIANTS_H_
#define COPPICE_WORKER_TRAINER_MODEL_KERNELS_VARIANTS_H_

#include "worker/trainer/model/kernels.h"
#include "worker/trainer/model/products.h"

namespace coppice::trainer {

extern const Kernels<float> kBaselineKernels;
extern const Kernels<double> kDoubleKernels;
#ifdef COPPICE_X86_KERNELS
extern const Kernels<float> kAvx2Kernels;
extern const Kernels<float> kAvx512Kernels;
extern const ProductKernel kAvx2Product;
extern const ProductKernel kAvx512Product;
extern const ProductKernel kAmxProduct;

// True when the environment variable is "off", e.g. COPPICE_AVX2=off. This process then computes as
// on a CPU without that instruction set.
bool IsOff(const char* variable);
// True when this CPU has the instruction set that the files of that name are compiled for, and it
// is not off. AVX-512 requires AVX2, and AMX requires AVX-512.
bool HasAvx2();
bool HasAvx512();
#endif

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_KERNELS_VARIANTS_H_
