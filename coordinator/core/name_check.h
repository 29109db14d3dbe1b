#ifndef COPPICE_COORDINATOR_CORE_NAME_CHECK_H_
#define COPPICE_COORDINATOR_CORE_NAME_CHECK_H_

#include <optional>
#include <string>

#include "coordinator/core/command_context.h"
#include "coordinator/core/metric_names.h"

namespace coppice::core {

// Purpose: an end to the different metric names of a job and of a sweep (store.h): each answer
// about a job holds them all, and 300,000 names from one job once made its sweep unreadable. Owner:
// an Append, for the records of one lease. Writer thread.
class NameCheck {
 public:
  explicit NameCheck(CommandContext* tx) : tx_(*tx) {}

  // Counts the row's names as the job's and its sweep's, or says in `error` why not.
  absl::Status Take(const JobRow& job, const MetricRow& row, std::string& error);

 private:
  // Only where the sweep has more names than a job may have; otherwise no job can.
  absl::Status TakeForJob(JobId job, const MetricRow& row, std::string& error);

  CommandContext& tx_;
  std::optional<MetricNames::Set> of_job_;  // as this transaction leaves them
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_NAME_CHECK_H_
