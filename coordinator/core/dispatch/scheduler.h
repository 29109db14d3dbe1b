// Chooses the jobs that a lease request gets.
#ifndef COPPICE_COORDINATOR_CORE_DISPATCH_SCHEDULER_H_
#define COPPICE_COORDINATOR_CORE_DISPATCH_SCHEDULER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "coordinator/core/types.h"

namespace coppice::core {

// The groups from which a request may be served.
struct AllowedGroups {
  bool programs = true;                                 // of users' own programs too
  const absl::flat_hash_set<SweepId>* spent = nullptr;  // none of these sweeps; null: of all
};

// Purpose: the index of PENDING jobs in the order in which they are granted.
//
// Order. Groups compete, and a request is served from one group. Higher priority comes first, then
// the longest expected work, measured by the group's job with the most of it left (work_per_step *
// remaining steps): long jobs that start late would stretch the end of the sweep. Within a group, a
// pack takes jobs with the same resume step. It takes the step that fills the request best, so that
// a few preempted jobs do not make a narrow pack while a full one waits. Among equals it takes the
// most advanced step, so that started work ends first.
//
// No job waits forever while its priority is served. Within one sweep the set of jobs is finite,
// every attempt ends, and a job has finitely many attempts without progress, so the jobs ahead run
// out. Across sweeps, each kOldestSweepTurn-th grant goes to the oldest sweep of the highest
// priority that has work, so an endless stream of new, longer sweeps only slows down an old one.
// Within a group, choosing a fuller step over a narrow one uses up the fuller one. A lower priority
// waits for a higher one by design.
//
// Owner: the writer thread; no other thread touches it. It changes only after a commit. No failure
// codes: the caller keeps it in step with the store.
class Scheduler {
 public:
  static constexpr uint64_t kOldestSweepTurn = 8;

  struct Group {
    GroupId id = 0;
    SweepId sweep_id = 0;
    int32_t priority = 0;
    double work_per_step = 0;
    uint32_t steps = 0;
    uint32_t program_pack = 0;  // GroupSpec
  };
  struct Pick {
    GroupId group_id = 0;
    std::vector<JobId> jobs;  // by id; never empty
    bool program = false;     // a user's own program trains them
  };

  // Idempotent.
  void AddGroup(const Group& group);
  // Adds a group, or gives it other figures. Its jobs stay.
  void SetGroup(const Group& group);
  // The group must be known. The job is not picked before `eligible_at` (monotonic; zero: at once).
  void Add(GroupId group, JobId job, uint32_t resume_step, absl::Duration eligible_at);
  // Removes a group with all its jobs; no effect if it is absent. None of its jobs may be waiting
  // to become eligible.
  void RemoveGroup(GroupId group);
  // `resume_step` must be the one from Add. No effect if the job is absent.
  void Remove(GroupId group, JobId job, uint32_t resume_step);
  void SetPaused(SweepId sweep, bool paused);
  bool paused(SweepId sweep) const { return paused_.contains(sweep); }

  // Admits jobs whose wait is over. True if there were any.
  bool PromoteDelayed(absl::Duration now);
  // Returns the time at which PromoteDelayed has work next.
  std::optional<absl::Duration> NextDelayed() const;

  // Returns jobs of one group at one resume step, up to the request's width for this group and
  // without the jobs in `taken`. Returns nothing if there are none. Changes nothing. `turn` counts
  // grants. `width_of` is not asked for more than a program's pack.
  std::optional<Pick> Choose(absl::FunctionRef<size_t(GroupId)> width_of,
                             const absl::flat_hash_set<JobId>& taken, uint64_t turn,
                             const AllowedGroups& allowed = {}) const;

  // The number of jobs that a grant could take now: neither paused nor waiting. It visits the
  // groups that have such jobs.
  uint64_t CountGrantable() const;
  uint64_t CountGrantablePrograms() const { return CountIn(programs_order_); }
  struct SweepJobs {
    uint64_t jobs = 0, programs = 0;  // grantable ones, and those of users' own programs
  };
  // The same by sweep.
  std::map<SweepId, SweepJobs> CountGrantableBySweep() const;
  bool any_grantable() const { return !order_.empty() || !programs_order_.empty(); }
  bool any_programs() const { return !programs_order_.empty(); }
  bool IsProgram(GroupId group) const;
  // The number of jobs that do not wait for a time, paused ones included, and the number ahead of a
  // given job, by priority and by work. Both are estimates: packs may overtake.
  size_t ready() const { return ready_; }
  struct Ahead {
    uint64_t by_priority = 0;
    uint64_t by_work = 0;
  };
  Ahead CountAhead(GroupId group, JobId job, uint32_t resume_step) const;

  // Everything in the index, in order. It visits every job, so it is for tests.
  struct Contents {
    struct Job {
      JobId id = 0;
      uint32_t resume_step = 0;
      std::optional<absl::Duration> eligible_at;  // set while the job waits for it
    };
    struct GroupJobs {
      Group group;
      std::vector<Job> jobs;  // by id
    };
    std::vector<GroupJobs> groups;  // by id
    std::vector<SweepId> paused;    // by id
    std::vector<GroupId> served;    // groups with work, the first to be served first
  };
  Contents contents() const;

 private:
  struct Entry {
    Group group;
    std::map<uint32_t, absl::btree_set<JobId>> by_step;  // resume step -> jobs; no empty sets
    size_t jobs = 0;
  };
  // Ordered by priority descending, work left descending, then id. The first is served first.
  struct Key {
    int32_t priority;
    double work;
    GroupId group;
    friend bool operator<(const Key& a, const Key& b) {
      if (a.priority != b.priority) return a.priority > b.priority;
      if (a.work != b.work) return a.work > b.work;
      return a.group < b.group;
    }
  };
  struct Delayed {
    GroupId group;
    uint32_t step;
    absl::Duration at;
  };

  static Key KeyOf(const Group& group, uint32_t resume_step);
  void Index(const Entry& entry);
  void Unindex(const Entry& entry);
  void Insert(Entry& entry, JobId job, uint32_t step);
  // Returns the key of an entry without the jobs in `taken`, or nothing if no job is left.
  std::optional<Key> KeyWithout(const Entry& entry, const absl::flat_hash_set<JobId>& taken) const;
  using Order = std::set<Key>;
  Order& OrderOf(const Entry& entry);
  // The orders from which a choice may be made.
  std::vector<const Order*> Orders(bool programs) const;
  // True if a request may be served from the entry.
  static bool MayServe(const Entry& entry, const AllowedGroups& allowed) {
    return allowed.spent == nullptr || !allowed.spent->contains(entry.group.sweep_id);
  }
  uint64_t CountIn(const Order& order) const;
  const Entry* Best(const Order& order, const absl::flat_hash_set<JobId>& taken,
                    const AllowedGroups& allowed, std::optional<Key>* best_key) const;
  const Entry* Best(const absl::flat_hash_set<JobId>& taken, const AllowedGroups& allowed) const;
  const Entry* OldestSweep(const absl::flat_hash_set<JobId>& taken,
                           const AllowedGroups& allowed) const;

  absl::flat_hash_map<GroupId, Entry> groups_;
  // Groups that are not paused and have jobs: those for Coppice's trainer, and those for programs,
  // which not every worker runs.
  Order order_;
  Order programs_order_;
  absl::flat_hash_set<SweepId> paused_;
  std::set<std::pair<absl::Duration, JobId>> by_eligible_time_;
  absl::flat_hash_map<JobId, Delayed> delayed_;
  size_t ready_ = 0;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_DISPATCH_SCHEDULER_H_
