#include "coordinator/core/extension_plan.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "coordinator/core/command_context.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/point.h"

namespace coppice::core {
namespace {

constexpr size_t kNamed = 8;       // points or seeds of one difference
constexpr size_t kInMessage = 12;  // differences; an error's message has no room for more
constexpr char kSteps[] = "train.steps";

std::string Shortened(std::vector<std::string> names) {
  const bool cut = names.size() > kNamed;
  if (cut) names.resize(kNamed);
  return absl::StrCat(absl::StrJoin(names, ", "), cut ? ", ..." : "");
}

std::string Line(const SettingChange& change) {
  return absl::StrCat(change.path, ": ", change.was, " -> ", change.is);
}

// Collects equal changes of several points.
class Changes {
 public:
  void Add(const SettingChange& change, const std::string& point) {
    points_[{change.path, change.was, change.is}].insert(point);
  }
  // One line each. The points are named unless they are all `points`.
  void ListIn(std::vector<std::string>& lines, size_t points) const {
    for (const auto& [change, at] : points_) {
      const auto& [path, was, is] = change;
      std::vector<std::string> names(at.begin(), at.end());
      std::sort(names.begin(), names.end());
      lines.push_back(absl::StrCat(
          Line({path, was, is}),
          names.size() == points ? "" : absl::StrCat(" (", Shortened(std::move(names)), ")")));
    }
  }

 private:
  std::map<std::tuple<std::string, std::string, std::string>, absl::flat_hash_set<std::string>>
      points_;
};

bool SameSpec(const GroupSpec& a, const GroupSpec& b) {
  return a.run_json == b.run_json && a.steps == b.steps;
}

// Purpose: makes one plan. Owner: one PlanExtension call.
class Planner {
 public:
  Planner(ReadTransaction& read, const ExtendRequest& request)
      : read_(read), request_(request), wanted_(request.spec) {}

  absl::StatusOr<ExtensionPlan> Make() {
    COPPICE_ASSIGN_OR_RETURN(const auto sweep, read_.FindSweep(wanted_.name));
    if (!sweep.has_value())
      return absl::NotFoundError(absl::StrCat("no sweep named '", wanted_.name, "'"));
    plan_.sweep = *sweep;
    COPPICE_ASSIGN_OR_RETURN(plan_.stored_blob, read_.GetSpecBlob(sweep->id));
    COPPICE_ASSIGN_OR_RETURN(stored_, read_.ListGroups(sweep->id));
    if (!HaveSameAxes(stored_.front().spec, wanted_.groups.front())) {
      plan_.extension.refused.push_back(absl::StrCat("axes: ", AxesText(stored_.front().spec),
                                                     " -> ", AxesText(wanted_.groups.front())));
      return std::move(plan_);
    }
    COPPICE_RETURN_IF_ERROR(CompareSweeps());
    COPPICE_RETURN_IF_ERROR(CompareGroups());
    COPPICE_RETURN_IF_ERROR(AddJobs());
    COPPICE_RETURN_IF_ERROR(CountContinuations(read_, plan_));
    plan_.sweep.priority = wanted_.priority;
    plan_.sweep.max_failures = wanted_.max_failures;
    plan_.sweep.steps_total = StepsTotal(wanted_);
    return std::move(plan_);
  }

 private:
  absl::Status CompareSweeps() {
    std::vector<std::string>& lines = plan_.extension.settings;
    const auto compare = [&lines](const std::string& path, auto was, auto is) {
      if (was != is) lines.push_back(Line({path, absl::StrCat(was), absl::StrCat(is)}));
    };
    compare("priority", plan_.sweep.priority, wanted_.priority);
    compare("max_failures", plan_.sweep.max_failures, wanted_.max_failures);
    COPPICE_ASSIGN_OR_RETURN(const auto changes,
                             request_.reader->CompareSweeps(plan_.stored_blob, wanted_.spec_blob));
    for (const SettingChange& change : changes) lines.push_back(Line(change));
    return absl::OkStatus();
  }

