#ifndef COPPICE_COORDINATOR_CORE_SUBMISSIONS_H_
#define COPPICE_COORDINATOR_CORE_SUBMISSIONS_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/engine.h"
#include "coordinator/core/turns.h"

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
  template <typename T>
  using Done = Coordinator::Done<T>;

  Submissions(Engine* engine, Turns* turns) : engine_(*engine), turns_(*turns) {}

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

  void Begin(const std::shared_ptr<Run>& run);
  void Continue(const std::shared_ptr<Run>& run);
  void OnStep(const std::shared_ptr<Run>& run, absl::StatusOr<SubmitStep> step);
  void End(const std::shared_ptr<Run>& run, absl::StatusOr<SubmitResult> result);
  void TakeBack(SweepId id, std::function<void(absl::Status)> then);

  Engine& engine_;
  Turns& turns_;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_SUBMISSIONS_H_
