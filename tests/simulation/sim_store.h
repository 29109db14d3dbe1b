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

// What one transaction changed, as far as the invariants are about it.
struct Changes {
  std::vector<std::pair<core::JobRow, core::JobRow>> jobs;  // before, after
  std::vector<core::AttemptRow> attempts;                   // inserted or updated
  std::vector<core::Checkpoint> committed;                  // checkpoints
  std::vector<core::WorkerRow> workers;                     // registered, or changed otherwise
  std::set<core::JobId> checkpoints;  // jobs whose list of checkpoints changed
  std::set<core::JobId> dropped;      // of these, where retention dropped one
};

// Purpose: one coordinator process's way to the store, which outlives it. Fails transactions and
// kills the process around a commit, as the schedule says; tells what was really committed; plants
// bugs. Owner: a CoordinatorProcess. One thread.
class SimStore : public core::Store {
 public:
  struct Hooks {
    std::function<void(const Changes&)> committed;
    // Ends the process: nothing of it runs any more. This object stays for what is on the stack.
    std::function<void()> crash;
  };
  SimStore(World* world, core::Store* inner, const Schedule* schedule, PlantedBug bug, Hooks hooks)
      : world_(*world), inner_(*inner), schedule_(*schedule), bug_(bug), hooks_(std::move(hooks)) {}

  absl::Status RunInTransaction(
      absl::FunctionRef<absl::Status(core::WriteTransaction&)> body) override;
  absl::Status Read(absl::FunctionRef<absl::Status(core::ReadTransaction&)> body) override;
  std::string store_id() const override { return inner_.store_id(); }

  void set_full(bool full) { full_ = full; }
  // Nothing goes wrong from now on.
  void Heal() {
    healed_ = true;
    full_ = false;
  }
  // The process has ended.
  void Die() { dead_ = true; }

 private:
  enum class Fate { kCommit, kFull, kIoError, kCrashBefore, kCrashAfter };
  Fate DrawFate();
  // The transaction was rolled back: what its caller hears, and what else happens.
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
