#include "coordinator/core/lease_table.h"

#include <algorithm>
#include <cmath>

namespace coppice::core {
namespace {

// A trainer reports every two seconds. A worker passes this on with its next heartbeat, of which
// there are several in a term.
constexpr absl::Duration kShortestSilence = absl::Seconds(10);
constexpr absl::Duration kReportInterval = absl::Seconds(2);

// Discounts a rate reported at `entry.renewed_at` after the trainer has been silent for so long.
double RateAfter(const LeaseEntry& entry, absl::Duration silence) {
  if (silence <= absl::ZeroDuration()) return entry.steps_per_second;
  const absl::Duration reported = std::max(kReportInterval, entry.renewed_at - entry.got_on_at);
  return entry.steps_per_second * std::min(1.0, absl::FDivDuration(reported, silence));
}

}  // namespace

absl::Duration LeaseTable::SilenceAt(const LeaseEntry& entry, absl::Duration now) const {
  if (entry.stall_limit <= absl::ZeroDuration()) return absl::ZeroDuration();
  const absl::Duration silence = now - entry.got_on_at;
  return silence > std::max(kShortestSilence, term_ / 2) ? silence : absl::ZeroDuration();
}

absl::Duration LeaseTable::SilenceOf(const LeaseEntry& entry) const {
  return clock_ == nullptr ? absl::ZeroDuration() : SilenceAt(entry, clock_->Monotonic());
}

double LeaseTable::RateOf(const LeaseEntry& entry) const {
  return RateAfter(entry, SilenceOf(entry));
}

namespace {

// The weight that remains of an ended attempt after the next one: about the last twenty are
// remembered.
constexpr double kMemory = 0.95;

// An attempt without a step says nothing about the others: it measured, or never began.
Pace PaceOf(const LeaseEntry& entry, uint32_t step, absl::Duration until) {
  const double seconds = absl::ToDoubleSeconds(until - entry.granted_at);
  if (step <= entry.first_step || seconds <= 0) return {};
  return {static_cast<double>(step - entry.first_step), seconds};
}

Pace LivePace(const LeaseEntry& entry) { return PaceOf(entry, entry.live_step, entry.renewed_at); }

void Count(absl::flat_hash_map<GroupId, Pace>& paces, GroupId group, const Pace& pace) {
  if (pace.steps <= 0) return;
  Pace& sum = paces[group];
  sum.steps += pace.steps;
  sum.seconds += pace.seconds;
}

}  // namespace

void LeaseTable::AddTo(Totals& totals, const LeaseEntry& entry) const {
  totals.stats.leases = ++totals.leases;
  Count(totals.stats.pace, entry.group_id, LivePace(entry));
  ++totals.workers[entry.worker];
  totals.stats.workers = totals.workers.size();
  totals.stats.steps_per_second += entry.steps_per_second;
  totals.stats.work_per_second += entry.steps_per_second * entry.work_per_step;
  if (entry.stall_limit > absl::ZeroDuration()) {
    totals.got_on.insert({entry.got_on_at, entry.ref.job_id});
  }
  if (entry.live_step <= entry.stored_step) return;
  const uint64_t extra = entry.live_step - entry.stored_step;
  totals.stats.extra_steps[entry.group_id] += extra;
  totals.stats.extra_work += static_cast<double>(extra) * entry.work_per_step;
}

void LeaseTable::TakeFrom(Totals& totals, const LeaseEntry& entry) const {
  totals.stats.leases = --totals.leases;
  if (const Pace pace = LivePace(entry); pace.steps > 0) {
    Pace& sum = totals.stats.pace[entry.group_id];
    sum.steps -= pace.steps;
    sum.seconds -= pace.seconds;
    if (sum.steps < 0.5) totals.stats.pace.erase(entry.group_id);
  }
  const auto worker = totals.workers.find(entry.worker);
  if (--worker->second == 0) totals.workers.erase(worker);
  totals.stats.workers = totals.workers.size();
  totals.stats.steps_per_second -= entry.steps_per_second;
  totals.stats.work_per_second -= entry.steps_per_second * entry.work_per_step;
  totals.got_on.erase({entry.got_on_at, entry.ref.job_id});
  if (entry.live_step <= entry.stored_step) return;
  const uint64_t extra = entry.live_step - entry.stored_step;
  const auto group = totals.stats.extra_steps.find(entry.group_id);
  if ((group->second -= extra) == 0) totals.stats.extra_steps.erase(group);
  totals.stats.extra_work -= static_cast<double>(extra) * entry.work_per_step;
}

void LeaseTable::Add(LeaseEntry entry, absl::Duration now) {
  Remove({entry.ref.job_id, 0}, now);
  absl::MutexLock lock(&mutex_);
  ++begun_;
  entry.granted_at = now;
  entry.renewed_at = now;
  entry.deadline = now + term_;
  entry.first_step = entry.stored_step;
  const JobId job = entry.ref.job_id;
  deadlines_.insert({entry.deadline, job});
  by_worker_[entry.worker].insert(job);
  AddTo(by_sweep_[entry.sweep_id], entry);
  leases_.insert_or_assign(job, std::move(entry));
}

void LeaseTable::Remove(const LeaseRef& ref, absl::Duration now) {
  absl::MutexLock lock(&mutex_);
  const auto it = leases_.find(ref.job_id);
  if (it == leases_.end() || (ref.attempt != 0 && it->second.ref.attempt != ref.attempt)) return;
  ++ended_;
  const LeaseEntry& entry = it->second;
  deadlines_.erase({entry.deadline, ref.job_id});
  const auto worker = by_worker_.find(entry.worker);
  worker->second.erase(ref.job_id);
  if (worker->second.empty()) by_worker_.erase(worker);
  const auto sweep = by_sweep_.find(entry.sweep_id);
  TakeFrom(sweep->second, entry);
  if (const Pace pace = PaceOf(entry, std::max(entry.live_step, entry.stored_step), now);
      pace.steps > 0) {
    Pace& past = past_[entry.sweep_id][entry.group_id];
    past = {kMemory * past.steps + pace.steps, kMemory * past.seconds + pace.seconds};
  }
  // Erasing the empty sums also removes rounding errors.
  if (sweep->second.leases == 0) by_sweep_.erase(sweep);
  leases_.erase(it);
}

void LeaseTable::Recall(SweepId sweep, GroupId group, const Pace& pace) {
  absl::MutexLock lock(&mutex_);
  if (pace.steps > 0 && pace.seconds > 0) Count(past_[sweep], group, pace);
}

void LeaseTable::Forget(SweepId sweep) {
  absl::MutexLock lock(&mutex_);
  past_.erase(sweep);
}

uint64_t LeaseTable::begun() const {
  absl::MutexLock lock(&mutex_);
  return begun_;
}

uint64_t LeaseTable::ended() const {
  absl::MutexLock lock(&mutex_);
  return ended_;
}

bool LeaseTable::Renew(const HeldLease& held, const std::string& worker, absl::Duration now) {
  absl::MutexLock lock(&mutex_);
  const auto it = leases_.find(held.lease.job_id);
  if (it == leases_.end() || it->second.ref != held.lease || it->second.worker != worker)
    return false;
  LeaseEntry& entry = it->second;
  deadlines_.erase({entry.deadline, held.lease.job_id});
  Totals& totals = by_sweep_.at(entry.sweep_id);
  TakeFrom(totals, entry);
  entry.renewed_at = now;
  entry.deadline = now + term_;
  entry.missed = 0;
  entry.live_step = held.step;
  entry.steps_per_second =
      std::isfinite(held.steps_per_second) ? std::max(0.0, held.steps_per_second) : 0;
  entry.stall_limit = absl::Milliseconds(static_cast<int64_t>(held.stall_ms));
  entry.got_on_at = now - absl::Milliseconds(static_cast<int64_t>(held.silent_ms));
  AddTo(totals, entry);
  deadlines_.insert({entry.deadline, held.lease.job_id});
  return true;
}

int LeaseTable::Miss(const LeaseRef& ref) {
  absl::MutexLock lock(&mutex_);
  const auto it = leases_.find(ref.job_id);
  if (it == leases_.end() || it->second.ref != ref) return 0;
  return ++it->second.missed;
}

void LeaseTable::SetStoredStep(const LeaseRef& ref, uint32_t step) {
  absl::MutexLock lock(&mutex_);
  const auto it = leases_.find(ref.job_id);
  if (it == leases_.end() || it->second.ref != ref) return;
  Totals& totals = by_sweep_.at(it->second.sweep_id);
  TakeFrom(totals, it->second);
  it->second.stored_step = step;
  AddTo(totals, it->second);
}

std::optional<LeaseEntry> LeaseTable::Find(JobId job) const {
  absl::MutexLock lock(&mutex_);
  const auto it = leases_.find(job);
  if (it == leases_.end()) return std::nullopt;
  return it->second;
}

std::vector<LeaseEntry> LeaseTable::OfWorker(const std::string& worker) const {
  absl::MutexLock lock(&mutex_);
  std::vector<LeaseEntry> entries;
  const auto it = by_worker_.find(worker);
  if (it == by_worker_.end()) return entries;
  for (const JobId job : it->second) entries.push_back(leases_.at(job));
  return entries;
}

size_t LeaseTable::CountOfWorker(const std::string& worker) const {
  absl::MutexLock lock(&mutex_);
  const auto it = by_worker_.find(worker);
  return it == by_worker_.end() ? 0 : it->second.size();
}

std::map<SweepId, uint64_t> LeaseTable::CountBySweep() const {
  absl::MutexLock lock(&mutex_);
  std::map<SweepId, uint64_t> counts;
  for (const auto& [sweep, totals] : by_sweep_) counts[sweep] = totals.leases;
  return counts;
}

std::map<SweepId, uint64_t> LeaseTable::CountBySweep(const std::string& worker) const {
  absl::MutexLock lock(&mutex_);
  std::map<SweepId, uint64_t> counts;
  const auto it = by_worker_.find(worker);
  if (it == by_worker_.end()) return counts;
  for (const JobId job : it->second) ++counts[leases_.at(job).sweep_id];
  return counts;
}

std::vector<LeaseRef> LeaseTable::Due(absl::Duration now, size_t limit) const {
  absl::MutexLock lock(&mutex_);
  std::vector<LeaseRef> due;
  for (const auto& [deadline, job] : deadlines_) {
    if (deadline > now || due.size() == limit) break;
    due.push_back(leases_.at(job).ref);
  }
  return due;
}

std::optional<absl::Duration> LeaseTable::NextDeadline() const {
  absl::MutexLock lock(&mutex_);
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

LiveStats LeaseTable::Live(SweepId sweep) const {
  absl::MutexLock lock(&mutex_);
  const auto it = by_sweep_.find(sweep);
  if (it == by_sweep_.end()) return LiveStats();
  LiveStats stats = it->second.stats;
  if (const auto past = past_.find(sweep); past != past_.end()) {
    for (const auto& [group, pace] : past->second) Count(stats.pace, group, pace);
  }
  if (clock_ == nullptr) return stats;
  const absl::Duration now = clock_->Monotonic();
  for (const auto& [got_on_at, job] : it->second.got_on) {
    const LeaseEntry& entry = leases_.at(job);
    const absl::Duration silence = SilenceAt(entry, now);
    if (silence <= absl::ZeroDuration()) break;
    stats.longest_silence = std::max(stats.longest_silence, silence);
    ++stats.silent;
    const double lost = entry.steps_per_second - RateAfter(entry, silence);
    stats.steps_per_second -= lost;
    stats.work_per_second -= lost * entry.work_per_step;
  }
  // Rounding errors must not leave a rate without leases.
  stats.steps_per_second = std::max(0.0, stats.steps_per_second);
  stats.work_per_second = std::max(0.0, stats.work_per_second);
  return stats;
}

std::vector<LeaseEntry> LeaseTable::All() const {
  absl::MutexLock lock(&mutex_);
  std::vector<LeaseEntry> all;
  for (const auto& [job, entry] : leases_) all.push_back(entry);
  std::sort(all.begin(), all.end(),
            [](const LeaseEntry& a, const LeaseEntry& b) { return a.ref.job_id < b.ref.job_id; });
  return all;
}

}  // namespace coppice::core
