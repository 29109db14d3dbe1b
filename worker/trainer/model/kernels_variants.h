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
extern const ProductKernel kAvx512Product;
extern const ProductKernel kAmxProduct;

bool HasAvx512();
#endif

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_KERNELS_VARIANTS_H_
