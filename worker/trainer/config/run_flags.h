// The command-line flags that describe a run.
#ifndef COPPICE_WORKER_TRAINER_CONFIG_RUN_FLAGS_H_
#define COPPICE_WORKER_TRAINER_CONFIG_RUN_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/settings/table.h"
#include "nlohmann/json.hpp"

namespace coppice::trainer {

// A flag and the place in the run spec that it fills. The reader of the spec checks values.
struct RunFlag {
  std::string name;     // "--batch-size"
  std::string pointer;  // "/run/train/batch_size"
  bool is_number = false;
  std::string help;
};

// One flag for each setting that has a flag, in the table's order.
std::vector<RunFlag> FlagsOf(const settings::Table& table);

// "training split (default 100000, dyck 200000; 1 to 20000000 sentences)".
std::string FlagHelp(const settings::Setting& setting);

// INVALID_ARGUMENT: the text is not the number that the flag needs.
absl::StatusOr<nlohmann::json> FlagValue(const RunFlag& flag, const std::string& text);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CONFIG_RUN_FLAGS_H_
