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

// Purpose: stores a submission part by part, so that five million jobs delay no heartbeat.
// Submissions of one name run one after the other.
//   1. The first command stores the sweep, its groups and the first jobs, or finds the sweep
//      already stored.
//   2. Further commands store the other jobs, one part each. The last one makes the sweep visible,
//      and the caller is answered.
//   3. If a part fails, the jobs stored before it are taken back. Then the caller gets the error.
//   4. Submissions that a crash interrupted are taken back when the coordinator starts, or by the
//      next submission of the same name.
// Owner: the coordinator. Thread-safe. Failure codes: coordinator.h.
class Submissions {
 public:
  static constexpr size_t kMostWaiting = 16;  // of one name

  template <typename T>
  using Done = Coordinator::Done<T>;

  explicit Submissions(Engine* engine) : engine_(*engine) {}

  void Submit(Caller caller, SweepSpec spec, uint32_t pack_width, Done<SubmitResult> done);
  // Called once, after the engine has started.
  void TakeBackLeftovers();

 private:
  struct Run {
    Submission submission;
    size_t bytes = 0;
    uint64_t inserted = 0;
    Done<SubmitResult> done;
  };

  // Runs `work`, which ends with NextTurn, once no other submission of this name is running. False:
  // too many wait, and `work` never runs.
  bool TakeTurn(const std::string& name, std::function<void()> work) ABSL_LOCKS_EXCLUDED(mutex_);
  void NextTurn(const std::string& name) ABSL_LOCKS_EXCLUDED(mutex_);
  void Begin(const std::shared_ptr<Run>& run);
  void Continue(const std::shared_ptr<Run>& run);
  void OnStep(const std::shared_ptr<Run>& run, absl::StatusOr<SubmitStep> step);
  void End(const std::shared_ptr<Run>& run, absl::StatusOr<SubmitResult> result);
  void TakeBack(SweepId id, std::function<void(absl::Status)> then);

  Engine& engine_;
  absl::Mutex mutex_;
  // The work that waits behind each name in progress.
  absl::flat_hash_map<std::string, std::deque<std::function<void()>>> turns_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_SUBMISSIONS_H_
