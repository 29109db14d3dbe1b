#include "cli/selection.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/where.h"
#include "common/spec/axes.h"
#include "common/spec/difference.h"

namespace coppice::cli {
namespace {

template <typename Wanted, typename Present>
bool Meets(const Wanted& wanted, const Present& present) {
  if (wanted.empty()) return true;
  using Value = std::decay_t<decltype(*wanted.begin())>;
  const absl::flat_hash_set<Value> known(present.begin(), present.end());
  return std::any_of(wanted.begin(), wanted.end(),
                     [&](const Value& value) { return known.contains(value); });
}

template <typename List>
std::string Ranges(const List& numbers) {
  return spec::RangesText({numbers.begin(), numbers.end()});
}

// "depth 7", "depths 2, 4".
std::string Numbered(const char* noun, size_t count, const std::string& text) {
  return absl::StrCat(noun, count == 1 ? " " : "s ", text);
}

// Whether the group's point has the tasks, the depths and the values of axes.
bool MeetsPoint(const v1::GroupSummary& group, const v1::JobFilter& filter) {
  return Meets(filter.tasks(), std::vector<std::string>{group.task()}) &&
         Meets(filter.depths(), std::vector<uint32_t>{group.depth()}) &&
         MeetsWhere(group.point(), filter);
}

}  // namespace

absl::Status CheckGrid(const v1::SweepSpec& spec, const v1::JobFilter& filter) {
  const std::vector<std::string> tasks = TasksOf(spec);
  const std::vector<uint32_t> depths = DepthsOf(spec);
  std::vector<std::string> wrong;
  if (!Meets(filter.tasks(), tasks)) {
    wrong.push_back(absl::StrCat(
        "no job of ", filter.sweep(), " has task ", absl::StrJoin(filter.tasks(), ", "), "; ",
        filter.sweep(), " has ",
        tasks.empty() ? "no tasks" : Numbered("task", tasks.size(), absl::StrJoin(tasks, ", "))));
  }
  if (!Meets(filter.depths(), depths)) {
    wrong.push_back(absl::StrCat(
        "no job of ", filter.sweep(), " has depth ", Ranges(filter.depths()), "; ", filter.sweep(),
        " has ", depths.empty() ? "no depths" : Numbered("depth", depths.size(), Ranges(depths))));
  }
  if (!Meets(filter.seeds(), spec.seeds())) {
    wrong.push_back(absl::StrCat(
        "no job of ", filter.sweep(), " has seed ", Ranges(filter.seeds()), "; ", filter.sweep(),
        " has ", Numbered("seed", static_cast<size_t>(spec.seeds_size()), Ranges(spec.seeds()))));
  }
  return wrong.empty() ? absl::OkStatus() : absl::NotFoundError(absl::StrJoin(wrong, "\n"));
}

bool KeepPoints(const v1::JobFilter& filter,
                google::protobuf::RepeatedPtrField<v1::GroupSummary>* groups) {
  const int all = groups->size();
  groups->erase(
      std::remove_if(groups->begin(), groups->end(),
                     [&](const v1::GroupSummary& group) { return !MeetsPoint(group, filter); }),
      groups->end());
  return groups->size() < all;
}

absl::Status CheckPoints(const v1::GetSweepResponse& sweep, const v1::JobFilter& filter) {
  if (spec::IsClassic(sweep.spec())) return absl::OkStatus();
  for (const v1::GroupSummary& group : sweep.groups()) {
    if (MeetsPoint(group, filter)) return absl::OkStatus();
  }
  return absl::NotFoundError(absl::StrCat(
      "no job of ", filter.sweep(),
      " meets all these conditions, since the sweep excludes such points; `coppice status ",
      filter.sweep(), "` shows those it has"));
}

absl::Status CheckJob(const v1::Job& job, const v1::JobFilter& filter) {
  v1::SweepSpec grid;
  grid.add_tasks(job.task());
  grid.add_depths(job.depth());
  grid.add_seeds(job.seed());
  if (CheckGrid(grid, filter).ok() && MeetsWhere(job.point(), filter)) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("job ", job.id(), " is ", job.sweep(), "/",
                   spec::JobText(job.point(), job.task(), job.depth(), job.seed()),
                   ", which the flags leave out"));
}

}  // namespace coppice::cli
