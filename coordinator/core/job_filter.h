#ifndef COPPICE_COORDINATOR_CORE_JOB_FILTER_H_
#define COPPICE_COORDINATOR_CORE_JOB_FILTER_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "coordinator/core/catalog.h"
#include "coordinator/core/store.h"

namespace coppice::core {

// Visits the jobs a filter means, by id, from the first behind `after`, until `visit` returns
// false. `also` narrows the states further. Groups without a job in a wanted state are skipped
// whole, by their counts. INVALID_ARGUMENT: neither sweep nor job ids. NOT_FOUND: unknown sweep or
// job id.
absl::Status ForEachJob(ReadTransaction& read, const Catalog& catalog, const JobFilter& filter,
                        StateSet also, JobId after,
                        absl::FunctionRef<bool(const JobRow&, const GroupInfo&)> visit);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_JOB_FILTER_H_
