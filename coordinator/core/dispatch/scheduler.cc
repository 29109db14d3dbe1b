#include "coordinator/core/dispatch/scheduler.h"

#include <algorithm>
#include <tuple>

namespace coppice::core {
namespace {

// Returns the first `width` free jobs of a step.
std::vector<JobId> FreeJobs(const absl::btree_set<JobId>& jobs, size_t width,
                            const absl::flat_hash_set<JobId>& taken) {
  std::vector<JobId> free;
  for (const JobId job : jobs) {
    if (free.size() == width) break;
    if (!taken.contains(job)) free.push_back(job);
  }
  return free;
}

// Returns how many jobs of the set come before `job`; an estimate for a large set.
uint64_t CountBefore(const absl::btree_set<JobId>& jobs, JobId job) {
  constexpr uint64_t kCounted = 10'000;
  if (jobs.empty() || job <= *jobs.begin()) return 0;
  const JobId first = *jobs.begin();
  const JobId last = *jobs.rbegin();
  if (job > last) return jobs.size();
  if (jobs.size() <= kCounted) {
    return static_cast<uint64_t>(std::distance(jobs.begin(), jobs.lower_bound(job)));
  }
  const double share = static_cast<double>(job - first) / static_cast<double>(last - first + 1);
  return static_cast<uint64_t>(share * static_cast<double>(jobs.size()) + 0.5);
}

}  // namespace

Scheduler::Key Scheduler::KeyOf(const Group& group, uint32_t resume_step) {
  const uint32_t left = group.steps > resume_step ? group.steps - resume_step : 0;
  return {group.priority, group.work_per_step * left, group.id};
}

Scheduler::Order& Scheduler::OrderOf(const Entry& entry) {
  return entry.group.program_pack > 0 ? programs_order_ : order_;
}

std::vector<const Scheduler::Order*> Scheduler::Orders(bool programs) const {
  std::vector<const Order*> orders = {&order_};
  if (programs) orders.push_back(&programs_order_);
  return orders;
}

void Scheduler::Index(const Entry& entry) {
  if (entry.jobs == 0 || paused_.contains(entry.group.sweep_id)) return;
  OrderOf(entry).insert(KeyOf(entry.group, entry.by_step.begin()->first));
}

void Scheduler::Unindex(const Entry& entry) {
  if (entry.jobs != 0) OrderOf(entry).erase(KeyOf(entry.group, entry.by_step.begin()->first));
}

void Scheduler::AddGroup(const Group& group) { groups_.try_emplace(group.id, Entry{group, {}, 0}); }

void Scheduler::SetGroup(const Group& group) {
  const auto [it, is_new] = groups_.try_emplace(group.id, Entry{group, {}, 0});
  if (is_new) return;
  Unindex(it->second);
  it->second.group = group;
  Index(it->second);
}

void Scheduler::Insert(Entry& entry, JobId job, uint32_t step) {
  // The group's position depends only on its first step.
  const bool moves = entry.by_step.empty() || step < entry.by_step.begin()->first;
  if (moves) Unindex(entry);
  if (entry.by_step[step].insert(job).second) {
    ++entry.jobs;
    ++ready_;
  }
  if (moves) Index(entry);
}

void Scheduler::Add(GroupId group, JobId job, uint32_t resume_step, absl::Duration eligible_at) {
  const auto it = groups_.find(group);
  if (it == groups_.end()) return;
  if (eligible_at == absl::ZeroDuration()) return Insert(it->second, job, resume_step);
  delayed_[job] = {group, resume_step, eligible_at};
  by_eligible_time_.insert({eligible_at, job});
}

void Scheduler::Remove(GroupId group, JobId job, uint32_t resume_step) {
  if (const auto waiting = delayed_.find(job); waiting != delayed_.end()) {
    by_eligible_time_.erase({waiting->second.at, job});
    delayed_.erase(waiting);
    return;
  }
  const auto it = groups_.find(group);
  if (it == groups_.end()) return;
  Entry& entry = it->second;
  const auto step = entry.by_step.find(resume_step);
  if (step == entry.by_step.end() || !step->second.contains(job)) return;
  const bool moves = step->second.size() == 1;
  if (moves) Unindex(entry);
  step->second.erase(job);
  --entry.jobs;
  --ready_;
  if (!moves) return;
  entry.by_step.erase(step);
  Index(entry);
}

void Scheduler::RemoveGroup(GroupId group) {
  const auto it = groups_.find(group);
  if (it == groups_.end()) return;
  Unindex(it->second);
  ready_ -= it->second.jobs;
  groups_.erase(it);
}

uint64_t Scheduler::CountIn(const Order& order) const {
  uint64_t jobs = 0;
  for (const Key& key : order) jobs += groups_.at(key.group).jobs;
  return jobs;
}

uint64_t Scheduler::CountGrantable() const { return CountIn(order_) + CountIn(programs_order_); }

std::map<SweepId, Scheduler::SweepJobs> Scheduler::CountGrantableBySweep() const {
  std::map<SweepId, SweepJobs> counts;
  for (const Order* order : Orders(/*programs=*/true)) {
    for (const Key& key : *order) {
      const Entry& entry = groups_.at(key.group);
      SweepJobs& sweep = counts[entry.group.sweep_id];
      sweep.jobs += entry.jobs;
      if (entry.group.program_pack > 0) sweep.programs += entry.jobs;
    }
  }
  return counts;
}

bool Scheduler::IsProgram(GroupId group) const {
  const auto it = groups_.find(group);
  return it != groups_.end() && it->second.group.program_pack > 0;
}

void Scheduler::SetPaused(SweepId sweep, bool paused) {
  if (paused == paused_.contains(sweep)) return;
  for (const auto& [id, entry] : groups_) {
    if (entry.group.sweep_id == sweep) Unindex(entry);
  }
  if (paused) {
    paused_.insert(sweep);
  } else {
    paused_.erase(sweep);
  }
  for (const auto& [id, entry] : groups_) {
    if (entry.group.sweep_id == sweep) Index(entry);
  }
}

bool Scheduler::PromoteDelayed(absl::Duration now) {
  bool any = false;
  while (!by_eligible_time_.empty() && by_eligible_time_.begin()->first <= now) {
    const JobId job = by_eligible_time_.begin()->second;
    by_eligible_time_.erase(by_eligible_time_.begin());
    const auto it = delayed_.find(job);
    const Delayed delayed = it->second;
    delayed_.erase(it);
    Insert(groups_.at(delayed.group), job, delayed.step);
    any = true;
  }
  return any;
}

std::optional<absl::Duration> Scheduler::NextDelayed() const {
  if (by_eligible_time_.empty()) return std::nullopt;
  return by_eligible_time_.begin()->first;
}

std::optional<Scheduler::Key> Scheduler::KeyWithout(const Entry& entry,
                                                    const absl::flat_hash_set<JobId>& taken) const {
  for (const auto& [step, jobs] : entry.by_step) {
    if (!FreeJobs(jobs, 1, taken).empty()) return KeyOf(entry.group, step);
  }
  return std::nullopt;
}

// A group's key in the order ignores `taken`, and taking jobs can only move the group back. So the
// search ends once the best key without `taken` comes before the next key in the order.
const Scheduler::Entry* Scheduler::Best(const Order& order, const absl::flat_hash_set<JobId>& taken,
                                        const AllowedGroups& allowed,
                                        std::optional<Key>* best_key) const {
  const Entry* best = nullptr;
  for (const Key& key : order) {
    if (best_key->has_value() && **best_key < key) break;
    const Entry& entry = groups_.at(key.group);
    if (!MayServe(entry, allowed)) continue;
    const std::optional<Key> left = KeyWithout(entry, taken);
    if (left.has_value() && (!best_key->has_value() || *left < **best_key)) {
      best = &entry;
      *best_key = left;
    }
  }
  return best;
}

const Scheduler::Entry* Scheduler::Best(const absl::flat_hash_set<JobId>& taken,
                                        const AllowedGroups& allowed) const {
  const Entry* best = nullptr;
  std::optional<Key> best_key;
  for (const Order* order : Orders(allowed.programs)) {
    const Entry* better = Best(*order, taken, allowed, &best_key);
    if (better != nullptr) best = better;
  }
  return best;
}

const Scheduler::Entry* Scheduler::OldestSweep(const absl::flat_hash_set<JobId>& taken,
                                               const AllowedGroups& allowed) const {
  const Entry* oldest = nullptr;
  std::optional<int32_t> priority;
  for (const Order* order : Orders(allowed.programs)) {
    for (const Key& key : *order) {
      if (priority.has_value() && key.priority < *priority) break;
      const Entry& entry = groups_.at(key.group);
      if (!MayServe(entry, allowed)) continue;
      const bool higher = priority.has_value() && key.priority > *priority;
      if (oldest != nullptr && !higher && entry.group.sweep_id >= oldest->group.sweep_id) continue;
      if (!KeyWithout(entry, taken).has_value()) continue;
      oldest = &entry;
      priority = key.priority;
    }
  }
  return oldest;
}

std::optional<Scheduler::Pick> Scheduler::Choose(absl::FunctionRef<size_t(GroupId)> width_of,
                                                 const absl::flat_hash_set<JobId>& taken,
                                                 uint64_t turn,
                                                 const AllowedGroups& allowed) const {
  const Entry* entry = turn % kOldestSweepTurn == kOldestSweepTurn - 1 ? OldestSweep(taken, allowed)
                                                                       : Best(taken, allowed);
  if (entry == nullptr) return std::nullopt;
  const uint32_t pack = entry->group.program_pack;
  Pick pick{entry->group.id, {}, pack > 0};
  size_t width = width_of(entry->group.id);
  if (pack > 0) width = std::min<size_t>(width, pack);
  // From the most advanced step down. Only a fuller pack replaces a more advanced one.
  for (auto it = entry->by_step.rbegin(); it != entry->by_step.rend() && pick.jobs.size() < width;
       ++it) {
    std::vector<JobId> free = FreeJobs(it->second, width, taken);
    if (free.size() > pick.jobs.size()) pick.jobs = std::move(free);
  }
  if (pick.jobs.empty()) return std::nullopt;
  return pick;
}

Scheduler::Ahead Scheduler::CountAhead(GroupId group, JobId job, uint32_t resume_step) const {
  Ahead ahead;
  const auto it = groups_.find(group);
  if (it == groups_.end()) return ahead;
  const Entry& own = it->second;
  // A PENDING job may be missing from the index (paused, in its backoff). It counts at the position
  // that it would have.
  const uint32_t first =
      own.by_step.empty() ? resume_step : std::min(resume_step, own.by_step.begin()->first);
  const Key place = KeyOf(own.group, first);
  for (const Order* order : Orders(/*programs=*/true)) {
    for (const Key& key : *order) {
      if (!(key < place)) break;
      if (key.group == group) continue;
      (key.priority > place.priority ? ahead.by_priority : ahead.by_work) +=
          groups_.at(key.group).jobs;
    }
  }
  for (const auto& [step, jobs] : own.by_step) {
    if (step > resume_step) ahead.by_work += jobs.size();
    if (step == resume_step) ahead.by_work += CountBefore(jobs, job);
  }
  return ahead;
}

Scheduler::Contents Scheduler::contents() const {
  std::map<GroupId, Contents::GroupJobs> by_group;
  for (const auto& [id, entry] : groups_) {
    Contents::GroupJobs& group = by_group[id];
    group.group = entry.group;
    for (const auto& [step, jobs] : entry.by_step) {
      for (const JobId job : jobs) group.jobs.push_back({job, step, std::nullopt});
    }
  }
  for (const auto& [job, delayed] : delayed_) {
    by_group[delayed.group].jobs.push_back({job, delayed.step, delayed.at});
  }
  Contents contents;
  for (auto& [id, group] : by_group) {
    std::sort(group.jobs.begin(), group.jobs.end(),
              [](const Contents::Job& a, const Contents::Job& b) { return a.id < b.id; });
    contents.groups.push_back(std::move(group));
  }
  contents.paused.assign(paused_.begin(), paused_.end());
  std::sort(contents.paused.begin(), contents.paused.end());
  Order served = order_;
  served.insert(programs_order_.begin(), programs_order_.end());
  for (const Key& key : served) contents.served.push_back(key.group);
  return contents;
}

}  // namespace coppice::core
