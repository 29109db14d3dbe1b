#ifndef COPPICE_COORDINATOR_CORE_RECOVERY_H_
#define COPPICE_COORDINATOR_CORE_RECOVERY_H_

#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "coordinator/core/memory.h"
#include "coordinator/core/store.h"

namespace coppice::core {

// Fills an empty `memory` from the store. It adds every sweep, every PENDING job to the scheduler,
// every RUNNING job with a full lease term from now, and every worker (not connected until its
// first call). `dropped` receives the checkpoints whose files a crash may have left behind.
absl::Status Recover(Store& store, Clock& clock, Memory& memory, std::vector<Checkpoint>& dropped);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_RECOVERY_H_
