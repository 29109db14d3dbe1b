// Metrics as a folder that TensorBoard reads: a run for each job.
#ifndef COPPICE_CLI_TENSORBOARD_H_
#define COPPICE_CLI_TENSORBOARD_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/client.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// "id_accuracy" is "accuracy/id" and "val_loss" is "loss/val", so that what is compared stands in
// one group; every other name stays.
std::string TensorBoardTag(absl::string_view metric);

struct TensorBoardExport {
  uint64_t runs = 0;
  uint64_t points = 0;
};

// Writes the visible rows to DIR/<task>/depth-<d>/seed-<s>/events.out.tfevents.<seconds>.<sweep>,
// each file whole or not at all, an older one of the same job replaced. The rows carry no time:
// each event has the job's start (its first grant). Values are float32 there. Equal rows give equal
// files. FAILED_PRECONDITION where a run folder holds events of something else, since TensorBoard
// would draw both as one run; codes of files.h and of Client::GetMetrics.
absl::StatusOr<TensorBoardExport> ExportTensorBoard(Client* client,
                                                    const v1::GetMetricsRequest& request,
                                                    const std::string& directory);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_TENSORBOARD_H_
