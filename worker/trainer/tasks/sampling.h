#ifndef COPPICE_WORKER_TRAINER_TASKS_SAMPLING_H_
#define COPPICE_WORKER_TRAINER_TASKS_SAMPLING_H_

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "worker/trainer/tasks/random.h"

namespace coppice::trainer {

// Draws `count` of the numbers 0..population-1, in ascending order; all of them if there are fewer.
// Each subset is equally likely. (A Fisher-Yates shuffle that stops early.)
inline std::vector<int32_t> SampleIndices(size_t population, size_t count, Random& random) {
  std::vector<int32_t> indices(population);
  std::iota(indices.begin(), indices.end(), 0);
  if (count >= population) return indices;
  for (size_t i = 0; i < count; ++i) {
    const auto left = static_cast<uint32_t>(population - i);
    std::swap(indices[i], indices[i + random.Below(left)]);
  }
  indices.resize(count);
  std::sort(indices.begin(), indices.end());
  return indices;
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_SAMPLING_H_
