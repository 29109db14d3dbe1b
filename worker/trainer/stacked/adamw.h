// The clipped AdamW update of each member's row (train/optimizer.h). The device does it from step
// to step without the host.
#ifndef COPPICE_WORKER_TRAINER_STACKED_ADAMW_H_
#define COPPICE_WORKER_TRAINER_STACKED_ADAMW_H_

#include "worker/trainer/stacked/device_batch.h"
#include "worker/trainer/stacked/lanes.h"
#include "worker/trainer/train/learning_rate.h"

namespace coppice::trainer {

// Elements whose squares are added together. It is the same for every pack, so that a member's norm
// does not depend on its pack.
inline constexpr int64_t kSquareChunk = 4096;

inline int64_t SquareChunks(int64_t row_size) {
  return (row_size + kSquareChunk - 1) / kSquareChunk;
}

// The sum of squares of each chunk of a member's row of gradients.
template <typename T>
struct SquareSumChunk {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  int64_t members = 0;
  int64_t row_size = 0;          // P
  int64_t chunks = 0;            // SquareChunks(P)
  const T* gradients = nullptr;  // [K, P]
  double* sums = nullptr;        // [K, chunks]

  COPPICE_HOST_DEVICE int64_t items() const { return members * chunks; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t item) const {
    const int64_t first = item % chunks * kSquareChunk;
    const int64_t rest = row_size - first;
    const int64_t count = rest < kSquareChunk ? rest : kSquareChunk;
    const T* x = gradients + item / chunks * row_size + first;
    double sum = 0;
    for (int64_t i = lanes.lane(); i < count; i += lanes.size())
      sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    sum = lanes.Sum(sum);
    if (lanes.lane() == 0) sums[item] = sum;
  }
};

// Computes the norm and the update's factors, or stops the member. It also increments the step:
// later operations of this step use the factors, and the next step's masks use the new count.
struct PrepareUpdate {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kWarp;
  UpdateSettings settings;
  int64_t members = 0;
  int64_t chunks = 0;
  const double* sums = nullptr;   // [K, chunks]
  DeviceMember* state = nullptr;  // [K]

  COPPICE_HOST_DEVICE int64_t items() const { return members; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes& lanes, int64_t k) const {
    double sum = 0;
    for (int64_t i = lanes.lane(); i < chunks; i += lanes.size()) sum += sums[k * chunks + i];
    sum = lanes.Sum(sum);
    if (lanes.lane() == 0) Prepare(sqrt(sum), &state[k]);
  }

 private:
  COPPICE_HOST_DEVICE void Prepare(double norm, DeviceMember* member) const {
    if (member->stopped != 0) return;
    member->norm = norm;
    if (!(norm < INFINITY && member->loss < INFINITY)) {  // NaN too
      member->stopped = 1;
      return;
    }
    const double rate = LearningRateAt(settings.schedule, member->step);
    const double clip = settings.clip_norm / (norm + 1e-6);
    const double updates = static_cast<double>(++member->step);
    member->dropout.step = static_cast<uint32_t>(member->step);
    member->loss_sum += member->loss;
    ++member->loss_steps;
    member->factors.clip = clip < 1 ? clip : 1;
    member->factors.rate = rate / (1 - pow(settings.beta1, updates));
    member->factors.root2 = 1 / sqrt(1 - pow(settings.beta2, updates));
    member->factors.decay = 1 - rate * settings.weight_decay;
  }
};

// Updates one element of every member that has not stopped.
template <typename T>
struct AdamWElement {
  static constexpr LaneGroup kLaneGroup = LaneGroup::kThread;
  UpdateSettings settings;
  int64_t members = 0;
  int64_t row_size = 0;
  const DeviceMember* state = nullptr;
  const T* gradients = nullptr;  // [K, P]
  T* adam_m = nullptr;           // [K, P]
  T* adam_v = nullptr;           // [K, P]
  T* parameters = nullptr;       // [K, P]

  COPPICE_HOST_DEVICE int64_t items() const { return members * row_size; }

  template <typename Lanes>
  COPPICE_HOST_DEVICE void operator()(const Lanes&, int64_t item) const {
    const DeviceMember& member = state[item / row_size];
    if (member.stopped != 0) return;
    const UpdateFactors& factors = member.factors;
    const T beta1 = static_cast<T>(settings.beta1), rest1 = static_cast<T>(1 - settings.beta1);
    const T beta2 = static_cast<T>(settings.beta2), rest2 = static_cast<T>(1 - settings.beta2);
    const T g = gradients[item] * static_cast<T>(factors.clip);
    const T mean = beta1 * adam_m[item] + rest1 * g;
    const T square = beta2 * adam_v[item] + rest2 * (g * g);
    adam_m[item] = mean;
    adam_v[item] = square;
    const T scale = static_cast<T>(sqrt(square)) * static_cast<T>(factors.root2) +
                    static_cast<T>(settings.epsilon);
    parameters[item] = parameters[item] * static_cast<T>(factors.decay) -
                       static_cast<T>(factors.rate) * mean / scale;
  }
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_ADAMW_H_
