#ifndef COPPICE_COORDINATOR_CORE_NAME_CHECK_H_
#define COPPICE_COORDINATOR_CORE_NAME_CHECK_H_

#include <optional>
#include <string>

#include "coordinator/core/command_context.h"
#include "coordinator/core/metric_names.h"

namespace coppice::core {

// Purpose: limits the different metric names of a job and of a sweep (store.h). Each answer about a
// job holds all its names, and 300,000 names from one job once made its sweep unreadable. Owner:
// one Append call, for the records of one lease. Writer thread.
class NameCheck {
 public:
  explicit NameCheck(CommandContext* tx) : tx_(*tx) {}

  // Counts the row's names for the job and its sweep, or sets `error` to the reason why not.
  absl::Status Take(const JobRow& job, const MetricRow& row, std::string& error);

 private:
  // Called only if the sweep has more names than a job may have; otherwise no job can exceed its
  // limit.
  absl::Status TakeForJob(JobId job, const MetricRow& row, std::string& error);

  CommandContext& tx_;
  std::optional<MetricNames::Set> of_job_;  // including this transaction's changes
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_NAME_CHECK_H_