  absl::Status CompareGroups() {
    absl::flat_hash_map<std::string, const GroupSpec*> wanted;
    for (const GroupSpec& group : wanted_.groups) wanted[PointText(group)] = &group;
    std::vector<std::string> gone;
    for (const GroupRow& group : stored_) {
      const std::string point = PointText(group.spec);
      if (group.part_of == 0) first_[point] = group.id;
      plan_.continuing = plan_.continuing || group.continuing;
      const auto now = wanted.find(point);
      if (now == wanted.end()) {
        if (group.part_of == 0) gone.push_back(point);
      } else {
        COPPICE_RETURN_IF_ERROR(CompareGroup(group, *now->second, point));
      }
    }
    if (!gone.empty())
      plan_.extension.refused.push_back(absl::StrCat("left out: ", Shortened(std::move(gone))));
    settings_.ListIn(plan_.extension.settings, first_.size());
    refused_.ListIn(plan_.extension.refused, first_.size());
    return absl::OkStatus();
  }

  absl::Status CompareGroup(const GroupRow& group, const GroupSpec& now, const std::string& point) {
    if (SameSpec(group.spec, now)) return absl::OkStatus();
    COPPICE_ASSIGN_OR_RETURN(RunChange change,
                             request_.reader->CompareRuns(group.spec.run_json, now.run_json));
    const SettingChange steps{kSteps, absl::StrCat(group.spec.steps), absl::StrCat(now.steps)};
    const bool longer = now.steps > group.spec.steps;
    if (longer) change.in_place.push_back(steps);
    if (now.steps < group.spec.steps) change.others.push_back(steps);
    if (change.in_place.empty() && change.others.empty()) return absl::OkStatus();
    const bool needs_fresh = !change.others.empty();
    if (needs_fresh) {
      COPPICE_ASSIGN_OR_RETURN(const bool begun, HasBegun(group));
      for (const SettingChange& other : change.others)
        (begun ? refused_ : settings_).Add(other, point);
      if (begun) return absl::OkStatus();
      plan_.fresh.push_back(group);
      plan_.extension.changed_jobs += group.jobs;
    }
    for (const SettingChange& other : change.in_place) settings_.Add(other, point);
    if (longer) {
      plan_.longer.push_back(group);
      plan_.extension.added_steps += (now.steps - group.spec.steps) * group.jobs;
    }
    GroupRow& changed = plan_.changed.emplace_back(group);
    changed.spec = now;
    return absl::OkStatus();
  }

  absl::StatusOr<bool> HasBegun(const GroupRow& group) {
    const JobCounts& counts = group.counts;
    if (counts.running + counts.succeeded + counts.failed > 0) return true;
    return read_.AnyBegun(group.first_job, group.first_job + group.jobs - 1);
  }

  absl::Status AddJobs() {
    COPPICE_ASSIGN_OR_RETURN(const auto seeds, request_.reader->SeedsOf(plan_.stored_blob));
    const absl::flat_hash_set<uint32_t> before(seeds.begin(), seeds.end());
    const absl::flat_hash_set<uint32_t> after(wanted_.seeds.begin(), wanted_.seeds.end());
    std::vector<std::string> gone;
    for (const uint32_t seed : seeds) {
      if (!after.contains(seed)) gone.push_back(absl::StrCat(seed));
    }
    if (!gone.empty()) {
      plan_.extension.refused.push_back(
          absl::StrCat("seeds left out: ", Shortened(std::move(gone))));
    }
    std::vector<uint32_t> more;
    for (const uint32_t seed : wanted_.seeds) {
      if (!before.contains(seed)) more.push_back(seed);
    }
    Extension& extension = plan_.extension;
    for (const GroupSpec& group : wanted_.groups) {
      const bool is_new = !first_.contains(PointText(group));
      extension.new_points += is_new ? 1 : 0;
      const uint64_t jobs = is_new ? wanted_.seeds.size() : more.size();
      extension.new_jobs += jobs;
      extension.added_steps += jobs * group.steps;
    }
    if (extension.new_jobs > kMaxNewJobs) {
      return absl::InvalidArgumentError(
          absl::StrCat("the extension has ", extension.new_jobs, " new jobs, at most ", kMaxNewJobs,
                       " are possible at once: extend in several calls"));
    }
    for (const GroupSpec& group : wanted_.groups) AddGroup(group, more);
    return absl::OkStatus();
  }

