// Checks of a selection against its sweep.
#ifndef COPPICE_CLI_SELECTION_H_
#define COPPICE_CLI_SELECTION_H_

#include "absl/status/status.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// NOT_FOUND if no job of the sweep has the tasks, depths and seeds of `filter`; the message lists
// those that the sweep has.
absl::Status CheckGrid(const v1::SweepSpec& spec, const v1::JobFilter& filter);

// Takes out the groups whose points `filter` does not select. Returns whether there were any.
bool KeepPoints(const v1::JobFilter& filter,
                google::protobuf::RepeatedPtrField<v1::GroupSummary>* groups);

// NOT_FOUND if no point of a sweep with axes of its own meets the filter, because the sweep
// excludes them.
absl::Status CheckPoints(const v1::GetSweepResponse& sweep, const v1::JobFilter& filter);

// The same for a single job.
absl::Status CheckJob(const v1::Job& job, const v1::JobFilter& filter);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SELECTION_H_
