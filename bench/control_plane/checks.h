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

// What the coordinator acknowledged before it was killed.
struct Acknowledged {
  absl::flat_hash_set<uint64_t> completed;         // jobs of the large sweep
  absl::flat_hash_map<uint64_t, uint64_t> leases;  // granted, completion not acknowledged: attempts
  absl::flat_hash_map<uint64_t, uint32_t> row_steps;  // of held jobs: the last durable row's step
};

// Every acknowledged completion is SUCCEEDED, no grant is forgotten, every acknowledged row is
// there, and the counts of both sweeps add up. DATA_LOSS that says what is missing. Returns how
// many leases do not stand any more without their worker's having been told: the coordinator ended
// them because it had not heard of the worker in time.
absl::StatusOr<uint64_t> CheckNothingLost(const Options& options, Client* client,
                                          const Acknowledged& before);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_CHECKS_H_
