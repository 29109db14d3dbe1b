// Shared by the files of this library alone.
#ifndef COPPICE_COMMON_SPEC_INTERNAL_H_
#define COPPICE_COMMON_SPEC_INTERNAL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/spec/spec.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::spec {

// Every setting of `task` as in the paper (Murty et al. 2023) and its released code; no depth.
v1::RunConfig PaperDefaults(const std::string& task);

// Whether an override covers the group.
bool Applies(const v1::Where& where, const std::string& task, uint32_t depth);

// Where a group's value of a setting ("train.steps") comes from, as a user wrote it: "train.steps",
// "overrides[2].train.steps", or "" for a default.
std::string SettingPath(const v1::SweepSpec& spec, const std::string& task, uint32_t depth,
                        const std::string& setting);

// " (dyck/2, dyck/4)", or "" where `groups` are all there are.
std::string GroupsText(std::vector<std::string> groups, size_t all);

// A value for a message: in quotes, escaped, cut where it is long (a message may travel in an RPC's trailer).
std::string Quoted(absl::string_view value);

// Appends what is out of range in the settings that are set. `prefix` is empty or ends in a dot.
void ValidateSettings(const v1::SweepSpec& spec, std::vector<Problem>* problems);
void ValidateSettings(const v1::Override& change, const std::string& prefix,
                      std::vector<Problem>* problems);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_INTERNAL_H_
