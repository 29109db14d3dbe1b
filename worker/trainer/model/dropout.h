// Dropout masks as a pure function of (seed, step, site, coordinates): see dropout_bits.h. Free of
// Random123, whose headers not every CUDA compiler reads.
#ifndef COPPICE_WORKER_TRAINER_MODEL_DROPOUT_H_
#define COPPICE_WORKER_TRAINER_MODEL_DROPOUT_H_

#include <cmath>
#include <cstdint>

#include "worker/trainer/host_device.h"
#include "worker/trainer/random_key.h"

namespace coppice::trainer {

// Where in the model a mask is applied. Part of the counter.
enum class DropoutSite : uint32_t {
  kEmbedding = 0,
  kAttention = 1,
  kAttentionResidual = 2,
  kHidden = 3,
  kFeedForwardResidual = 4
};

COPPICE_HOST_DEVICE inline uint32_t SiteNumber(DropoutSite site, int64_t layer) {
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
COPPICE_HOST_DEVICE inline uint32_t MaskRow(int64_t b, int64_t h, int64_t t) {
  return static_cast<uint32_t>(b) << 20 | static_cast<uint32_t>(h) << 12 | static_cast<uint32_t>(t);
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_DROPOUT_H_
