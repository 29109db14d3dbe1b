#ifndef COPPICE_BENCH_CONTROL_PLANE_OVERLOAD_H_
#define COPPICE_BENCH_CONTROL_PLANE_OVERLOAD_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/control_plane/checks.h"
#include "bench/control_plane/cycles.h"
#include "bench/control_plane/options.h"

namespace coppice::bench {

// The overload comes from a process of its own, with workers of its own. Waits inside that client
// must not be taken for waits in the coordinator. The bench goes on to measure the coordinator's
// answers to the fleet's heartbeats.

struct OverloadResult {
  LoadResult load;
  Acknowledged acknowledged;
};

// Starts that process and waits until everything it began has ended (Cycles::OpenLoop). `server`:
// the process whose CPU time counts.
absl::StatusOr<OverloadResult> Overload(const Options& options, const std::string& address,
                                        pid_t server, double requests_per_second,
                                        const std::string& folder,
                                        const std::string& checkpoint_folder);

// The main function of that process (the flag --overload-of).
absl::Status OverloadMain(const Options& options);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_OVERLOAD_H_
