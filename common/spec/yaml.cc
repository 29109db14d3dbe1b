#include "common/spec/yaml.h"

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/spec/axes.h"
#include "common/spec/internal.h"
#include "common/spec/yaml_scalars.h"

namespace coppice::spec {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Entries = std::vector<std::string>;

template <typename List>
Entries Words(const List& list) {
  Entries words;
  words.reserve(static_cast<size_t>(list.size()));
  for (const std::string& word : list) words.push_back(YamlWord(word));
  return words;
}

template <typename List>
Entries Numbers(const List& list) {
  Entries numbers;
  numbers.reserve(static_cast<size_t>(list.size()));
  for (const auto number : list) numbers.push_back(absl::StrCat(number));
  return numbers;
}

// The settings in a group of them (ModelSpec, ReportSpec, ...): "every: 300",
// "probes: {sentences: 200}". With `prefix`, as paths: "model.d_model: 128".
Entries GroupEntries(const Message& group, const std::string& prefix = "") {
  const auto& reflection = *group.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(group, &fields);
  Entries entries;
  for (const FieldDescriptor* field : fields) {
    const std::string name = prefix + field->name();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const Message& inner = reflection.GetMessage(group, field);
      if (!prefix.empty()) {
        for (std::string& entry : GroupEntries(inner, absl::StrCat(name, ".")))
          entries.push_back(std::move(entry));
      } else {
        entries.push_back(absl::StrCat(name, ": {", absl::StrJoin(GroupEntries(inner), ", "), "}"));
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
      entries.push_back(absl::StrCat(name, ": ", YamlValue(reflection.GetDouble(group, field))));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      entries.push_back(absl::StrCat(name, ": ", YamlWord(reflection.GetString(group, field))));
    } else {
      entries.push_back(absl::StrCat(name, ": ", reflection.GetUInt32(group, field)));
    }
  }
  return entries;
}

template <typename ProgramSettings>
Entries ProgramEntries(const ProgramSettings& settings) {
  Entries entries;
  entries.reserve(static_cast<size_t>(settings.size()));
  for (const v1::ProgramSetting& setting : settings)
    entries.push_back(
        absl::StrCat(YamlWord(setting.name()), ": ", YamlProgramValue(setting.value())));
  return entries;
}

// The settings of one value of an axis of the user's own.
Entries AxisEntries(const v1::AxisSettings& settings) {
  const auto& reflection = *settings.GetReflection();
  Entries entries;
  if (settings.has_task()) entries.push_back(absl::StrCat("task: ", YamlWord(settings.task())));
  if (settings.has_depth()) entries.push_back(absl::StrCat("depth: ", settings.depth()));
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(settings, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_repeated() || field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const Message& group = reflection.GetMessage(settings, field);
    for (std::string& entry : GroupEntries(group, absl::StrCat(field->name(), ".")))
      entries.push_back(std::move(entry));
  }
  for (std::string& entry : ProgramEntries(settings.program())) entries.push_back(std::move(entry));
  return entries;
}

// Writes one spec. Not thread-safe.
class YamlWriter {
 public:
  explicit YamlWriter(const v1::SweepSpec& spec) : spec_(spec), axes_(AxesOf(spec)) {}

  std::string Write() {
    lines_.Line(0, absl::StrCat("name: ", YamlWord(spec_.name())));
    if (!spec_.tags().empty()) lines_.List(0, "tags", Words(spec_.tags()));
    WriteGrid();
    if (spec_.has_program()) WriteProgram(spec_.program());
    for (const v1::Exclude& exclude : spec_.exclude()) {
      if (&exclude == &spec_.exclude(0)) lines_.Line(0, "exclude:");
      lines_.MapItem(2, Conditions(exclude.where()));
    }
    std::vector<Part> parts;
    AddGroups(spec_, &parts);
    for (const Part& part : parts) lines_.Map(0, part.head, part.entries);
    for (const v1::Override& change : spec_.overrides()) {
      if (&change == &spec_.overrides(0)) lines_.Line(0, "overrides:");
      WriteOverride(change);
    }
    if (spec_.has_priority()) lines_.Line(0, absl::StrCat("priority: ", spec_.priority()));
    if (spec_.has_max_failures())
      lines_.Line(0, absl::StrCat("max_failures: ", spec_.max_failures()));
    return lines_.text();
  }

 private:
  void WriteGrid() {
    const Entries seeds = WithRanges(Numbers(spec_.seeds()));
    if (IsClassic(spec_)) {
      lines_.List(0, "tasks", Words(spec_.tasks()));
      lines_.List(0, "depths", Numbers(spec_.depths()));
    }
    if (spec_.axes().empty()) return lines_.List(0, "seeds", seeds);
    lines_.Line(0, "axes:");
    for (const v1::Axis& axis : spec_.axes()) WriteAxis(axis);
    lines_.List(2, "seed", seeds);
  }

  void WriteAxis(const v1::Axis& axis) {
    if (IsSettingAxis(spec_, axis.name())) {
      Entries values;
      values.reserve(static_cast<size_t>(axis.values_size()));
      for (const v1::AxisValue& value : axis.values()) values.push_back(ValueOf(axis, value));
      return lines_.List(2, YamlWord(axis.name()), Ranged(axis, values));
    }
    lines_.Line(2, absl::StrCat(YamlWord(axis.name()), ":"));
    for (const v1::AxisValue& value : axis.values())
      lines_.Map(4, YamlWord(value.name()), AxisEntries(value.settings()));
  }

