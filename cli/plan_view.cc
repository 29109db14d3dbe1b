#include "cli/plan_view.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/format.h"
#include "cli/table.h"
#include "common/spec/spec.h"

namespace coppice::cli {
namespace {

// What one core reaches with OpenBLAS on these small matrices, in order of magnitude: turns work
// into a time a person can judge.
constexpr double kCoreRate = 1e10;

using Group = std::pair<std::string, uint32_t>;

// "train.steps" -> value of every leaf of a run.
std::map<std::string, std::string> Settings(const v1::RunConfig& run) {
  std::map<std::string, std::string> settings;
  const auto json = nlohmann::json::parse(spec::RunConfigToJson(run), nullptr, false);
  if (json.is_discarded()) return settings;
  const nlohmann::json leaves = json.flatten();
  for (const auto& [pointer, value] : leaves.items()) {
    const std::string path = absl::StrReplaceAll(pointer.substr(1), {{"/", "."}});
    if (path == "task" || path == "depth") continue;
    settings[path] = value.is_string()         ? value.get<std::string>()
                     : value.is_number_float() ? FormatExact(value.get<double>())
                                               : value.dump();
    if (settings[path].empty()) settings[path] = "(none)";
  }
  return settings;
}

// Which of all groups these are, said by task or by depth where that says it.
std::string Describe(const std::set<Group>& some, const std::vector<Group>& all) {
  if (some.size() == all.size()) return "";
  std::set<std::string> tasks;
  std::set<uint32_t> depths;
  for (const Group& group : some) {
    tasks.insert(group.first);
    depths.insert(group.second);
  }
  const auto covers = [&](const auto& matches) {
    size_t count = 0;
    for (const Group& group : all) count += matches(group) ? 1 : 0;
    return count == some.size();
  };
  if (covers([&](const Group& group) { return tasks.contains(group.first); })) {
    return absl::StrJoin(tasks, ", ");
  }
  if (covers([&](const Group& group) { return depths.contains(group.second); })) {
    return absl::StrCat("depth ", absl::StrJoin(depths, ", "));
  }
  std::vector<std::string> names;
  for (const Group& group : some) names.push_back(absl::StrCat(group.first, "/", group.second));
  return absl::StrJoin(names, ", ");
}

std::vector<std::string> SettingLines(const v1::Plan& plan, const Terminal& terminal) {
  std::vector<Group> all;
  // setting -> value -> groups; a setting's values in the order the groups name them.
  std::map<std::string, std::vector<std::pair<std::string, std::set<Group>>>> settings;
  for (const v1::GroupSummary& group : plan.groups()) {
    const Group key(group.task(), group.depth());
    all.push_back(key);
    for (const auto& [path, value] : Settings(group.run())) {
      auto& values = settings[path];
      size_t at = 0;
      while (at < values.size() && values[at].first != value) ++at;
      if (at == values.size()) values.emplace_back(value, std::set<Group>());
      values[at].second.insert(key);
    }
  }
  Table table({{"setting"}, {"value", Align::kRight}, {"for"}});
  for (const auto& [path, values] : settings) {
    for (size_t i = 0; i < values.size(); ++i) {
      table.AddRow({i == 0 ? path : "", values[i].first, Describe(values[i].second, all)});
    }
  }
  return table.Lines(terminal.width, 2);
}

std::vector<std::string> GroupLines(const v1::SweepSpec& spec, const v1::Plan& plan,
                                    const Terminal& terminal) {
  Table table({{"task"},
               {"depth", Align::kRight},
               {"seeds", Align::kRight},
               {"steps", Align::kRight},
               {"work per job", Align::kRight},
               {"share", Align::kRight}});
  double total = 0;
  for (const v1::GroupSummary& group : plan.groups())
    total += group.work_per_step() * group.steps();
  for (const v1::GroupSummary& group : plan.groups()) {
    const double work = group.work_per_step() * group.steps();
    table.AddRow({group.task(), absl::StrCat(group.depth()),
                  FormatCount(static_cast<uint64_t>(spec.seeds_size())), FormatCount(group.steps()),
                  FormatShort(work),
                  total > 0 ? absl::StrCat(static_cast<int>(100 * work / total + 0.5), "%") : "-"});
  }
  return table.Lines(terminal.width, 2);
}

}  // namespace

std::string PlanSentence(const v1::Plan& plan) {
  std::string text = absl::StrCat(FormatCount(plan.jobs()), plan.jobs() == 1 ? " job" : " jobs");
  // A pack of one is a job.
  if (plan.pack_width() > 1) {
    absl::StrAppend(&text, " in ", FormatCount(plan.packs()),
                    plan.packs() == 1 ? " pack" : " packs", " of up to ", plan.pack_width(),
                    " seeds");
  }
  return absl::StrCat(text, ", ", FormatSteps(plan.steps_total()), " steps");
}

std::vector<std::string> PlanLines(const v1::SweepSpec& spec, const v1::Plan& plan,
                                   const Terminal& terminal) {
  std::vector<std::string> lines = {
      absl::StrCat("plan of ", spec.name(), ": ", PlanSentence(plan),
                   " (a dry run: nothing is stored)"),
      absl::StrCat("expected work: ", FormatWork(plan.expected_work()), ", about ",
                   FormatDuration(plan.expected_work() / kCoreRate), " on one CPU core at ",
                   FormatShort(kCoreRate), " a second"),
      ""};
  for (const auto& more : {GroupLines(spec, plan, terminal), {""}, SettingLines(plan, terminal)}) {
    lines.insert(lines.end(), more.begin(), more.end());
  }
  return lines;
}

}  // namespace coppice::cli
