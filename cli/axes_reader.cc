#include "cli/axes_reader.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/key_advice.h"
#include "common/base/nearest_word.h"
#include "common/spec/axes.h"

namespace coppice::cli {
namespace {

std::string ValuePath(const std::string& axis, int index) {
  return absl::StrCat("axes.", axis, "[", index, "]");
}

// "tasks" for the axis that has such a list of its own; empty: it has none.
std::string ListOf(const std::string& axis) {
  return axis == "task" || axis == "depth" || axis == "seed" ? axis + "s" : "";
}

}  // namespace

AxesReader::AxesReader(YamlMessageReader* fields, YamlNotes* notes, v1::SweepSpec* spec)
    : fields_(*fields),
      notes_(*notes),
      spec_(*spec),
      forms_(spec->has_program() ? &spec->program() : nullptr) {}

bool AxesReader::CheckName(const YAML::Node& key) {
  if (!key.IsScalar()) {
    notes_.Add(key, "axes", "has a key that is no word; use the name of an axis");
    return false;
  }
  const std::string& name = key.Scalar();
  if (name == "tasks" || name == "depths" || name == "seeds") {
    notes_.Add(key, "",
               absl::StrCat("unknown axis '", name, "'; did you mean '",
                            name.substr(0, name.size() - 1), "'?"));
    return false;
  }
  if (spec::IsAxisValueName(name)) return true;
  notes_.Add(key, "",
             absl::StrCat("the axis ", Quote(name),
                          " has no plain name; use letters, digits, '.', '_' and '-', at most 64"));
  return false;
}

bool AxesReader::IsShorthand(const std::string& name) const {
  const std::string list = ListOf(name);
  return !list.empty() && notes_.positions().contains(list);
}

void AxesReader::ReadAxes(const YAML::Node& node) {
  notes_.Place("axes", node);
  if (!node.IsMap()) {
    notes_.Add(node, "axes",
               absl::StrCat("is ", KindOf(node),
                            "; use a map with an axis in each line, for example "
                            "`train.learning_rate: [1e-4, 3e-4]`"));
    return;
  }
  std::map<std::string, int> lines;
  for (const auto& entry : node) {
    if (notes_.full()) return;
    if (!CheckName(entry.first)) continue;
    const std::string& name = entry.first.Scalar();
    const std::string path = absl::StrCat("axes.", name);
    const int line = PositionOf(entry.first.Mark()).line;
    const auto [first, is_new] = lines.emplace(name, line);
    notes_.Place(path, entry.second.IsNull() ? entry.first : entry.second);
    if (!is_new) {
      notes_.Add(entry.first, path,
                 absl::StrCat("stands here a second time (first in line ", first->second,
                              "); remove one"));
    } else if (IsShorthand(name)) {
      notes_.Add(entry.first, path,
                 absl::StrCat("stands here and as `", ListOf(name), "`, which is short for it; ",
                              "remove one"));
    } else if (entry.second.IsNull()) {
      notes_.Add(entry.first, path, "has no values; give it some or remove the line");
    } else {
      entries_.push_back({name, entry.second, "", {}});
    }
  }
}

void AxesReader::ParseSeeds(const Entry& entry) {
  spec_.clear_seeds();
  fields_.ReadField(entry.value, "seeds", *spec_.GetDescriptor()->FindFieldByName("seeds"), &spec_);
  if (entry.grows) {
    std::set<uint32_t> seen;
    const std::vector<uint32_t> seeds(spec_.seeds().begin(), spec_.seeds().end());
    spec_.clear_seeds();
    for (const uint32_t seed : seeds) {
      if (seen.insert(seed).second) spec_.add_seeds(seed);
    }
  }
  notes_.SamePlace("axes.seed", "seeds");
}

void AxesReader::NoSetting(const Entry& entry) {
  const std::string& name = entry.name;
  if (forms_.IsGroup(name)) {
    notes_.Add(entry.value, absl::StrCat("axes.", name),
               absl::StrCat("is a group of settings; write the whole path of one, for example `",
                            name, ".",
                            "SETTING: [VALUE, VALUE]`, or name the values and give "
                            "each its settings"));
    return;
  }
  notes_.Add(entry.value, absl::StrCat("axes.", name),
             absl::StrCat("is no setting", AfterSemicolon(DidYouMean(name, forms_.Names())),
                          "; an axis of your own has a name for each value, for example `", name,
                          ": {small: {model.d_model: 128}, large: {}}`"));
}

void AxesReader::Parse(const Entry& entry) {
  notes_.SetFlag(entry.flag);
  if (entry.name == "seed") {
    ParseSeeds(entry);
  } else if (const SettingForm* form = forms_.Find(entry.name);
             form != nullptr && !entry.value.IsMap()) {
    ParseScalars(entry, *form);
  } else if (form != nullptr) {
    notes_.Add(entry.value, absl::StrCat("axes.", entry.name),
               "is a setting, and its values stand in a list; for named values give the axis "
               "another name");
  } else if (entry.value.IsMap()) {
    ParseNamed(entry);
  } else {
    NoSetting(entry);
  }
  notes_.SetFlag("");
}

void AxesReader::AddScalar(const YAML::Node& item, const SettingForm& form,
                           const AxisScalar& scalar, v1::Axis* axis) {
  const std::string path = ValuePath(axis->name(), axis->values_size());
  if (!spec::IsAxisValueName(scalar.name)) {
    notes_.Add(item, path,
               absl::StrCat("is ", Quote(scalar.name),
                            ", which cannot stand in the names of jobs (at most 100 letters, "
                            "digits, '_', '.', '+' and '-'); use an axis of your own that names "
                            "its values, for example `mine: {a: {",
                            axis->name(), ": VALUE}}`"));
    return;
  }
  notes_.Place(path, item);
  v1::AxisValue* value = axis->add_values();
  value->set_name(scalar.name);
  SetSetting(form, scalar, value->mutable_settings());
}

void AxesReader::ParseScalars(const Entry& entry, const SettingForm& form) {
  Parsed parsed;
  parsed.axis.set_name(entry.name);
  if (entry.value.IsSequence() && entry.value.size() > kMaxAxisEntries) {
    notes_.Add(entry.value, absl::StrCat("axes.", entry.name),
               absl::StrCat("has ", entry.value.size(), " entries; use at most ", kMaxAxisEntries));
    return;
  }
  const std::vector<YAML::Node> items = ItemsOf(entry.value);
  std::set<std::string> names;
  for (const YAML::Node& item : items) {
    const std::string path = ValuePath(entry.name, parsed.axis.values_size());
    std::vector<AxisScalar> scalars;
    if (notes_.full() || !ReadAxisScalars(item, path, form, &notes_, &scalars)) continue;
    if (parsed.axis.values_size() + scalars.size() > kMaxAxisEntries) {
      notes_.Add(item, absl::StrCat("axes.", entry.name),
                 absl::StrCat("has more than ", kMaxAxisEntries, " values; use fewer"));
      return;
    }
    for (const AxisScalar& scalar : scalars) {
      if (entry.grows && !names.insert(scalar.name).second) continue;
      AddScalar(item, form, scalar, &parsed.axis);
    }
  }
  parsed_.push_back(std::move(parsed));
}

void AxesReader::ParseNamed(const Entry& entry) {
  Parsed parsed;
  parsed.axis.set_name(entry.name);
  if (entry.value.size() > kMaxAxisEntries) {
    notes_.Add(entry.value, absl::StrCat("axes.", entry.name),
               absl::StrCat("has ", entry.value.size(), " values; use at most ", kMaxAxisEntries));
    return;
  }
  // The text of the file stands in the file, also where a flag chooses.
  notes_.SetFlag("");
  std::set<std::string> names;
  for (const auto& value : entry.value) {
    if (notes_.full()) return;
    const YAML::Node& key = value.first;
    const std::string path = absl::StrCat("axes.", entry.name);
    if (!key.IsScalar() || !spec::IsAxisValueName(key.Scalar())) {
      notes_.Add(key, path,
                 absl::StrCat("has a value ", key.IsScalar() ? Quote(key.Scalar()) : "",
                              " without a plain name; use letters, digits, '_', '.', '+' and "
                              "'-', at most 100"));
    } else if (!names.insert(key.Scalar()).second) {
      notes_.Add(key, absl::StrCat(path, ".", key.Scalar()),
                 "stands here a second time; remove one");
    } else {
      ParseNamedValue(key, value.second, &parsed);
    }
  }
  notes_.SetFlag(entry.flag);
  if (!entry.chosen.empty()) Choose(entry, &parsed);
  parsed_.push_back(std::move(parsed));
}

void AxesReader::ParseNamedValue(const YAML::Node& key, const YAML::Node& node, Parsed* parsed) {
  const std::string path = absl::StrCat("axes.", parsed->axis.name(), ".", key.Scalar());
  notes_.Place(path, node.IsNull() ? key : node);
  if (!node.IsMap()) {
    notes_.Add(node.IsNull() ? key : node, path,
               absl::StrCat(node.IsNull() ? "has no settings" : absl::StrCat("is ", KindOf(node)),
                            "; give it settings, for example {model.d_model: 128}, or {} to "
                            "change nothing"));
    return;
  }
  v1::AxisValue* value = parsed->axis.add_values();
  value->set_name(key.Scalar());
  value->mutable_settings();
  std::set<std::string> seen;
  ParseSettings(node, "", path, &seen, parsed);
}

void AxesReader::ParseSettings(const YAML::Node& node, const std::string& prefix,
                               const std::string& path, std::set<std::string>* seen,
                               Parsed* parsed) {
  for (const auto& entry : node) {
    if (notes_.full()) return;
    const YAML::Node& key = entry.first;
    if (!key.IsScalar()) {
      notes_.Add(key, path, "has a key that is no word; use the path of a setting");
      continue;
    }
    const std::string name = PathBelow(prefix, key.Scalar());
    const SettingForm* form = forms_.Find(name);
    if (form == nullptr && forms_.IsGroup(name) && entry.second.IsMap()) {
      ParseSettings(entry.second, name, path, seen, parsed);
    } else if (form == nullptr && forms_.IsGroup(name)) {
      notes_.Add(key, PathBelow(path, name),
                 "is a group of settings; give it some, for example {model: {d_model: 128}}");
    } else if (form == nullptr) {
      notes_.Add(key, "",
                 absl::StrCat("unknown setting ", Quote(name), " in ", path, "; ",
                              AdviceForSetting(name, forms_.Names())));
    } else if (!seen->insert(name).second) {
      notes_.Add(key, PathBelow(path, name), "stands here a second time; remove one");
    } else {
      ParseSetting(key, entry.second, *form, path, parsed);
    }
  }
}

void AxesReader::ParseSetting(const YAML::Node& key, const YAML::Node& node,
                              const SettingForm& form, const std::string& path, Parsed* parsed) {
  const std::string at = PathBelow(path, form.name);
  notes_.Place(at, node.IsNull() ? key : node);
  if (node.IsNull()) {
    notes_.Add(key, at, "has no value; give it one or remove it");
    return;
  }
  const auto scalar = ReadSettingValue(node, at, form, &notes_);
  if (!scalar) return;
  v1::AxisValue* value = parsed->axis.mutable_values(parsed->axis.values_size() - 1);
  SetSetting(form, *scalar, value->mutable_settings());
}

// The lists of tasks and depths as axes.
void AxesReader::AddShorthand(std::vector<Parsed>* all) const {
  const auto add = [&](const char* name, const auto& list) {
    if (list.empty()) return;
    const SettingForm& form = *forms_.Find(name);
    Parsed parsed;
    parsed.axis.set_name(name);
    parsed.is_list = true;
    for (const auto& entry : list) {
      v1::AxisValue* value = parsed.axis.add_values();
      value->set_name(absl::StrCat(entry));
      if constexpr (std::is_arithmetic_v<std::decay_t<decltype(entry)>>) {
        SetSetting(form, {value->name(), settings::Value(int64_t{entry}), ""},
                   value->mutable_settings());
      } else {
        SetSetting(form, {value->name(), settings::Value(entry), ""}, value->mutable_settings());
      }
    }
    all->push_back(std::move(parsed));
  };
  add("task", spec_.tasks());
  add("depth", spec_.depths());
}

void AxesReader::Finish() {
  for (const Entry& entry : entries_) Parse(entry);
  std::vector<Parsed> all;
  AddShorthand(&all);
  for (Parsed& parsed : parsed_) all.push_back(std::move(parsed));
  parsed_ = std::move(all);
  const bool classic =
      parsed_.size() == 2 && parsed_[0].axis.name() == "task" && parsed_[1].axis.name() == "depth";
  // Lists alone stay lists, also incomplete ones.
  if (entries_.empty()) return;
  spec_.clear_tasks();
  spec_.clear_depths();
  for (const Parsed& parsed : parsed_) {
    if (!classic) *spec_.add_axes() = parsed.axis;
    for (const v1::AxisValue& value : parsed.axis.values()) {
      if (classic && value.settings().has_task()) spec_.add_tasks(value.settings().task());
      if (classic && value.settings().has_depth()) spec_.add_depths(value.settings().depth());
    }
    SharePlaces(parsed.axis, parsed.is_list);
  }
}

// The messages of a classic sweep speak of its lists, those of another of its axes.
void AxesReader::SharePlaces(const v1::Axis& axis, bool is_list) {
  const std::string list = ListOf(axis.name());
  if (list.empty()) return;
  const std::string in_axes = absl::StrCat("axes.", axis.name());
  const std::string& from = is_list ? list : in_axes;
  const std::string& to = is_list ? in_axes : list;
  // A flag's axis may have taken the place of a list.
  if (!is_list || !notes_.positions().contains(to)) notes_.SamePlace(to, from);
  for (int i = 0; i < axis.values_size(); ++i)
    notes_.SamePlace(absl::StrCat(to, "[", i, "]"), absl::StrCat(from, "[", i, "]"));
}

const v1::Axis* AxesReader::FindAxis(const std::string& name) const {
  for (const Parsed& parsed : parsed_) {
    if (parsed.axis.name() == name) return &parsed.axis;
  }
  return nullptr;
}

std::vector<std::string> AxesReader::AxisNames() const {
  std::vector<std::string> names;
  names.reserve(parsed_.size());
  for (const Parsed& parsed : parsed_) names.push_back(parsed.axis.name());
  return names;
}

std::string AxesReader::AxisThatSets(const std::string& setting) const {
  for (const Parsed& parsed : parsed_) {
    if (parsed.axis.name() == setting) return setting;
    for (const v1::AxisValue& value : parsed.axis.values()) {
      if (SetsSetting(value.settings(), setting)) return parsed.axis.name();
    }
  }
  return "";
}

}  // namespace coppice::cli
