#include "coordinator/core/eta.h"

#include <algorithm>

namespace coppice::core {
namespace {

// Returns the steps that the group's open jobs have yet to do.
double StepsLeft(const GroupRow& group, const LiveStats& live) {
  const auto extra = live.extra_steps.find(group.id);
  const uint64_t total = group.counts.unfinished() * group.spec.steps;
  const uint64_t done = group.open_steps + (extra == live.extra_steps.end() ? 0 : extra->second);
  return static_cast<double>(total - std::min(total, done));
}

// Returns the work a second of one job, over the measured groups; 0 if none was measured.
double WorkPace(const std::vector<GroupRow>& groups, const LiveStats& live) {
  double work = 0, seconds = 0;
  for (const GroupRow& group : groups) {
    const auto pace = live.pace.find(group.id);
    if (pace == live.pace.end()) continue;
    work += pace->second.steps * group.spec.work_per_step;
    seconds += pace->second.seconds;
  }
  return seconds > 0 ? work / seconds : 0;
}

// Predicts from the rates that trainers last reported.
double ByReportedRates(const std::vector<GroupRow>& groups, const LiveStats& live) {
  double work_left = 0;
  for (const GroupRow& group : groups)
    work_left += StepsLeft(group, live) * group.spec.work_per_step;
  return live.work_per_second > 0 ? work_left / live.work_per_second : -1;
}

}  // namespace

double EtaSeconds(const std::vector<GroupRow>& groups, const LiveStats& live) {
  uint64_t open = 0;
  for (const GroupRow& group : groups) open += group.counts.unfinished();
  if (open == 0) return 0;
  if (live.leases == 0) return -1;
  const double work_pace = WorkPace(groups, live);
  if (work_pace <= 0) return ByReportedRates(groups, live);
  double job_seconds = 0, longest = 0;
  const std::vector<GroupPace> paces = PacesOf(groups, live);
  for (size_t i = 0; i < groups.size(); ++i) {
    const uint64_t jobs = groups[i].counts.unfinished();
    if (jobs == 0) continue;
    const double seconds = paces[i].steps_left * paces[i].seconds_a_step;
    job_seconds += seconds;
    longest = std::max(longest, seconds / static_cast<double>(jobs));
  }
  return std::max(job_seconds / static_cast<double>(std::min(live.leases, open)), longest);
}

std::vector<GroupPace> PacesOf(const std::vector<GroupRow>& groups, const LiveStats& live) {
  double work_pace = WorkPace(groups, live);
  if (work_pace <= 0 && live.leases > 0) {
    work_pace = live.work_per_second / static_cast<double>(live.leases);
  }
  std::vector<GroupPace> paces;
  paces.reserve(groups.size());
  for (const GroupRow& group : groups) {
    GroupPace& pace = paces.emplace_back();
    pace.steps_left = StepsLeft(group, live);
    const auto measured = live.pace.find(group.id);
    if (measured != live.pace.end() && measured->second.steps > 0) {
      pace.seconds_a_step = measured->second.seconds / measured->second.steps;
    } else if (work_pace > 0) {
      pace.seconds_a_step = std::max(group.spec.work_per_step, 1.0) / work_pace;
    }
  }
  return paces;
}

}  // namespace coppice::core
