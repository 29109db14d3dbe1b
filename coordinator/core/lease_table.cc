#include "coordinator/core/lease_table.h"

#include <algorithm>
#include <cmath>

namespace coppice::core {

void LeaseTable::Add(LeaseEntry entry, absl::Duration now) {
  Remove({entry.ref.job_id, 0});
  absl::MutexLock lock(&mutex_);
  entry.granted_at = now;
  entry.renewed_at = now;
  entry.deadline = now + term_;
  const JobId job = entry.ref.job_id;
  deadlines_.insert({entry.deadline, job});
  by_worker_[entry.worker].insert(job);
  by_sweep_[entry.sweep_id].insert(job);
  leases_.insert_or_assign(job, std::move(entry));
}

void LeaseTable::Remove(const LeaseRef& ref) {
  absl::MutexLock lock(&mutex_);
  const auto it = leases_.find(ref.job_id);
  if (it == leases_.end() || (ref.epoch != 0 && it->second.ref.epoch != ref.epoch)) return;
  const LeaseEntry& entry = it->second;
  deadlines_.erase({entry.deadline, ref.job_id});
  const auto drop = [&](auto& index, const auto& key) {
    const auto found = index.find(key);
    if (found == index.end()) return;
    found->second.erase(ref.job_id);
    if (found->second.empty()) index.erase(found);
  };
  drop(by_worker_, entry.worker);
  drop(by_sweep_, entry.sweep_id);
  leases_.erase(it);
}

bool LeaseTable::Renew(const HeldLease& held, const std::string& worker, absl::Duration now) {
  absl::MutexLock lock(&mutex_);
  const auto it = leases_.find(held.lease.job_id);
  if (it == leases_.end() || it->second.ref != held.lease || it->second.worker != worker)
    return false;
  LeaseEntry& entry = it->second;
  deadlines_.erase({entry.deadline, held.lease.job_id});
  entry.renewed_at = now;
  entry.deadline = now + term_;
  entry.missed = 0;
  entry.live_step = held.step;
  entry.steps_per_second =
      std::isfinite(held.steps_per_second) ? std::max(0.0, held.steps_per_second) : 0;
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
  if (it != leases_.end() && it->second.ref == ref) it->second.stored_step = step;
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
  LiveStats live;
  const auto it = by_sweep_.find(sweep);
  if (it == by_sweep_.end()) return live;
  absl::flat_hash_set<std::string> workers;
  for (const JobId job : it->second) {
    const LeaseEntry& entry = leases_.at(job);
    if (entry.live_step > entry.stored_step) {
      const uint64_t extra = entry.live_step - entry.stored_step;
      live.extra_steps[entry.group_id] += extra;
      live.extra_work += static_cast<double>(extra) * entry.work_per_step;
    }
    live.steps_per_second += entry.steps_per_second;
    live.work_per_second += entry.steps_per_second * entry.work_per_step;
    workers.insert(entry.worker);
  }
  live.workers = workers.size();
  return live;
}

std::vector<SweepId> LeaseTable::SweepsOf(const std::string& worker) const {
  absl::flat_hash_set<SweepId> sweeps;
  for (const LeaseEntry& entry : OfWorker(worker)) sweeps.insert(entry.sweep_id);
  return std::vector<SweepId>(sweeps.begin(), sweeps.end());
}

}  // namespace coppice::core
