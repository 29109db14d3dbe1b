// The published curves of Murty, Sharma, Andreas and Manning, Grokking of Hierarchical Structure in
// Vanilla Transformers (ACL 2023). A report draws them under its own.
#ifndef COPPICE_CLI_REPORT_PUBLISHED_H_
#define COPPICE_CLI_REPORT_PUBLISHED_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/report/statistics.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

struct PublishedCurve {
  std::string task;
  uint32_t depth = 0;
  std::string metric;             // the trainer's name for it
  std::vector<MeanPoint> points;  // over seeds; steps ascending
};

// Reads CSV with the header task,depth,metric,step,seeds,mean,std,min,max. INVALID_ARGUMENT names
// the line.
absl::StatusOr<std::vector<PublishedCurve>> ParsePublished(absl::string_view csv);

// The curves of cli/report/published_curves.csv, which is compiled in.
const std::vector<PublishedCurve>& PublishedCurves();

// The curve of a task and metric, at any depth; null if none was published.
const PublishedCurve* FindPublished(absl::string_view task, absl::string_view metric);

// Lists how a run's settings differ from the published runs: "d_model 128 (published 512)". Depth,
// steps, and settings that change no result (reports, checkpoints) are not compared.
std::vector<std::string> DifferencesFromPublished(const v1::RunConfig& run);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_PUBLISHED_H_
