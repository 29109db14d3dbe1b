#include "common/spec/plan.h"

#include <algorithm>

#include "common/base/limits.h"
#include "common/spec/axes.h"
#include "common/spec/spec.h"

namespace coppice::spec {

v1::Plan MakePlan(const v1::SweepSpec& spec, uint32_t pack_width) {
  v1::Plan plan;
  plan.set_pack_width(pack_width == 0 ? kDefaultPackWidth : pack_width);
  const auto seeds = static_cast<uint64_t>(spec.seeds_size());
  uint64_t width = plan.pack_width();
  if (spec.has_program()) {
    const uint32_t pack = spec.program().has_pack() ? spec.program().pack() : 1;
    width = std::max<uint64_t>(1, std::min<uint64_t>(width, pack));
  }
  ForEachPoint(spec, [&](const GridPoint& point) {
    v1::GroupSummary* group = plan.add_groups();
    *group->mutable_point() = point.coordinates;
    group->set_task(point.task);
    group->set_depth(point.depth);
    *group->mutable_run() = point.run;
    group->set_steps(point.run.train().steps());
    group->set_work_per_step(WorkPerStep(point.run));
    group->mutable_counts()->set_pending(seeds);
    plan.set_jobs(plan.jobs() + seeds);
    plan.set_packs(plan.packs() + (seeds + width - 1) / width);
    plan.set_steps_total(plan.steps_total() + seeds * group->steps());
    plan.set_expected_work(plan.expected_work() + group->work_per_step() *
                                                      static_cast<double>(group->steps()) *
                                                      static_cast<double>(seeds));
    return absl::OkStatus();
  }).IgnoreError();
  return plan;
}

}  // namespace coppice::spec
