// Host threads as lanes, for tests. They replace a warp's lanes, with more or fewer lanes than an
// operation has elements. A missing Sync, or a lane that uses another's element, causes a wrong
// number, or a race under ThreadSanitizer.
#ifndef COPPICE_TESTS_WORKER_TRAINER_STACKED_THREAD_LANES_H_
#define COPPICE_TESTS_WORKER_TRAINER_STACKED_THREAD_LANES_H_

#include <algorithm>
#include <barrier>
#include <thread>
#include <vector>

#include "worker/trainer/stacked/lanes.h"

namespace coppice::trainer {

class ThreadLanes {
 public:
  struct Shared {
    explicit Shared(int64_t lanes) : slots(lanes), barrier(lanes) {}
    std::vector<double> slots;  // also holds a float
    std::barrier<> barrier;
  };

  ThreadLanes(Shared* shared, int64_t lane) : shared_(shared), lane_(lane) {}

  int64_t lane() const { return lane_; }
  int64_t size() const { return static_cast<int64_t>(shared_->slots.size()); }
  void Sync() const { shared_->barrier.arrive_and_wait(); }

  template <typename T>
  T Sum(T value) const {
    return Combine(value, [](T a, T b) { return a + b; });
  }
  template <typename T>
  T Max(T value) const {
    return Combine(value, [](T a, T b) { return std::max(a, b); });
  }

 private:
  template <typename T, typename F>
  T Combine(T value, F&& f) const {
    shared_->slots[lane_] = static_cast<double>(value);
    Sync();
    T all = static_cast<T>(shared_->slots[0]);
    for (size_t l = 1; l < shared_->slots.size(); ++l)
      all = f(all, static_cast<T>(shared_->slots[l]));
    Sync();  // a slot is written only after all have read it
    return all;
  }

  Shared* shared_;
  int64_t lane_;
};

// Runs the operation with the lanes per item that it asks for: one, or `lanes` in place of a warp.
template <typename Operation>
void RunWithLanes(const Operation& operation, int64_t lanes) {
  if (lanes == 1 || Operation::kLaneGroup == LaneGroup::kThread) return RunOnHost(operation);
  ThreadLanes::Shared shared(lanes);
  std::vector<std::thread> threads;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    threads.emplace_back([&operation, &shared, lane] {
      for (int64_t item = 0; item < operation.items(); ++item)
        operation(ThreadLanes(&shared, lane), item);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace coppice::trainer

#endif  // COPPICE_TESTS_WORKER_TRAINER_STACKED_THREAD_LANES_H_
