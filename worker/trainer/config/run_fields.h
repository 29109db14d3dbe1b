// Maps the settings of the table (common/settings/run_settings.cc) to fields of a RunConfig.
#ifndef COPPICE_WORKER_TRAINER_CONFIG_RUN_FIELDS_H_
#define COPPICE_WORKER_TRAINER_CONFIG_RUN_FIELDS_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/settings/table.h"
#include "worker/trainer/config/config.h"

namespace coppice::trainer {

using Field = std::variant<int64_t*, uint64_t*, double*, std::string*, Task*, settings::Precision*>;

struct RunField {
  const char* path;
  Field (*of)(RunConfig& run);
};

// One field for each setting that a trainer reads.
const std::vector<RunField>& RunFields();

// Sets the fields whose settings are in `values`. The values must be in their ranges.
void SetFields(const settings::Values& values, RunConfig* run);
// The values of all fields.
settings::Values ValuesOf(const RunConfig& run);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CONFIG_RUN_FIELDS_H_
