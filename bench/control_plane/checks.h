#ifndef COPPICE_BENCH_CONTROL_PLANE_CHECKS_H_
#define COPPICE_BENCH_CONTROL_PLANE_CHECKS_H_

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/control_plane/client.h"
#include "bench/control_plane/options.h"

namespace coppice::bench {

// Everything that the coordinator acknowledged before it was killed.
struct Acknowledged {
  absl::flat_hash_set<uint64_t> completed;            // jobs of the large sweep
  absl::flat_hash_map<uint64_t, uint64_t> leases;     // granted, but completion not acknowledged:
                                                      // attempts
  absl::flat_hash_map<uint64_t, uint32_t> row_steps;  // of held jobs: step of the last durable row
};

// Checks that every acknowledged completion is SUCCEEDED, no grant is forgotten, every acknowledged
// row is stored, and the counts of both sweeps add up. DATA_LOSS names the missing item. Returns
// the number of leases that have ended without notice to their worker: the coordinator ended them
// because the worker's heartbeats came too late.
absl::StatusOr<uint64_t> CheckNothingLost(const Options& options, Client* client,
                                          const Acknowledged& before);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_CHECKS_H_
