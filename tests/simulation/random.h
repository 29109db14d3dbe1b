#ifndef COPPICE_TESTS_SIMULATION_RANDOM_H_
#define COPPICE_TESTS_SIMULATION_RANDOM_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace coppice::simulation {

// A bijection that spreads its input over all bits (SplitMix64's finalizer).
inline uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// The only source of chance in a schedule. The same seed gives the same numbers on every platform,
// unlike the standard distributions. Not thread-safe.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() { return Mix(state_++); }
  // In [low, high].
  uint64_t Uniform(uint64_t low, uint64_t high) { return low + Next() % (high - low + 1); }
  bool Chance(double probability) {
    return static_cast<double>(Next() >> 11) * 0x1.0p-53 < probability;
  }
  // Returns a time from low to high, in whole milliseconds.
  absl::Duration Time(absl::Duration low, absl::Duration high) {
    return absl::Milliseconds(
        static_cast<int64_t>(Uniform(static_cast<uint64_t>(absl::ToInt64Milliseconds(low)),
                                     static_cast<uint64_t>(absl::ToInt64Milliseconds(high)))));
  }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[Next() % from.size()];
  }

 private:
  uint64_t state_;
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_RANDOM_H_
