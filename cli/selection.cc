#include "cli/selection.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/spec/difference.h"

namespace coppice::cli {
namespace {

template <typename List>
bool Meets(const List& wanted, const List& present) {
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
std::string Numbered(const char* noun, int count, const std::string& text) {
  return absl::StrCat(noun, count == 1 ? " " : "s ", text);
}

}  // namespace

absl::Status CheckGrid(const v1::SweepSpec& spec, const v1::JobFilter& filter) {
  std::vector<std::string> wrong;
  if (!Meets(filter.tasks(), spec.tasks())) {
    wrong.push_back(
        absl::StrCat("no job of ", filter.sweep(), " has task ",
                     absl::StrJoin(filter.tasks(), ", "), "; ", filter.sweep(), " has ",
                     Numbered("task", spec.tasks_size(), absl::StrJoin(spec.tasks(), ", "))));
  }
  if (!Meets(filter.depths(), spec.depths())) {
    wrong.push_back(absl::StrCat("no job of ", filter.sweep(), " has depth ",
                                 Ranges(filter.depths()), "; ", filter.sweep(), " has ",
                                 Numbered("depth", spec.depths_size(), Ranges(spec.depths()))));
  }
  if (!Meets(filter.seeds(), spec.seeds())) {
    wrong.push_back(absl::StrCat("no job of ", filter.sweep(), " has seed ", Ranges(filter.seeds()),
                                 "; ", filter.sweep(), " has ",
                                 Numbered("seed", spec.seeds_size(), Ranges(spec.seeds()))));
  }
  return wrong.empty() ? absl::OkStatus() : absl::NotFoundError(absl::StrJoin(wrong, "\n"));
}

absl::Status CheckJob(const v1::Job& job, const v1::JobFilter& filter) {
  v1::SweepSpec grid;
  grid.add_tasks(job.task());
  grid.add_depths(job.depth());
  grid.add_seeds(job.seed());
  if (CheckGrid(grid, filter).ok()) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("job ", job.id(), " is ", job.sweep(), "/", job.task(),
                                          "/", job.depth(), "/", job.seed(),
                                          ", which the flags leave out"));
}

}  // namespace coppice::cli
