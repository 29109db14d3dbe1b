// Reads: what each query answers, from one snapshot of the store. Failure codes: coordinator.h.
#ifndef COPPICE_COORDINATOR_CORE_QUERIES_H_
#define COPPICE_COORDINATOR_CORE_QUERIES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/memory.h"
#include "coordinator/core/store.h"

namespace coppice::core {

inline constexpr uint32_t kMaxPage = 10'000;

// Each reads the thread-safe parts of `memory` only.
absl::StatusOr<SweepDetails> QuerySweep(ReadTransaction& read, const Memory& memory,
                                        const std::string& name);
absl::StatusOr<std::vector<SweepSummary>> QuerySweeps(ReadTransaction& read, const Memory& memory);
// Lists jobs slice by slice, each some hundredths of a second long, however many jobs do not fit.
class JobLister {
 public:
  JobLister(JobFilter filter, JobId after, uint32_t limit, bool with_latest);
  // True: `page` is complete.
  absl::StatusOr<bool> Next(ReadTransaction& read, const Memory& memory, JobPage& page);

 private:
  const JobFilter filter_;
  const size_t limit_;
  const bool with_latest_;
  JobId after_;
  bool listed_ = false;
  size_t completed_ = 0;     // jobs whose latest metrics are there
  size_t latest_bytes_ = 0;  // of their metrics
};
absl::StatusOr<JobDetails> QueryJob(ReadTransaction& read, const Memory& memory, JobId id);
// A page ends early, with few rows or none, where it took much looking to find them.
absl::StatusOr<MetricsPage> QueryMetrics(ReadTransaction& read, const Memory& memory,
                                         const MetricsQuery& query, const MetricsCursor& after,
                                         uint32_t limit);
absl::StatusOr<LogPage> QueryLog(ReadTransaction& read, JobId id, AttemptNumber attempt,
                                 uint64_t after);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_QUERIES_H_
