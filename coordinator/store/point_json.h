#ifndef COPPICE_COORDINATOR_STORE_POINT_JSON_H_
#define COPPICE_COORDINATOR_STORE_POINT_JSON_H_

#include <string>

#include "absl/status/status.h"
#include "coordinator/core/types.h"

namespace coppice::store {

// A point as JSON [["axis","value"],...], and back. No coordinates are "". INTERNAL: not such JSON.
std::string PointToJson(const core::Point& point);
absl::Status PointFromJson(const std::string& json, core::Point* point);

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_POINT_JSON_H_
