#ifndef COPPICE_COORDINATOR_STORE_POOL_JSON_H_
#define COPPICE_COORDINATOR_STORE_POOL_JSON_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/pools/pool.h"

namespace coppice::store {

// The settings of a pool, without its name, as JSON; and back. A setting that is missing has its
// default, so that an older row can be read. INTERNAL: not such JSON, or an unknown setting.
std::string SettingsToJson(const pools::PoolSpec& spec);
absl::Status SettingsFromJson(const std::string& json, pools::PoolSpec* spec);

std::string ExcludedToJson(const std::vector<pools::ExcludedNode>& nodes);
absl::Status ExcludedFromJson(const std::string& json, std::vector<pools::ExcludedNode>* nodes);

std::string SweepUseToJson(const std::vector<pools::SweepUse>& uses);
absl::Status SweepUseFromJson(const std::string& json, std::vector<pools::SweepUse>* uses);

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_POOL_JSON_H_
