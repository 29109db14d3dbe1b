#ifndef COPPICE_BENCH_CONTROL_PLANE_FIRST_LEASE_H_
#define COPPICE_BENCH_CONTROL_PLANE_FIRST_LEASE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bench/control_plane/fleet.h"

namespace coppice::bench {

// A few workers of the fleet each request a job until they get it, on connections of their own.
// With a single worker, chance would decide when its connection is retried (a backoff with jitter).
// Returns the time of the first grant, after all have been answered.
absl::StatusOr<absl::Time> AwaitFirstLease(const std::string& address, Fleet& fleet);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_FIRST_LEASE_H_
