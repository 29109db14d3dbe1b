// The values of settings as a spec writes them: single ones, ranges, points between two ends.
// Internal to the spec reader.
#ifndef COPPICE_CLI_AXIS_VALUES_H_
#define COPPICE_CLI_AXIS_VALUES_H_

#include <yaml-cpp/yaml.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/yaml_notes.h"
#include "common/settings/setting.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::cli {

enum class ValueKind {
  kWhole,
  kNumber,
  kAnyNumber,  // whole where it is written so: a number of a program
  kWord,
  kTrueFalse,
};

// A setting, and the kind of its values.
struct SettingForm {
  std::string name;  // the path of a run's setting, or a name in program.settings
  ValueKind kind = ValueKind::kWord;
  bool of_program = false;
};

// The settings that the axes of a spec may set.
class SettingForms {
 public:
  // `program`: the spec's, or null.
  explicit SettingForms(const v1::Program* program);

  const SettingForm* Find(const std::string& name) const;
  // The first names of the paths of settings that lie deeper: "train".
  bool IsGroup(const std::string& name) const;
  std::vector<std::string> Names() const;

 private:
  std::map<std::string, SettingForm> forms_;
};

struct AxisScalar {
  std::string name;  // canonical: "3e-4" for 0.0003
  settings::Value value;
  std::string json;  // as a program's setting
};

// Reads one entry of an axis, which may be a range ("0-2") or points ("1e-5..1e-2 log 4"), and
// appends its values. False: it was a mistake.
bool ReadAxisScalars(const YAML::Node& node, const std::string& path, const SettingForm& form,
                     YamlNotes* notes, std::vector<AxisScalar>* values);

// Reads a single value of a setting.
std::optional<AxisScalar> ReadSettingValue(const YAML::Node& node, const std::string& path,
                                           const SettingForm& form, YamlNotes* notes);

// Reads a value that gives a program's setting its default, and so its kind.
std::optional<AxisScalar> ReadDefault(const YAML::Node& node, const std::string& path,
                                      YamlNotes* notes);

// Sets a run's setting in a message that has the fields of v1::SweepSpec.
void SetRunSetting(const std::string& path, const AxisScalar& scalar,
                   google::protobuf::Message* message);
void SetSetting(const SettingForm& form, const AxisScalar& scalar, v1::AxisSettings* settings);
// Whether the settings hold one for this path of a run or this name of a program.
bool SetsSetting(const v1::AxisSettings& settings, const std::string& name);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_AXIS_VALUES_H_
