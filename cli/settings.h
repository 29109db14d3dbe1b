// The settings of a sweep's runs as rows to show.
#ifndef COPPICE_CLI_SETTINGS_H_
#define COPPICE_CLI_SETTINGS_H_

#include <map>
#include <string>
#include <vector>

#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// "train.steps" -> value of every setting of a run, without task and depth; numbers with the fewest
// digits that read back equal, "(none)" for an empty text.
std::map<std::string, std::string> SettingsOf(const v1::RunConfig& run);

struct SettingRow {
  std::string path;
  std::string value;
  std::string groups;  // "dyck", "depth 2, 4", "dyck/2, tense/4"; empty: all of them
};

// Every setting by name, once for each value it has among the groups.
std::vector<SettingRow> SettingRows(
    const google::protobuf::RepeatedPtrField<v1::GroupSummary>& groups);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SETTINGS_H_
