// Turns stored rows into the values that callers see.
#ifndef COPPICE_COORDINATOR_CORE_VIEWS_H_
#define COPPICE_COORDINATOR_CORE_VIEWS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/catalog.h"
#include "coordinator/core/lease_table.h"
#include "coordinator/core/memory.h"
#include "coordinator/core/store.h"
#include "coordinator/core/worker_table.h"

namespace coppice::core {

// The summaries include the steps of running jobs since their last report. ETA: see eta.h.
SweepSummary MakeSummary(const SweepRow& sweep, const std::vector<GroupRow>& groups,
                         const LeaseTable& leases);
// One summary for each point, which may have several groups. Their settings come from the catalog:
// the rows may be without them.
std::vector<GroupSummary> MakeGroups(const std::vector<GroupRow>& groups, const Catalog& catalog,
                                     const LeaseTable& leases);
absl::StatusOr<SweepSummary> ReadSummary(ReadTransaction& read, SweepId id,
                                         const LeaseTable& leases);

// Leaves `latest` empty.
Job MakeJob(const JobRow& row, const Catalog& catalog, const LeaseTable& leases);

Attempt MakeAttempt(const AttemptRow& row);
// True if nothing was trained under the lease, for example if it only measured. People do not count
// such an attempt.
bool IsUntrained(const AttemptRow& row);
// A worker that holds nothing and was not heard of for so long has departed without a goodbye.
inline constexpr absl::Duration kDepartedAfter = absl::Hours(1);
Worker MakeWorker(const WorkerEntry& entry, const Memory& memory, absl::Duration now,
                  int64_t now_ms);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_VIEWS_H_
