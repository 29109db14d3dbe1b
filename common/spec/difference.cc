#include "common/spec/difference.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/spec/axes.h"
#include "common/spec/grid.h"
#include "common/spec/internal.h"
#include "common/spec/program.h"
#include "common/spec/spec.h"

namespace coppice::spec {
namespace {

constexpr size_t kMaxGroupsNamed = 4;
constexpr size_t kMaxNamesShown = 8;

template <typename List>
auto Sorted(const List& list) {
  std::vector<std::decay_t<decltype(*list.begin())>> values(list.begin(), list.end());
  std::sort(values.begin(), values.end());
  return values;
}

// Words a difference, for one pair of sweeps.
class Teller {
 public:
  explicit Teller(const Sides& sides) : sides_(sides) {}
  std::string Two(const std::string& path, const char* verb, const std::string& there,
                  const std::string& here) const {
    return absl::StrCat(path, " ", verb, " ", there, " ", sides_.there, " and ", here, " ",
                        sides_.here);
  }
  const std::string& there() const { return sides_.there; }
  const std::string& here() const { return sides_.here; }

 private:
  const Sides& sides_;
};

std::string ShownValue(const settings::Value* value) {
  if (value == nullptr) return "unset";
  return std::visit([](const auto& of) { return nlohmann::json(of).dump(); }, *value);
}

// Maps (path, there, here) to the groups with this difference.
using Changes =
    std::map<std::tuple<std::string, std::string, std::string>, std::vector<std::string>>;

std::map<std::string, std::string> ProgramSettingsOf(const v1::RunConfig& run) {
  std::map<std::string, std::string> settings;
  for (const v1::ProgramSetting& setting : run.program().settings())
    settings[setting.name()] = setting.value();
  return settings;
}

void Compare(const v1::RunConfig& there, const v1::RunConfig& here, const std::string& point,
             Changes* changes) {
  if (google::protobuf::util::MessageDifferencer::Equals(there, here)) return;
  const settings::Values before = ValuesOf(there);
  const settings::Values after = ValuesOf(here);
  for (const settings::Setting& setting : settings::RunSettings().settings()) {
    const std::string was = ShownValue(before.Find(setting.path));
    const std::string is = ShownValue(after.Find(setting.path));
    if (was != is) (*changes)[{setting.path, was, is}].push_back(point);
  }
  const auto settings_before = ProgramSettingsOf(there);
  const auto settings_after = ProgramSettingsOf(here);
  for (const auto& [name, was] : settings_before) {
    const auto is = settings_after.find(name);
    const std::string now = is == settings_after.end() ? "unset" : is->second;
    if (was != now) (*changes)[{"program.settings." + name, was, now}].push_back(point);
  }
  for (const auto& [name, is] : settings_after) {
    if (settings_before.count(name) == 0)
      (*changes)[{"program.settings." + name, "unset", is}].push_back(point);
  }
}

// The parts of a program that the whole sweep shares.
void ComparePrograms(const v1::Program& there, const v1::Program& here, const Teller& tell,
                     std::vector<std::string>* found) {
  const auto json_of = [](const v1::Program& program) {
    return nlohmann::json::parse(ProgramRunToJson(DefaultProgramRun(program)))["program"];
  };
  const nlohmann::json before = json_of(there);
  const nlohmann::json after = json_of(here);
  std::set<std::string> names;
  for (const auto& [name, value] : before.items()) names.insert(name);
  for (const auto& [name, value] : after.items()) names.insert(name);
  names.erase("settings");  // compared point by point
  for (const std::string& name : names) {
    const std::string was = before.contains(name) ? before[name].dump() : "unset";
    const std::string is = after.contains(name) ? after[name].dump() : "unset";
    if (was != is) found->push_back(tell.Two("program." + name, "is", was, is));
  }
  const auto primary = [](const v1::Program& program) {
    return program.primary().empty() ? "unset" : absl::StrJoin(program.primary(), ", ");
  };
  if (primary(there) != primary(here))
    found->push_back(tell.Two("program.metrics.primary", "is", primary(there), primary(here)));
}

std::string NamesOf(const std::vector<v1::Axis>& axes) {
  return absl::StrJoin(axes, ", ", [](std::string* out, const v1::Axis& axis) {
    absl::StrAppend(out, axis.name());
  });
}

std::vector<std::string> ValueNames(const v1::Axis& axis) {
  std::vector<std::string> names;
  names.reserve(static_cast<size_t>(axis.values_size()));
  for (const v1::AxisValue& value : axis.values()) names.push_back(value.name());
  std::sort(names.begin(), names.end());
  return names;
}

std::string Shortened(std::vector<std::string> names) {
  const bool cut = names.size() > kMaxNamesShown;
  if (cut) names.resize(kMaxNamesShown);
  return absl::StrCat(absl::StrJoin(names, ", "), cut ? ", ..." : "");
}

// The axes' values, in the words of the spec. False: the sweeps have no point in common, because
// their axes differ.
bool CompareAxes(const v1::SweepSpec& there, const v1::SweepSpec& here, const Teller& tell,
                 std::vector<std::string>* found) {
  if (IsClassic(there) && IsClassic(here)) {
    const auto tasks = Sorted(there.tasks());
    if (const auto others = Sorted(here.tasks()); tasks != others)
      found->push_back(
          tell.Two("tasks", "are", absl::StrJoin(tasks, ", "), absl::StrJoin(others, ", ")));
    const auto depths = Sorted(there.depths());
    if (const auto others = Sorted(here.depths()); depths != others)
      found->push_back(tell.Two("depths", "are", RangesText(depths), RangesText(others)));
    return true;
  }
  const std::vector<v1::Axis> before = AxesOf(there);
  const std::vector<v1::Axis> after = AxesOf(here);
  const std::string names = NamesOf(before);
  if (const std::string others = NamesOf(after); names != others) {
    found->push_back(tell.Two("axes", "are", names, others));
    return false;
  }
  for (size_t i = 0; i < before.size(); ++i) {
    const auto values = ValueNames(before[i]);
    if (const auto others = ValueNames(after[i]); values != others) {
      found->push_back(tell.Two(absl::StrCat("axis ", before[i].name()), "has", Shortened(values),
                                Shortened(others)));
    }
  }
  return true;
}

using Runs = absl::flat_hash_map<std::string, v1::RunConfig>;

Runs RunsOf(const v1::SweepSpec& spec) {
  Runs runs;
  const Grid grid(spec);
  grid.ForEachCell([&](const Cell& cell) {
    if (cell.exclude < 0) runs.emplace(grid.TextOf(cell), grid.Resolve(cell));
    return true;
  });
  return runs;
}

// Points that an `exclude` takes out of one of the sweeps alone. Other values of the axes take
// others out, which is a difference already.
void ComparePoints(const Runs& there, const Runs& here, bool same_values, const Teller& tell,
                   std::vector<std::string>* found) {
  const auto only = [](const Runs& in, const Runs& out) {
    std::vector<std::string> points;
    for (const auto& [point, run] : in) {
      if (!out.contains(point)) points.push_back(point);
    }
    std::sort(points.begin(), points.end());
    return points;
  };
  if (!same_values) return;
  if (const auto points = only(there, here); !points.empty())
    found->push_back(absl::StrCat("exclude takes out ", tell.here(), " ", Shortened(points)));
  if (const auto points = only(here, there); !points.empty())
    found->push_back(absl::StrCat("exclude takes out ", tell.there(), " ", Shortened(points)));
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

std::vector<std::string> Differences(const v1::SweepSpec& there, const v1::SweepSpec& here,
                                     const Sides& sides) {
  const Teller tell(sides);
  std::vector<std::string> found;
  if (there.has_program() != here.has_program()) {
    const auto trainer = [](const v1::SweepSpec& spec) {
      return spec.has_program() ? "a program" : "Coppice's own trainer";
    };
    return {absl::StrCat(trainer(there), " trains ", sides.there, ", and ", trainer(here), " ",
                         sides.here)};
  }
  const bool same_axes = CompareAxes(there, here, tell, &found);
  const bool same_values = found.empty();
  const auto seeds = Sorted(there.seeds());
  if (const auto here_seeds = Sorted(here.seeds()); seeds != here_seeds)
    found.push_back(tell.Two("seeds", "are", RangesText(seeds), RangesText(here_seeds)));
  if (Priority(there) != Priority(here)) {
    found.push_back(
        tell.Two("priority", "is", absl::StrCat(Priority(there)), absl::StrCat(Priority(here))));
  }
  if (MaxFailures(there) != MaxFailures(here)) {
    found.push_back(tell.Two("max_failures", "is", absl::StrCat(MaxFailures(there)),
                             absl::StrCat(MaxFailures(here))));
  }
  if (there.has_program()) ComparePrograms(there.program(), here.program(), tell, &found);
  if (!same_axes) return found;
  const Runs before = RunsOf(there);
  const Runs after = RunsOf(here);
  ComparePoints(before, after, same_values, tell, &found);
  Changes changes;
  size_t points = 0;
  for (const auto& [point, run] : before) {
    const auto other = after.find(point);
    if (other == after.end()) continue;
    ++points;
    Compare(run, other->second, point, &changes);
  }
  for (auto& [change, of] : changes) {
    const auto& [path, was, is] = change;
    std::sort(of.begin(), of.end());
    found.push_back(absl::StrCat(tell.Two(path, "is", was, is), GroupsText(of, points)));
  }
  return found;
}

Overlap OverlapOf(const v1::SweepSpec& there, const v1::SweepSpec& here) {
  const auto jobs_of = [](const v1::SweepSpec& spec) {
    std::pair<std::set<std::string>, std::set<uint32_t>> jobs;
    const Grid grid(spec);
    grid.ForEachCell([&](const Cell& cell) {
      if (cell.exclude < 0) jobs.first.insert(grid.TextOf(cell));
      return true;
    });
    jobs.second.insert(spec.seeds().begin(), spec.seeds().end());
    return jobs;
  };
  const auto [points, seeds] = jobs_of(there);
  const auto [other_points, other_seeds] = jobs_of(here);
  Overlap overlap;
  std::set_difference(points.begin(), points.end(), other_points.begin(), other_points.end(),
                      std::back_inserter(overlap.points_there));
  std::set_difference(other_points.begin(), other_points.end(), points.begin(), points.end(),
                      std::back_inserter(overlap.points_here));
  const uint64_t both_points = points.size() - overlap.points_there.size();
  uint64_t both_seeds = 0;
  for (const uint32_t seed : seeds) both_seeds += other_seeds.count(seed);
  overlap.jobs_both = both_points * both_seeds;
  overlap.jobs_there = points.size() * seeds.size() - overlap.jobs_both;
  overlap.jobs_here = other_points.size() * other_seeds.size() - overlap.jobs_both;
  return overlap;
}

}  // namespace coppice::spec
