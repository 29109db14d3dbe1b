// Reads the grid of a spec: its axes, what it excludes, the conditions of its overrides. Internal
// to the spec reader.
#ifndef COPPICE_CLI_AXES_READER_H_
#define COPPICE_CLI_AXES_READER_H_

#include <yaml-cpp/yaml.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cli/axis_values.h"
#include "cli/yaml_message.h"
#include "cli/yaml_notes.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::cli {

inline constexpr size_t kMaxAxisEntries = 20'000;

// Made when the spec's other fields have been read: tasks, depths, seeds and the program decide
// what an axis may be. Not thread-safe.
class AxesReader {
 public:
  // All must outlive the reader.
  AxesReader(YamlMessageReader* fields, YamlNotes* notes, v1::SweepSpec* spec);

  // The entries of `axes:`.
  void ReadAxes(const YAML::Node& node);
  // An axis of the command line, `values` a list. It replaces an axis of the spec, or becomes the
  // innermost. Of a named axis of the spec, it chooses values.
  void ReplaceAxis(const std::string& name, const YAML::Node& values, const std::string& flag);
  // The same, but the axis keeps its values, and gets those that it does not have.
  void AddToAxis(const std::string& name, const YAML::Node& values, const std::string& flag);
  // Puts the axes into the spec in canonical form: task, depth and nothing else are its lists
  // `tasks` and `depths`; otherwise all are its `axes`.
  void Finish();

  // These come after Finish.
  void ReadExclude(const YAML::Node& node);
  void ReadWhere(const YAML::Node& node, const std::string& path, v1::Where* where);
  // The axis that sets a setting; empty: none.
  std::string AxisThatSets(const std::string& setting) const;
  const SettingForms& forms() const { return forms_; }

 private:
  struct Entry {
    std::string name;
    YAML::Node value;
    std::string flag;
    std::vector<std::string> chosen;  // of a named axis; empty: all
    bool grows = false;               // values that it already has are no mistake
  };
  struct Parsed {
    v1::Axis axis;
    bool is_list = false;  // from `tasks` or `depths`
  };

  bool CheckName(const YAML::Node& key);
  void Parse(const Entry& entry);
  void ParseSeeds(const Entry& entry);
  void ParseScalars(const Entry& entry, const SettingForm& form);
  void AddScalar(const YAML::Node& item, const SettingForm& form, const AxisScalar& scalar,
                 v1::Axis* axis);
  void ParseNamed(const Entry& entry);
  void ParseNamedValue(const YAML::Node& key, const YAML::Node& node, Parsed* parsed);
  void ParseSettings(const YAML::Node& node, const std::string& prefix, const std::string& path,
                     std::set<std::string>* seen, Parsed* parsed);
  void ParseSetting(const YAML::Node& key, const YAML::Node& node, const SettingForm& form,
                    const std::string& path, Parsed* parsed);
  void NoSetting(const Entry& entry);
  void Choose(const Entry& entry, Parsed* parsed);
  void AddShorthand(std::vector<Parsed>* all) const;
  void SharePlaces(const v1::Axis& axis, bool is_list);
  bool IsShorthand(const std::string& name) const;
  void ReadExcluded(const YAML::Node& item, const std::string& path, v1::Exclude* exclude);
  void ReadCondition(const YAML::Node& key, const YAML::Node& node, const std::string& path,
                     google::protobuf::RepeatedPtrField<v1::AxisCondition>* conditions);
  const v1::Axis* FindAxis(const std::string& name) const;
  std::vector<std::string> AxisNames() const;

  YamlMessageReader& fields_;
  YamlNotes& notes_;
  v1::SweepSpec& spec_;
  const SettingForms forms_;
  std::vector<Entry> entries_;
  std::vector<Parsed> parsed_;  // in the order of the grid, after Finish
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_AXES_READER_H_
