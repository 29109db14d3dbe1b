// Dropout masks as a pure function of (seed, step, site, coordinates), as dropout_bits.h defines
// it. Free of Random123, because not every CUDA compiler can read its headers.
#ifndef COPPICE_WORKER_TRAINER_MODEL_DROPOUT_H_
#define COPPICE_WORKER_TRAINER_MODEL_DROPOUT_H_

#include <cmath>
#include <cstdint>

#include "worker/trainer/base/host_device.h"
#include "worker/trainer/base/random_key.h"

namespace coppice::trainer {

// The places in the model where a mask is applied. The value is part of the counter.
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
  uint32_t threshold = 0;  // drops 16-bit numbers below it; 0: no dropout
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

// The row of a mask for sequence `b` of the batch, head `h` (0 outside attention) and position `t`.
// config.h bounds them.
COPPICE_HOST_DEVICE inline uint32_t MaskRow(int64_t b, int64_t h, int64_t t) {
  return static_cast<uint32_t>(b) << 20 | static_cast<uint32_t>(h) << 12 | static_cast<uint32_t>(t);
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_DROPOUT_H_
