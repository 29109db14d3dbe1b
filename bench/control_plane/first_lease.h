#ifndef COPPICE_BENCH_CONTROL_PLANE_FIRST_LEASE_H_
#define COPPICE_BENCH_CONTROL_PLANE_FIRST_LEASE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bench/control_plane/fleet.h"

namespace coppice::bench {

// A few workers of the fleet ask for a job each until they get it, with connections of their own:
// of one alone it would be chance (a backoff with jitter) when its connection is tried again.
// Returns when the first one got it; by then all have been answered.
absl::StatusOr<absl::Time> AwaitFirstLease(const std::string& address, Fleet& fleet);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_FIRST_LEASE_H_
