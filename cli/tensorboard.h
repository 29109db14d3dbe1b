// Exports metrics as a folder for TensorBoard, with a run for each job.
#ifndef COPPICE_CLI_TENSORBOARD_H_
#define COPPICE_CLI_TENSORBOARD_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/client.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// "id_accuracy" becomes "accuracy/id" and "val_loss" becomes "loss/val", so that metrics to compare
// are in one group. Other names stay.
std::string TensorBoardTag(absl::string_view metric);

struct TensorBoardExport {
  uint64_t runs = 0;
  uint64_t points = 0;
};

// Writes the visible rows to DIR/<task>/depth-<d>/seed-<s>/events.out.tfevents.<seconds>.<sweep>.
// A sweep with axes of its own has DIR/<axis>=<value>/.../seed=<s>/ instead, and each run begins
// with its values as hyperparameters. Each file appears whole or not at all, and replaces an older
// one of the same job. The rows carry no time, so each event has the job's start (its first grant).
// Values are float32. Equal rows give equal files. FAILED_PRECONDITION if a run folder holds other
// events, since TensorBoard would draw both as one run; otherwise the codes of files.h and of
// Client::GetMetrics.
absl::StatusOr<TensorBoardExport> ExportTensorBoard(Client* client,
                                                    const v1::GetMetricsRequest& request,
                                                    const std::string& directory);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_TENSORBOARD_H_
