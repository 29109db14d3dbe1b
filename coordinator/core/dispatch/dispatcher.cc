#include "coordinator/core/dispatch/dispatcher.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "coordinator/core/dispatch/pack_rules.h"

namespace coppice::core {
namespace {

constexpr size_t kMaxGrantsPerBatch = 128;

// The kinds of waiters for which no job is left.
class Exhausted {
 public:
  void Add(const AllowedGroups& allowed) { kinds_.insert({allowed.programs, allowed.spent}); }
  bool Covers(const AllowedGroups& allowed) const {
    if (kinds_.empty()) return false;
    return kinds_.contains({allowed.programs, allowed.spent}) ||
           kinds_.contains({allowed.programs, nullptr});
  }

 private:
  std::set<std::pair<bool, const void*>> kinds_;
};

}  // namespace

bool Dispatcher::AnyTrusted(absl::Duration now) const {
  for (const WorkerEntry* worker : workers_.All()) {
    if (IsConnected(*worker, leases_.term(), now) && !worker->draining() &&
        !health.SuspicionOf(worker->row.info.name, now).has_value()) {
      return true;
    }
  }
  return false;
}

AllowedGroups Dispatcher::AllowedTo(const Waiter& waiter) const {
  AllowedGroups allowed{waiter.programs, nullptr};
  if (spent.empty() || waiter.pool.empty()) return allowed;
  const auto found = spent.find(waiter.pool);
  if (found != spent.end()) allowed.spent = &found->second;
  return allowed;
}

std::optional<Dispatcher::Grant> Dispatcher::Choose(const Waiter& waiter,
                                                    const AllowedGroups& allowed,
                                                    const absl::flat_hash_set<JobId>& taken,
                                                    uint64_t turn) const {
  const size_t ready = scheduler.ready();
  const Supply supply{ready - std::min(ready, taken.size()), waiters.size()};
  // The user says how wide a program's packs may be; nobody measures that.
  const auto request_for = [&](bool program) {
    AcquireRequest request = waiter.request;
    request.measures = request.measures && !program;
    return request;
  };
  auto pick = scheduler.Choose(
      [&](GroupId group) {
        return PackWidth(health, request_for(scheduler.IsProgram(group)), waiter.worker, group,
                         supply);
      },
      taken, turn, allowed);
  if (!pick.has_value()) return std::nullopt;
  Grant grant;
  grant.unmeasured = pick->jobs.size() > 1 && IsUnmeasured(health, request_for(pick->program),
                                                           waiter.worker, pick->group_id);
  if (grant.unmeasured) pick->jobs.resize(1);
  grant.pick = *std::move(pick);
  return grant;
}

Dispatcher::Plan Dispatcher::PlanGrants(absl::Duration now) {
  Plan plan;
  if (budget_.left() == 0) return plan;
  const size_t room =
      std::min(budget_.left(), admission.Room(now, leases_.begun(), leases_.ended()));
  size_t left = room;
  absl::flat_hash_set<JobId> taken;
  // If every worker is suspect, the work itself may be to blame, so it is tried and charged.
  const bool skip_suspects = health.NextEnd(now).has_value() && AnyTrusted(now);
  Exhausted exhausted;
  for (auto it = waiters.begin();
       it != waiters.end() && plan.grants.size() < kMaxGrantsPerBatch && left > 0;) {
    const WorkerEntry* worker = workers_.FindById(it->request.worker_id);
    if (worker == nullptr || worker->row.departed_ms != 0) {
      plan.answers.push_back(
          {waiters.Take(it),
           absl::NotFoundError("the worker was replaced, or has left: register again")});
      continue;
    }
    if (worker->draining() || (skip_suspects && health.SuspicionOf(it->worker, now).has_value())) {
      ++it;
      continue;
    }
    const AllowedGroups allowed = AllowedTo(*it);
    if (exhausted.Covers(allowed)) {
      ++it;
      continue;
    }
    auto grant = Choose(*it, allowed, taken, grants + plan.grants.size());
    if (!grant.has_value()) {
      // A hundred thousand may wait, so they are searched only if one of them can be served.
      const bool programs_left = scheduler.any_programs() && waiters.programs() > 0;
      if (allowed.spent == nullptr && (allowed.programs || !programs_left)) break;
      exhausted.Add(allowed);
      ++it;
      continue;
    }
    if (it->cancelled && it->cancelled()) {
      plan.answers.push_back({waiters.Take(it), LeaseGrant()});
      continue;
    }
    taken.insert(grant->pick.jobs.begin(), grant->pick.jobs.end());
    left -= std::min(left, grant->pick.jobs.size());
    grant->waiter = waiters.Take(it);
    plan.grants.push_back(*std::move(grant));
  }
  budget_.Take(room - left);
  return plan;
}

std::optional<absl::Duration> Dispatcher::NextDue(absl::Duration now) const {
  std::optional<absl::Duration> next;
  for (const auto& due : {scheduler.NextDelayed(), waiters.NextDeadline(), health.NextEnd(now)}) {
    if (due.has_value()) next = std::min(next.value_or(*due), *due);
  }
  return next;
}

void Dispatcher::RecallWaiting(int64_t since_ms) {
  if (waiting_since_ms_ == 0 || since_ms < waiting_since_ms_) waiting_since_ms_ = since_ms;
}

bool Dispatcher::NoteWaiting(int64_t now_ms) {
  const bool waits = scheduler.any_grantable();
  const bool came = waits && (waiting_since_ms_ == 0 || scheduler.ready() > ready_);
  ready_ = scheduler.ready();
  if (!waits) {
    waiting_since_ms_ = 0;
  } else if (waiting_since_ms_ == 0) {
    waiting_since_ms_ = now_ms;
  }
  return came;
}

}  // namespace coppice::core
