#include "cli/report/join.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "cli/select.h"
#include "cli/settings.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

constexpr char kSweepAxis[] = "sweep";
constexpr char kNoValue[] = "-";  // on an axis that the point's sweep does not have
constexpr char kApart[] =
    "`--line sweep` or `--panel sweep` draws the sweeps apart, and so needs none of this";
constexpr size_t kNamed = 5;

void AddCounts(const v1::JobCounts& more, v1::JobCounts* sum) {
  sum->set_pending(sum->pending() + more.pending());
  sum->set_running(sum->running() + more.running());
  sum->set_succeeded(sum->succeeded() + more.succeeded());
  sum->set_failed(sum->failed() + more.failed());
  sum->set_cancelled(sum->cancelled() + more.cancelled());
}

// The summary of all together. It has ended when each has.
template <typename Series>
v1::SweepSummary SumOf(const std::vector<Series>& parts) {
  v1::SweepSummary sum;
  std::vector<std::string> names, named;
  bool ended = true;
  for (const Series& part : parts) {
    const v1::SweepSummary& sweep = part.sweep.sweep();
    names.push_back(sweep.name());
    named.push_back(absl::StrCat(sweep.name(), " (", FormatCount(sweep.jobs()),
                                 sweep.jobs() == 1 ? " job)" : " jobs)"));
    AddCounts(sweep.counts(), sum.mutable_counts());
    sum.set_jobs(sum.jobs() + sweep.jobs());
    sum.set_steps_done(sum.steps_done() + sweep.steps_done());
    sum.set_steps_total(sum.steps_total() + sweep.steps_total());
    sum.set_paused(sum.paused() || sweep.paused());
    const bool first = sum.created_ms() == 0 || sweep.created_ms() < sum.created_ms();
    if (first) sum.set_created_ms(sweep.created_ms());
    ended &= sweep.finished_ms() != 0;
    sum.set_finished_ms(std::max(sum.finished_ms(), sweep.finished_ms()));
  }
  if (!ended) sum.set_finished_ms(0);
  sum.set_name(absl::StrJoin(names, " + "));
  sum.set_note(absl::StrCat("Joined from ", absl::StrJoin(named, ", "), "."));
  return sum;
}

template <typename List, typename Values>
void SetSorted(const Values& values, List* list) {
  list->Clear();
  for (const auto value : values) list->Add(value);
}

// ---- by axes

// The axes of all sweeps, in the order in which they come. An axis of two is one.
absl::StatusOr<std::vector<std::string>> AxesOfAll(const std::vector<AxesSeries>& parts) {
  std::vector<std::string> axes = {kSweepAxis};
  for (const AxesSeries& part : parts) {
    for (const std::string& axis : part.points.axes) {
      if (axis == kSweepAxis) {
        return absl::InvalidArgumentError(
            absl::StrCat(part.sweep.sweep().name(),
                         " has an axis named sweep itself; make a report of it alone"));
      }
      if (std::find(axes.begin(), axes.end(), axis) == axes.end()) axes.push_back(axis);
    }
  }
  return axes;
}

using Coordinates = google::protobuf::RepeatedPtrField<v1::Coordinate>;

Coordinates PointIn(const AxesSeries& part, size_t group, const std::vector<std::string>& axes) {
  Coordinates point;
  for (const std::string& axis : axes) {
    v1::Coordinate* coordinate = point.Add();
    coordinate->set_axis(axis);
    const size_t at = part.AxisIndex(axis);
    coordinate->set_value(axis == kSweepAxis             ? part.sweep.sweep().name()
                          : at < part.points.axes.size() ? part.points.values[group][at]
                                                         : kNoValue);
  }
  return point;
}

