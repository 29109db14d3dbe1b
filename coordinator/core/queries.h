// The answers to queries, each read from one snapshot of the store. Failure codes: coordinator.h.
#ifndef COPPICE_COORDINATOR_CORE_QUERIES_H_
#define COPPICE_COORDINATOR_CORE_QUERIES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/memory.h"
#include "coordinator/core/store.h"

namespace coppice::core {

// Queries read only the thread-safe parts of `memory`.
absl::StatusOr<SweepDetails> QuerySweep(ReadTransaction& read, const Memory& memory,
                                        const std::string& name);
// The sweep that a deletion would delete, with its checkpoints.
absl::StatusOr<DeletedSweep> QueryDeletion(ReadTransaction& read, const Memory& memory,
                                           const Deletion& deletion);
absl::StatusOr<std::vector<SweepSummary>> QuerySweeps(ReadTransaction& read, const Memory& memory);
// Lists jobs in slices of some hundredths of a second each, however many jobs do not match.
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
  size_t completed_ = 0;     // jobs whose latest metrics are filled in
  size_t latest_bytes_ = 0;  // of their metrics
};
absl::StatusOr<JobDetails> QueryJob(ReadTransaction& read, const Memory& memory, JobId id);
// A page may end early, with few rows or none, if finding them takes many reads.
absl::StatusOr<MetricsPage> QueryMetrics(ReadTransaction& read, const Memory& memory,
                                         const MetricsQuery& query, const MetricsCursor& after,
                                         uint32_t limit);
absl::StatusOr<LogPage> QueryLog(ReadTransaction& read, JobId id, AttemptNumber attempt,
                                 uint64_t after);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_QUERIES_H_
