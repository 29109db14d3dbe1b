#include "coordinator/core/point.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"

namespace coppice::core {
namespace {

constexpr char kSeed[] = "seed";
constexpr size_t kValuesNamed = 20;

// The group's value on an axis. nullopt: it has no such axis.
std::optional<std::string> ValueOn(const GroupSpec& group, const std::string& axis) {
  for (const Coordinate& coordinate : group.point) {
    if (coordinate.axis == axis) return coordinate.value;
  }
  if (group.task.empty()) return std::nullopt;
  if (axis == "task") return group.task;
  if (axis == "depth") return absl::StrCat(group.depth);
  return std::nullopt;
}

absl::Status CheckValues(const std::vector<std::shared_ptr<const GroupInfo>>& groups,
                         const SweepInfo& sweep, const AxisCondition& condition) {
  absl::flat_hash_set<std::string> known;
  std::vector<std::string> in_order;
  for (const auto& group : groups) {
    const std::optional<std::string> value = ValueOn(group->spec, condition.axis);
    if (value && known.insert(*value).second) in_order.push_back(*value);
  }
  for (const std::string& wanted : condition.values) {
    if (known.contains(wanted)) continue;
    const bool cut = in_order.size() > kValuesNamed;
    if (cut) in_order.resize(kValuesNamed);
    return absl::NotFoundError(absl::StrCat("the axis ", condition.axis, " of sweep '", sweep.name,
                                            "' has no value '", wanted, "'; it has ",
                                            absl::StrJoin(in_order, ", "), cut ? ", ..." : ""));
  }
  return absl::OkStatus();
}

}  // namespace

std::string PointText(const GroupSpec& group) {
  if (group.point.empty()) return absl::StrCat(group.task, "/", group.depth);
  return absl::StrJoin(group.point, "/", [](std::string* out, const Coordinate& coordinate) {
    absl::StrAppend(out, coordinate.axis, "=", coordinate.value);
  });
}

std::string AxesText(const GroupSpec& group) {
  if (group.point.empty()) return group.task.empty() ? kSeed : "task, depth, seed";
  return absl::StrCat(absl::StrJoin(group.point, ", ",
                                    [](std::string* out, const Coordinate& coordinate) {
                                      absl::StrAppend(out, coordinate.axis);
                                    }),
                      ", ", kSeed);
}

bool HaveSameAxes(const GroupSpec& a, const GroupSpec& b) {
  return std::equal(
      a.point.begin(), a.point.end(), b.point.begin(), b.point.end(),
      [](const Coordinate& one, const Coordinate& other) { return one.axis == other.axis; });
}

bool MeetsAll(const GroupSpec& group, const std::vector<AxisCondition>& conditions) {
  return std::all_of(conditions.begin(), conditions.end(), [&](const AxisCondition& condition) {
    if (condition.axis == kSeed) return true;
    const std::optional<std::string> value = ValueOn(group, condition.axis);
    return value && std::find(condition.values.begin(), condition.values.end(), *value) !=
                        condition.values.end();
  });
}

absl::StatusOr<std::optional<std::vector<uint32_t>>> WantedSeeds(const JobFilter& filter) {
  std::optional<std::vector<uint32_t>> wanted;
  const auto restrict_to = [&wanted](std::vector<uint32_t> seeds) {
    std::sort(seeds.begin(), seeds.end());
    seeds.erase(std::unique(seeds.begin(), seeds.end()), seeds.end());
    if (wanted) {
      std::vector<uint32_t> both;
      std::set_intersection(wanted->begin(), wanted->end(), seeds.begin(), seeds.end(),
                            std::back_inserter(both));
      seeds = std::move(both);
    }
    wanted = std::move(seeds);
  };
  if (!filter.seeds.empty()) restrict_to(filter.seeds);
  for (const AxisCondition& condition : filter.where) {
    if (condition.axis != kSeed) continue;
    std::vector<uint32_t> seeds;
    for (const std::string& text : condition.values) {
      if (!absl::SimpleAtoi(text, &seeds.emplace_back()))
        return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a seed"));
    }
    restrict_to(std::move(seeds));
  }
  return wanted;
}

absl::Status CheckConditions(const Catalog& catalog, const SweepInfo& sweep,
                             const std::vector<AxisCondition>& conditions) {
  if (conditions.empty()) return absl::OkStatus();
  const std::vector<std::shared_ptr<const GroupInfo>> groups = catalog.GroupsOf(sweep.id);
  if (groups.empty()) return absl::OkStatus();
  for (const AxisCondition& condition : conditions) {
    if (condition.axis == kSeed) continue;
    if (!ValueOn(groups.front()->spec, condition.axis)) {
      return absl::InvalidArgumentError(absl::StrCat("sweep '", sweep.name, "' has no axis '",
                                                     condition.axis, "'; its axes are ",
                                                     AxesText(groups.front()->spec)));
    }
    COPPICE_RETURN_IF_ERROR(CheckValues(groups, sweep, condition));
  }
  return absl::OkStatus();
}

}  // namespace coppice::core
