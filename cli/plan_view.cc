#include "cli/plan_view.h"

#include "absl/strings/str_cat.h"
#include "cli/format.h"
#include "cli/settings.h"
#include "cli/table.h"

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
