// The settings of a run from JSON, as the table knows them (common/settings/table.h).
#ifndef COPPICE_WORKER_TRAINER_SETTINGS_JSON_H_
#define COPPICE_WORKER_TRAINER_SETTINGS_JSON_H_

#include "common/settings/table.h"
#include "nlohmann/json.hpp"
#include "worker/trainer/strict_json.h"

namespace coppice::trainer {

// All settings of the run that `object` describes: what it says, and the defaults of its task. What
// is missing, unknown, of another type, out of its range or does not fit the rest is the object's
// error.
settings::Values ReadRun(StrictObject object, const settings::Table& table);

// In the form that ReadRun reads.
nlohmann::json ToJson(const settings::Values& values);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_SETTINGS_JSON_H_
