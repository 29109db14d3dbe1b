#ifndef COPPICE_COORDINATOR_CORE_SUBMISSIONS_H_
#define COPPICE_COORDINATOR_CORE_SUBMISSIONS_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/engine.h"

namespace coppice::core {

// Purpose: brings a submission into the store part by part, so that five million jobs hold up no
// heartbeat. Submissions of one name come one after the other.
//   1. The first command stores the sweep, its groups and the first jobs, or finds the sweep there.
//   2. Further commands store the other jobs, one part each. The last one makes the sweep visible,
//      and the caller is answered.
//   3. When a part fails, the jobs before it are taken back, then the caller is told.
//   4. What a crash cut short is taken back when the coordinator starts, or by the next submission
//      of that name.
// Owner: the coordinator. Thread-safe. Failure codes: coordinator.h.
class Submissions {
 public:
  static constexpr size_t kMostWaiting = 16;  // of one name

  template <typename T>
  using Done = Coordinator::Done<T>;

  explicit Submissions(Engine* engine) : engine_(*engine) {}

  void Submit(Caller caller, SweepSpec spec, uint32_t pack_width, Done<SubmitResult> done);
  // Once, after the engine has started.
  void TakeBackLeftovers();

 private:
  struct Run {
    Submission submission;
    size_t bytes = 0;
    uint64_t inserted = 0;
    Done<SubmitResult> done;
  };

  // Runs `work`, which ends with NextTurn, when no other of this name is under way. False, and it
  // never runs: too many wait.
  bool TakeTurn(const std::string& name, std::function<void()> work) ABSL_LOCKS_EXCLUDED(mutex_);
  void NextTurn(const std::string& name) ABSL_LOCKS_EXCLUDED(mutex_);
  void Begin(const std::shared_ptr<Run>& run);
  void Continue(const std::shared_ptr<Run>& run);
  void OnStep(const std::shared_ptr<Run>& run, absl::StatusOr<SubmitStep> step);
  void End(const std::shared_ptr<Run>& run, absl::StatusOr<SubmitResult> result);
  void TakeBack(SweepId id, std::function<void(absl::Status)> then);

  Engine& engine_;
  absl::Mutex mutex_;
  // Of each name that is under way: what waits behind it.
  absl::flat_hash_map<std::string, std::deque<std::function<void()>>> turns_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_SUBMISSIONS_H_
