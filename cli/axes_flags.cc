// The axes that the command line gives to a spec: other values, more values, fewer.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/axes_reader.h"

namespace coppice::cli {

void AxesReader::ReplaceAxis(const std::string& name, const YAML::Node& values,
                             const std::string& flag) {
  const auto same = absl::c_find_if(entries_, [&](const Entry& e) { return e.name == name; });
  if (same != entries_.end() && same->value.IsMap()) {
    same->flag = flag;
    for (const YAML::Node& value : values) same->chosen.push_back(value.Scalar());
  } else if (same != entries_.end()) {
    *same = {name, values, flag, {}};
  } else if (name == "task") {
    // The lists come first, in this order.
    spec_.clear_tasks();
    entries_.insert(entries_.begin(), {name, values, flag, {}});
  } else if (name == "depth") {
    spec_.clear_depths();
    const bool task_first = !entries_.empty() && entries_[0].name == "task";
    entries_.insert(entries_.begin() + (task_first ? 1 : 0), {name, values, flag, {}});
  } else {
    if (name == "seed") spec_.clear_seeds();
    entries_.push_back({name, values, flag, {}});
  }
}

void AxesReader::AddToAxis(const std::string& name, const YAML::Node& values,
                           const std::string& flag) {
  auto same = absl::c_find_if(entries_, [&](const Entry& e) { return e.name == name; });
  YAML::Node all(YAML::NodeType::Sequence);
  if (same != entries_.end()) {
    if (!same->value.IsMap()) {
      // Copies: an assignment to the entry would change these nodes too.
      for (const YAML::Node& item : ItemsOf(same->value)) all.push_back(YAML::Clone(item));
    }
  } else if (name == "task") {
    for (const std::string& task : spec_.tasks()) all.push_back(task);
  } else if (name == "depth") {
    for (const uint32_t depth : spec_.depths()) all.push_back(depth);
  } else if (name == "seed") {
    for (const uint32_t seed : spec_.seeds()) all.push_back(seed);
  }
  for (const YAML::Node& value : values) all.push_back(value);
  const bool named = same != entries_.end() && same->value.IsMap();
  ReplaceAxis(name, named ? values : all, flag);
  same = absl::c_find_if(entries_, [&](const Entry& e) { return e.name == name; });
  same->grows = true;
}

void AxesReader::Choose(const Entry& entry, Parsed* parsed) {
  v1::Axis chosen;
  chosen.set_name(entry.name);
  for (const std::string& name : entry.chosen) {
    const auto found = absl::c_find_if(parsed->axis.values(),
                                       [&](const v1::AxisValue& v) { return v.name() == name; });
    if (found != parsed->axis.values().end()) {
      *chosen.add_values() = *found;
      continue;
    }
    std::vector<std::string> known;
    for (const v1::AxisValue& value : parsed->axis.values()) known.push_back(value.name());
    known.resize(std::min<size_t>(known.size(), 10));
    notes_.Add(YAML::Node(), absl::StrCat("axes.", entry.name),
               absl::StrCat("has no value ", Quote(name), "; it has ", absl::StrJoin(known, ", ")));
  }
  if (!entry.grows) parsed->axis = chosen;
}

}  // namespace coppice::cli
