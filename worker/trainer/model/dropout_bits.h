// The reference definition of a dropout mask's bits, for tests alone. Training computes the same
// bits in KeepGroup (kernels_vector.h) and KeptOfBlock (stacked/dropout_mask.h); all of them change
// together.
#ifndef COPPICE_WORKER_TRAINER_MODEL_DROPOUT_BITS_H_
#define COPPICE_WORKER_TRAINER_MODEL_DROPOUT_BITS_H_

#include "worker/trainer/base/random.h"
#include "worker/trainer/model/dropout.h"

namespace coppice::trainer {

// The definition, element by element. The kernels compute 64 elements at a time and are tested
// against it. Element e of a row belongs to group g = e / 64. A group is 8 Philox blocks with
// counters (8 g + j, row, step, site), j = e % 8. The element takes 16-bit number n = (e % 64) / 8
// of its block: the low (even n) or high half of word n / 2.
inline uint32_t DropoutBits(const Dropout& dropout, uint32_t site, uint32_t row, uint32_t element) {
  const std::array<uint32_t, 4> block =
      Philox(dropout.key, {element / 64 * 8 + element % 8, row, dropout.step, site});
  const uint32_t number = element % 64 / 8;
  return (block[number / 2] >> (16 * (number % 2))) & 0xffff;
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_DROPOUT_BITS_H_
