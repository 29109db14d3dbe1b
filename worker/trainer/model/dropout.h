// Dropout masks as a pure function of (seed, step, site, coordinates): see DropoutBits.
#ifndef COPPICE_WORKER_TRAINER_MODEL_DROPOUT_H_
#define COPPICE_WORKER_TRAINER_MODEL_DROPOUT_H_

#include <cmath>
#include <cstdint>

#include "worker/trainer/random.h"

namespace coppice::trainer {

// Where in the model a mask is applied. Part of the counter.
enum class DropoutSite : uint32_t {
  kEmbedding = 0,
  kAttention = 1,
  kAttentionResidual = 2,
  kHidden = 3,
  kFeedForwardResidual = 4
};

inline uint32_t SiteNumber(DropoutSite site, int64_t layer) {
  return static_cast<uint32_t>(layer) * 8 + static_cast<uint32_t>(site);
}

// One member's dropout in one step. Probabilities are multiples of 2^-16, and `scale` is the exact
// inverse of the keep probability.
struct Dropout {
  PhiloxKey key;
  uint32_t step = 0;
  uint32_t threshold = 0;  // a 16-bit number below it drops; 0: no dropout
  double scale = 1;

  bool active() const { return threshold != 0; }

  static Dropout For(uint64_t seed, int64_t step, double probability) {
    Dropout dropout;
    dropout.key = MakePhiloxKey(seed, RandomRole::kDropout);
    dropout.step = static_cast<uint32_t>(step);
    dropout.threshold = static_cast<uint32_t>(std::lround(probability * 65536));
    dropout.scale = 65536.0 / (65536.0 - dropout.threshold);
    return dropout;
  }
};

// A row of a mask: sequence `b` of the batch, head `h` (0 where there is none), position `t`. See
// the bounds in config.h.
inline uint32_t MaskRow(int64_t b, int64_t h, int64_t t) {
  return static_cast<uint32_t>(b) << 20 | static_cast<uint32_t>(h) << 12 | static_cast<uint32_t>(t);
}

// The definition, element by element; the kernels compute 64 elements at a time and are tested
// against it. Element e of a row belongs to group g = e / 64; the group is 8 Philox blocks with
// counters (8 g + j, row, step, site), j = e % 8, and the element takes 16-bit number (e % 64) / 8
// of its block (number n is the low or high half of word n / 2).
inline uint32_t DropoutBits(const Dropout& dropout, uint32_t site, uint32_t row, uint32_t element) {
  const std::array<uint32_t, 4> block =
      Philox(dropout.key, {element / 64 * 8 + element % 8, row, dropout.step, site});
  const uint32_t number = element % 64 / 8;
  return (block[number / 2] >> (16 * (number % 2))) & 0xffff;
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_DROPOUT_H_
