#include "coordinator/core/job_filter.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/core/point.h"

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
  std::optional<std::vector<uint32_t>> wanted_seeds;  // ascending; nullopt: all
  absl::flat_hash_set<uint32_t> seeds = {};           // the same

  bool FitsGroup(const GroupInfo& group) const {
    return (filter.sweep.empty() || filter.sweep == group.sweep->name) &&
           Matches(filter.tasks, group.spec.task) && Matches(filter.depths, group.spec.depth) &&
           MeetsAll(group.spec, filter.where);
  }
  bool FitsJob(const JobRow& job) const {
    return states.Has(job.state) && (!wanted_seeds || seeds.contains(job.seed));
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

// A walk over the jobs of a filter.
class Walk {
 public:
  Walk(ReadTransaction& read, const Catalog& catalog, const Criteria& criteria, JobId after,
       uint64_t most, Visit visit)
      : read_(read),
        catalog_(catalog),
        criteria_(criteria),
        seeds_(criteria.wanted_seeds.value_or(std::vector<uint32_t>())),
        after_(after),
        left_(std::max<uint64_t>(1, most)),
        visit_(visit) {}

  absl::StatusOr<JobId> OverIds() {
    std::vector<JobId> ids = criteria_.filter.job_ids;
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    for (auto it = std::upper_bound(ids.begin(), ids.end(), after_); it != ids.end(); ++it) {
      if (left_ == 0) return *it - 1;
      COPPICE_ASSIGN_OR_RETURN(const JobRow job, Read(*it));
      const auto group = catalog_.Group(job.group_id);
      if (group == nullptr || !criteria_.FitsGroup(*group)) continue;
      if (!Visited(job, *group)) break;
    }
    return 0;
  }

  absl::StatusOr<JobId> OverGroups(const std::vector<GroupRow>& rows) {
    for (const GroupRow& row : rows) {
      const auto group = catalog_.Group(row.id);
      const JobId last = row.first_job + row.jobs - 1;
      if (group == nullptr || last <= after_ || !criteria_.FitsGroup(*group)) continue;
      if (!HasAny(row.counts, criteria_.states)) continue;
      const JobId from = std::max(row.first_job, after_ + 1);
      if (left_ == 0) return from - 1;
      // If the seeds have gaps, a search reads some twenty jobs of a million.
      const bool search = !seeds_.empty() && row.seeds_ascend &&
                          seeds_.size() < std::max<uint64_t>(2, row.jobs / 8);
      COPPICE_ASSIGN_OR_RETURN(const JobId next_after,
                               search ? Search(*group, from, last) : Scan(*group, from, last));
      if (ended_) return 0;
      if (next_after != 0) return next_after;
    }
    return 0;
  }

 private:
  // Returns the id after which to continue; 0: the group is done.
  absl::StatusOr<JobId> Scan(const GroupInfo& group, JobId from, JobId last) {
    const JobId until = std::min(last, from + left_ - 1);
    COPPICE_RETURN_IF_ERROR(read_.ScanJobs(from, until, criteria_.states,
                                           [&](const JobRow& job) { return Visited(job, group); }));
    left_ -= until - from + 1;
    return until == last ? 0 : until;
  }

  absl::StatusOr<JobId> Search(const GroupInfo& group, JobId from, JobId last) {
    COPPICE_ASSIGN_OR_RETURN(const JobRow first, Read(from));
    for (auto it = std::lower_bound(seeds_.begin(), seeds_.end(), first.seed);
         it != seeds_.end() && from <= last; ++it) {
      if (left_ == 0 && from > first.id) return from - 1;
      // Seeds are usually a range. Gaps before the wanted seed move it further to the front.
      const JobId at = std::max(from, std::min<JobId>(last, first.id + (*it - first.seed)));
      COPPICE_ASSIGN_OR_RETURN(JobRow job, Read(at));
      if (job.seed != *it) {
        COPPICE_ASSIGN_OR_RETURN(job, Bisect(*it, from, at));
      }
      from = job.seed >= *it ? job.id : job.id + 1;
      if (job.seed != *it) continue;
      ++from;
      if (!Visited(job, group)) return 0;
    }
    return 0;
  }

  // Returns the first job from `low` on whose seed is at least `seed`, or the one at `high`.
  absl::StatusOr<JobRow> Bisect(uint32_t seed, JobId low, JobId high) {
    while (low < high) {
      const JobId middle = low + (high - low) / 2;
      COPPICE_ASSIGN_OR_RETURN(const JobRow job, Read(middle));
      if (job.seed < seed) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return Read(low);
  }

  absl::StatusOr<JobRow> Read(JobId id) {
    if (left_ > 0) --left_;
    return read_.GetJob(id);
  }

  bool Visited(const JobRow& job, const GroupInfo& group) {
    if (criteria_.FitsJob(job) && !visit_(job, group)) ended_ = true;
    return !ended_;
  }

  ReadTransaction& read_;
  const Catalog& catalog_;
  const Criteria& criteria_;
  const std::vector<uint32_t> seeds_;  // ascending
  const JobId after_;
  uint64_t left_;  // jobs that may still be read
  const Visit visit_;
  bool ended_ = false;
};

}  // namespace

absl::StatusOr<JobId> WalkJobs(ReadTransaction& read, const Catalog& catalog,
                               const JobFilter& filter, StateSet also, JobId after, uint64_t most,
                               Visit visit) {
  Criteria criteria{filter, Both(filter.states, also), std::nullopt};
  COPPICE_ASSIGN_OR_RETURN(criteria.wanted_seeds, WantedSeeds(filter));
  if (criteria.wanted_seeds)
    criteria.seeds.insert(criteria.wanted_seeds->begin(), criteria.wanted_seeds->end());
  std::shared_ptr<const SweepInfo> sweep;
  if (!filter.sweep.empty()) {
    sweep = catalog.FindSweep(filter.sweep);
    if (sweep == nullptr)
      return absl::NotFoundError(absl::StrCat("no sweep named '", filter.sweep, "'"));
    if (after == 0) COPPICE_RETURN_IF_ERROR(CheckConditions(catalog, *sweep, filter.where));
  }
  if (criteria.wanted_seeds && criteria.wanted_seeds->empty()) return 0;
  Walk walk(read, catalog, criteria, after, most, visit);
  if (!filter.job_ids.empty()) return walk.OverIds();
  if (sweep == nullptr) return absl::InvalidArgumentError("name a sweep or job ids");
  // The catalog learns of a deletion a moment after its commit.
  const absl::StatusOr<SweepRow> row = read.GetSweep(sweep->id);
  if (absl::IsNotFound(row.status()) || (row.ok() && row->deleted))
    return absl::NotFoundError(absl::StrCat("no sweep named '", filter.sweep, "'"));
  if (!row.ok()) return row.status();
  COPPICE_ASSIGN_OR_RETURN(const std::vector<GroupRow> rows, read.ListGroupCounts(sweep->id));
  return walk.OverGroups(rows);
}

}  // namespace coppice::core