// Names the values that the points have, each axis in the order of the sweeps.
void SetAxes(const std::vector<AxesSeries>& parts, const std::vector<std::string>& axes,
             v1::SweepSpec* spec) {
  for (const std::string& name : axes) {
    v1::Axis* axis = spec->add_axes();
    axis->set_name(name);
    std::set<std::string> known;
    const auto add = [&](const std::string& value) {
      if (known.insert(value).second) axis->add_values()->set_name(value);
    };
    for (const AxesSeries& part : parts) {
      const size_t at = part.AxisIndex(name);
      if (name == kSweepAxis) {
        add(part.sweep.sweep().name());
      } else if (at == part.points.axes.size()) {
        add(kNoValue);
      } else {
        for (const std::string& value : part.ValuesOf(at)) add(value);
      }
    }
  }
}

// ---- studies

std::string PointName(const v1::GroupSummary& group) {
  return absl::StrCat(group.task(), "/", group.depth());
}

// "train.steps is 300 in a and 400 in b; ..." for the settings that differ; empty: none.
std::string DifferentSettings(const v1::GroupSummary& a, const std::string& a_name,
                              const v1::GroupSummary& b, const std::string& b_name) {
  const std::map<std::string, std::string> ours = SettingsOf(a.run()), theirs = SettingsOf(b.run());
  std::vector<std::string> differ;
  for (const auto& [path, value] : ours) {
    const auto other = theirs.find(path);
    const std::string there = other == theirs.end() ? "unset" : other->second;
    if (there == value) continue;
    if (differ.size() == kNamed) {
      differ.push_back("and more");
      break;
    }
    differ.push_back(
        absl::StrCat(path, " is ", value, " in ", a_name, " and ", there, " in ", b_name));
  }
  return absl::StrJoin(differ, "; ");
}

// Adds the jobs of `more` to those of `group`.
void AddGroup(const v1::GroupSummary& more, v1::GroupSummary* group) {
  AddCounts(more.counts(), group->mutable_counts());
  group->set_steps_done(group->steps_done() + more.steps_done());
}

struct OwnedGroup {
  v1::GroupSummary group;
  std::string sweep;  // the first that has it
  bool shared = false;
};

absl::StatusOr<std::vector<OwnedGroup>> MergeGroups(const std::vector<SweepSeries>& parts) {
  std::vector<OwnedGroup> merged;
  std::map<std::string, size_t> places;
  for (const SweepSeries& part : parts) {
    const std::string& sweep = part.sweep.sweep().name();
    for (const v1::GroupSummary& group : part.sweep.groups()) {
      const auto [place, fresh] = places.emplace(PointName(group), merged.size());
      if (fresh) {
        merged.push_back({group, sweep, false});
        continue;
      }
      OwnedGroup& owned = merged[place->second];
      const std::string differ = DifferentSettings(owned.group, owned.sweep, group, sweep);
      if (!differ.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("the settings of ", PointName(group), " differ: ", differ, ". ", kApart));
      }
      AddGroup(group, &owned.group);
      owned.shared |= owned.sweep != sweep;
    }
  }
  return merged;
}

absl::Status CheckJobsOnce(const std::vector<SweepSeries>& parts) {
  std::map<std::string, std::string> sweeps;  // by job
  std::vector<std::string> twice;
  for (const SweepSeries& part : parts) {
    for (const JobSeries& job : part.jobs) {
      const std::string& sweep = part.sweep.sweep().name();
      const auto [known, fresh] = sweeps.emplace(JobName(job.job), sweep);
      if (!fresh && twice.size() <= kNamed)
        twice.push_back(absl::StrCat(known->first, " is in ", known->second, " and in ", sweep));
    }
  }
  if (twice.empty()) return absl::OkStatus();
  if (twice.size() > kNamed) twice.back() = "and more";
  return absl::InvalidArgumentError(
      absl::StrCat("a job counts once in a study: ", absl::StrJoin(twice, "; "), ". ", kApart));
}

}  // namespace

