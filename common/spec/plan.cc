#include "common/spec/plan.h"

#include "common/base/limits.h"
#include "common/spec/spec.h"

namespace coppice::spec {

v1::Plan MakePlan(const v1::SweepSpec& spec, uint32_t pack_width) {
  v1::Plan plan;
  plan.set_pack_width(pack_width == 0 ? kDefaultPackWidth : pack_width);
  const auto seeds = static_cast<uint64_t>(spec.seeds_size());
  for (const std::string& task : spec.tasks()) {
    for (const uint32_t depth : spec.depths()) {
      v1::GroupSummary* group = plan.add_groups();
      group->set_task(task);
      group->set_depth(depth);
      *group->mutable_run() = ResolveRun(spec, task, depth);
      group->set_steps(group->run().train().steps());
      group->set_work_per_step(WorkPerStep(group->run()));
      group->mutable_counts()->set_pending(seeds);
      plan.set_jobs(plan.jobs() + seeds);
      plan.set_packs(plan.packs() + (seeds + plan.pack_width() - 1) / plan.pack_width());
      plan.set_steps_total(plan.steps_total() + seeds * group->steps());
      plan.set_expected_work(plan.expected_work() + group->work_per_step() *
                                                        static_cast<double>(group->steps()) *
                                                        static_cast<double>(seeds));
    }
  }
  return plan;
}

}  // namespace coppice::spec
