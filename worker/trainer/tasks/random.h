// Random numbers that are the same on every machine, compiler and library version.
#ifndef COPPICE_WORKER_TRAINER_TASKS_RANDOM_H_
#define COPPICE_WORKER_TRAINER_TASKS_RANDOM_H_

#include <Random123/philox.h>

#include <cstdint>

namespace coppice::trainer {

// Philox4x32-10, keyed by `seed`. Two streams of one seed are independent. The standard leaves the
// algorithms of <random>'s distributions open, so they are not used. Not thread-safe.
class Random {
 public:
  Random(uint64_t seed, uint64_t stream)
      : key_{{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)}}, stream_(stream) {}

  uint32_t Next() {
    if (used_ == 4) Refill();
    return block_.v[used_++];
  }

  // Uniform on [0, n), without the bias of a plain remainder; n > 0.
  uint32_t Below(uint32_t n) {
    uint64_t product = uint64_t{Next()} * n;
    if (static_cast<uint32_t>(product) < n) {
      const uint32_t threshold = (0u - n) % n;
      while (static_cast<uint32_t>(product) < threshold) product = uint64_t{Next()} * n;
    }
    return static_cast<uint32_t>(product >> 32);
  }

  // A fair coin; 32 of them cost one Next().
  bool Coin() {
    if (coins_left_ == 0) {
      coins_ = Next();
      coins_left_ = 32;
    }
    const bool coin = (coins_ & 1u) != 0;
    coins_ >>= 1;
    --coins_left_;
    return coin;
  }

 private:
  void Refill() {
    const r123::Philox4x32::ctr_type counter = {
        {static_cast<uint32_t>(position_), static_cast<uint32_t>(position_ >> 32),
         static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)}};
    block_ = r123::Philox4x32()(counter, key_);
    ++position_;
    used_ = 0;
  }

  r123::Philox4x32::key_type key_;
  uint64_t stream_;
  uint64_t position_ = 0;
  r123::Philox4x32::ctr_type block_{};
  int used_ = 4;
  uint32_t coins_ = 0;
  int coins_left_ = 0;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_RANDOM_H_
