#include <string>

#include "common/spec/difference.h"
#include "common/spec/grid.h"
#include "common/spec/program.h"
#include "common/spec/spec.h"

namespace coppice::spec {

v1::RunConfig ResolveRun(const v1::SweepSpec& spec, const std::string& task, uint32_t depth) {
  v1::SweepSpec alone = spec;
  alone.clear_tasks();
  alone.add_tasks(task);
  alone.clear_depths();
  alone.add_depths(depth);
  const Grid grid(alone);
  v1::RunConfig run;
  grid.ForEachCell([&](const Cell& cell) {
    run = grid.Resolve(cell);
    return false;
  });
  return run;
}

double WorkPerStep(const v1::RunConfig& run) {
  if (run.has_program()) return kProgramWorkPerStep;
  const bool dyck = run.task() == "dyck";
  // The mean number of tokens of an example, with its start token, and an approximate vocabulary
  // size.
  const double tokens = dyck ? 51 : 27;
  const double vocabulary = dyck ? 43 : 80;
  const double d = run.model().d_model();
  const double layer = 4 * d * d + 2 * d * run.model().d_ff() + 2 * d * tokens;
  // One forward pass and one backward pass, which costs twice as much.
  return 3 * run.train().batch_size() * tokens * (run.depth() * layer + d * vocabulary);
}

bool SameSweep(const v1::SweepSpec& a, const v1::SweepSpec& b) {
  return a.name() == b.name() && Differences(a, b).empty();
}

int32_t Priority(const v1::SweepSpec& spec) { return spec.has_priority() ? spec.priority() : 0; }

uint32_t MaxFailures(const v1::SweepSpec& spec) {
  return spec.has_max_failures() ? spec.max_failures() : 3;
}

}  // namespace coppice::spec
