#include "worker/trainer/model/kernels_table.h"
#include "worker/trainer/model/kernels_variants.h"

namespace coppice::trainer {

const Kernels<float> kAvx512Kernels = MakeTable<float>();

}  // namespace coppice::trainer