  // The value of an axis that varies one setting.
  static std::string ValueOf(const v1::Axis& axis, const v1::AxisValue& value) {
    if (!value.settings().program().empty())
      return YamlProgramValue(value.settings().program(0).value());
    const settings::Values given = ValuesOf(value.settings());
    const settings::Value* own = given.Find(axis.name());
    return own == nullptr ? YamlWord(value.name()) : YamlValue(*own);
  }

  // Only whole numbers have ranges.
  static Entries Ranged(const v1::Axis& axis, const Entries& values) {
    const settings::Setting* setting = settings::RunSettings().Find(axis.name());
    const bool whole =
        setting == nullptr || std::holds_alternative<settings::IntegerRange>(setting->range);
    return whole ? WithRanges(values) : values;
  }

  // The values of an axis that a condition names.
  template <typename Names>
  Entries ConditionValues(const std::string& name, const Names& names) const {
    const v1::Axis* axis = FindAxis(axes_, name);
    if (axis == nullptr || !IsSettingAxis(spec_, name)) return Words(names);
    Entries values;
    values.reserve(static_cast<size_t>(names.size()));
    for (const std::string& wanted : names) {
      const auto found = absl::c_find_if(
          axis->values(), [&](const v1::AxisValue& value) { return value.name() == wanted; });
      values.push_back(found == axis->values().end() ? YamlWord(wanted) : ValueOf(*axis, *found));
    }
    return Ranged(*axis, values);
  }

  template <typename List>
  Entries Conditions(const List& conditions) const {
    Entries entries;
    entries.reserve(static_cast<size_t>(conditions.size()));
    for (const v1::AxisCondition& condition : conditions) {
      entries.push_back(
          absl::StrCat(YamlWord(condition.axis()), ": ",
                       YamlInlineList(ConditionValues(condition.axis(), condition.values()))));
    }
    return entries;
  }

  // A line of block style.
  struct Part {
    std::string head;
    Entries entries;
  };

  // The groups of settings (model, train, ...) of a spec or an override.
  static void AddGroups(const Message& message, std::vector<Part>* parts) {
    const auto& reflection = *message.GetReflection();
    for (const char* name : {"model", "train", "data", "report", "checkpoint"}) {
      const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
      if (!reflection.HasField(message, field)) continue;
      parts->push_back({name, GroupEntries(reflection.GetMessage(message, field))});
    }
  }

  void WriteOverride(const v1::Override& change) {
    std::vector<Part> parts;
    if (change.has_where()) {
      const v1::Where& where = change.where();
      Entries conditions;
      if (!where.task().empty())
        conditions.push_back(absl::StrCat("task: ", YamlInlineList(Words(where.task()))));
      if (!where.depth().empty())
        conditions.push_back(absl::StrCat("depth: ", YamlInlineList(Numbers(where.depth()))));
      for (std::string& entry : Conditions(where.axes())) conditions.push_back(std::move(entry));
      parts.push_back({"where", std::move(conditions)});
    }
    if (!change.settings().empty())
      parts.push_back({"settings", ProgramEntries(change.settings())});
    AddGroups(change, &parts);
    for (size_t i = 0; i < parts.size(); ++i) {
      const bool first = i == 0;
      lines_.Map(first ? 2 : 4, absl::StrCat(first ? "- " : "", parts[i].head), parts[i].entries);
    }
  }

  void WriteProgram(const v1::Program& program) {
    lines_.Line(0, "program:");
    Entries command;
    command.reserve(static_cast<size_t>(program.command_size()));
    for (const std::string& word : program.command()) command.push_back(YamlWordOrDigits(word));
    lines_.List(2, "command", command);
    lines_.Line(2, absl::StrCat("directory: ", YamlWord(program.directory())));
    Entries environment;
    environment.reserve(static_cast<size_t>(program.environment_size()));
    for (const v1::EnvironmentVariable& variable : program.environment())
      environment.push_back(
          absl::StrCat(YamlWord(variable.name()), ": ", YamlWordOrDigits(variable.value())));
    if (!environment.empty()) lines_.Map(2, "environment", environment);
    if (!program.settings().empty()) lines_.Map(2, "settings", ProgramEntries(program.settings()));
    if (program.has_pack()) lines_.Line(2, absl::StrCat("pack: ", program.pack()));
    if (!program.primary().empty()) {
      lines_.Map(2, "metrics",
                 {absl::StrCat("primary: ", YamlInlineList(Words(program.primary())))});
    }
    if (program.has_time_limit())
      lines_.Line(2, absl::StrCat("time_limit: ", Span(program.time_limit())));
    Entries resources;
    if (program.has_gpus()) resources.push_back(absl::StrCat("gpus: ", program.gpus()));
    if (program.has_threads()) resources.push_back(absl::StrCat("threads: ", program.threads()));
    if (!resources.empty()) lines_.Map(2, "resources", resources);
  }

  // "1h30m"
  static std::string Span(uint32_t seconds) {
    std::string text;
    for (const auto& [unit, name] : {std::pair<uint32_t, const char*>(3'600, "h"), {60, "m"}}) {
      if (seconds >= unit) absl::StrAppend(&text, seconds / unit, name);
      seconds %= unit;
    }
    if (seconds > 0 || text.empty()) absl::StrAppend(&text, seconds, "s");
    return text;
  }

  const v1::SweepSpec& spec_;
  const std::vector<v1::Axis> axes_;
  YamlLines lines_;
};

}  // namespace

std::string ToYaml(const v1::SweepSpec& spec) { return YamlWriter(spec).Write(); }

}  // namespace coppice::spec
