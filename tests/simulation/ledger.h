#ifndef COPPICE_TESTS_SIMULATION_LEDGER_H_
#define COPPICE_TESTS_SIMULATION_LEDGER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "coppice/v1/coordinator.pb.h"
#include "tests/simulation/world.h"

namespace coppice::simulation {

using LeaseKey = std::pair<uint64_t, uint64_t>;  // job, attempt
inline LeaseKey KeyOf(const v1::LeaseRef& lease) { return {lease.job_id(), lease.attempt()}; }

// Purpose: records the coordinator's promises, on the workers' side of the network and at the
// moment that a worker receives them, and the injected faults. The invariants check the store
// against it (invariants.h). Owner: a Simulation.
class Ledger {
 public:
  explicit Ledger(World* world) : world_(*world) {}

  struct Attempt {
    std::string holder;                          // the process that got the lease
    uint32_t steps = 0;                          // of the run that came with it
    std::map<uint64_t, v1::AttemptRecord> sent;  // by number, as last sent
    std::map<uint64_t, int> times;               // that a record was sent
    uint64_t acknowledged = 0;
    std::set<uint32_t> committed;  // steps of checkpoints
    std::string end;               // acknowledged outcome
    uint64_t failures_caused = 0;  // by the schedule
  };

  void Granted(const std::string& process, const v1::AcquireLeasesResponse& grant);
  void Sent(const v1::AttemptRecord& record);
  void Acknowledged(const v1::AttemptAnswer& answer);

  // The schedule made the trainer of this attempt fail.
  void CausedFailure(const LeaseKey& key) { ++attempts_[key].failures_caused; }
  // These were acknowledged to a client.
  void Cancelled(uint64_t job) { ++cancelled_[job]; }
  void Retried(uint64_t jobs) { retried_ += jobs; }
  const std::map<uint64_t, int>& cancelled() const { return cancelled_; }
  uint64_t retried() const { return retried_; }

  // Notes that the schedule damaged a checkpoint's file. If it is unreadable, that is no fault of
  // the system.
  void Damaged(const std::string& path) { damaged_.insert(path); }
  bool IsDamaged(const std::string& path) const { return damaged_.contains(path); }
  bool IsDamagedFile(const std::string& file) const;  // by its full path

  const std::map<LeaseKey, Attempt>& attempts() const { return attempts_; }

 private:
  // Notes what the worker may conclude about the records after the acknowledged ones.
  static void Promise(const v1::AttemptAnswer& answer, Attempt* attempt);

  World& world_;
  std::map<LeaseKey, Attempt> attempts_;
  std::set<std::string> damaged_;
  std::map<uint64_t, int> cancelled_;  // by job
  uint64_t retried_ = 0;
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_LEDGER_H_
