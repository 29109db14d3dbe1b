#ifndef COPPICE_WORKER_DAEMON_GRANT_CHECK_H_
#define COPPICE_WORKER_DAEMON_GRANT_CHECK_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/granted_run.h"

namespace coppice::worker {

// Returns the run of the leases, which one trainer can train as a pack of at most `pack_width`.
// INVALID_ARGUMENT names the fault in the grant.
absl::StatusOr<GrantedRun> CheckGrant(const v1::AcquireLeasesResponse& grant, uint32_t pack_width);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_GRANT_CHECK_H_
