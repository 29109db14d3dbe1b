// Private to the files of this library.
#ifndef COPPICE_COMMON_SPEC_INTERNAL_H_
#define COPPICE_COMMON_SPEC_INTERNAL_H_

#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/settings/table.h"
#include "common/spec/spec.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::spec {

// The defaults of `task`, for every setting that has one. The depth is not set.
v1::RunConfig DefaultRun(const std::string& task);

// Whether an override covers the group.
bool Applies(const v1::Where& where, const std::string& task, uint32_t depth);

// The place in the spec that gives a group its value of a setting ("train.steps"), as a user wrote
// it: "train.steps", "overrides[2].train.steps", or "" for a default.
std::string SettingPath(const v1::SweepSpec& spec, const std::string& task, uint32_t depth,
                        const std::string& setting);

// " (dyck/2, dyck/4)", or "" if `groups` are all the groups of the sweep.
std::string GroupsText(std::vector<std::string> groups, size_t all);

// The settings that a message sets. It must have the fields of v1::RunConfig, v1::SweepSpec or
// v1::Override.
settings::Values ValuesOf(const google::protobuf::Message& message, const settings::Table& table);

// Whether such a message sets the setting.
bool Sets(const google::protobuf::Message& message, const std::string& setting);

// Appends the problems of such a message's individual settings, in the table's order. `prefix` is
// empty or ends in a dot.
void ValidateSettings(const google::protobuf::Message& message, const std::string& prefix,
                      const settings::Table& table, std::vector<Problem>* problems);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_INTERNAL_H_
