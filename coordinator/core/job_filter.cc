#include "coordinator/core/job_filter.h"

#include <algorithm>
#include <memory>
#include <set>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace coppice::core {
namespace {

using Visit = absl::FunctionRef<bool(const JobRow&, const GroupInfo&)>;

template <typename T>
bool Matches(const std::vector<T>& wanted, const T& value) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
}

struct Criteria {
  const JobFilter& filter;
  StateSet states;
  absl::flat_hash_set<uint32_t> seeds;

  bool FitsGroup(const GroupInfo& group) const {
    return (filter.sweep.empty() || filter.sweep == group.sweep->name) &&
           Matches(filter.tasks, group.spec.task) && Matches(filter.depths, group.spec.depth);
  }
  bool FitsJob(const JobRow& job) const {
    return states.Has(job.state) && (seeds.empty() || seeds.contains(job.seed));
  }
};

StateSet Both(const std::vector<JobState>& wanted, StateSet also) {
  std::vector<JobState> states;
  for (int i = static_cast<int>(JobState::kPending); i <= static_cast<int>(JobState::kCancelled);
       ++i) {
    const auto state = static_cast<JobState>(i);
    if (also.Has(state) && Matches(wanted, state)) states.push_back(state);
  }
  return StateSet(states);
}

bool HasAny(const JobCounts& counts, StateSet states) {
  return (counts.pending > 0 && states.Has(JobState::kPending)) ||
         (counts.running > 0 && states.Has(JobState::kRunning)) ||
         (counts.succeeded > 0 && states.Has(JobState::kSucceeded)) ||
         (counts.failed > 0 && states.Has(JobState::kFailed)) ||
         (counts.cancelled > 0 && states.Has(JobState::kCancelled));
}

absl::Status VisitIds(ReadTransaction& read, const Catalog& catalog, const Criteria& criteria,
                      JobId after, Visit visit) {
  const std::set<JobId> ids(criteria.filter.job_ids.begin(), criteria.filter.job_ids.end());
  for (auto it = ids.upper_bound(after); it != ids.end(); ++it) {
    COPPICE_ASSIGN_OR_RETURN(const JobRow job, read.GetJob(*it));
    const auto group = catalog.Group(job.group_id);
    if (group == nullptr || !criteria.FitsGroup(*group) || !criteria.FitsJob(job)) continue;
    if (!visit(job, *group)) break;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ForEachJob(ReadTransaction& read, const Catalog& catalog, const JobFilter& filter,
                        StateSet also, JobId after, Visit visit) {
  Criteria criteria{filter, Both(filter.states, also), {filter.seeds.begin(), filter.seeds.end()}};
  std::shared_ptr<const SweepInfo> sweep;
  if (!filter.sweep.empty()) {
    sweep = catalog.FindSweep(filter.sweep);
    if (sweep == nullptr)
      return absl::NotFoundError(absl::StrCat("no sweep named '", filter.sweep, "'"));
  }
  if (!filter.job_ids.empty()) return VisitIds(read, catalog, criteria, after, visit);
  if (sweep == nullptr) return absl::InvalidArgumentError("name a sweep or job ids");
  COPPICE_ASSIGN_OR_RETURN(const std::vector<GroupRow> rows, read.ListGroups(sweep->id));
  bool go_on = true;
  for (const GroupRow& row : rows) {
    const auto group = catalog.Group(row.id);
    const JobId last = row.first_job + row.jobs - 1;
    if (group == nullptr || last <= after || !criteria.FitsGroup(*group)) continue;
    if (!HasAny(row.counts, criteria.states)) continue;
    COPPICE_RETURN_IF_ERROR(read.ScanJobs(std::max(row.first_job, after + 1), last, criteria.states,
                                          [&](const JobRow& job) {
                                            if (criteria.FitsJob(job)) go_on = visit(job, *group);
                                            return go_on;
                                          }));
    if (!go_on) break;
  }
  return absl::OkStatus();
}

}  // namespace coppice::core
