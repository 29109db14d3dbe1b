#ifndef COPPICE_WORKER_DAEMON_GRANT_CHECK_H_
#define COPPICE_WORKER_DAEMON_GRANT_CHECK_H_

#include <cstdint>

#include "absl/status/status.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::worker {

// OK for leases that one trainer can run together as a pack of at most `pack_width`;
// INVALID_ARGUMENT says what is wrong with them.
absl::Status CheckGrant(const v1::AcquireLeasesResponse& grant, uint32_t pack_width);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_GRANT_CHECK_H_
