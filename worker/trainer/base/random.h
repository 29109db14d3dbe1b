// Counter-based random numbers (Philox4x32-10 of Random123). Every draw is a pure function of
// (seed, role, counter). So checkpoints need no random state, and the order of calls does not
// matter.
#ifndef COPPICE_WORKER_TRAINER_BASE_RANDOM_H_
#define COPPICE_WORKER_TRAINER_BASE_RANDOM_H_

#include <array>
#include <cstdint>

#include "Random123/philox.h"
#include "worker/trainer/base/random_key.h"

namespace coppice::trainer {

inline std::array<uint32_t, 4> Philox(PhiloxKey key, std::array<uint32_t, 4> counter) {
  const r123::Philox4x32::ctr_type in = {{counter[0], counter[1], counter[2], counter[3]}};
  const r123::Philox4x32::key_type k = {{key.low, key.high}};
  const r123::Philox4x32::ctr_type out = r123::Philox4x32()(in, k);
  return {out[0], out[1], out[2], out[3]};
}

// The consecutive numbers of one (key, stream, substream). Not thread-safe.
class PhiloxStream {
 public:
  PhiloxStream(PhiloxKey key, uint64_t stream, uint32_t substream)
      : key_(key), stream_(stream), substream_(substream) {}

  uint32_t Next32() {
    if (used_ == 4) {
      block_ = Philox(key_, {counter_++, static_cast<uint32_t>(stream_),
                             static_cast<uint32_t>(stream_ >> 32), substream_});
      used_ = 0;
    }
    return block_[used_++];
  }

  // Uniform in [0, 1) with 24 bits: exact in float and double alike.
  double Uniform() { return (Next32() >> 8) * (1.0 / 16777216.0); }

  // Uniform in [0, bound), without bias (Lemire, "Fast Random Integer Generation in an Interval",
  // 2019). bound > 0.
  uint32_t Below(uint32_t bound) {
    uint64_t product = static_cast<uint64_t>(Next32()) * bound;
    if (static_cast<uint32_t>(product) < bound) {
      const uint32_t threshold = (0u - bound) % bound;
      while (static_cast<uint32_t>(product) < threshold)
        product = static_cast<uint64_t>(Next32()) * bound;
    }
    return static_cast<uint32_t>(product >> 32);
  }

 private:
  PhiloxKey key_;
  uint64_t stream_;
  uint32_t substream_;
  uint32_t counter_ = 0;
  std::array<uint32_t, 4> block_ = {};
  int used_ = 4;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_BASE_RANDOM_H_
