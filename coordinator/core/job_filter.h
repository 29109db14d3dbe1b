#ifndef COPPICE_COORDINATOR_CORE_JOB_FILTER_H_
#define COPPICE_COORDINATOR_CORE_JOB_FILTER_H_

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "coordinator/core/catalog.h"
#include "coordinator/core/store.h"

namespace coppice::core {

// Visits the jobs a filter means, by id, from the first behind `after`, until `visit` returns
// false. `also` narrows the states further. Groups without a job in a wanted state are skipped
// whole, by their counts; where a group's seeds rise with the ids, wanted seeds are searched for.
// Looks at no more than about `most` jobs, those that do not fit among them. Returns the id after
// which to go on, 0 when none is left or `visit` has ended it. INVALID_ARGUMENT: neither sweep nor
// job ids. NOT_FOUND: unknown sweep or job id.
absl::StatusOr<JobId> WalkJobs(ReadTransaction& read, const Catalog& catalog,
                               const JobFilter& filter, StateSet also, JobId after, uint64_t most,
                               absl::FunctionRef<bool(const JobRow&, const GroupInfo&)> visit);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_JOB_FILTER_H_
