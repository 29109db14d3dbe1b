#include "cli/plan_view.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/axis_values.h"
#include "cli/format.h"
#include "cli/points.h"
#include "cli/settings.h"
#include "cli/table.h"
#include "common/settings/table.h"
#include "common/spec/axes.h"
#include "common/spec/difference.h"

namespace coppice::cli {
namespace {

// The order of magnitude of one core's speed with OpenBLAS on these small matrices. It turns work
// into a time that a person can judge.
constexpr double kCoreRate = 1e10;

std::vector<std::string> SettingLines(const v1::Plan& plan, const Terminal& terminal) {
  Table table({{"setting"}, {"value", Align::kRight}, {"for"}});
  std::string before;
  for (const SettingRow& row : SettingRows(plan.groups())) {
    table.AddRow({row.path == before ? "" : row.path, row.value, row.groups});
    before = row.path;
  }
  return table.Lines(terminal.width, 2);
}

// More rows say less. Beyond them, points are summed over their innermost axes.
constexpr size_t kMaxPointRows = 24;
constexpr size_t kMaxAxisValues = 8;

std::string ValuesText(const v1::Axis& axis) {
  std::vector<std::string> names;
  for (const v1::AxisValue& value : axis.values()) {
    if (names.size() == kMaxAxisValues) {
      names.push_back(absl::StrCat("... (", axis.values_size(), ")"));
      break;
    }
    names.push_back(value.name());
  }
  return absl::StrJoin(names, ", ");
}

// The settings that a named axis sets.
std::string SetsText(const v1::Axis& axis) {
  std::vector<std::string> paths;
  const auto add = [&](const std::string& path) {
    if (path != axis.name() && std::find(paths.begin(), paths.end(), path) == paths.end())
      paths.push_back(path);
  };
  for (const v1::AxisValue& value : axis.values()) {
    for (const settings::Setting& setting : settings::RunSettings().settings()) {
      if (SetsSetting(value.settings(), setting.path)) add(setting.path);
    }
    for (const v1::ProgramSetting& setting : value.settings().program()) add(setting.name());
  }
  return absl::StrJoin(paths, ", ");
}

std::vector<std::string> AxisLines(const v1::SweepSpec& spec, const v1::Plan& plan,
                                   const Terminal& terminal) {
  Table table({{"axis"}, {"values"}, {"sets"}});
  uint64_t cells = 1;
  for (const v1::Axis& axis : spec::AxesOf(spec)) {
    table.AddRow({axis.name(), ValuesText(axis), SetsText(axis)});
    cells *= static_cast<uint64_t>(axis.values_size());
  }
  table.AddRow({"seed", spec::RangesText({spec.seeds().begin(), spec.seeds().end()}), ""});
  std::vector<std::string> lines = table.Lines(terminal.width);
  const auto points = static_cast<uint64_t>(plan.groups_size());
  lines.push_back(absl::StrCat(
      FormatCount(points), points == 1 ? " point" : " points",
      cells > points ? absl::StrCat(" (", FormatCount(cells - points), " excluded)") : ""));
  return lines;
}

// A row per point, or per combination of the outermost axes if there are many points.
std::vector<std::string> PointLines(const v1::SweepSpec& spec, const v1::Plan& plan,
                                    const Terminal& terminal) {
  struct Sum {
    std::vector<std::string> values;
    uint64_t points = 0, low = 0, high = 0;
    double work = 0;
  };
  const PointRows rows = PointRowsOf(plan.groups());
  const size_t axes = rows.Fold(kMaxPointRows);
  std::vector<Sum> sums;
  std::map<std::string, size_t> index;
  double total = 0;
  for (int i = 0; i < plan.groups_size(); ++i) {
    const v1::GroupSummary& group = plan.groups(i);
    const auto at = static_cast<size_t>(i);
    const auto [found, is_new] = index.emplace(rows.Leading(at, axes), sums.size());
    if (is_new) {
      sums.emplace_back().values.assign(rows.values[at].begin(),
                                        rows.values[at].begin() + static_cast<ptrdiff_t>(axes));
    }
    Sum& sum = sums[found->second];
    const uint64_t steps = group.steps();
    sum.low = sum.points == 0 ? steps : std::min(sum.low, steps);
    sum.high = std::max(sum.high, steps);
    ++sum.points;
    sum.work += group.work_per_step() * static_cast<double>(steps);
    total += group.work_per_step() * static_cast<double>(steps);
  }
  std::vector<Table::Column> columns;
  for (size_t axis = 0; axis < axes; ++axis) columns.push_back({rows.axes[axis]});
  const bool folded = axes < rows.axes.size();
  if (folded) columns.push_back({"points", Align::kRight});
  for (const char* name : {"jobs", "steps", "work", "share"})
    columns.push_back({name, Align::kRight});
  Table table(std::move(columns));
  const auto seeds = static_cast<uint64_t>(spec.seeds_size());
  for (const Sum& sum : sums) {
    std::vector<std::string> cells = sum.values;
    if (folded) cells.push_back(FormatCount(sum.points));
    cells.push_back(FormatCount(sum.points * seeds));
    cells.push_back(sum.low == sum.high
                        ? FormatCount(sum.low)
                        : absl::StrCat(FormatCount(sum.low), "-", FormatCount(sum.high)));
    cells.push_back(FormatShort(sum.work * static_cast<double>(seeds)));
    cells.push_back(total > 0 ? absl::StrCat(static_cast<int>(100 * sum.work / total + 0.5), "%")
                              : "-");
    table.AddRow(std::move(cells));
  }
  return table.Lines(terminal.width, std::max<size_t>(1, axes));
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
  // A pack of one is just a job, so it is not mentioned.
  if (plan.pack_width() > 1) {
    absl::StrAppend(&text, " in ", FormatCount(plan.packs()),
                    plan.packs() == 1 ? " pack" : " packs", " of up to ", plan.pack_width(),
                    " seeds");
  }
  return absl::StrCat(text, ", ", FormatSteps(plan.steps_total()), " steps");
}

std::string WorkText(double work) {
  return absl::StrCat(FormatWork(work), ", about ", FormatDuration(work / kCoreRate),
                      " on one CPU core at ", FormatShort(kCoreRate), " a second");
}

std::vector<std::string> PlanLines(const v1::SweepSpec& spec, const v1::Plan& plan,
                                   const Terminal& terminal) {
  std::vector<std::string> lines = {absl::StrCat("plan of ", spec.name(), ": ", PlanSentence(plan),
                                                 " (a dry run: nothing is stored)"),
                                    absl::StrCat("expected work: ", WorkText(plan.expected_work())),
                                    ""};
  const auto add = [&](const std::vector<std::string>& more) {
    lines.insert(lines.end(), more.begin(), more.end());
  };
  if (spec::IsClassic(spec)) {
    add(GroupLines(spec, plan, terminal));
  } else {
    add(AxisLines(spec, plan, terminal));
    add({""});
    add(PointLines(spec, plan, terminal));
  }
  add({""});
  add(SettingLines(plan, terminal));
  return lines;
}

}  // namespace coppice::cli
