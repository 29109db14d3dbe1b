#ifndef COPPICE_COMMON_BASE_BACKOFF_H_
#define COPPICE_COMMON_BASE_BACKOFF_H_

#include <random>

#include "absl/time/time.h"

namespace coppice {

// Exponential backoff with full jitter: the nth delay is uniform in (0, min(maximum, initial *
// 2^n)], but at least initial / 2. Not thread-safe.
class Backoff {
 public:
  Backoff(absl::Duration initial, absl::Duration maximum, uint64_t seed = std::random_device{}());

  absl::Duration Next();
  void Reset() { attempt_ = 0; }
  int attempt() const { return attempt_; }

 private:
  const absl::Duration initial_;
  const absl::Duration maximum_;
  int attempt_ = 0;
  std::mt19937_64 random_;
};

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_BACKOFF_H_
