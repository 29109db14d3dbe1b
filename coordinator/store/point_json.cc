#include "coordinator/store/point_json.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace coppice::store {

std::string PointToJson(const core::Point& point) {
  if (point.empty()) return "";
  nlohmann::json list = nlohmann::json::array();
  for (const core::Coordinate& coordinate : point)
    list.push_back({coordinate.axis, coordinate.value});
  return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::Status PointFromJson(const std::string& json, core::Point* point) {
  point->clear();
  if (json.empty()) return absl::OkStatus();
  try {
    for (const nlohmann::json& pair : nlohmann::json::parse(json)) {
      if (!pair.is_array() || pair.size() != 2)
        return absl::InternalError("the database has a point that this version cannot read");
      point->push_back({pair[0].get<std::string>(), pair[1].get<std::string>()});
    }
    return absl::OkStatus();
  } catch (const nlohmann::json::exception& error) {
    return absl::InternalError(
        absl::StrCat("the database has a point that this version cannot read: ", error.what()));
  }
}

}  // namespace coppice::store
