// The work that waits for workers, and the workers that are there. The coordinator's dispatcher
// knows both; the pools ask for them.
#ifndef COPPICE_COORDINATOR_POOLS_DEMAND_H_
#define COPPICE_COORDINATOR_POOLS_DEMAND_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace coppice::pools {

// A worker that has registered and has not departed.
struct WorkerCapacity {
  std::string pool_key;    // of its allocation; empty: no pool asked for it
  std::string raw_job_id;  // of its allocation; empty: none
  std::string worker;      // its name
  uint32_t restarts = 0;   // of its allocation, under the same id
  uint32_t slots = 0;
  uint32_t idle_slots = 0;
  uint32_t pack_width = 0;  // jobs that a slot takes at once; 0: not known
  bool draining = false;
  bool suspect = false;   // the dispatcher gives it no new work for its failures
  int64_t ends_ms = 0;    // the end of its allocation in Unix time; 0: none is known
  bool connected = true;  // false: silent, and not yet expired
  // The jobs that it holds, by the sweep's id. Only of pools' workers.
  std::vector<std::pair<uint64_t, uint64_t>> held;
};

// A sweep with jobs that run or could be granted.
struct SweepDemand {
  uint64_t id = 0;
  int64_t created_ms = 0;  // the id of a deleted sweep may come again; both together never do
  std::string name;
  uint64_t grantable_jobs = 0, program_jobs = 0, running_jobs = 0;  // as in Demand
};

struct Demand {
  // Jobs that a free slot would get now: pending, neither paused nor waiting after a failure.
  uint64_t grantable_jobs = 0;
  uint64_t running_jobs = 0;
  // Those among them that only a worker with --programs gets.
  uint64_t program_jobs = 0;
  // Slot seconds of these jobs and of the rest of the running ones, at measured speed; negative:
  // not known.
  double seconds_left = -1;
  // Unix time since when the oldest grantable job has waited, also across a restart; 0: none waits.
  int64_t oldest_waiting_ms = 0;
  uint32_t width = 1;  // jobs that a slot takes at once, as granted lately
  // Seconds from a job's start to its first checkpoint, or between two; 0: not known.
  double checkpoint_seconds = 0;
  std::vector<WorkerCapacity> workers;
  std::vector<SweepDemand> sweeps;  // by id; their jobs add up to those above
};

// The sweeps whose jobs a pool's workers no longer get, by id (sweep_budget.h). Pools that have
// none are left out.
using SpentSweeps = std::map<std::string, std::vector<uint64_t>>;

// Calls back once, on any thread, perhaps before it returns.
using DemandSource = std::function<void(std::function<void(absl::StatusOr<Demand>)>)>;

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_DEMAND_H_
