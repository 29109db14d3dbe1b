#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "common/spec/difference.h"
#include "common/spec/internal.h"
#include "common/spec/spec.h"

namespace coppice::spec {
namespace {

// SweepSpec and Override share the names of their setting groups but have no common type.
template <typename Settings>
void MergeSettings(const Settings& from, v1::RunConfig* run) {
  if (from.has_model()) run->mutable_model()->MergeFrom(from.model());
  if (from.has_train()) run->mutable_train()->MergeFrom(from.train());
  if (from.has_data()) run->mutable_data()->MergeFrom(from.data());
  if (from.has_report()) run->mutable_report()->MergeFrom(from.report());
  if (from.has_checkpoint()) run->mutable_checkpoint()->MergeFrom(from.checkpoint());
}

}  // namespace

bool Applies(const v1::Where& where, const std::string& task, uint32_t depth) {
  return (where.task().empty() || absl::c_linear_search(where.task(), task)) &&
         (where.depth().empty() || absl::c_linear_search(where.depth(), depth));
}

v1::RunConfig ResolveRun(const v1::SweepSpec& spec, const std::string& task, uint32_t depth) {
  v1::RunConfig run = DefaultRun(task);
  run.set_depth(depth);
  MergeSettings(spec, &run);
  for (const v1::Override& change : spec.overrides()) {
    if (Applies(change.where(), task, depth)) MergeSettings(change, &run);
  }
  return run;
}

std::string SettingPath(const v1::SweepSpec& spec, const std::string& task, uint32_t depth,
                        const std::string& setting) {
  for (int i = spec.overrides_size() - 1; i >= 0; --i) {
    const v1::Override& change = spec.overrides(i);
    if (Applies(change.where(), task, depth) && Sets(change, setting))
      return absl::StrCat("overrides[", i, "].", setting);
  }
  return Sets(spec, setting) ? setting : "";
}

double WorkPerStep(const v1::RunConfig& run) {
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
