#include "cli/spec_tree.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/axes_reader.h"
#include "cli/key_advice.h"
#include "cli/program_reader.h"
#include "cli/yaml_message.h"

namespace coppice::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// The parts of a tree that have their own readers. They are read last, since the rest decides what
// they may hold.
struct Parts {
  template <typename T>
  struct Part {
    YAML::Node node;
    std::string path;
    T* message;
  };
  std::vector<Part<v1::SweepSpec>> axes;
  std::vector<Part<v1::SweepSpec>> exclude;
  std::vector<Part<v1::SweepSpec>> program;
  std::vector<Part<v1::Override>> where;
  std::vector<Part<v1::Override>> settings;

  bool Take(const YAML::Node& node, const std::string& path, const FieldDescriptor& field,
            Message* message) {
    const auto take = [&](auto* parts, auto* of) {
      parts->push_back({node, path, of});
      return true;
    };
    if (field.containing_type() == v1::SweepSpec::descriptor()) {
      auto* spec = static_cast<v1::SweepSpec*>(message);
      switch (field.number()) {
        case v1::SweepSpec::kAxesFieldNumber:
          return take(&axes, spec);
        case v1::SweepSpec::kExcludeFieldNumber:
          return take(&exclude, spec);
        case v1::SweepSpec::kProgramFieldNumber:
          return take(&program, spec);
        default:
          return false;
      }
    }
    if (field.containing_type() != v1::Override::descriptor()) return false;
    auto* change = static_cast<v1::Override*>(message);
    if (field.number() == v1::Override::kWhereFieldNumber) return take(&where, change);
    return field.number() == v1::Override::kSettingsFieldNumber && take(&settings, change);
  }
};

// "train.steps=2000" in two; false: it has another form.
bool SplitFlag(const std::string& flag, const std::string& text, const char* example,
               std::pair<std::string, std::string>* parts, YamlNotes* notes) {
  *parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
  notes->SetFlag(absl::StrCat(flag, " ", parts->first));
  if (!parts->first.empty() && !parts->second.empty()) return true;
  notes->SetFlag(flag);
  notes->Add(YAML::Node(), "",
             absl::StrCat(Quote(text), " is no assignment; use for example ", flag, " ", example));
  return false;
}

class TreeReader {
 public:
  TreeReader(YamlNotes* notes, v1::SweepSpec* spec)
      : notes_(*notes),
        spec_(*spec),
        fields_(notes, [this](const YAML::Node& node, const std::string& path,
                              const FieldDescriptor& field, Message* message) {
          return parts_.Take(node, path, field, message);
        }) {}

  void Read(const YAML::Node& root, const SpecChanges& changes) {
    fields_.Read(root, &spec_);
    if (spec_.name().empty()) spec_.set_name(changes.default_name);
    for (const auto& part : parts_.program)
      ReadProgram(part.node, &fields_, &notes_, part.message->mutable_program());
    ReadSets(changes.set);
    AxesReader axes(&fields_, &notes_, &spec_);
    for (const auto& part : parts_.axes) axes.ReadAxes(part.node);
    ReadAxisFlags(changes.axis, changes.add_values, &axes);
    axes.Finish();
    for (const auto& part : parts_.exclude) axes.ReadExclude(part.node);
    for (const auto& part : parts_.where)
      axes.ReadWhere(part.node, part.path, part.message->mutable_where());
    for (const auto& part : parts_.settings)
      ReadProgramChanges(part.node, part.path, axes.forms(), &notes_, part.message);
    for (const auto& [flag, setting] : set_) {
      const std::string axis = axes.AxisThatSets(setting);
      if (axis.empty()) continue;
      notes_.SetFlag(flag);
      notes_.Add(YAML::Node(), setting,
                 absl::StrCat("is set by the axis ", axis, "; change the axis with --axis ", axis,
                              "=VALUE,VALUE"));
    }
    notes_.SetFlag("");
  }

 private:
  void ReadSets(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      std::pair<std::string, std::string> parts;
      if (SplitFlag("--set", text, "train.steps=2000", &parts, &notes_))
        ReadSet(parts.first, YAML::Node(parts.second));
      notes_.SetFlag("");
    }
  }

  void ReadSet(const std::string& name, const YAML::Node& value) {
    const SettingForms forms(spec_.has_program() ? &spec_.program() : nullptr);
    const std::string setting = name.rfind("program.settings.", 0) == 0 ? name.substr(17) : name;
    const SettingForm* form = forms.Find(setting);
    if (name == "name" || name == "priority" || name == "max_failures") {
      fields_.ReadField(value, name, *spec_.GetDescriptor()->FindFieldByName(name), &spec_);
    } else if (name == "tasks" || name == "depths" || name == "seeds" || name == "task" ||
               name == "depth" || name == "seed") {
      const std::string axis = name.back() == 's' ? name.substr(0, name.size() - 1) : name;
      notes_.Add(
          value, "",
          absl::StrCat("is an axis and no setting; use --axis ", axis, "=", Quote(value.Scalar())));
    } else if (form == nullptr) {
      notes_.Add(value, "", absl::StrCat("is no setting; ", AdviceForSetting(name, forms.Names())));
    } else {
      const std::string path =
          form->of_program ? absl::StrCat("program.settings.", form->name) : form->name;
      notes_.Place(path, value);
      const auto scalar = ReadSettingValue(value, path, *form, &notes_);
      if (!scalar) return;
      set_.emplace_back(absl::StrCat("--set ", name), form->name);
      if (!form->of_program) return SetRunSetting(form->name, *scalar, &spec_);
      for (v1::ProgramSetting& known : *spec_.mutable_program()->mutable_settings()) {
        if (known.name() == form->name) known.set_value(scalar->json);
      }
    }
  }

  void ReadAxisFlags(const std::vector<std::string>& texts, bool add_values, AxesReader* axes) {
    for (const std::string& text : texts) {
      std::pair<std::string, std::string> parts;
      if (SplitFlag("--axis", text, "train.learning_rate=1e-4,3e-4", &parts, &notes_)) {
        YAML::Node values(YAML::NodeType::Sequence);
        for (const absl::string_view value : absl::StrSplit(parts.second, ','))
          values.push_back(YAML::Node(std::string(absl::StripAsciiWhitespace(value))));
        const std::string flag = absl::StrCat("--axis ", parts.first);
        add_values ? axes->AddToAxis(parts.first, values, flag)
                   : axes->ReplaceAxis(parts.first, values, flag);
      }
      notes_.SetFlag("");
    }
  }

  YamlNotes& notes_;
  v1::SweepSpec& spec_;
  Parts parts_;
  YamlMessageReader fields_;
  std::vector<std::pair<std::string, std::string>> set_;  // (flag, setting)
};

}  // namespace

void ReadSpecTree(const YAML::Node& root, const SpecChanges& changes, YamlNotes* notes,
                  v1::SweepSpec* spec) {
  TreeReader(notes, spec).Read(root, changes);
}

}  // namespace coppice::cli
