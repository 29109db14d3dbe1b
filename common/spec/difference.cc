#include "common/spec/difference.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/spec/internal.h"
#include "common/spec/spec.h"

namespace coppice::spec {
namespace {

constexpr size_t kMaxGroupsNamed = 4;

template <typename List>
auto Sorted(const List& list) {
  std::vector<std::decay_t<decltype(*list.begin())>> values(list.begin(), list.end());
  std::sort(values.begin(), values.end());
  return values;
}

std::string Two(const std::string& path, const char* verb, const std::string& there,
                const std::string& here) {
  return absl::StrCat(path, " ", verb, " ", there, " there and ", here, " here");
}

// All settings of one run by path, as in its JSON.
std::map<std::string, std::string> Leaves(const v1::RunConfig& run) {
  std::map<std::string, std::string> leaves;
  const auto json = nlohmann::json::parse(RunConfigToJson(run), nullptr, false);
  if (json.is_discarded()) return leaves;
  const nlohmann::json flat = json.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    leaves[absl::StrReplaceAll(pointer.substr(1), {{"/", "."}})] = value.dump();
  }
  return leaves;
}

// Maps (path, there, here) to the groups with this difference.
using Changes =
    std::map<std::tuple<std::string, std::string, std::string>, std::vector<std::string>>;

void Compare(const v1::SweepSpec& there, const v1::SweepSpec& here, const std::string& task,
             uint32_t depth, Changes* changes) {
  const auto before = Leaves(ResolveRun(there, task, depth));
  auto after = Leaves(ResolveRun(here, task, depth));
  for (const auto& [path, value] : before) {
    if (after[path] == value) continue;
    (*changes)[{path, value, after[path]}].push_back(absl::StrCat(task, "/", depth));
  }
}

}  // namespace

std::string GroupsText(std::vector<std::string> groups, size_t all) {
  if (groups.size() == all) return "";
  const bool cut = groups.size() > kMaxGroupsNamed;
  if (cut) groups.resize(kMaxGroupsNamed);
  return absl::StrCat(" (", absl::StrJoin(groups, ", "), cut ? ", ...)" : ")");
}

std::string RangesText(std::vector<uint32_t> numbers, size_t most) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  std::vector<std::string> ranges;
  for (size_t i = 0; i < numbers.size();) {
    if (ranges.size() == most) {
      ranges.push_back("...");
      break;
    }
    size_t end = i;
    while (end + 1 < numbers.size() && numbers[end + 1] == numbers[end] + 1) ++end;
    // Two neighbors read better as a list.
    if (end == i + 1) end = i;
    ranges.push_back(end == i ? absl::StrCat(numbers[i])
                              : absl::StrCat(numbers[i], "-", numbers[end]));
    i = end + 1;
  }
  return absl::StrJoin(ranges, ", ");
}

std::vector<std::string> Differences(const v1::SweepSpec& there, const v1::SweepSpec& here) {
  std::vector<std::string> found;
  const auto tasks = Sorted(there.tasks());
  const auto depths = Sorted(there.depths());
  const auto seeds = Sorted(there.seeds());
  const auto here_tasks = Sorted(here.tasks());
  const auto here_depths = Sorted(here.depths());
  if (tasks != here_tasks) {
    found.push_back(
        Two("tasks", "are", absl::StrJoin(tasks, ", "), absl::StrJoin(here_tasks, ", ")));
  }
  if (depths != here_depths)
    found.push_back(Two("depths", "are", RangesText(depths), RangesText(here_depths)));
  if (const auto here_seeds = Sorted(here.seeds()); seeds != here_seeds)
    found.push_back(Two("seeds", "are", RangesText(seeds), RangesText(here_seeds)));
  if (Priority(there) != Priority(here)) {
    found.push_back(
        Two("priority", "is", absl::StrCat(Priority(there)), absl::StrCat(Priority(here))));
  }
  if (MaxFailures(there) != MaxFailures(here)) {
    found.push_back(Two("max_failures", "is", absl::StrCat(MaxFailures(there)),
                        absl::StrCat(MaxFailures(here))));
  }
  Changes changes;
  size_t groups = 0;
  for (const std::string& task : tasks) {
    if (!std::binary_search(here_tasks.begin(), here_tasks.end(), task)) continue;
    for (const uint32_t depth : depths) {
      if (!std::binary_search(here_depths.begin(), here_depths.end(), depth)) continue;
      ++groups;
      Compare(there, here, task, depth, &changes);
    }
  }
  for (const auto& [change, of] : changes) {
    const auto& [path, before, after] = change;
    found.push_back(absl::StrCat(Two(path, "is", before, after), GroupsText(of, groups)));
  }
  return found;
}

}  // namespace coppice::spec
