#ifndef COPPICE_COORDINATOR_CORE_EXTENSIONS_H_
#define COPPICE_COORDINATOR_CORE_EXTENSIONS_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/engine.h"
#include "coordinator/core/turns.h"

namespace coppice::core {

// Purpose: carries out extensions of sweeps, part by part. Changes of one name run one after the
// other.
//   1. A reader compares the stored sweep with the wanted one and plans (extension_plan.h). A dry
//      run ends here, and so does an extension that is refused or changes nothing.
//   2. One transaction stores the whole extension. A crash before it changes nothing.
//   3. Jobs that had ended, and others that must follow their group to more steps, do so in that
//      transaction and in further ones, one part each, so that a million of them delay no
//      heartbeat. Then the caller is answered.
//   4. What a crash interrupted is continued when the coordinator starts, or by the next extension.
// Owner: the coordinator. Thread-safe. Failure codes: coordinator.h, and ABORTED (the sweep changed
// meanwhile).
class Extensions {
 public:
  template <typename T>
  using Done = Coordinator::Done<T>;

  Extensions(Engine* engine, Turns* turns) : engine_(*engine), turns_(*turns) {}

  void Extend(Caller caller, ExtendRequest request, Done<ExtendResult> done);
  // Called once, after the engine has started.
  void ContinueLeftovers();

 private:
  // A plan, and the sweep as it was.
  struct Planned {
    ExtensionPlan plan;
    SweepSummary sweep;
  };
  struct Run {
    Caller caller;
    ExtendRequest request;
    size_t bytes = 0;
    SweepId sweep = 0;
    Extension extension;
    bool changed = false;
    Done<ExtendResult> done;
  };

  void Plan(const std::shared_ptr<Run>& run, Done<Planned> then);
  void OnPlanned(const std::shared_ptr<Run>& run, absl::StatusOr<Planned> planned);
  void OnStep(const std::shared_ptr<Run>& run, absl::StatusOr<ExtendStep> step);
  void Continue(const std::shared_ptr<Run>& run, JobId after);
  void End(const std::shared_ptr<Run>& run, absl::StatusOr<ExtendResult> result);

  Engine& engine_;
  Turns& turns_;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_EXTENSIONS_H_
