// Private to the files of this library.
#ifndef COPPICE_COMMON_SPEC_INTERNAL_H_
#define COPPICE_COMMON_SPEC_INTERNAL_H_

#include <google/protobuf/message.h>

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/settings/table.h"
#include "common/spec/spec.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::spec {

// The defaults of `task`, for every setting that has one. The depth is not set.
v1::RunConfig DefaultRun(const std::string& task);

// " (dyck/2, dyck/4)", or "" if `groups` are all the groups of the sweep.
std::string GroupsText(std::vector<std::string> groups, size_t all);

// A setting by its place in the table of this project. `message` is a v1::RunConfig, v1::SweepSpec,
// v1::Override or v1::AxisSettings. nullopt: the message does not set it.
std::optional<settings::Value> ValueIn(const google::protobuf::Message& message, size_t setting);
void SetValueIn(size_t setting, const settings::Value& value, v1::RunConfig* run);

// Sets the settings of a run that a JSON object holds. False: it holds something else, or a value
// of another type; some settings may be set then.
bool SetValuesFromJson(const nlohmann::json& json, v1::RunConfig* run);

// The settings that a message sets. It must have the fields of one of those, for the settings of
// the table.
settings::Values ValuesOf(const google::protobuf::Message& message,
                          const settings::Table& table = settings::RunSettings());

// Appends the problems of such a message's individual settings, in the table's order. `prefix` is
// empty or ends in a dot.
void ValidateSettings(const google::protobuf::Message& message, const std::string& prefix,
                      const settings::Table& table, std::vector<Problem>* problems);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_INTERNAL_H_