absl::StatusOr<AxesSeries> JoinByAxes(std::vector<AxesSeries> parts) {
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> axes, AxesOfAll(parts));
  AxesSeries joined;
  *joined.sweep.mutable_sweep() = SumOf(parts);
  v1::SweepSpec* spec = joined.sweep.mutable_spec();
  spec->set_name(joined.sweep.sweep().name());
  SetAxes(parts, axes, spec);
  std::set<uint32_t> seeds;
  size_t groups = 0;
  for (AxesSeries& part : parts) {
    seeds.insert(part.sweep.spec().seeds().begin(), part.sweep.spec().seeds().end());
    joined.not_finite += part.not_finite;
    for (const std::string& metric : part.metrics) {
      auto& metrics = joined.metrics;
      if (std::find(metrics.begin(), metrics.end(), metric) == metrics.end())
        metrics.push_back(metric);
    }
    for (int i = 0; i < part.sweep.groups_size(); ++i) {
      v1::GroupSummary* group = joined.sweep.add_groups();
      *group = part.sweep.groups(i);
      *group->mutable_point() = PointIn(part, static_cast<size_t>(i), axes);
    }
    for (AxesJob& job : part.jobs) {
      *job.job.mutable_point() = PointIn(part, job.group, axes);
      job.group += groups;
      joined.jobs.push_back(std::move(job));
    }
    groups += static_cast<size_t>(part.sweep.groups_size());
  }
  SetSorted(seeds, spec->mutable_seeds());
  joined.points = PointRowsOf(joined.sweep.groups());
  return joined;
}

absl::StatusOr<SweepSeries> JoinStudies(std::vector<SweepSeries> parts) {
  COPPICE_RETURN_IF_ERROR(CheckJobsOnce(parts));
  COPPICE_ASSIGN_OR_RETURN(std::vector<OwnedGroup> groups, MergeGroups(parts));
  SweepSeries joined;
  joined.sweep = parts[0].sweep;
  v1::SweepSummary sum = SumOf(parts);
  v1::SweepSpec* spec = joined.sweep.mutable_spec();
  spec->set_name(sum.name());
  std::set<uint32_t> depths, seeds;
  for (SweepSeries& part : parts) {
    for (const std::string& task : part.sweep.spec().tasks()) {
      const auto& tasks = spec->tasks();
      if (std::find(tasks.begin(), tasks.end(), task) == tasks.end()) spec->add_tasks(task);
    }
    depths.insert(part.sweep.spec().depths().begin(), part.sweep.spec().depths().end());
    seeds.insert(part.sweep.spec().seeds().begin(), part.sweep.spec().seeds().end());
    joined.not_finite += part.not_finite;
    std::move(part.jobs.begin(), part.jobs.end(), std::back_inserter(joined.jobs));
  }
  SetSorted(depths, spec->mutable_depths());
  SetSorted(seeds, spec->mutable_seeds());
  const auto place = [&](const std::string& task) {
    return std::find(spec->tasks().begin(), spec->tasks().end(), task) - spec->tasks().begin();
  };
  std::sort(joined.jobs.begin(), joined.jobs.end(), [&](const JobSeries& a, const JobSeries& b) {
    return std::tuple(place(a.job.task()), a.job.depth(), a.job.seed()) <
           std::tuple(place(b.job.task()), b.job.depth(), b.job.seed());
  });
  std::sort(groups.begin(), groups.end(), [&](const OwnedGroup& a, const OwnedGroup& b) {
    return std::tuple(place(a.group.task()), a.group.depth()) <
           std::tuple(place(b.group.task()), b.group.depth());
  });
  joined.sweep.clear_groups();
  size_t shared = 0;
  for (OwnedGroup& owned : groups) {
    shared += owned.shared ? 1 : 0;
    *joined.sweep.add_groups() = std::move(owned.group);
  }
  sum.mutable_note()->append(
      shared == 0 ? " They have no task and depth in common."
                  : absl::StrCat(" ", FormatCount(shared), " of the ", FormatCount(groups.size()),
                                 " points have seeds of several sweeps, with the same settings."));
  *joined.sweep.mutable_sweep() = std::move(sum);
  return joined;
}

}  // namespace coppice::cli
