#include "worker/trainer/model/kernels_table.h"
#include "worker/trainer/model/kernels_variants.h"

namespace coppice::trainer {

const Kernels<float> kBaselineKernels = MakeTable<float>();
const Kernels<double> kDoubleKernels = MakeTable<double>();

}  // namespace coppice::trainer
