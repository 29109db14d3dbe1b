// `coppice-trainer data` writes one split of a generated dataset as a text file.
#ifndef COPPICE_WORKER_TRAINER_DATA_COMMAND_H_
#define COPPICE_WORKER_TRAINER_DATA_COMMAND_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/trainer/config/config.h"

namespace coppice::trainer {

struct DataCommand {
  RunConfig run;       // task and data
  std::string split;   // train, val, test or gen
  std::string out;     // a file, or "-" for standard output
  bool force = false;  // replaces an existing file
};

// Parses the arguments after `data`. nullopt: they asked for help, which was printed.
// INVALID_ARGUMENT names the flag.
absl::StatusOr<std::optional<DataCommand>> ParseDataCommand(int argc, const char* const* argv);

// Writes the split in the format of tasks/directory.h. The rules of common/base/output_file.h hold
// for a file. Codes of MakeDataset and OutputFile.
absl::Status WriteData(const DataCommand& command);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_DATA_COMMAND_H_
