// The keys of the counter-based random numbers (random.h), free of Random123.
#ifndef COPPICE_WORKER_TRAINER_BASE_RANDOM_KEY_H_
#define COPPICE_WORKER_TRAINER_BASE_RANDOM_KEY_H_

#include <cstdint>

namespace coppice::trainer {

// The use of a stream. The number is part of the key: a change of it changes every run.
enum class RandomRole : uint64_t { kInit = 1, kOrder = 2, kDropout = 3 };

struct PhiloxKey {
  uint32_t low = 0;
  uint32_t high = 0;
};

// SplitMix64's finalizer: a bijection, so two seeds never share a key within a role.
inline PhiloxKey MakePhiloxKey(uint64_t seed, RandomRole role) {
  uint64_t z = seed + static_cast<uint64_t>(role) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  return {static_cast<uint32_t>(z), static_cast<uint32_t>(z >> 32)};
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_BASE_RANDOM_KEY_H_
