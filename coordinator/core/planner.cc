#include "coordinator/core/planner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/names.h"
#include "common/base/status_macros.h"
#include "coordinator/core/point.h"

namespace coppice::core {
namespace {

// The name is also a folder of the checkpoint root.
absl::Status CheckName(const std::string& name) {
  if (IsPlainName(name, kMaxSweepNameBytes)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("sweep name '", name, "': 1 to ", kMaxSweepNameBytes,
                   " letters, digits, '.', '_' or '-', the first a letter or digit"));
}

absl::Status CheckGroup(const GroupSpec& group) {
  const std::string where = absl::StrCat("group ", PointText(group), ": ");
  if (group.task.empty() != (group.depth == 0))
    return absl::InvalidArgumentError(where + "task and depth must both be set, or neither");
  if (group.run_json.empty()) return absl::InvalidArgumentError(where + "run settings must be set");
  if (group.steps == 0) return absl::InvalidArgumentError(where + "steps must be at least 1");
  if (group.report_every == 0)
    return absl::InvalidArgumentError(where + "report.every must be at least 1");
  if (group.checkpoint_every == 0)
    return absl::InvalidArgumentError(where + "checkpoint.every must be at least 1");
  if (group.keep == 0)
    return absl::InvalidArgumentError(where + "checkpoint.keep must be at least 1");
  if (!std::isfinite(group.work_per_step) || group.work_per_step < 0) {
    return absl::InvalidArgumentError(where + "work per step must be finite and not negative");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSpec(const SweepSpec& spec) {
  COPPICE_RETURN_IF_ERROR(CheckName(spec.name));
  if (spec.groups.empty()) return absl::InvalidArgumentError("the grid is empty: it has no point");
  if (spec.seeds.empty()) return absl::InvalidArgumentError("the grid is empty: no seed");
  if (spec.max_failures == 0) return absl::InvalidArgumentError("max_failures must be at least 1");
  if (spec.groups.size() > kMaxJobsPerSweep / spec.seeds.size()) {
    return absl::InvalidArgumentError(absl::StrCat("the sweep has ", spec.groups.size(), " x ",
                                                   spec.seeds.size(), " jobs, at most ",
                                                   kMaxJobsPerSweep, " are possible: split it"));
  }
  absl::flat_hash_set<std::string> points;
  for (const GroupSpec& group : spec.groups) {
    COPPICE_RETURN_IF_ERROR(CheckGroup(group));
    if (!HaveSameAxes(group, spec.groups.front())) {
      return absl::InvalidArgumentError(absl::StrCat("group ", PointText(group),
                                                     " has other axes than the group ",
                                                     PointText(spec.groups.front())));
    }
    if (!points.insert(PointText(group)).second)
      return absl::InvalidArgumentError(absl::StrCat("group ", PointText(group), " comes twice"));
  }
  const absl::flat_hash_set<uint32_t> seeds(spec.seeds.begin(), spec.seeds.end());
  if (seeds.size() != spec.seeds.size()) return absl::InvalidArgumentError("a seed comes twice");
  return absl::OkStatus();
}

uint64_t StepsTotal(const SweepSpec& spec) {
  uint64_t steps = 0;
  for (const GroupSpec& group : spec.groups) steps += uint64_t{group.steps} * spec.seeds.size();
  return steps;
}

Plan MakePlan(const SweepSpec& spec, uint32_t pack_width) {
  Plan plan;
  plan.pack_width = pack_width == 0 ? kDefaultPackWidth : pack_width;
  const uint64_t seeds = spec.seeds.size();
  for (const GroupSpec& group : spec.groups) {
    GroupSummary summary;
    summary.spec = group;
    summary.counts.pending = seeds;
    plan.groups.push_back(std::move(summary));
    plan.jobs += seeds;
    const uint64_t width =
        group.program_pack == 0 ? plan.pack_width : std::min(plan.pack_width, group.program_pack);
    plan.packs += (seeds + width - 1) / width;
    plan.expected_work += group.work_per_step * group.steps * static_cast<double>(seeds);
  }
  plan.steps_total = StepsTotal(spec);
  return plan;
}

}  // namespace coppice::core
