// The conditions of a spec: what it excludes, and where its overrides apply.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/axes_reader.h"
#include "cli/key_advice.h"

namespace coppice::cli {

void AxesReader::ReadCondition(const YAML::Node& key, const YAML::Node& node,
                               const std::string& path,
                               google::protobuf::RepeatedPtrField<v1::AxisCondition>* conditions) {
  notes_.Place(path, node.IsNull() ? key : node);
  if (node.IsNull()) {
    notes_.Add(key, path, "has no value; give it one or remove it");
    return;
  }
  const SettingForm word{key.Scalar(), ValueKind::kWord, false};
  const SettingForm* form = forms_.Find(key.Scalar());
  if (form == nullptr) form = &word;
  const std::vector<YAML::Node> items = ItemsOf(node);
  if (items.size() > kMaxAxisEntries) {
    notes_.Add(node, path,
               absl::StrCat("has ", items.size(), " entries; use at most ", kMaxAxisEntries));
    return;
  }
  v1::AxisCondition* condition = conditions->Add();
  condition->set_axis(key.Scalar());
  for (const YAML::Node& item : items) {
    const int index = condition->values_size();
    std::vector<AxisScalar> scalars;
    if (notes_.full() ||
        !ReadAxisScalars(item, absl::StrCat(path, "[", index, "]"), *form, &notes_, &scalars)) {
      continue;
    }
    if (condition->values_size() + scalars.size() > kMaxAxisEntries) {
      notes_.Add(item, path, absl::StrCat("has more than ", kMaxAxisEntries, " values; use fewer"));
      return;
    }
    for (const AxisScalar& scalar : scalars) {
      notes_.Place(absl::StrCat(path, "[", condition->values_size(), "]"), item);
      condition->add_values(scalar.name);
    }
  }
  if (items.empty()) notes_.Add(node, path, "is an empty list; name a value or remove it");
}

void AxesReader::ReadExcluded(const YAML::Node& item, const std::string& path,
                              v1::Exclude* exclude) {
  std::set<std::string> seen;
  for (const auto& entry : item) {
    const YAML::Node& key = entry.first;
    const std::string name = key.IsScalar() ? key.Scalar() : "";
    if (FindAxis(name) == nullptr) {
      notes_.Add(key, "",
                 absl::StrCat("unknown axis ", Quote(name), " in ", path, "; ",
                              AdviceForAxis(name, AxisNames())));
    } else if (!seen.insert(name).second) {
      notes_.Add(key, PathBelow(path, name), "stands here a second time; remove one");
    } else {
      ReadCondition(key, entry.second, PathBelow(path, name), exclude->mutable_where());
    }
  }
}

void AxesReader::ReadExclude(const YAML::Node& node) {
  notes_.Place("exclude", node);
  if (!node.IsSequence()) {
    notes_.Add(node, "exclude",
               absl::StrCat("is ", KindOf(node),
                            "; use a list, each entry after a dash, for example "
                            "`- {task: tense, depth: 4}`"));
    return;
  }
  for (const YAML::Node& item : node) {
    if (notes_.full()) return;
    const std::string path = absl::StrCat("exclude[", spec_.exclude_size(), "]");
    notes_.Place(path, item);
    v1::Exclude* exclude = spec_.add_exclude();
    if (!item.IsMap() || item.size() == 0) {
      notes_.Add(item, path,
                 absl::StrCat(item.IsMap() ? "has no condition" : absl::StrCat("is ", KindOf(item)),
                              "; give it conditions, for example {task: tense, depth: 4}"));
      continue;
    }
    ReadExcluded(item, path, exclude);
  }
}

void AxesReader::ReadWhere(const YAML::Node& node, const std::string& path, v1::Where* where) {
  notes_.Place(path, node);
  if (!node.IsMap()) {
    notes_.Add(node, path,
               absl::StrCat("is ", KindOf(node), "; give it settings, for example {task: ...}"));
    return;
  }
  std::map<std::string, int> lines;
  for (const auto& entry : node) {
    if (notes_.full()) return;
    const YAML::Node& key = entry.first;
    if (!key.IsScalar()) {
      notes_.Add(key, path, "has a key that is no word; use the name of an axis");
      continue;
    }
    const std::string& name = key.Scalar();
    const auto [first, is_new] = lines.emplace(name, PositionOf(key.Mark()).line);
    const bool listed = name == "task" || name == "depth";
    if (!listed && FindAxis(name) == nullptr) {
      notes_.Add(key, "",
                 absl::StrCat("unknown key ", Quote(name), " in ", path, "; ",
                              AdviceForWhere(name, spec_.axes().empty() ? std::vector<std::string>()
                                                                        : AxisNames())));
    } else if (!is_new) {
      notes_.Add(key, PathBelow(path, name),
                 absl::StrCat("stands here a second time (first in line ", first->second,
                              "); remove one"));
    } else if (!listed) {
      ReadCondition(key, entry.second, PathBelow(path, name), where->mutable_axes());
    } else if (entry.second.IsNull()) {
      notes_.Add(key, PathBelow(path, name), "has no value; give it one or remove the line");
    } else {
      fields_.ReadField(entry.second, PathBelow(path, name),
                        *where->GetDescriptor()->FindFieldByName(name), where);
    }
  }
}

}  // namespace coppice::cli
