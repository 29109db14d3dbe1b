#include "common/base/backoff.h"

#include <algorithm>

namespace coppice {

Backoff::Backoff(absl::Duration initial, absl::Duration maximum, uint64_t seed)
    : initial_(initial), maximum_(maximum), random_(seed) {}

absl::Duration Backoff::Next() {
  const int doublings = std::min(attempt_++, 30);
  const absl::Duration ceiling = std::min(maximum_, initial_ * (int64_t{1} << doublings));
  const double share = static_cast<double>(random_() >> 11) * 0x1.0p-53;
  return std::max(initial_ / 2, ceiling * share);
}

}  // namespace coppice
