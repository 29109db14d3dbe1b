// The cores that this process may use.
#ifndef COPPICE_WORKER_DAEMON_CPUS_H_
#define COPPICE_WORKER_DAEMON_CPUS_H_

#include <cstdint>
#include <string>

#include "worker/daemon/allocation.h"

namespace coppice::worker {

struct UsableCpus {
  uint32_t count = 1;
  std::string source;  // for people
};

// The smallest of these, and at least 1:
//   - the cores that the process may run on (sched_getaffinity);
//   - in a Slurm job, SLURM_CPUS_PER_TASK, else SLURM_CPUS_ON_NODE in a batch script;
//   - the quota of the control groups around the process (cpu.max, cpu.cfs_quota_us), rounded down.
// `root` is "" except in tests.
UsableCpus CountCpus(const EnvironmentLookup& env, const Allocation& allocation,
                     const std::string& root = "");

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_CPUS_H_
