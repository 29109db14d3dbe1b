// The allocation of a batch system in which a worker runs.
#ifndef COPPICE_WORKER_DAEMON_ALLOCATION_H_
#define COPPICE_WORKER_DAEMON_ALLOCATION_H_

#include <cstdint>
#include <functional>
#include <string>

namespace coppice::worker {

// Looks a variable of the environment up: null if it is not set. Tests give one of their own.
using EnvironmentLookup = std::function<const char*(const char* name)>;

// All empty: no batch system is known.
struct Allocation {
  std::string system;      // "slurm", "kubernetes", or empty
  std::string cluster;     // SLURM_CLUSTER_NAME
  std::string job_id;      // as Slurm's users know it: "123", or "120_4" for an array's task
  std::string raw_job_id;  // SLURM_JOB_ID, which scontrol and squeue take
  std::string partition;   // SLURM_JOB_PARTITION
  std::string node;        // SLURMD_NODENAME
  uint32_t proc_id = 0;    // SLURM_PROCID
  uint32_t restarts = 0;   // SLURM_RESTART_COUNT: how often Slurm has requeued the job
  std::string pool_key;    // COPPICE_POOL_KEY: the key of the pool's submission; empty without one
};

// Reads the variables of Slurm (SLURM_JOB_ID is set), or of Kubernetes (KUBERNETES_SERVICE_HOST is
// set). A value that no batch system would give (too long, unprintable, no number where there must
// be one) is left out, with a warning. Names come only where they may be a part of a folder's name.
Allocation ReadAllocation(const EnvironmentLookup& env);

// The name of a worker in a Slurm job: "<cluster>-<job>-<task of the step>". It stays the same when
// Slurm requeues the job. Empty outside of Slurm.
std::string AllocationName(const Allocation& allocation);

// True if srun started this process. Otherwise it is the batch script's.
bool InSlurmStep(const EnvironmentLookup& env);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_ALLOCATION_H_
