// What a selection finds in its sweep.
#ifndef COPPICE_CLI_SELECTION_H_
#define COPPICE_CLI_SELECTION_H_

#include "absl/status/status.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// NOT_FOUND where no job of the sweep has the tasks, depths and seeds that `filter` asks for; says
// which the sweep has.
absl::Status CheckGrid(const v1::SweepSpec& spec, const v1::JobFilter& filter);

// The same for a single job.
absl::Status CheckJob(const v1::Job& job, const v1::JobFilter& filter);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SELECTION_H_
