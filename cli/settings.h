// The settings of a sweep's runs as rows.
#ifndef COPPICE_CLI_SETTINGS_H_
#define COPPICE_CLI_SETTINGS_H_

#include <map>
#include <string>
#include <vector>

#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// Maps the name of every setting of a run ("train.steps") to its value, without task and depth.
// Numbers have the fewest digits that read back equal; an empty text is "(none)".
std::map<std::string, std::string> SettingsOf(const v1::RunConfig& run);

struct SettingRow {
  std::string path;
  std::string value;
  std::string groups;  // "dyck", "depth 2, 4", "dyck/2, tense/4", "size=small"; empty: all
};

// Returns every setting by name, with a row for each value that it has among the groups.
std::vector<SettingRow> SettingRows(
    const google::protobuf::RepeatedPtrField<v1::GroupSummary>& groups);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SETTINGS_H_
