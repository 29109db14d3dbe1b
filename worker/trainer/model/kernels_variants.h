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

// COPPICE_AVX2=off and the like in the environment: this process computes as a CPU without it does.
bool IsOff(const char* variable);
// Whether this CPU has what the files of that name are compiled for and it is not off. Without
// AVX2 there is no AVX-512, and without AVX-512 no AMX.
bool HasAvx2();
bool HasAvx512();
#endif

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_KERNELS_VARIANTS_H_
