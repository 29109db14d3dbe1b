// From stored rows to what callers see.
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

// With what running jobs have done since their last report. ETA: see eta.h.
SweepSummary MakeSummary(const SweepRow& sweep, const std::vector<GroupRow>& groups,
                         const LeaseTable& leases);
std::vector<GroupSummary> MakeGroups(const std::vector<GroupRow>& groups, const LeaseTable& leases);
absl::StatusOr<SweepSummary> ReadSummary(ReadTransaction& read, SweepId id,
                                         const LeaseTable& leases);

// `latest` is left empty.
Job MakeJob(const JobRow& row, const Catalog& catalog, const LeaseTable& leases);

Attempt MakeAttempt(const AttemptRow& row);
// Nothing was trained under the lease, only measured for example: people do not count it.
bool IsUntrained(const AttemptRow& row);
Worker MakeWorker(const WorkerEntry& entry, const Memory& memory, absl::Duration now);
bool IsConnected(const WorkerEntry& entry, absl::Duration term, absl::Duration now);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_VIEWS_H_
