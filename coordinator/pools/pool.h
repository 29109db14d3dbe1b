// A pool asks a batch system for workers. Here are its settings, and the rows that survive a
// restart of the coordinator. docs/pools.md is the design.
#ifndef COPPICE_COORDINATOR_POOLS_POOL_H_
#define COPPICE_COORDINATOR_POOLS_POOL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace coppice::pools {

inline constexpr size_t kMaxPools = 100;
inline constexpr size_t kMaxPoolNameBytes = 60;
inline constexpr size_t kMaxSweepsCounted = 1000;

enum class PoolMode {
  kRunning,
  kPaused,    // submits nothing; what is queued or runs stays
  kDraining,  // submits nothing; what is queued is cancelled
  kStopped,   // the batch system refused for good; PoolRow::why has its text and the remedy
};
// "running", "paused", "draining", "stopped". The words lie in the database and in JSON.
absl::string_view PoolModeName(PoolMode mode);
// False: no mode has this name.
bool ParsePoolMode(absl::string_view name, PoolMode* mode);

// The settings of a pool. An allocation is one node's share of one submission; one worker runs in
// it.
struct PoolSpec {
  std::string name;
  // For sbatch; empty: not given.
  std::string partition, account, qos, gres, constraint;
  std::string cluster;  // of a federation (--clusters); empty: the default one
  // Of one allocation; 0: not given.
  uint32_t gpus = 0, cpus = 0;
  uint64_t memory_mib = 0;
  uint32_t max_workers = 1;  // running and queued allocations together
  uint32_t backlog = 2;      // queued allocations
  uint32_t submits_a_minute = 10;
  // Of an allocation. min 0: what the grace and a checkpoint need. time_min 0: no --time-min.
  int64_t min_walltime_s = 0, max_walltime_s = 0, time_min_s = 0;
  double gpu_hours_a_day = 0;    // in any 24 hours; 0: no limit
  double gpu_hours_a_sweep = 0;  // of the jobs of each sweep; 0: no limit
  int32_t nice = 0;
  uint32_t rank = 0;          // pools of a lower rank are filled first
  int64_t wait_before_s = 0;  // the pool asks only once work has waited for so long
  int64_t idle_exit_s = 300;
  int64_t grace_s = 25;
  uint32_t slots = 0, pack = 0;  // 0: the worker's own choice
  std::string worker;            // path of coppice-worker on the nodes
  std::string access_file;       // path on the nodes; empty: the worker's default
  std::string log_dir;           // of the allocations' output; made before a submit
  std::vector<std::string> worker_flags, sbatch_flags;
  // A fixed number of workers while there is work (`pool scale N`). Without it, the work decides.
  uint32_t target = 0;
  bool has_target = false;
  bool watch_only = false;  // decides and logs; submits and cancels nothing
};

// INVALID_ARGUMENT: the first setting that is not allowed, by the name of its flag, and the remedy.
absl::Status CheckPoolSpec(const PoolSpec& spec);

enum class AllocationState {
  kIntended,  // the row is durable; whether sbatch was reached is not known
  kQueued,
  kRunning,
  kEnded,
  kUnknown,  // submitted, and the batch system says nothing certain; it counts as alive
};
absl::string_view AllocationStateName(AllocationState state);
bool ParseAllocationState(absl::string_view name, AllocationState* state);

// One submission.
struct AllocationRow {
  // <first 8 of the store's id>-<pool>-<sequence>: the submission's job name and comment, and the
  // worker's COPPICE_POOL_KEY. No two submissions ever share one.
  std::string key;
  std::string pool;
  uint64_t sequence = 0;
  AllocationState state = AllocationState::kIntended;
  // In the batch system's words; empty: not known yet.
  std::string job_id, node, slurm_state, reason;
  // Unix time; 0: not known, or has not happened.
  int64_t intended_ms = 0, submitted_ms = 0, started_ms = 0, ended_ms = 0;
  int64_t ends_ms = 0;             // the end of its time limit
  int64_t estimated_start_ms = 0;  // while it is queued
  uint32_t restarts = 0;           // requeues under the same id
  int64_t walltime_s = 0;
  uint32_t gpus = 0;
  double gpu_seconds = 0;   // GPUs times the time that it ran, earlier runs included
  bool registered = false;  // a worker with this key has registered
  // Empty while it lives. See docs/pools.md for the words.
  std::string outcome;
  std::string error;        // one sentence for people; empty: nothing went wrong
  std::string output_tail;  // the end of the output of a failed one
};

struct ExcludedNode {
  std::string node;
  int64_t until_ms = 0;
  std::string why;
};

// GPU time of a pool's allocations that one sweep's jobs have used (sweep_budget.h).
struct SweepUse {
  uint64_t sweep_id = 0;
  int64_t created_ms = 0;  // of the sweep
  std::string name;
  double gpu_seconds = 0;
};

struct PoolRow {
  PoolSpec spec;
  PoolMode mode = PoolMode::kRunning;
  std::string why;             // of kStopped; else empty
  uint64_t next_sequence = 1;  // never decreases, not even when the pool is removed and added again
  int64_t changed_ms = 0;      // settings or mode
  bool removed = false;        // hidden; the row stays for its sequence
  std::string decision;        // one sentence: the next step and its reason
  int64_t decided_ms = 0;
  // Failures since the last success, and the end of the pause that they cause.
  uint32_t failures = 0;
  int64_t backoff_until_ms = 0;
  std::string last_error;
  std::vector<ExcludedNode> excluded;
  std::vector<SweepUse> sweep_use;  // used longest ago first; at most kMaxSweepsCounted
  int64_t use_counted_ms = 0;       // until then; 0: not yet
};

// "1a2b3c4d-low-17".
std::string AllocationKey(absl::string_view store_id, absl::string_view pool, uint64_t sequence);
// The pool of a key; empty: it is no key.
absl::string_view PoolOfKey(absl::string_view key);

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_POOL_H_
