#ifndef COPPICE_TESTS_SIMULATION_INVARIANTS_H_
#define COPPICE_TESTS_SIMULATION_INVARIANTS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/store.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/schedule.h"
#include "tests/simulation/sim_store.h"
#include "tests/simulation/world.h"

namespace coppice::simulation {

// Purpose: checks the store against the invariants, after each commit and at the end. Reads the
// durable store itself, not through a coordinator. Owner: a Simulation.
//
// After each commit: a job is granted only attempts above all earlier ones; one attempt is open
// when the job is RUNNING and none otherwise; a worker's name goes to ever newer processes and
// never back; only a failed attempt raises `failures`, by one; a checkpoint is committed only when
// every row up to it is visible (except that of its own step); the current checkpoint's file exists
// and is intact.
// At any time: the visible rows of a job are the beginning of its trajectory in the sweep as it is
// now, each report step once, with the values of the undisturbed run; no visible row lies beyond
// the end of the attempt that wrote it.
// At the end: every job has ended, once for each life; everything that was acknowledged is stored.
class Invariants {
 public:
  Invariants(World* world, const Ledger* ledger, core::Store* store, const Schedule* schedule,
             std::string checkpoint_root)
      : world_(*world),
        ledger_(*ledger),
        store_(*store),
        schedule_(*schedule),
        root_(std::move(checkpoint_root)) {}

  void OnCommitted(const Changes& changes);
  // Checks the current series and checkpoint of every job.
  void CheckJobs();
  // Also checks that every job has ended, and every promise in the ledger.
  void CheckEnd();

  std::vector<core::JobRow> Jobs();
  GridPoint PointOf(const core::JobRow& job) const;            // of a job that Jobs returned
  std::vector<core::Checkpoint> Checkpoints(core::JobId job);  // listed, newest first
  // A client was told that the sweep is extended: what is stored must have it.
  void Extended(size_t extension);
  // True if the job is RUNNING with this attempt.
  bool IsCurrent(const LeaseKey& key);
  // The number of times that another process than before has taken the worker's name.
  uint64_t TimesTaken(const std::string& worker) const;
  bool IsPaused();
  bool IsDraining(const std::string& worker);
  // Covers everything durable except times and random names.
  uint64_t StateDigest();

 private:
  using Rows = std::vector<core::StoredRow>;
  void CheckMove(const core::JobRow& before, const core::JobRow& after, const Changes& changes);
  void CheckWorker(const core::WorkerRow& worker);
  void CheckOpenAttempts(core::ReadTransaction& read, const core::JobRow& job);
  void CheckCommit(core::ReadTransaction& read, const core::Checkpoint& checkpoint);
  void CheckCurrentFile(core::ReadTransaction& read, core::JobId job);
  void CheckSeries(core::ReadTransaction& read, const core::JobRow& job);
  void CheckEnded(core::ReadTransaction& read, const core::JobRow& job);
  void CheckAttempt(core::ReadTransaction& read, const LeaseKey& key,
                    const Ledger::Attempt& promised);
  void CheckAcknowledged(core::ReadTransaction& read, const core::AttemptRow& attempt,
                         const Ledger::Attempt& promised);
  // The last step that the job's rows may have now: that of its running attempt, or else that of
  // its group.
  uint32_t StepsOf(core::ReadTransaction& read, const core::JobRow& job);
  Rows RowsOf(core::ReadTransaction& read, core::JobId job, bool archived);
  void Read(const std::function<void(core::ReadTransaction&)>& body);
  void Broken(core::JobId job, const std::string& what);
  // Returns a text for people without the path of a temporary file, which differs between runs.
  static std::string WithoutPath(const std::string& text) {
    return text.substr(0, text.find(" /"));
  }

  World& world_;
  const Ledger& ledger_;
  core::Store& store_;
  const Schedule& schedule_;
  const std::string root_;
  std::set<LeaseKey> granted_;
  struct NameHolder {
    std::string instance;
    uint64_t incarnation = 0;
    std::set<std::string> before;  // earlier instances
    uint64_t times_taken = 0;
  };
  std::map<std::string, NameHolder> holders_;                         // by the worker's name
  uint64_t retries_ = 0;                                              // stored, of all jobs
  std::map<LeaseKey, uint32_t> committed_;                            // the last checkpoint's step
  std::map<core::GroupId, std::pair<std::string, uint32_t>> groups_;  // task, depth
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_INVARIANTS_H_