  void AddGroup(const GroupSpec& spec, const std::vector<uint32_t>& more) {
    const auto first = first_.find(PointText(spec));
    const std::vector<uint32_t>& seeds = first == first_.end() ? wanted_.seeds : more;
    if (seeds.empty()) return;
    NewGroup& added = plan_.added.emplace_back();
    added.row.sweep_id = plan_.sweep.id;
    added.row.part_of = first == first_.end() ? 0 : first->second;
    added.row.spec = spec;
    added.row.seeds_ascend = std::is_sorted(seeds.begin(), seeds.end());
    added.row.jobs = seeds.size();
    added.row.counts.pending = seeds.size();
    added.seeds = seeds;
  }

  ReadTransaction& read_;
  const ExtendRequest& request_;
  const SweepSpec& wanted_;
  std::vector<GroupRow> stored_;
  absl::flat_hash_map<std::string, GroupId> first_;  // of each stored point
  Changes settings_;
  Changes refused_;
  ExtensionPlan plan_;
};

}  // namespace

absl::StatusOr<ExtensionPlan> PlanExtension(ReadTransaction& read, const ExtendRequest& request) {
  return Planner(read, request).Make();
}

absl::Status CountContinuations(ReadTransaction& read, ExtensionPlan& plan) {
  Extension& extension = plan.extension;
  extension.continued_jobs = extension.longer_jobs = 0;
  extension.repeating_jobs = extension.repeated_steps = 0;
  plan.to_follow.clear();
  if (plan.longer.empty()) return absl::OkStatus();
  absl::flat_hash_map<GroupId, GroupRow> now;
  COPPICE_ASSIGN_OR_RETURN(std::vector<GroupRow> rows, read.ListGroupCounts(plan.sweep.id));
  for (GroupRow& row : rows) now[row.id] = std::move(row);
  absl::flat_hash_map<GroupId, GroupSpec> wanted;
  for (const GroupRow& group : plan.changed) wanted[group.id] = group.spec;
  for (const GroupRow& group : plan.longer) {
    const JobCounts& counts = now[group.id].counts;
    extension.continued_jobs += counts.succeeded;
    extension.longer_jobs += counts.unfinished();
    const bool common_end = HasCommonEnd(wanted[group.id], group.spec.steps);
    if (counts.succeeded > 0 || !common_end) plan.to_follow.push_back(group.id);
    if (counts.succeeded == 0 || common_end) continue;
    COPPICE_ASSIGN_OR_RETURN(
        const RepeatedSteps repeated,
        read.CountRepeatedSteps(group.first_job, group.first_job + group.jobs - 1,
                                group.spec.steps));
    extension.repeating_jobs += repeated.jobs;
    extension.repeated_steps += repeated.steps;
  }
  return absl::OkStatus();
}

absl::Status RefusedExtension(const std::string& sweep, const Extension& extension) {
  std::vector<std::string> lines = extension.refused;
  const size_t count = lines.size();
  if (count > kInMessage) {
    lines.resize(kInMessage);
    lines.push_back(absl::StrCat("and ", count - kInMessage, " more"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "sweep '", sweep,
      "' cannot become this one, because jobs have begun: ", absl::StrJoin(lines, "; "),
      ". Take these differences back, or submit the spec under another name"));
}

}  // namespace coppice::core
