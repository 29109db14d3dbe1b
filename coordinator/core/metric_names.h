#ifndef COPPICE_COORDINATOR_CORE_METRIC_NAMES_H_
#define COPPICE_COORDINATOR_CORE_METRIC_NAMES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "coordinator/core/types.h"

namespace coppice::core {

// Purpose: remembers the metric names of sweeps and jobs, so that a row of known names needs no
// read from the store. Names are kept as hashes; two names with the same hash count as one. Owner:
// the writer thread; no other thread touches it. It changes only after commits. No failure codes.
// Durability: none. Unknown names are looked up in the store, so everything may be forgotten at any
// time.
class MetricNames {
 public:
  // The maximum over all sweeps and jobs together.
  static constexpr size_t kMost = 500'000;
  using Set = absl::flat_hash_set<size_t>;
  static size_t HashOf(const std::string& name);

  bool SweepHas(SweepId sweep, const std::string& name) const;
  // Returns the number of names as far as it is known here.
  size_t CountOf(SweepId sweep) const;
  // Null: the job's names are not known.
  const Set* OfJob(JobId job) const;

  // `count`: the sweep's current number of names.
  void AddToSweep(SweepId sweep, const std::vector<std::string>& names, size_t count);
  void SetOfJob(JobId job, Set names);
  void ForgetSweep(SweepId sweep);

 private:
  void MakeRoom(size_t more);

  struct Sweep {
    Set names;
    size_t count = 0;
  };
  absl::flat_hash_map<SweepId, Sweep> sweeps_;
  absl::flat_hash_map<JobId, Set> jobs_;
  size_t size_ = 0;  // of all sets
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_METRIC_NAMES_H_
