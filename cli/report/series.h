// The input of a report, as the coordinator provides it.
#ifndef COPPICE_CLI_REPORT_SERIES_H_
#define COPPICE_CLI_REPORT_SERIES_H_

#include <array>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/client.h"
#include "cli/report/statistics.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// The metrics a report shows.
enum Metric {
  kIdAccuracy,
  kGenAccuracy,
  kWeightNorm,
  kWeightNormPerLayer,  // weight_norm / depth if the run did not report it
  kAttentionSparsity,
  kTScore,
  kTParseval,
  kRightBranching,
  kTrainLoss,
  kValLoss,
  kMetricCount
};
// The trainer's name for it: "id_accuracy".
const char* MetricName(Metric metric);

struct JobSeries {
  v1::Job job;
  std::array<Curve, kMetricCount> curves;
  std::string provenance;  // JSON of the last attempt that has one; empty: none
};

struct SweepSeries {
  v1::GetSweepResponse sweep;
  std::vector<JobSeries> jobs;  // by task in the spec's order, then depth, then seed
  uint64_t not_finite = 0;      // number of NaN or infinite values that were left out
};

// Fetches everything: the sweep, its jobs, the metrics above, and the provenance of each job that
// had an attempt. Needs 16 bytes a value (43 MB for 2,000 jobs of 134 reports). Codes as of Client.
absl::StatusOr<SweepSeries> CollectSeries(Client* client, const std::string& sweep);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_SERIES_H_
