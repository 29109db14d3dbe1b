// The settings of a run, read from JSON by the table's rules (common/settings/table.h).
#ifndef COPPICE_WORKER_TRAINER_CONFIG_SETTINGS_JSON_H_
#define COPPICE_WORKER_TRAINER_CONFIG_SETTINGS_JSON_H_

#include "common/settings/table.h"
#include "nlohmann/json.hpp"
#include "worker/trainer/config/strict_json.h"

namespace coppice::trainer {

// All settings of the run that `object` describes: its own, and defaults of its task for all
// others. A value that is missing, unknown, of a wrong type, out of its range or in conflict with
// another one becomes the object's error.
settings::Values ReadRun(StrictObject object, const settings::Table& table);

// Writes the format that ReadRun reads.
nlohmann::json ToJson(const settings::Values& values);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CONFIG_SETTINGS_JSON_H_
