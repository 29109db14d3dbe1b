#ifndef COPPICE_COORDINATOR_CORE_JOB_FILTER_H_
#define COPPICE_COORDINATOR_CORE_JOB_FILTER_H_

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "coordinator/core/catalog.h"
#include "coordinator/core/store.h"

namespace coppice::core {

// Visits the jobs that a filter selects, by id, starting after `after`, until `visit` returns
// false. `also` restricts the states further. Groups without a job in a wanted state are skipped by
// their counts. If a group's seeds rise with the ids, wanted seeds are found by binary search.
// Reads about `most` jobs at most, whether they match or not. Returns the id after which to
// continue, or 0 if none is left or `visit` ended the walk. INVALID_ARGUMENT: neither sweep nor job
// ids, or a condition on an axis that the sweep does not have. NOT_FOUND: unknown sweep, job id or
// value of an axis.
absl::StatusOr<JobId> WalkJobs(ReadTransaction& read, const Catalog& catalog,
                               const JobFilter& filter, StateSet also, JobId after, uint64_t most,
                               absl::FunctionRef<bool(const JobRow&, const GroupInfo&)> visit);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_JOB_FILTER_H_
