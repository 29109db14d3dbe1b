#ifndef COPPICE_TESTS_COORDINATOR_POOLS_SPECS_H_
#define COPPICE_TESTS_COORDINATOR_POOLS_SPECS_H_

#include <string>

#include "coordinator/pools/pool.h"

namespace coppice::pools {

// A pool that CheckPoolSpec takes.
inline PoolSpec GoodSpec(const std::string& name = "low") {
  PoolSpec spec;
  spec.name = name;
  spec.partition = "low";
  spec.gpus = 1;
  spec.max_workers = 4;
  spec.max_walltime_s = 3600;
  spec.worker = "/opt/coppice/bin/coppice-worker";
  spec.log_dir = "/home/u/coppice pools/low";
  return spec;
}

}  // namespace coppice::pools

#endif  // COPPICE_TESTS_COORDINATOR_POOLS_SPECS_H_
