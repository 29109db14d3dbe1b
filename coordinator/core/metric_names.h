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

// Purpose: which metric names a sweep and a job are known to have, so that a row of known names
// costs no look into the store. Names are kept as hashes: two with one hash count as one. Owner:
// the writer thread, the only one to touch it; changed after commits. No failure codes. Durability:
// none; what is not known here is asked of the store, and so everything may be forgotten at any
// time.
class MetricNames {
 public:
  // Of all sweeps and jobs together.
  static constexpr size_t kMost = 500'000;
  using Set = absl::flat_hash_set<size_t>;
  static size_t HashOf(const std::string& name);

  bool SweepHas(SweepId sweep, const std::string& name) const;
  // As far as is known here.
  size_t CountOf(SweepId sweep) const;
  // Null: it is not known which names the job has.
  const Set* OfJob(JobId job) const;

  // `count`: how many the sweep has by now.
  void AddToSweep(SweepId sweep, const std::vector<std::string>& names, size_t count);
  void SetOfJob(JobId job, Set names);

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
