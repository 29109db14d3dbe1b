#ifndef COPPICE_TESTS_SIMULATION_SIM_STORE_H_
#define COPPICE_TESTS_SIMULATION_SIM_STORE_H_

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/store.h"
#include "tests/simulation/planted_bugs.h"
#include "tests/simulation/schedule.h"
#include "tests/simulation/world.h"

namespace coppice::simulation {

// The changes of one transaction that the invariants check.
struct Changes {
  std::vector<std::pair<core::JobRow, core::JobRow>> jobs;  // before, after
  std::vector<core::AttemptRow> attempts;                   // inserted or updated
  std::vector<core::Checkpoint> committed;                  // checkpoints
  std::vector<core::WorkerRow> workers;                     // registered or changed
  std::set<core::JobId> checkpoints;  // jobs whose list of checkpoints changed
  std::set<core::JobId> dropped;      // those from which retention dropped one
};

// Purpose: one coordinator process's access to the store, which outlives the process. It fails
// transactions and kills the process around a commit, as the schedule says. It reports real commits
// and plants bugs. Owner: a CoordinatorProcess. One thread.
class SimStore : public core::Store {
 public:
  struct Hooks {
    std::function<void(const Changes&)> committed;
    // Ends the process. This object stays, for functions still on the stack.
    std::function<void()> crash;
  };
  SimStore(World* world, core::Store* inner, const Schedule* schedule, PlantedBug bug, Hooks hooks)
      : world_(*world), inner_(*inner), schedule_(*schedule), bug_(bug), hooks_(std::move(hooks)) {}

  absl::Status RunInTransaction(
      absl::FunctionRef<absl::Status(core::WriteTransaction&)> body) override;
  absl::Status Read(absl::FunctionRef<absl::Status(core::ReadTransaction&)> body) override;
  std::string store_id() const override { return inner_.store_id(); }

  void set_full(bool full) { full_ = full; }
  // Ends all faults.
  void Heal() {
    healed_ = true;
    full_ = false;
  }
  // Called when the process has ended.
  void Die() { dead_ = true; }

 private:
  enum class Fate { kCommit, kFull, kIoError, kCrashBefore, kCrashAfter };
  Fate DrawFate();
  // Handles a rolled-back transaction: returns the caller's error and carries out the fate.
  absl::Status Failed(Fate fate);

  World& world_;
  core::Store& inner_;
  const Schedule& schedule_;
  const PlantedBug bug_;
  const Hooks hooks_;
  bool full_ = false;
  bool healed_ = false;
  bool dead_ = false;
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_SIM_STORE_H_
